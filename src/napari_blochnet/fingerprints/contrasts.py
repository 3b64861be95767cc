"""Series of contrasts: images of one place at several TI, TE, TR or flip angles, with or without a schedule.

A scanner's inversion or echo series is no fingerprint: no train of pulses made it, so no `Schedule` describes it, and
`FingerprintStack` rightly asks for one. It opens as a `ContrastSeries`: samples, geometry, and what was varied, as far
as the headers say. Fingerprints of a scanner come in the same formats; `read_fingerprints` takes a schedule and reads
them by the same code, in the order of their acquisition.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.geometry import OnGrid
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import UNWATCHED, CancelEvent, ProgressCallback, Watch
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.bids_series import bids_series, join_series, sidecar_contrasts
from napari_blochnet.io.dicom.dicom_series import is_dicom, read_dicom
from napari_blochnet.io.nifti import read_nifti

__all__ = ["ContrastSeries", "is_series", "nifti_series", "only_file", "open_series", "read_contrasts"]

_UNITS = {"TI": " ms", "TE": " ms", "TR": " ms", "flip angle": "°"}


@dataclass(frozen=True, eq=False, repr=False)
class ContrastSeries(OnGrid):
    """Images of one place that differ in contrast.

    Parameters
    ----------
    data : array of shape (contrast, Z, Y, X)
    kind : {"complex", "real", "magnitude", "phase", "imaginary"}
        What the samples are.
    voxel_size : tuple of float
        (z, y, x), mm.
    affine : array of shape (4, 4)
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+.
    contrasts : dict of str to array of shape (contrast,)
        "TI", "TE" and "TR" in ms, "flip angle" in degrees, as far as the files say; NaN where one does not.
    name : str
        What people call it.
    notes : tuple of str
        What was understood while reading, in sentences.
    """

    data: AnyArray
    kind: Literal["complex", "real", "magnitude", "phase", "imaginary"]
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]
    contrasts: dict[str, FloatArray] = field(default_factory=dict)
    name: str = "series"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_geometry()

    def __repr__(self) -> str:
        return f"<ContrastSeries {self.describe()}>"

    @property
    def varied(self) -> dict[str, FloatArray]:
        """What differs between the images."""
        return {
            called: values for called, values in self.contrasts.items()
            if len(np.unique(np.round(values, 2), equal_nan=True)) > 1
        }  # fmt: skip

    def describe(self) -> str:
        """Return one line for people: name, size, voxel size, kind of signal, what was varied."""
        count, *space = self.data.shape
        varied = ", ".join(
            f"{called} {values[0]:g} to {values[-1]:g}{_UNITS[called]}" for called, values in self.varied.items()
        )
        return (
            f"{self.name}: {counted(count, 'contrast')} × {dimensions(space)} voxels (z, y, x) of "
            f"{self.geometry.describe()}, "
            f"{self.kind}{', ' + varied if varied else ''}"
        )


# What a file of BIDS holds of complex samples.
_PART = re.compile(r"part-(mag|phase|real|imag)(?![A-Za-z0-9])")


def is_series(path: Path) -> bool:
    """Whether a path is what `open_series` reads: a folder, or a DICOM file."""
    return path.is_dir() or is_dicom(path)


def only_file(path: Path, variable: str | None = None) -> Path | None:
    """Return the one NIfTI file that a folder's series consists of; None where it is anything else.

    Of two files with the parts of complex samples it is the first, beside which the other one is found.
    """
    series = nifti_series(path, variable) if path.is_dir() else {}
    first = [name for name in series if (part := _PART.search(name)) and part[1] in ("mag", "real")]
    if variable is None and len(series) == 2 and len(first) == 1 and len({_PART.sub("", name) for name in series}) == 1:
        return series[first[0]][0] if len(series[first[0]]) == 1 else None
    name = variable if variable in series else next(iter(series)) if len(series) == 1 else None
    return series[name][0] if name is not None and len(series[name]) == 1 else None


def nifti_series(folder: Path, variable: str | None = None) -> dict[str, list[Path]]:
    """Return the NIfTI files of a folder by series; none where it holds DICOM images.

    Raises
    ------
    InputError
        Both are there, and ``variable`` names none of the former.
    """
    series = bids_series(folder)
    if not series or variable in series or not is_dicom(folder):
        return series
    if variable is None:
        raise FileError(
            folder,
            f"holds DICOM images and NIfTI files ({', '.join(list(series)[:4])}); name a file or a folder of one kind, "
            "or give variable, the name or number of a series.",
            field="variable",
        )
    return {}


def open_series(
    path: Path,
    variable: str | None = None,
    order: Literal["contrast", "acquisition"] = "contrast",
    *,
    watch: Watch = UNWATCHED,
) -> ContrastSeries:
    """Read a series; see `read_contrasts`.

    ``order``: what comes first in time, of DICOM; see `napari_blochnet.io.dicom.dicom_series.read_dicom`.
    """
    series = nifti_series(path, variable) if path.is_dir() else {}
    if not series:
        stack = read_dicom(path, variable, order, watch=watch)
        kind = stack.part
        return ContrastSeries(
            stack.data, kind, stack.geometry.voxel_size, stack.geometry.affine, stack.contrasts, path.name, stack.notes
        )
    several = {name: files for name, files in series.items() if len(files) > 1} or series
    if variable is not None:
        if variable not in series:
            raise FileError(path, f"has no series {variable!r}; it holds {', '.join(series)}.", field="variable")
        several = {variable: series[variable]}
    if len(several) > 1:
        listed = ", ".join(f"{name} ({len(files)} file{'s'[: len(files) > 1]})" for name, files in several.items())
        raise FileError(path, f"holds {listed}; give variable, the name of one.", field="variable")
    name, files = next(iter(several.items()))
    notes: list[str] = []
    if len(files) == 1:
        data, geometry = read_nifti(files[0], watch=watch)
        data = data if data.ndim == 4 else data[None]
    else:
        data, geometry = join_series(name, files, watch=watch)
        notes.append(f"{len(files)} files of {name} were joined, from {files[0].name} to {files[-1].name}.")
    contrasts = sidecar_contrasts(files) if len(files) == len(data) else {}
    for called, values in contrasts.items():
        if len(np.unique(np.round(values, 2), equal_nan=True)) > 1:
            listed = ", ".join(f"{value:g}" for value in values[:12]) + (", …" if len(values) > 12 else "")
            notes.append(f"{called} varies: {listed}{_UNITS[called]}.")
    is_complex = data.dtype.kind == "c"
    is_real = not is_complex and data.dtype.kind not in "ub" and any((frame < 0).any() for frame in data)
    return ContrastSeries(
        data,
        "complex" if is_complex else "real" if is_real else "magnitude",
        geometry.voxel_size,
        geometry.affine,
        contrasts,
        name,
        tuple(notes),
    )


def read_contrasts(
    path: str | os.PathLike[str],
    variable: str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> ContrastSeries:
    """Open a series of contrasts (inversion times, echo times, repetition times, flip angles), which needs no schedule.

    Parameters
    ----------
    path : path
        A folder of DICOM images, or one of them; or a BIDS folder (``sub-x/anat``) of files such as
        ``sub-x_inv-1_IRT1.nii.gz``, one for each contrast.
    variable : str, optional
        Which series, where the folder holds several: of DICOM the number, description or UID, or several of these with
        commas between them; in BIDS the name without the numbers.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in files.

    Returns
    -------
    ContrastSeries
        Images in the order of TI, then TE; samples in memory.

    Raises
    ------
    InputError
        No such file; several series that do not belong together; slices that are missing; damaged files.
    Cancelled
    """
    return open_series(existing_file(path), variable, watch=Watch(progress, cancelled))
