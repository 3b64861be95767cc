"""Means of one stack's maps: over all that was mapped, and over tissues and regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.evaluation.error_maps import failures, parameters_of, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.regions import label_regions, read_regions
from napari_blochnet.evaluation.result_tables import ALL_TISSUES, Region
from napari_blochnet.io.nifti import is_nifti, nifti_stem
from napari_blochnet.io.text_tables import open_table

__all__ = ["area_means", "areas_of"]

_LARGEST = 2**20


def areas_of(path: Path | None, maps: ParameterMaps) -> tuple[Region, ...]:
    """Return the regions of a file on the grid of maps: labels, with their names as BIDS has them; spheres; or a
    phantom's folder, of which pure voxels of each tissue.
    """
    if path is None:
        return ()
    if path.is_dir():
        from napari_blochnet.phantoms.read import read_phantom

        phantom = read_phantom(path)
        labels = phantom.pure_labels
        if labels is None:
            raise FileError(path, "has no tissues", "labels, or a phantom with tissues", field="regions")
        if labels.shape != maps.shape:
            raise FileError(path, f"has {labels.shape} voxels (z, y, x)", f"the {maps.shape} of the maps",
                            field="regions")  # fmt: skip
        return label_regions(labels, dict(enumerate(phantom.tissues, start=1)))
    regions = read_regions(path, maps.shape, geometry=maps.geometry)
    names = _names_beside(path)
    return tuple(Region(names.get(region.name, region.name), region.mask, region.references) for region in regions)


def _names_beside(path: Path) -> dict[str, str]:
    """Return the names of labels by a table beside them, as `label_regions` numbers them."""
    table = path.with_name(f"{nifti_stem(path)}.tsv") if is_nifti(path) else path
    if table == path or not table.is_file():
        return {}
    text = open_table(table, _LARGEST, "a table of names, TSV with a header", "regions")
    header = [name.lower() for name in text.header]
    if not {"index", "name"} <= set(header):
        return {}
    index, name = header.index("index"), header.index("name")
    return {f"label {cells[index]}": cells[name] for _, cells in text.rows if len(cells) > max(index, name)}


def area_means(maps: ParameterMaps, regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Return a row for each area and parameter: all that was mapped first.

    Mean, standard deviation (n − 1) and median are over the voxels that have an estimate, the median of the residual
    ‖x − ŝ‖/‖x‖ too; those without are counted.
    """
    areas: list[tuple[str, BoolArray]] = [(ALL_TISSUES, maps.mask)]
    areas += [(region.name, region.mask & maps.mask) for region in regions]
    lost, rows = failures(maps), []
    for name, inside in areas:
        good = inside & ~lost
        residual = None if maps.residual is None or not good.any() else float(np.median(maps.residual[good]))
        for parameter, unit in parameters_of(maps).items():
            values = values_of(maps, parameter)[good].astype(np.float64)
            rows.append({
                "region": name,
                "parameter": parameter,
                "unit": unit,
                "voxels": int(values.size),
                "failures": int((inside & lost).sum()),
                "mean": float(values.mean()) if values.size else None,
                "sd": float(values.std(ddof=1)) if values.size > 1 else None,
                "median": float(np.median(values)) if values.size else None,
                "median_residual": residual,
            })  # fmt: skip
    return rows
