"""Segmentations beside maps: labels of tissues with their names, and the shares of tissues in each voxel."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid, says_nothing, turned_onto, without_axes_of_one
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.nifti import nifti_stem, read_nifti
from napari_blochnet.phantoms.formats.brainweb import role_of
from napari_blochnet.phantoms.tissues import tissue_key

__all__ = ["fractions_beside", "labels_beside"]

_MOST_LABELS = 255


def labels_beside(
    path: Path,
    shape: tuple[int, ...],
    geometry: Geometry,
    first: str,
    notes: list[str],
    watch: Watch = UNWATCHED,
) -> tuple[IntArray, tuple[str, ...]] | None:
    """Return the labels (Z, Y, X) of a segmentation on the maps' grid, uint8, and their names; None where unusable.

    Labels up to 255 keep their numbers; larger ones, such as FreeSurfer's of the cortex (1001 to 2035), are numbered
    anew. What cannot be used is left alone, and said: a segmentation is no reason not to open maps.

    Parameters
    ----------
    path : Path
        BIDS discrete segmentation; names of its labels from the ``.tsv`` beside it.
    shape : tuple of int
        (Z, Y, X) of the maps.
    geometry : Geometry
        Of the maps.
    first : str
        What people call the maps.
    notes : list of str
        Takes what was done.
    watch : Watch
    """
    try:
        values, here = read_nifti(path, watch=watch)
        z, y, x = shape
        laid = lay_on_grid(values, here, (z, y, x), geometry, name=path.name, onto=first, field="path", nearest=True)
        if laid.data.dtype.kind not in "iufb":
            raise InputError(f"{path.name}: holds {laid.data.dtype}", "whole numbers")
    except InputError as error:
        _say(f"{str(error).rstrip('.')}; the labels are left alone.", notes)
        return None
    notes += [laid.note] if laid.note else []
    levels = np.unique(laid.data)
    if not np.isfinite(levels).all() or levels[0] < 0 or (levels != np.rint(levels)).any():
        _say(f"{path.name}: holds values that are not labels (whole numbers from 0); it is left alone.", notes)
        return None
    names = _names_beside(path)
    present = [int(level) for level in levels if level > 0]
    if len(present) > _MOST_LABELS:
        _say(f"{path.name}: holds {len(present):,} labels, more than {_MOST_LABELS}; it is left alone.", notes)
        return None
    unknown = [number for number in present if number not in names]
    if unknown and max(present) > _MOST_LABELS:
        shown = ", ".join(map(str, unknown[:5])) + (", …" if len(unknown) > 5 else "")
        notes.append(f"{path.name} holds labels without a name ({shown}); each is called by its number.")
    if not present or max(present) <= _MOST_LABELS:
        largest = max([*present, *(number for number in names if number <= _MOST_LABELS)], default=0)
        tissues = tuple(names.get(number, f"label {number}") for number in range(1, largest + 1))
        return laid.data.astype(np.uint8), tissues
    renumbered = np.searchsorted(np.array([0, *present]), laid.data).astype(np.uint8)
    return renumbered, tuple(names.get(number, f"label {number}") for number in present)


def _say(sentence: str, notes: list[str]) -> None:
    notes.append(sentence)
    warnings.warn(sentence, DataWarning, stacklevel=4)


def _names_beside(labels: Path) -> dict[int, str]:
    """Return the names of labels from the BIDS table beside the segmentation."""
    table = labels.with_name(f"{nifti_stem(labels)}.tsv")
    names: dict[int, str] = {}
    if table.is_file() and table.stat().st_size < 2**20:
        rows = [line.split("\t") for line in table.read_text(encoding="utf-8", errors="replace").splitlines()]
        header = rows[0] if rows else []
        if "index" in header and "name" in header:
            at_index, at_name = header.index("index"), header.index("name")
            for row in rows[1:]:
                # ten digits hold 2³¹; Python refuses to read thousands
                is_number = len(row) == len(header) and re.fullmatch(r"[0-9]{1,10}", row[at_index])
                if is_number and 1 <= int(row[at_index]) < 2**31:
                    names[int(row[at_index])] = row[at_name]
    return names


def fractions_beside(
    files: list[Path],
    tissues: tuple[str, ...],
    shape: tuple[int, ...],
    geometry: Geometry,
    notes: list[str],
) -> dict[str, FloatArray] | None:
    """Return the tissue fractions stored beside maps (``label-TISSUE_probseg``), None where one is missing.

    Those on another grid than the maps' are left alone, and ``notes`` takes why.
    """
    by_key = {tissue_key(role_of(path)): path for path in files}
    if not tissues or any(tissue_key(tissue) not in by_key for tissue in tissues):
        return None
    found = {}
    for tissue in tissues:
        path = by_key[tissue_key(tissue)]
        share = _on_grid(path, shape, geometry, notes)
        if share is None:
            _say(f"{path.name} lies on another grid than the maps; the shares of tissues are left alone.", notes)
            return None
        found[tissue] = np.asarray(share, dtype=np.float32)
    return found


def _on_grid(path: Path, shape: tuple[int, ...], geometry: Geometry, notes: list[str]) -> AnyArray | None:
    values, here = read_nifti(path)
    values = without_axes_of_one(values)
    z, y, x = shape
    laid = turned_onto(values, here, (z, y, x), geometry, name=path.name, onto="the maps") if values.ndim == 3 else None
    if laid is None:
        if values.shape != shape or not (says_nothing(here) or says_nothing(geometry)):
            return None
        silent = path.name if says_nothing(here) else "the maps"
        _say(f"{path.name} is taken voxel by voxel: the affine of {silent} is a default that says nothing.", notes)
        return values
    notes += [laid.note] if laid.note else []
    return laid.data
