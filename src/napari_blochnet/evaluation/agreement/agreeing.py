"""Maps of several models against one of them, or against the truth: computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.colour_limits import Limits
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.evaluation.agreement.agreement_table import PARAMETERS, AgreementTable
from napari_blochnet.evaluation.agreement.bland_altman import BlandAltman, bland_altman, concordance, differences
from napari_blochnet.evaluation.agreement.difference_maps import shared_quantities
from napari_blochnet.evaluation.error_maps import check_grid, failures, quantities_of, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import ALL_TISSUES, TRUTH, Region, numbered_names, said_of_mixed
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["Agreement", "agree"]


class Agreement(AgreementTable):
    """What `agree` found: an `AgreementTable` that is also drawn, and written as a page."""

    def with_limits(self, limits: Mapping[str, Limits]) -> Agreement:
        """Return the same agreement drawn with other colour limits, which its record states.

        Parameters
        ----------
        limits : mapping of str to tuple of float
            By "T1", "T2" (ms), "T1 difference" or "T2 difference" (per cent); the others stay. What else it names is
            not drawn here.
        """
        names = (*PARAMETERS, *(f"{name} difference" for name in PARAMETERS))
        chosen = {**self.chosen_limits, **{name: limits[name] for name in names if name in limits}}
        stated = {f"{name.lower().replace(' ', '_')}_limits": list(pair) for name, pair in chosen.items()}
        record = {**self.record, "settings": {**self.record.get("settings", {}), **stated}} if self.record else {}
        return replace(self, chosen_limits=chosen, record=record)

    def to_figures(self, path: Any) -> list[Any]:
        """Write the figures as PNG, SVG or PDF, by the ending: ``NAME-differences``, ``-bland-altman``, …."""
        from napari_blochnet.evaluation.agreement.agreement_figures import save_agreement_figures

        return save_agreement_figures(self, path)

    def to_html(self, path: Any) -> None:
        """Write one page with tables, figures and records; it needs no other file."""
        from napari_blochnet.evaluation.agreement.agreement_report import write_agreement

        write_agreement(self, path)


def agree(
    maps: Sequence[ParameterMaps],
    truth: Phantom | None = None,
    regions: Sequence[Region] | None = None,
    *,
    reference: str | None = None,
    confidence: float = 95.0,
    unit: str = "percent",
    difference_limit: float | None = None,
    t1_limits: Limits | None = None,
    t2_limits: Limits | None = None,
    t1_difference_limits: Limits | None = None,
    t2_difference_limits: Limits | None = None,
    title: str = "Agreement of T1 and T2 maps",
    record: dict[str, Any] | None = None,
    watch: Watch = UNWATCHED,
) -> Agreement:
    """Compare each model with a reference: another model, or the truth.

    All models are compared at the same voxels: inside the truth's mask where there is one, mapped by every model and
    rejected by none of the two. See `napari_blochnet.evaluation.agreement.bland_altman` for what is computed of the
    pairs. Compared is what a model and the reference both have: T1, T2, an estimated B1, and maps of one name and unit
    that only dictionaries know; notes say what is left out. PD is relative, in a unit of each model's own, and left
    out.

    Parameters
    ----------
    maps : sequence of ParameterMaps
        One per model, all on one grid.
    truth : Phantom, optional
        On that grid. It is the reference where ``reference`` names no model; where it does, the truth only says where
        its tissues (pure voxels) are.
    regions : sequence of Region, optional
        Where the pairs are taken, beside all voxels and the truth's tissues.
    reference : str, optional
        A model, by its name, numbered where several have it ("fc", "fc 2"); "truth" or None: the truth, or without
        one the first model.
    confidence : float
        Of the intervals, per cent.
    unit : {"percent", "ms"}
        Of the differences in figures; the table has both.
    difference_limit : float, optional
        Difference maps are drawn from minus to plus this, per cent. None: a round number above nearly all.
    t1_limits, t2_limits : tuple of float, optional
        Lowest and highest colour of T1 and of T2, ms. None: 0 and a round number above most of the truth's values, or
        without a truth of all models'.
    t1_difference_limits, t2_difference_limits : tuple of float, optional
        Lowest and highest colour of the differences of one of them, per cent. None: by ``difference_limit``.
    title : str
        Heading of the report.
    record : dict, optional
        Entered in the result.
    watch : Watch

    Returns
    -------
    Agreement

    Raises
    ------
    InputError
        Fewer than two sources of maps, maps that have nothing in common with the reference, other grids, a reference
        that is not there, or no voxel that all have.
    """
    if len(maps) + (truth is not None) < 2:
        raise InputError(
            f"There {'is one model' if maps else 'are no maps'} and no truth",
            "maps of two models, or of one and a truth",
            field="maps",
        )
    # a model of that name is no truth
    taken = [] if truth is None else [TRUTH]
    names = numbered_names([*taken, *(item.estimator for item in maps)])[len(taken) :]
    models = dict(zip(names, maps, strict=True))
    source: Phantom | ParameterMaps
    if truth is not None and reference in (None, TRUTH):
        source, called = truth, TRUTH
    else:
        called = names[0] if reference is None else reference
        if called not in models:
            known = ", ".join([*names, *([TRUTH] if truth is not None else [])])
            raise InputError(f"There is no {called} among what is compared", f"one of {known}", field="reference")
        source = models[called]
    others = {name: item for name, item in models.items() if name != called}
    if not others:
        raise InputError(
            f"{called} is the only model, and cannot be compared with itself",
            "another model, or the truth as reference",
            field="reference",
        )
    mask = _common(models, truth, regions, maps[0])
    shared = {name: shared_quantities(source, item) for name, item in others.items()}
    for name, item in others.items():
        if not shared[name]:
            raise InputError(
                f"{called} has maps of {_listed(quantities_of(source))}, {name} of {_listed(quantities_of(item))}",
                "a map that both have",
                field="maps",
            )
    chosen = _regions(mask, truth, regions)
    lost = {name: failures(item) for name, item in models.items()}
    table: list[dict[str, Any]] = []
    for number, (name, item) in enumerate(others.items()):
        watch.check("comparing the models")
        watch.report(number, len(others), "comparing the models")
        failed = lost[name] | lost.get(called, np.zeros(1, dtype=bool))
        for region in chosen:
            inside = region.mask & mask
            good = inside & ~failed
            for parameter, own_unit in shared[name].items():
                first, second = (values_of(each, parameter)[good].astype(np.float64) for each in (source, item))
                table.append(
                    {
                        "model": name,
                        "reference": called,
                        "region": region.name,
                        "parameter": parameter,
                        "unit": own_unit,
                        "voxels": int(good.sum()),
                        "failures": int((inside & failed).sum()),
                        **_row(first, second, confidence, percent=parameter in PARAMETERS),
                    }
                )
    wanted = np.logical_or.reduce([item.mask for item in maps])
    limits = {
        "T1": t1_limits, "T2": t2_limits, "T1 difference": t1_difference_limits, "T2 difference": t2_difference_limits,
    }  # fmt: skip
    notes = (
        *_notes(called, source, confidence, int((wanted & ~mask).sum()), int(wanted.sum())),
        *said_of_mixed(mask, truth),
        *_left_out(called, source, others, shared),
    )
    return Agreement(
        source, called, tuple(others.values()), tuple(others), truth, chosen, mask, tuple(table), confidence, unit,
        difference_limit, title, notes, dict(record or {}),
        {name: pair for name, pair in limits.items() if pair is not None},
    )  # fmt: skip


def _common(
    models: Mapping[str, ParameterMaps], truth: Phantom | None, regions: Sequence[Region] | None, first: ParameterMaps
) -> BoolArray:
    """Return the voxels that all have, once it is sure that all lie on one grid."""
    for item in models.values():
        if truth is not None:
            check_grid(truth, item)
        if item.shape != first.shape or np.abs(item.affine - first.affine).max() > 0.01 * min(first.voxel_size):
            raise InputError(
                f"The maps of {item.estimator} have {item.shape} voxels (z, y, x) of {item.geometry.describe()}, those "
                f"of {first.estimator} {first.shape} of {first.geometry.describe()}",
                "the same grid at the same place",
                field="maps",
            )
    for region in regions or ():
        if region.mask.shape != first.shape:
            raise InputError(
                f"The region {region.name} has shape {region.mask.shape} (z, y, x), the maps have {first.shape}",
                "the same grid",
                field="regions",
            )
    masks = [item.mask for item in models.values()] + ([] if truth is None else [truth.mask])
    mask: BoolArray = np.logical_and.reduce(masks)
    if not mask.any():
        raise InputError("There is no voxel that all models have mapped", "maps that overlap", field="maps")
    return mask


def _regions(mask: BoolArray, truth: Phantom | None, regions: Sequence[Region] | None) -> tuple[Region, ...]:
    """Return all voxels, the truth's tissues that hold some of them, and the regions, each name once."""
    chosen = [Region(ALL_TISSUES, mask)]
    labels = None if truth is None else truth.pure_labels
    if truth is not None and labels is not None:
        tissues = [Region(tissue, labels == number) for number, tissue in enumerate(truth.tissues, start=1)]
        chosen += [region for region in tissues if (region.mask & mask).any()]
    chosen += regions or ()
    names = numbered_names([region.name for region in chosen])
    return tuple(
        region if region.name == name else replace(region, name=name)
        for region, name in zip(chosen, names, strict=True)
    )


