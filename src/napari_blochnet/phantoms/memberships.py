"""Volumes of tissue memberships, one for each tissue or all in one file, onto one grid and into a phantom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid, turned_onto, without_axes_of_one
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.nifti import is_nifti, nifti_sidecar, read_nifti
from napari_blochnet.phantoms.formats.brainweb import is_brainweb_format, read_volume
from napari_blochnet.phantoms.formats.numpy_arrays import numpy_arrays
from napari_blochnet.phantoms.formats.volume import Volume
from napari_blochnet.phantoms.tissues import BACKGROUND, Tissue, find_tissue

__all__ = ["ReadAs", "lay_beside", "memberships_in_one", "read_tissue_volume", "tissues_named"]

# Resampling by splines lets memberships swing over their ends by this much.
_OVERSHOOT = 0.1
_MOST_TISSUES = 64


@dataclass(frozen=True)
class ReadAs:
    """What a person says of volumes whose files do not, and who is told how reading goes.

    Parameters
    ----------
    shape : tuple of int, optional
        (z, y, x) of raw files.
    voxel_size : tuple of float, optional
        (z, y, x), mm.
    tissue_order : str, optional
        Tissues along the fourth axis, such as "csf, gm, wm".
    watch : Watch
    """

    shape: tuple[int, int, int] | None = None
    voxel_size: tuple[float, float, float] | None = None
    tissue_order: str | None = None
    watch: Watch = UNWATCHED


def read_tissue_volume(file: Path, how: ReadAs, *, labels: bool = False, quiet: bool = False) -> Volume:
    """Return a volume of labels or of one tissue's membership.

    Raises
    ------
    InputError
        A file that cannot be read, with more axes than three, or with values that are no memberships.
    """
    if is_brainweb_format(file):
        return read_volume(
            file, labels=labels, shape=how.shape, voxel_size=how.voxel_size, quiet=quiet, watch=how.watch
        )
    values, geometry = _array(file, how)
    values = without_axes_of_one(values)
    if values.ndim != 3:
        raise FileError(file, "has four axes", "a volume of one tissue; shares of several open from a file alone")
    stored, slope = (values, 1.0) if labels else _shares(file, values)
    if labels:
        _check_real(file, values)
        if not (np.isfinite(values).all() if values.dtype.kind == "f" else True) or float(values.min()) < 0:
            raise FileError(file, "holds negative or infinite values", "labels, whole numbers from 0 to 255")
    return Volume(np.asarray(stored, dtype=np.float32), slope, 0.0, geometry, file.name)


def _array(file: Path, how: ReadAs) -> tuple[AnyArray, Geometry]:
    if is_nifti(file):
        return read_nifti(file, watch=how.watch)
    return next(iter(numpy_arrays(file).values())), Geometry(how.voxel_size or (1.0, 1.0, 1.0))


def _check_real(file: Path, values: AnyArray) -> None:
    if values.dtype.kind not in "iufb":
        raise FileError(file, f"holds {values.dtype}", "real numbers")


def _shares(file: Path, values: AnyArray) -> tuple[AnyArray, float]:
    """Return memberships as stored, NaN as 0, and what they are multiplied with."""
    _check_real(file, values)
    if values.dtype.kind == "f" and np.isnan(values).any():
        values = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
    smallest, largest = float(values.min()), float(values.max())
    if not (np.isfinite(largest) and smallest >= -_OVERSHOOT):
        raise FileError(file, "holds negative or infinite values", "memberships from 0 to 1, or 0 to 255")
    if largest <= 1 + _OVERSHOOT:
        return values, 1.0
    if (values.dtype.kind == "f" and largest <= 255 and not (values == np.rint(values)).all()) or largest > 255:
        raise FileError(
            file, f"holds values up to {largest:g}", "memberships from 0 to 1, or whole numbers from 0 to 255"
        )
    return values, 1 / 255


def lay_beside(volume: Volume, first: Volume, notes: list[str]) -> Volume:
    """Return a membership as it lies beside the first one of its phantom.

    Raises
    ------
    InputError
        Another number of voxels, or a volume that lies elsewhere.
    """
    same = np.allclose(volume.geometry.affine, first.geometry.affine, rtol=0, atol=1e-4)
    if volume.shape == first.shape and same:
        return volume
    name, onto = volume.source, first.source
    values = volume.slab(0, volume.shape[0])
    if volume.shape == first.shape:
        laid = lay_on_grid(
            values, volume.geometry, first.shape, first.geometry, name=name, onto=onto, field="path", nearest=False
        )
    else:
        turned = turned_onto(values, volume.geometry, first.shape, first.geometry, name=name, onto=onto)
        if turned is None:
            raise InputError(
                f"{volume.source}: has {dimensions(volume.shape)} voxels (z, y, x)",
                f"{dimensions(first.shape)}, as in {first.source}",
                field="path",
            )
        laid = turned
    notes += [laid.note] if laid.note else []
    return Volume(laid.data, 1.0, 0.0, first.geometry, volume.source)


def memberships_in_one(
    file: Path, table: Mapping[str, Tissue], how: ReadAs, notes: list[str]
) -> dict[str, Volume] | None:
    """Return the memberships that one file holds along a fourth axis, by tissue; None where it has no such axis.

    Which tissue is which is told by ``tissue_order``, or by ``LabelMap`` in the JSON file beside it (BIDS).

    Raises
    ------
    InputError
        Tissues that are not told, or not as many as there are volumes; values that are no memberships.
    """
    if not (is_nifti(file) or file.suffix.lower() == ".npy"):
        return None
    values, geometry = _array(file, how)
    values = without_axes_of_one(values)
    if values.ndim != 4:
        return None
    named, field = how.tissue_order, "tissue_order"
    if named is not None:
        said, order = field, [name for name in re.split(r"\s*[,;]\s*", named.strip()) if name]
    else:
        stated = nifti_sidecar(file).get("LabelMap") if is_nifti(file) else None
        said, order = "LabelMap", [str(name) for name in stated] if isinstance(stated, list) else []
    count = len(values)
    if not is_nifti(file) and len(order) not in (0, count) and len(order) == values.shape[-1]:
        values = np.moveaxis(values, -1, 0)
        count = len(values)
    if not order:
        shown = dimensions(values.shape[1:])
        raise FileError(
            file,
            f"holds {counted(count, 'volume')} of {shown} voxels (z, y, x), and nothing says of which tissues they are",
            "tissue_order, such as 'csf, gm, wm' ('-' for what is left alone), or LabelMap in a JSON file beside it",
            field=field,
        )
    if len(order) != count or count > _MOST_TISSUES:
        raise FileError(
            file,
            f"{said} names {counted(len(order), 'tissue')}, and there {'is' if count == 1 else 'are'} "
            f"{counted(count, 'volume')}",
            "one for each",
            field=field,
        )
    return _by_tissue(file, values, geometry, order, table, notes, told=named is not None)


def _by_tissue(
    file: Path,
    values: AnyArray,
    geometry: Geometry,
    order: list[str],
    table: Mapping[str, Tissue],
    notes: list[str],
    *,
    told: bool,
) -> dict[str, Volume]:
    found: dict[str, Volume] = {}
    left = []
    # one scale for all: memberships of bytes may not reach 255 in each volume
    stored, slope = _shares(file, values)
    for name, share in zip(order, stored, strict=True):
        tissue = None if name == "-" else find_tissue(name, table)
        if tissue is None and told and name != "-":
            raise FileError(
                file, f"tissue_order names {name!r}", f"one of {', '.join(table)}, or '-'", field="tissue_order"
            )
        if tissue is None or not tissue.has_signal:
            left += [] if tissue is not None and tissue.name == BACKGROUND else [name]
            continue
        volume: FloatArray = np.asarray(share, dtype=np.float32)
        if tissue.name in found:
            before = found[tissue.name]
            # grey matter of cortex and of nuclei, for example
            volume = volume + before.stored
        found[tissue.name] = Volume(volume, slope, 0.0, geometry, file.name)
    if left:
        notes.append(f"Volumes of {file.name} left alone, without signal or unknown: {', '.join(left)}.")
    if not found:
        raise FileError(file, f"none of {', '.join(order)} is a tissue with signal in the table", "one at least",
                        field="tissue_order")  # fmt: skip
    return found


def tissues_named(names: list[str], word: str = "and") -> str:
    """Return names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
