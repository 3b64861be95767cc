"""What comparisons and averages find, as data and tables; figures and pages are made of it above."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.colour_limits import Limits, error_limits, widest
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.error_maps import error_maps, limits_of_maps, parameters_of
from napari_blochnet.evaluation.explained import recorded_misfits
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.scores import Score
from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS, region_columns, text_table, write_csv
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.phantoms.phantom import Phantom

__all__ = [
    "ALL_TISSUES",
    "TRUTH",
    "ComparisonTable",
    "Region",
    "RegionTable",
    "numbered_names",
    "said_of_mixed",
    "said_of_scale",
]

#: What the rows over the whole mask are called.
ALL_TISSUES = "all"
#: What the rows of a truth map are called, and the reference values that come from it.
TRUTH = "truth"


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonTable:
    """Scores of maps against the truth, with what they were made from.

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
    error_limit : float, optional
        Error maps are drawn from minus to plus this, per cent. None: this follows from the errors of all models.
    chosen_limits : mapping of str to tuple of float
        Lowest and highest colour of "T1" and "T2" (ms), "T1 error" and "T2 error" (per cent), where somebody chose
        them; `colour_limits` has all.
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
    error_limit: float | None = None
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    chosen_limits: Mapping[str, Limits] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Comparison of {', '.join(self.models)} with {self.truth.name}: "
            f"{counted(int(self.mask.sum()), 'voxel', ',')}>"
        )

    @property
    def times(self) -> tuple[str, ...]:
        """Of "T1" and "T2", those that a model has."""
        return tuple(name for name in ("T1", "T2") if self.models_of(name))

    def models_of(self, parameter: str) -> dict[str, ParameterMaps]:
        """Return the maps that have a parameter, by their model's name."""
        found = zip(self.models, self.maps, strict=True)
        return {model: maps for model, maps in found if parameter in parameters_of(maps)}

    @cached_property
    def colour_limits(self) -> dict[str, Limits]:
        """Lowest and highest colour of "T1" and "T2" (ms), "T1 error" and "T2 error" (per cent), for all models alike.

        What nobody chose follows from the truth, and from the errors of all models together.
        """
        found = {}
        errors = [error_maps(self.truth, maps) for maps in self.maps]
        for name in self.times:
            found[name] = limits_of_maps(name, self.maps, self.truth)
            if self.error_limit is None:
                found[f"{name} error"] = widest(
                    error_limits(each[name], self.truth.mask & maps.mask)
                    for each, maps in zip(errors, self.maps, strict=True)
                    if name in each
                )
            else:
                found[f"{name} error"] = (-self.error_limit, self.error_limit)
        return {**found, **self.chosen_limits}

    def rows(self) -> list[dict[str, Any]]:
        """Return `table` as JSON-ready dictionaries."""
        return [entry.row() for entry in self.table]

    def score(self, model: str, parameter: str = "T1, T2", tissue: str = ALL_TISSUES) -> Score:
        """Return one row of the table."""
        for entry in self.table:
            if (entry.model, entry.parameter, entry.tissue) == (model, parameter, tissue):
                return entry
        missing, known = f"There is no score of {parameter} by {model} in {tissue}", ", ".join(self.models)
        raise InputError(missing, f"one of the models {known}", field="model")

    def to_text(self) -> str:
        """Return the table for a terminal."""
        return text_table(self.rows(), COMPARISON_COLUMNS) + "".join(f"\n{note}" for note in self.notes)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, full precision."""
        check_outputs([path], record=self.record)
        write_csv(self.rows(), path)


@dataclass(frozen=True, eq=False)
class Region:
    """A named set of voxels.

    Parameters
    ----------
    name : str
    mask : bool array of shape (Z, Y, X)
    references : mapping of str to mapping of str to float
        Known values by their origin ("true", "site"), then by parameter ("T1", "T2"), ms.
    """

    name: str
    mask: BoolArray
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class RegionTable:
    """Mean ± standard deviation of maps in regions, with what they were made from.

    Parameters
    ----------
    maps : tuple of ParameterMaps
    regions : tuple of Region
    table : tuple of dict
        One row per model, region and parameter: voxels, failures, mean, sd, residual, and for each reference its value
        and the mean's deviation from it in per cent. The rows of the model "truth" come first, where there is a truth.
    title : str
    record : dict
        How it was made.
    pd_scale : dict
        By model, what its PD was multiplied with before it was averaged; empty where there is no truth.
    """

    maps: tuple[ParameterMaps, ...]
    regions: tuple[Region, ...]
    table: tuple[dict[str, Any], ...]
    title: str = "T1 and T2 by region"
    record: dict[str, Any] = field(default_factory=dict)
    pd_scale: dict[str, float] = field(default_factory=dict)

    @property
    def references(self) -> tuple[str, ...]:
        """Origins of known values, as they first occur."""
        return tuple(dict.fromkeys(origin for region in self.regions for origin in region.references))

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known when reading the table, in sentences."""
        return (*said_of_scale(self.pd_scale, "averaged"), *recorded_misfits(self.maps))

    def rows(self) -> list[dict[str, Any]]:
        """Return `table` as JSON-ready dictionaries."""
        return [dict(row) for row in self.table]

    def to_text(self) -> str:
        """Return the table for a terminal."""
        return text_table(self.table, region_columns(self.references)) + "".join(f"\n{note}" for note in self.notes)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, full precision."""
        check_outputs([path], record=self.record)
        write_csv(self.table, path)


def said_of_scale(scales: Mapping[str, float], before: str) -> tuple[str, ...]:
    """Return a sentence about what PD was multiplied with before it was "scored" or "averaged", or none."""
    numbers = ", ".join(f"{scale:.4g} ({model})" for model, scale in scales.items() if scale != 1.0)
    return (f"Estimated PD is relative; it was multiplied with {numbers} before it was {before}.",) if numbers else ()


def said_of_mixed(mask: BoolArray, truth: Phantom | None) -> list[str]:
    """Return why the rows of tissues hold fewer voxels than the row over the whole mask, where they do."""
    labels = None if truth is None else truth.pure_labels
    if labels is None:
        return []
    pure, everything = int((mask & (labels > 0)).sum()), int(mask.sum())
    if pure == everything:
        return []
    return [f"Tissues: the {pure:,} of {everything:,} voxels that hold one tissue alone; “{ALL_TISSUES}” has all."]


def numbered_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names with a number after those that occurred before: "fc", "fc 2"."""
    result: list[str] = []
    for name in names:
        numbered = (name if number == 1 else f"{name} {number}" for number in itertools.count(1))
        result.append(next(new for new in numbered if new not in result))
    return tuple(result)