def _row(first: FloatArray, second: FloatArray, confidence: float, *, percent: bool) -> dict[str, float | None]:
    """Return what a row says of pairs, ``percent`` also of the mean of both; None where it cannot be said."""
    row = dict.fromkeys(("mean_reference", "mean_model", "median_percent"), math.nan)
    if first.size:
        row |= {"mean_reference": float(first.mean()), "mean_model": float(second.mean())}
    row |= _said(bland_altman(first, second, confidence=confidence), "")
    # of what may be 0 there are no per cent
    pairs = (first, second) if percent else (first[:0], second[:0])
    row |= _said(bland_altman(*pairs, percent=True, confidence=confidence), "_percent")
    if pairs[0].size:
        row["median_percent"] = float(np.median(np.abs(differences(*pairs, percent=True))))
    row["concordance"] = concordance(first, second)
    return {key: None if math.isnan(value) else value for key, value in row.items()}


def _said(found: BlandAltman, ending: str) -> dict[str, float]:
    said: dict[str, float] = {}
    for name, interval in (
        ("bias", found.bias_interval), ("lower", found.lower_interval), ("upper", found.upper_interval)
    ):  # fmt: skip
        said |= {f"{name}{ending}": getattr(found, name)}
        said |= {f"{name}{ending}_from": interval[0], f"{name}{ending}_to": interval[1]}
    return said | {f"sd{ending}": found.sd}


