"""What agreement of maps is as data and table; figures and pages are made of it above."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.colour_limits import Limits, error_limits, widest
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS, difference_maps, shared_quantities
from napari_blochnet.evaluation.error_maps import failures, limits_of_maps, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import ALL_TISSUES, Region
from napari_blochnet.evaluation.tables import Column, text_table, write_csv
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["AGREEMENT_COLUMNS", "PARAMETERS", "AgreementTable"]

AGREEMENT_COLUMNS = (
    Column("model", "Model"),
    Column("reference", "Reference"),
    Column("region", "Region", "", "Pure voxels of a tissue, or a region; all: every voxel that all have."),
    Column("parameter", "Map"),
    Column("voxels", "Voxels", ",d"),
    Column("failures", "Failed", ",d", "Voxels that one of the two rejected; they are in no pair."),
    Column("mean_reference", "Reference / ms", ".1f", "Mean over the voxels."),
    Column("mean_model", "Model / ms", ".1f", "Mean over the voxels."),
    Column("bias", "Bias / ms", "+z.1f", "Mean of model − reference."),
    Column("sd", "SD / ms", ".1f", "Standard deviation of model − reference."),
    Column("lower", "Lower limit / ms", "+z.1f", "Lower limit of agreement, bias − 1.96 SD."),
    Column("upper", "Upper limit / ms", "+z.1f", "Upper limit of agreement, bias + 1.96 SD."),
    Column("bias_percent", "Bias / %", "+z.2f", "Mean of (model − reference)/mean of both."),
    Column("bias_percent_from", "Bias from / %", "+z.2f", "Its confidence interval."),
    Column("bias_percent_to", "to / %", "+z.2f", "Its confidence interval."),
    Column("sd_percent", "SD / %", ".2f", "Standard deviation of (model − reference)/mean of both."),
    Column("lower_percent", "Lower limit / %", "+z.2f", "Lower limit of agreement, bias − 1.96 SD."),
    Column("upper_percent", "Upper limit / %", "+z.2f", "Upper limit of agreement, bias + 1.96 SD."),
    Column("median_percent", "Median |difference| / %", ".2f", "Median of |model − reference|/mean of both."),
    Column("concordance", "Concordance", ".4f", "Lin's coefficient; 1: both are equal in every voxel."),
)


@dataclass(frozen=True, eq=False, repr=False)
class AgreementTable:
    """Agreement of models with a reference, with what it was computed of.

    Parameters
    ----------
    source : Phantom or ParameterMaps
        The reference.
    reference : str
        Its name; "truth" where it is a phantom.
    maps : tuple of ParameterMaps
        The models that are compared with it.
    models : tuple of str
        Their names, each once.
    truth : Phantom, optional
        Whose tissues the regions are, where no others were given.
    regions : tuple of Region
        Where pairs are taken; the first, "all", is `mask`.
    mask : bool array of shape (Z, Y, X)
        Voxels that all have.
    table : tuple of dict
        One row per model, region and parameter: bias, standard deviation and limits of agreement in ms, and in per cent
        of the mean of both (``…_percent``), each with its confidence interval (``…_from``, ``…_to``). What is
        neither T1 nor T2 in its ``unit``, and never per cent.
    confidence : float
        Of the intervals, per cent.
    unit : {"percent", "ms"}
        Of the differences in figures.
    difference_limit : float or None
        Difference maps are drawn from minus to plus this, per cent; None: a round number above nearly all.
    title : str
    notes : tuple of str
        What should be known when reading the table, in sentences.
    record : dict
        How it was made.
    chosen_limits : mapping of str to tuple of float
        Lowest and highest colour of "T1" and "T2" (ms), "T1 difference" and "T2 difference" (per cent), where somebody
        chose them; `colour_limits` has all.
    """

    source: Phantom | ParameterMaps
    reference: str
    maps: tuple[ParameterMaps, ...]
    models: tuple[str, ...]
    truth: Phantom | None
    regions: tuple[Region, ...]
    mask: BoolArray
    table: tuple[dict[str, Any], ...]
    confidence: float = 95.0
    unit: str = "percent"
    difference_limit: float | None = None
    title: str = "Agreement of T1 and T2 maps"
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    chosen_limits: Mapping[str, Limits] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Agreement of {', '.join(self.models)} with {self.reference}: "
            f"{counted(int(self.mask.sum()), 'voxel', ',')}>"
        )

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the reference and a model both have, with its unit: T1, T2, then what only dictionaries know."""
        shared: dict[str, str] = {}
        for each in self._shared:
            shared |= each
        order = [*PARAMETERS, *(name for name in shared if name not in PARAMETERS)]
        return {name: shared[name] for name in order if name in shared}

    def models_of(self, parameter: str) -> tuple[str, ...]:
        """Return the models that have a parameter in common with the reference."""
        return tuple(name for name, shared in zip(self.models, self._shared, strict=True) if parameter in shared)

    @cached_property
    def _shared(self) -> list[dict[str, str]]:
        return [shared_quantities(self.source, item) for item in self.maps]

    def unit_of(self, parameter: str) -> tuple[str, str]:
        """Return what keys of rows about differences end in as figures show them, and their unit."""
        if parameter in PARAMETERS:
            return ("_percent", "%") if self.unit == "percent" else ("", "ms")
        return "", self.parameters[parameter]

    @cached_property
    def colour_limits(self) -> dict[str, Limits]:
        """Lowest and highest colour of "T1", "T2" (ms), "T1 difference" and "T2 difference" (per cent), for all models.

        What nobody chose follows from the truth, or without one from all models together, and from all differences.
        What else is compared has limits, too, in its unit.
        """
        several = (self.source, *self.maps)
        found = {
            name: limits_of_maps(name, several, self.truth if name in PARAMETERS else None) for name in self.parameters
        }
        given = dict(self.chosen_limits)
        if self.difference_limit is not None:
            given = {
                f"{name} difference": (-self.difference_limit, self.difference_limit) for name in PARAMETERS
            } | given
        if not {f"{name} difference" for name in self.parameters} <= given.keys():
            apart = [difference_maps(self.source, item) for item in self.maps]
            found |= {
                f"{name} difference": widest(
                    error_limits(each[name], percent=name in PARAMETERS) for each in apart if name in each
                )
                for name in self.parameters
            }
        return {**found, **given}

    def rows(self) -> list[dict[str, Any]]:
        """Return `table` as JSON-ready dictionaries."""
        return [dict(row) for row in self.table]

    def row(self, model: str, parameter: str = "T1", region: str = ALL_TISSUES) -> dict[str, Any]:
        """Return one row of the table."""
        for row in self.table:
            if (row["model"], row["parameter"], row["region"]) == (model, parameter, region):
                return dict(row)
        missing = f"There is no agreement of {model} in {parameter} over {region}"
        raise InputError(missing, f"one of the models {', '.join(self.models)}", field="model")

    def pairs(self, model: str, parameter: str, region: Region) -> tuple[FloatArray, FloatArray]:
        """Return what the reference and a model have in a region's voxels, ms, pair by pair."""
        item = self.maps[self.models.index(model)]
        # a region is small in a volume of tens of millions of voxels
        box = _box(region.mask)
        good = region.mask[box] & self.mask[box] & ~failures(item, box)
        if isinstance(self.source, ParameterMaps):
            good &= ~failures(self.source, box)
        first, second = (values_of(each, parameter)[box][good].astype(np.float64) for each in (self.source, item))
        return first, second

    def to_text(self) -> str:
        """Return the table for a terminal."""
        short = [column for column in AGREEMENT_COLUMNS if column.key in _SHORT]
        return text_table(self.table, short) + "".join(f"\n{note}" for note in self.notes)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, full precision, with all intervals."""
        check_outputs([path], record=self.record)
        write_csv(self.table, path)


# What a terminal has room for.
_SHORT = (
    "model", "reference", "region", "parameter", "voxels", "failures", "bias", "bias_percent", "lower_percent",
    "upper_percent", "median_percent", "concordance",
)  # fmt: skip


def _box(mask: BoolArray) -> tuple[slice, ...]:
    """Return the smallest part that holds all of a mask."""
    found = []
    for axis in range(mask.ndim):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        found.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
    return tuple(found)
