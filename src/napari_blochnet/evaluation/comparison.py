"""Maps of one or several models against the truth."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.colour_limits import Limits
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.evaluation.error_maps import (
    PARAMETERS,
    check_grid,
    failures,
    parameters_of,
    values_of,
)
from napari_blochnet.evaluation.explained import recorded_misfits
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.precision import Acquisition, acquisition_of, tissue_bounds
from napari_blochnet.evaluation.result_tables import ALL_TISSUES, ComparisonTable, numbered_names, said_of_mixed
from napari_blochnet.evaluation.scores import Score, best_constant, mean_of_logs, score
from napari_blochnet.evaluation.signal_scale import SignalScale, signal_scales
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["Comparison", "compare_maps"]


class Comparison(ComparisonTable):
    """What `compare_maps` found: a `ComparisonTable` that is also drawn, and written as a page."""

    def with_limits(self, limits: Mapping[str, Limits]) -> Comparison:
        """Return the same comparison drawn with other colour limits, which its record states.

        Parameters
        ----------
        limits : mapping of str to tuple of float
            By "T1", "T2" (ms), "T1 error" or "T2 error" (per cent); the others stay. What else it names is not drawn
            here.
        """
        names = ("T1", "T2", "T1 error", "T2 error")
        chosen = {**self.chosen_limits, **{name: limits[name] for name in names if name in limits}}
        stated = {f"{name.lower().replace(' ', '_')}_limits": list(pair) for name, pair in chosen.items()}
        record = {**self.record, "settings": {**self.record.get("settings", {}), **stated}} if self.record else {}
        return replace(self, chosen_limits=chosen, record=record)

    def to_figures(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the figures as PNG, SVG or PDF, by the ending: ``NAME-maps`` and ``NAME-scatter``."""
        from napari_blochnet.evaluation.drawing.figures import save_comparison_figures

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
    error_limit: float | None = None,
    t1_limits: Limits | None = None,
    t2_limits: Limits | None = None,
    t1_error_limits: Limits | None = None,
    t2_error_limits: Limits | None = None,
    bound_voxels: int = 1000,
    seed: int = 0,
    record: dict[str, Any] | None = None,
    watch: Watch = UNWATCHED,
) -> Comparison:
    """Score maps against the truth.

    All models are scored on the same voxels: inside the truth's mask, inside ``mask``, and mapped by every model; of
    T1, T2 and PD each in what it has, and notes say what it has not.
    A voxel that a model rejected, or where its T1 or T2 is not a positive number, is a failure and counts against it
    (see `napari_blochnet.evaluation.scores.Score`). Estimated PD is relative: before it is scored it is multiplied with
    one number for each stack, the same for all models (see `napari_blochnet.evaluation.signal_scale`), which brings the
    noise to the truth's unit, too. Scores per tissue use pure voxels.

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
    error_limit : float, optional
        Error maps are drawn from minus to plus this, per cent. None: a round number that 98 of 100 errors of every
        model stay below.
    t1_limits, t2_limits : tuple of float, optional
        Lowest and highest colour of T1 and of T2, ms. None: 0 and a round number above most of the truth's values.
    t1_error_limits, t2_error_limits : tuple of float, optional
        Lowest and highest colour of the errors of one of them, per cent. None: by ``error_limit``.
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
        No maps; maps without T1 and T2, or on another grid; a mask on another grid; no voxel to score.
    """
    if not maps:
        raise InputError("There are no maps to compare", "at least one model's", field="maps")
    for item in maps:
        if not _times_of(item):
            raise InputError(f"The maps of {item.estimator} hold neither T1 nor T2", "one of the two", field="maps")
        check_grid(truth, item)
    if mask is not None and np.shape(mask) != truth.shape:
        raise InputError(f"The mask has shape {np.shape(mask)}", f"that of the truth, {truth.shape}", field="mask")
    wanted = truth.mask if mask is None else truth.mask & np.asarray(mask, dtype=bool)
    scored = wanted & np.logical_and.reduce([item.mask for item in maps])
    if not scored.any():
        sentence = "There is no voxel to score: the truth's mask, the chosen voxels and the maps have none in common."
        raise InputError(sentence, field="mask")
    models = numbered_names([item.estimator for item in maps])
    sets = _tissue_sets(truth, scored)
    constants = {name: best_constant(values_of(truth, name)[scored]) for name in PARAMETERS}
    found = signal_scales(truth, maps)
    bounds, sentences = _bounds(truth, sets, models, maps, found, bound_voxels, seed, watch)
    table: list[Score] = []
    scales: dict[str, float] = {}
    for model, item, known in zip(models, maps, found, strict=True):
        failed = failures(item)
        scale = known.pd_scale
        if item.pd is not None:
            scales[model] = scale
        for tissue, voxels in sets.items():
            rows = {
                name: score(
                    values_of(truth, name)[voxels],
                    values_of(item, name)[voxels] * (scale if name == "PD" else 1.0),
                    failed[voxels] if name != "PD" else (failed | ~(values_of(item, name) > 0))[voxels],
                    constants[name],
                    model=model,
                    tissue=tissue,
                    parameter=name,
                    unit=unit,
                ).with_bound(bounds.get(model, {}).get(tissue, {}).get(name))
                for name, unit in parameters_of(item).items()
            }
            times = [rows.pop(name) for name in _times_of(item)]
            table += [*times, *([mean_of_logs(*times)] if len(times) == 2 else []), *rows.values()]
    left_out = int(wanted.sum()) - int(scored.sum())
    if left_out:
        sentences.insert(0, f"{left_out:,} of {int(wanted.sum()):,} voxels are left out: not every model mapped them.")
    sentences += [
        f"{model} has no map of {name}, which is left out for it."
        for model, item in zip(models, maps, strict=True)
        for name in ("T1", "T2")
        if name not in _times_of(item)
    ]
    sentences += said_of_mixed(scored, truth) + _said_of_chance(table) + recorded_misfits(maps)
    limits = {"T1": t1_limits, "T2": t2_limits, "T1 error": t1_error_limits, "T2 error": t2_error_limits}
    chosen = {name: found for name, found in limits.items() if found is not None}
    about = (title, error_limit, tuple(sentences), dict(record or {}), chosen)
    return Comparison(truth, tuple(maps), models, scored, tuple(table), scales, *about)