def _notes(
    called: str, source: Phantom | ParameterMaps, confidence: float, left_out: int, wanted: int
) -> tuple[str, ...]:
    what = f"the truth, {source.name}" if isinstance(source, Phantom) else called
    notes = [
        f"Differences are model − reference; the reference is {what}. Per cent are of the mean of both.",
        f"Intervals ({confidence:g} %) take voxels as independent; neighbours are not, so that the intervals are too "
        "narrow.",
    ]
    if left_out:
        notes.insert(0, f"{left_out:,} of {wanted:,} voxels are left out: not all have them.")
    return tuple(notes)


def _left_out(
    called: str,
    source: Phantom | ParameterMaps,
    others: Mapping[str, ParameterMaps],
    shared: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Return which maps have no counterpart, and in which unit those are compared that are no times."""
    said = []
    own = quantities_of(source)
    for name, item in others.items():
        here = quantities_of(item)
        alone = [key for key in own if key not in here and key != "B1"]
        if alone:
            said.append(f"{_listed(alone)} of {called} is left out: {name} has no map of it.")
        beyond = [key for key in here if key not in own and key != "B1"]
        if beyond:
            said.append(f"{_listed(beyond)} of {name} is left out: {called} has no map of it.")
        said += [
            f"{key} is left out: it is in {own[key] or 'no unit'} by {called}, in {here[key] or 'no unit'} by {name}."
            for key in here
            if key in own and own[key] != here[key]
        ]
    units = {key: unit for each in shared.values() for key, unit in each.items() if key not in PARAMETERS}
    said += [
        f"{key} {f'is in {unit}' if unit else 'has no unit'}: so is all that is said of it, and nothing is in ms or "
        "per cent."
        for key, unit in units.items()
    ]
    return said


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names) or "nothing"
