"""Maps of one or several models against the truth."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.precision import Acquisition, acquisition_of, tissue_bounds
from napari_blochnet.evaluation.scores import Score, best_constant, mean_of_logs, score
from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS, text_table, write_csv
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["ALL_TISSUES", "PARAMETERS", "Comparison", "compare_maps", "distinct_names", "error_maps", "failures"]

#: The parameters that are scored, with their units; PD is relative.
PARAMETERS = {"T1": "ms", "T2": "ms", "PD": ""}
#: What the rows over the whole mask are called.
ALL_TISSUES = "all"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare_maps` found.

    Parameters
    ----------
    truth : Phantom
    maps : tuple of ParameterMaps
    models : tuple of str
        What the maps' estimators are called, each name once.
    mask : bool array of shape (Z, Y, X)
        Voxels scored: the same for all models.
    table : tuple of Score
        One row per model, tissue and parameter; the tissue "all" is the whole mask.
    pd_scale : dict
        By model, what its PD was multiplied with before it was scored.
    title : str
    error_limit : float
        Error maps are drawn from minus to plus this, per cent.
    notes : tuple of str
        What should be known when reading the table, in sentences.
    record : dict
        How it was made.
    """

    truth: Phantom
    maps: tuple[ParameterMaps, ...]
    models: tuple[str, ...]
    mask: BoolArray
    table: tuple[Score, ...]
    pd_scale: dict[str, float]
    title: str = "Comparison of T1 and T2 maps"
    error_limit: float = 20.0
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.models)} with {self.truth.name}: {int(self.mask.sum()):,} voxels>"

    def rows(self) -> list[dict[str, Any]]:
        """Return `table` as JSON-ready dictionaries."""
        return [entry.row() for entry in self.table]

    def score(self, model: str, parameter: str = "T1, T2", tissue: str = ALL_TISSUES) -> Score:
        """Return one row of the table."""
        for entry in self.table:
            if (entry.model, entry.parameter, entry.tissue) == (model, parameter, tissue):
                return entry
        raise InputError(
            f"There is no score of {parameter} by {model} in {tissue}",
            f"one of the models {', '.join(self.models)}",
            field="model",
        )

    def to_text(self) -> str:
        """Return the table for a terminal."""
        return text_table(self.rows(), COMPARISON_COLUMNS) + "".join(f"\n{note}" for note in self.notes)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, full precision."""
        write_csv(self.rows(), path)

    def to_figures(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the figures as PNG, SVG or PDF, by the ending: ``NAME-maps`` and ``NAME-scatter``."""
        from napari_blochnet.evaluation.figures import save_comparison_figures

        return save_comparison_figures(self, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page with tables, figures and records; it needs no other file."""
        from napari_blochnet.evaluation.report import write_comparison

        write_comparison(self, path)


def compare_maps(
    truth: Phantom,
    maps: Sequence[ParameterMaps],
    *,
    mask: BoolArray | None = None,
    title: str = "Comparison of T1 and T2 maps",
    error_limit: float = 20.0,
    bound_voxels: int = 1000,
    seed: int = 0,
    record: dict[str, Any] | None = None,
    watch: Watch = UNWATCHED,
) -> Comparison:
    """Score maps against the truth.

    All models are scored on the same voxels: inside the truth's mask, inside ``mask``, and mapped by every model.
    A voxel that a model rejected, or where its T1 or T2 is not a positive number, is a failure and counts against it
    (see `napari_blochnet.evaluation.scores.Score`). Estimated PD is relative: before it is scored, each model's is
    multiplied with one number, the median of truth over estimate. Scores per tissue use pure voxels.

    Parameters
    ----------
    truth : Phantom
        On the maps' grid.
    maps : sequence of ParameterMaps
        One per model.
    mask : bool array of shape (Z, Y, X), optional
        Voxels to score. None: all of the truth's mask.
    title : str
        Heading of the report.
    error_limit : float
        Error maps are drawn from minus to plus this, per cent.
    bound_voxels : int
        Voxels of each tissue, at most, at which the Cramér–Rao bound is computed where the noise is known, drawn at
        random; 0: no bound.
    seed : int
        Of the draw.
    record : dict, optional
        Entered in the result.
    watch : Watch
        Only the bound takes time.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        No maps; maps or a mask on another grid; no voxel to score.
    """
    if not maps:
        raise InputError("There are no maps to compare", "at least one model's", field="maps")
    for item in maps:
        _check_grid(truth, item)
    if mask is not None and np.shape(mask) != truth.shape:
        raise InputError(f"The mask has shape {np.shape(mask)}", f"that of the truth, {truth.shape}", field="mask")
    wanted = truth.mask if mask is None else truth.mask & np.asarray(mask, dtype=bool)
    scored = wanted & np.logical_and.reduce([item.mask for item in maps])
    if not scored.any():
        raise InputError("There is no voxel to score: the truth's mask, the chosen voxels and the maps have none in "
                         "common.", field="mask")  # fmt: skip
    models = distinct_names([item.estimator for item in maps])
    sets = _tissue_sets(truth, scored)
    constants = {name: best_constant(_values(truth, name)[scored]) for name in PARAMETERS}
    bounds, sentences = _bounds(truth, sets, models, maps, bound_voxels, seed, watch)
    table: list[Score] = []
    scales: dict[str, float] = {}
    for model, item in zip(models, maps, strict=True):
        failed = failures(item)
        scales[model] = pd_scale(truth, item, scored & ~failed)
        for tissue, voxels in sets.items():
            rows = [
                score(
                    _values(truth, name)[voxels],
                    _values(item, name)[voxels] * (scales[model] if name == "PD" else 1.0),
                    failed[voxels] if name != "PD" else (failed | ~(item.pd > 0))[voxels],
                    constants[name],
                    model=model,
                    tissue=tissue,
                    parameter=name,
                    unit=unit,
                ).with_bound(bounds.get(model, {}).get(tissue, {}).get(name))
                for name, unit in PARAMETERS.items()
            ]
            table += [rows[0], rows[1], mean_of_logs(rows[0], rows[1]), rows[2]]
    left_out = int(wanted.sum()) - int(scored.sum())
    if left_out:
        sentences.insert(0, f"{left_out:,} of {int(wanted.sum()):,} voxels are left out: not every model mapped them.")
    return Comparison(
        truth, tuple(maps), models, scored, tuple(table), scales, title, error_limit, tuple(sentences),
        dict(record or {}),
    )  # fmt: skip


def _bounds(
    truth: Phantom,
    sets: dict[str, BoolArray],
    models: Sequence[str],
    maps: Sequence[ParameterMaps],
    voxels: int,
    seed: int,
    watch: Watch,
) -> tuple[dict[str, dict[str, dict[str, float]]], list[str]]:
    """Return the bounds by model, tissue and parameter where the noise is known, and sentences about them."""
    if voxels == 0:
        return {}, []
    known: dict[str, Acquisition] = {}
    missing: dict[str, list[str]] = {}
    for model, item in zip(models, maps, strict=True):
        found = acquisition_of(item)
        if isinstance(found, str):
            missing.setdefault(found, []).append(model)
        else:
            known[model] = found
    # models that mapped the same fingerprints share their bound
    by_data = {data: tissue_bounds(truth, sets, data, voxels, seed, watch=watch)
               for data in dict.fromkeys(known.values())}  # fmt: skip
    sentences = [f"{', '.join(names)}: no Cramér–Rao bound, because {reason}." for reason, names in missing.items()]
    if known:
        most = max(int(chosen.sum()) for chosen in sets.values())
        drawn = f" of up to {voxels:,} voxels a tissue, drawn with seed {seed}" if most > voxels else ""
        sentences.append(f"The Cramér–Rao bound takes the noise, B1 and the true T1, T2 and PD{drawn}.")
    return {model: by_data[data] for model, data in known.items()}, sentences


def failures(maps: ParameterMaps) -> BoolArray:
    """Return the mapped voxels without an estimate: rejected, or T1 or T2 not a positive finite number."""
    with np.errstate(invalid="ignore"):
        good = (maps.t1 > 0) & (maps.t2 > 0) & np.isfinite(maps.t1) & np.isfinite(maps.t2) & np.isfinite(maps.pd)
    return maps.mask & (maps.failed | ~good)


def error_maps(truth: Phantom, maps: ParameterMaps) -> dict[str, FloatArray]:
    """Return signed relative errors (estimate − truth)/truth, per cent.

    Parameters
    ----------
    truth : Phantom
    maps : ParameterMaps
        On the truth's grid.

    Returns
    -------
    dict of str to float32 array of shape (Z, Y, X)
        For T1, T2 and PD (scaled by the median of truth over estimate); −100 where the model failed, 0 outside what
        both masks hold.

    Raises
    ------
    InputError
        Maps on another grid.
    """
    _check_grid(truth, maps)
    inside = truth.mask & maps.mask
    failed = failures(maps)
    scale = pd_scale(truth, maps, inside & ~failed)
    result = {}
    for name in PARAMETERS:
        true = np.where(inside, _values(truth, name), 1.0).astype(np.float64)
        made = np.where(failed, 0.0, _values(maps, name)) * (scale if name == "PD" else 1.0)
        result[name] = np.where(inside, 100.0 * (made - true) / true, 0.0).astype(np.float32)
    return result


def pd_scale(truth: Phantom, maps: ParameterMaps, voxels: BoolArray) -> float:
    """Return the median of true over estimated PD; 1 where there is none."""
    voxels = voxels & (maps.pd > 0)
    return float(np.median(truth.pd[voxels] / maps.pd[voxels])) if voxels.any() else 1.0


def _values(source: Phantom | ParameterMaps, parameter: str) -> FloatArray:
    values: FloatArray = getattr(source, parameter.lower())
    return values


def _tissue_sets(truth: Phantom, scored: BoolArray) -> dict[str, BoolArray]:
    sets = {ALL_TISSUES: scored}
    labels = truth.pure_labels
    if labels is not None:
        for number, tissue in enumerate(truth.tissues, start=1):
            voxels = scored & (labels == number)
            if voxels.any():
                sets[tissue] = voxels
    return sets


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names with a number after those that occurred before: "fc", "fc 2"."""
    result: list[str] = []
    for name in names:
        numbered = (name if number == 1 else f"{name} {number}" for number in itertools.count(1))
        result.append(next(new for new in numbered if new not in result))
    return tuple(result)


def _check_grid(truth: Phantom, maps: ParameterMaps) -> None:
    apart = np.abs(np.asarray(truth.affine) - np.asarray(maps.affine)).max()
    if maps.shape != truth.shape or apart > 0.01 * min(truth.voxel_size):
        raise InputError(
            f"The maps of {maps.estimator} have {maps.shape} voxels (z, y, x) of {maps.geometry.describe()}, "
            f"the truth {truth.name} has {truth.shape} of {truth.geometry.describe()}",
            "the same grid at the same place",
            field="maps",
        )