def _times_of(maps: ParameterMaps) -> list[str]:
    return [name for name in ("T1", "T2") if name in parameters_of(maps)]


def _bounds(
    truth: Phantom,
    sets: dict[str, BoolArray],
    models: Sequence[str],
    maps: Sequence[ParameterMaps],
    scales: Sequence[SignalScale],
    voxels: int,
    seed: int,
    watch: Watch,
) -> tuple[dict[str, dict[str, dict[str, float]]], list[str]]:
    """Return the bounds by model, tissue and parameter where the noise is known, and sentences about them."""
    if voxels == 0:
        return {}, []
    known: dict[str, Acquisition] = {}
    fields: dict[str, FloatArray] = {}
    by_data: dict[tuple[Acquisition, int | None], dict[str, dict[str, float]]] = {}
    bounds: dict[str, dict[str, dict[str, float]]] = {}
    missing: dict[str, list[str]] = {}
    for model, item, scale in zip(models, maps, scales, strict=True):
        # what does not estimate T2 has another bound of T1 than what does
        alone = next((f"it maps {name} alone" for name in _times_of(item) if len(_times_of(item)) == 1), "")
        found = alone or acquisition_of(item)
        if isinstance(found, str) or scale.unknown:
            missing.setdefault(found if isinstance(found, str) else scale.unknown, []).append(model)
            continue
        known[model], field = found.in_units_of(scale), _field_of(truth, item, found)
        if field is not None:
            fields[model] = field
        # models that mapped the same fingerprints under the same field share their bound
        key = known[model], None if field is None else zlib.crc32(field.tobytes())
        if key not in by_data:
            lying = truth if field is None else replace(truth, b1=field)
            by_data[key] = tissue_bounds(lying, sets, known[model], voxels, seed, watch=watch)
        bounds[model] = by_data[key]
    sentences = [f"{', '.join(names)}: no Cramér–Rao bound, because {reason}." for reason, names in missing.items()]
    if known:
        most = max(int(chosen.sum()) for chosen in sets.values())
        drawn = f" of up to {voxels:,} voxels a tissue, drawn with seed {seed}" if most > voxels else ""
        units = ", in one unit" if any(scale.signal_per_pd != 1.0 for scale in scales) else ""
        sentences.append(f"The Cramér–Rao bound takes the noise, B1 and the true T1, T2 and PD{units}{drawn}.")
        if any(data.fit_b1 for data in known.values()):
            sentences.append("Where B1 was fitted along, the bound takes it as unknown.")
        if fields:
            sentences.append("The truth has no B1: the bound takes that of the map which was given.")
    return bounds, sentences


def _field_of(truth: Phantom, maps: ParameterMaps, acquisition: Acquisition) -> FloatArray | None:
    """Return the B1 map that maps were made with, where the truth has none; nominal where it has no value."""
    if truth.b1 is not None or maps.b1 is None or acquisition.fit_b1:
        return None
    return np.ascontiguousarray(np.where(maps.b1 > 0, maps.b1, 1.0), np.float32)


def _said_of_chance(table: Sequence[Score]) -> list[str]:
    """Return how an RMSE comes to lie below its bound, where one does."""
    below = [row for row in table if row.rmse_per_bound is not None and row.rmse_per_bound < 1.0]
    if not below:
        return []
    least = min(below, key=lambda row: row.voxels)
    # of n normal errors the root mean square has the standard deviation 1/√(2n), relative to its expectation
    chance = 100.0 / math.sqrt(2.0 * least.voxels)
    return [
        f"RMSE / bound below 1 is chance (one SD is 1/√(2n): {chance:.2g} % for the {least.voxels:,} voxels of "
        f"{least.tissue}), bias or prior knowledge."
    ]


def _tissue_sets(truth: Phantom, scored: BoolArray) -> dict[str, BoolArray]:
    sets = {ALL_TISSUES: scored}
    labels = truth.pure_labels
    if labels is not None:
        for number, tissue in enumerate(truth.tissues, start=1):
            voxels = scored & (labels == number)
            if voxels.any():
                sets[tissue] = voxels
    return sets
