"""Means over regions of interest, for data whose truth is known by region or not at all."""

from __future__ import annotations

import itertools
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from napari_blochnet.common.arrays import IntArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid
from napari_blochnet.evaluation.error_maps import failures, parameters_of, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import TRUTH, Region, RegionTable, numbered_names
from napari_blochnet.evaluation.signal_scale import signal_scales
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.nifti import read_nifti
from napari_blochnet.io.text_tables import Numbers, open_table
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["RegionMeans", "label_regions", "read_regions", "read_spheres", "region_means"]

#: Radius of a sphere where the file has none, voxels.
DEFAULT_RADIUS = 5.0
# A list of spheres is short; a file beyond this is something else.
_LARGEST_CSV = 2**20
# Each sphere has a mask of the whole volume: a thousand on a million voxels.
_LARGEST_MASKS = 2**30
_FURTHEST = 1e6


class RegionMeans(RegionTable):
    """What `region_means` found: a `RegionTable` that is also written as a page."""

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page with the table, figures and records; it needs no other file."""
        from napari_blochnet.evaluation.report import write_region_means

        write_region_means(self, path)


def region_means(
    maps: Sequence[ParameterMaps],
    regions: Sequence[Region],
    *,
    truth: Phantom | None = None,
    title: str = "T1 and T2 by region",
    record: dict[str, Any] | None = None,
    scales: Sequence[float] | None = None,
) -> RegionMeans:
    """Average maps over regions.

    The mean and the standard deviation (n − 1) are over the voxels of a region that the model mapped and did not
    reject; those it rejected are counted. PD, which is relative, is freed of its scale where there is a truth, as in a
    comparison; otherwise it is averaged as it is, in each model's own unit.

    Parameters
    ----------
    maps : sequence of ParameterMaps
        One per model.
    regions : sequence of Region
        On the maps' grid.
    truth : Phantom, optional
        On the maps' grid; it gets rows of its own, and its means become the reference "truth".
    title : str
        Heading of the report.
    record : dict, optional
        Entered in the result.
    scales : sequence of float, optional
        What PD of each model is multiplied with beside the truth, where that is known already: it takes a while.

    Returns
    -------
    RegionMeans

    Raises
    ------
    InputError
        No maps, no regions, a region or a truth on another grid.
    """
    if not maps or not regions:
        raise InputError(
            f"There are no {'regions' if maps else 'maps'}", "at least one", field="regions" if maps else "maps"
        )
    for item in maps:
        for region in regions:
            if region.mask.shape != item.shape:
                raise InputError(
                    f"The region {region.name} has shape {region.mask.shape} (z, y, x), the maps of {item.estimator} "
                    f"have {item.shape}",
                    "the same grid",
                    field="regions",
                )
    table: list[dict[str, Any]] = []
    if truth is None:
        scales = [1.0] * len(maps)
    else:
        if truth.shape != maps[0].shape:
            raise InputError(
                f"The truth {truth.name} has {truth.shape} voxels (z, y, x), the maps have {maps[0].shape}",
                "the same grid",
                field="truth",
            )
        scales = [found.pd_scale for found in signal_scales(truth, maps)] if scales is None else scales
        rows = [_rows(truth, region) for region in regions]
        table += [row for several in rows for row in several]
        regions = [_with_truth(region, several) for region, several in zip(regions, rows, strict=True)]
    names = numbered_names([item.estimator for item in maps])
    maps = [item.replace(estimator=name) for item, name in zip(maps, names, strict=True)]
    for item, scale in zip(maps, scales, strict=True):
        table += [row for region in regions for row in _rows(item, region, scale)]
    known = {item.estimator: scale for item, scale in zip(maps, scales, strict=True) if item.pd is not None}
    pd_scales = {} if truth is None else known
    return RegionMeans(tuple(maps), tuple(regions), tuple(table), title, dict(record or {}), pd_scales)


def _rows(source: ParameterMaps | Phantom, region: Region, scale: float = 1.0) -> list[dict[str, Any]]:
    """Return the rows of one model, or of the truth, in one region."""
    # a region is small in a volume of tens of millions of voxels, and is looked at while it is painted
    box = next(iter(ndimage.find_objects(region.mask.astype(np.int8, copy=False))), None) or (slice(0, 1),) * 3
    inside = region.mask[box]
    good = source.mask[box] & inside
    failed, residual = 0, None
    if isinstance(source, ParameterMaps):
        lost = good & failures(source, box)
        failed, good = int(lost.sum()), good & ~lost
        if source.residual is not None:
            residual = float(source.residual[box][good].mean()) if good.any() else None
    rows = []
    for parameter, unit in parameters_of(source).items():
        values = values_of(source, parameter)[box][good].astype(np.float64)
        values *= scale if parameter == "PD" else 1.0
        mean = float(values.mean()) if values.size else None
        row: dict[str, Any] = {
            "model": source.estimator if isinstance(source, ParameterMaps) else TRUTH,
            "region": region.name,
            "parameter": parameter,
            "unit": unit,
            "voxels": int(values.size),
            "failures": failed,
            "mean": mean,
            "sd": float(values.std(ddof=1)) if values.size > 1 else None,
            "residual": residual,
        }
        for origin, known in region.references.items():
            if parameter in known:
                row[origin] = known[parameter]
                row[f"{origin}_percent"] = None if mean is None else 100.0 * (mean / known[parameter] - 1.0)
        rows.append(row)
    return rows


def _with_truth(region: Region, rows: Sequence[Mapping[str, Any]]) -> Region:
    means = {row["parameter"]: row["mean"] for row in rows if row["mean"] is not None}
    return replace(region, references={**region.references, TRUTH: means}) if means else region


def read_regions(
    path: str | os.PathLike[str],
    shape: tuple[int, int, int],
    radius: float = DEFAULT_RADIUS,
    geometry: Geometry | None = None,
) -> tuple[Region, ...]:
    """Read regions: spheres from a ``.csv`` file, or a label image from NIfTI.

    Parameters
    ----------
    path : path
    shape : tuple of int
        (z, y, x) of the maps.
    radius : float
        Of spheres whose file has none, voxels.
    geometry : Geometry, optional
        Where the maps lie: labels are laid on their grid as the affines say, and a `DataWarning` tells where they were
        turned, or taken from the nearest voxel. None: labels of their shape are taken voxel by voxel.
    """
    if Path(path).suffix.lower() == ".csv":
        return read_spheres(path, shape, radius)
    labels, here = read_nifti(path)
    laid = lay_on_grid(
        labels,
        None if geometry is None else here,
        shape,
        geometry or Geometry(),
        name=Path(path).name,
        onto="the maps",
        field="regions",
        nearest=True,
    )
    if laid.note:
        warnings.warn(laid.note, DataWarning, stacklevel=2)
    return label_regions(laid.data)


def label_regions(labels: IntArray, names: Mapping[int, str] | None = None) -> tuple[Region, ...]:
    """Return one region for each label above 0.

    Parameters
    ----------
    labels : array of shape (Z, Y, X)
        Whole numbers; 0 is no region.
    names : mapping of int to str, optional
        Names of labels; "label k" where not given.

    Raises
    ------
    InputError
        Labels that are not whole numbers, more than 1000 of them, or none.
    """
    values = np.unique(labels)
    if not np.array_equal(values, np.round(values)) or len(values) > 1001:
        raise InputError(
            f"The label image holds {len(values)} different values up to {values[-1]:g}",
            "whole numbers, at most 1000 of them",
            field="regions",
        )
    regions = tuple(
        Region((names or {}).get(int(value), f"label {int(value)}"), labels == value) for value in values if value > 0
    )
    if not regions:
        raise InputError("The label image holds no label above 0", "at least one region", field="regions")
    return regions


def read_spheres(
    path: str | os.PathLike[str], shape: tuple[int, int, int], radius: float = DEFAULT_RADIUS
) -> tuple[Region, ...]:
    """Read spheres from CSV.

    The header names the columns: ``sphere`` (a name), ``x``, ``y`` and, for more than one slice, ``z`` (centre, voxel
    index from 0), optionally ``radius`` (voxels), and known values as ``t1_<origin>_ms`` and ``t2_<origin>_ms``, such
    as ``t1_true_ms``. In a single slice a sphere is a disc.

    Parameters
    ----------
    path : path
    shape : tuple of int
        (z, y, x) of the maps.
    radius : float
        Where the file has none, voxels.

    Raises
    ------
    InputError
        A column that is missing, a cell that is not a number, a sphere that lies outside the volume.
    """
    found = existing_file(path)
    # a sphere may be called #1
    table = open_table(found, _LARGEST_CSV, "a list of spheres, CSV with a header", "regions", marks=())
    header = [name if _is_reference(name) else name.lower() for name in table.header]
    needed = ["sphere", "x", "y", *(["z"] if shape[0] > 1 else [])]
    missing = [name for name in needed if name not in header]
    if missing:
        raise FileError(found, f"has no column {', '.join(missing)}", ", ".join(needed), field="regions")
    known = [(name, name[:2], _origin(found, name)) for name in header if _is_reference(name)]
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    read, regions = table.numbers(), list[Region]()
    for line, cells in table.rows:
        where = f"{found.name}, line {line}"
        if len(cells) > len(header):
            raise FileError(where, f"has {len(cells)} cells", f"{len(header)}, as in the header", field="regions")
        if (len(regions) + 1) * math.prod(shape) > _LARGEST_MASKS:
            raise FileError(where, "is one sphere too many", f"at most {len(regions)} here", field="regions")
        row = dict(itertools.zip_longest(header, cells, fillvalue=""))
        centre = tuple(
            _number(row[name], read, where, name, -_FURTHEST) if name in header else 0.0 for name in ("z", "y", "x")
        )
        size = _number(row["radius"], read, where, "radius", 0.0) if "radius" in header else radius
        mask = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= size**2
        if not mask.any():
            raise InputError(
                f"{where}: the sphere lies outside the volume of {shape} voxels (z, y, x)",
                "its centre as voxel index from 0",
                field="regions",
            )
        references: dict[str, dict[str, float]] = {}
        for name, parameter, origin in known:
            if row[name]:
                time = _number(row[name], read, where, name, -_FURTHEST)
                if time <= 0:
                    raise InputError(f"{where}, {name}: found {row[name]}", "a time above 0 ms", field="regions")
                references.setdefault(origin, {})[parameter.upper()] = time
        regions.append(Region(row["sphere"], mask, references))
    read.check("regions")
    return tuple(regions)


def _is_reference(name: str) -> bool:
    return name[:3].lower() in ("t1_", "t2_") and name.endswith("_ms") and len(name) > 6


def _origin(file: Path, name: str) -> str:
    # it heads a column of the table that is written, which a spreadsheet may open
    if not re.fullmatch(r"\w[\w .+-]*", name[3:-3]):
        raise FileError(file, f"has a column {name!r}", "t1_<origin>_ms with a word as origin", field="regions")
    return name[3:-3]


def _number(text: str, read: Numbers, where: str, name: str, least: float) -> float:
    value = read(text, f"{where}, {name}", "regions")
    if not least <= value <= _FURTHEST:
        raise FileError(f"{where}, {name}", f"found {text}", f"{least:g} to {_FURTHEST:g}", field="regions")
    return value
