"""Series of contrasts in BIDS names: one NIfTI file for each inversion, echo or flip angle, joined in that order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.nifti import is_nifti, nifti_sidecar, nifti_stem, read_nifti
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["bids_series", "join_series", "sidecar_contrasts"]

# What BIDS numbers within one measurement ("file collections"), outermost first.
_NUMBERED = ("inv", "echo", "flip", "mt")
# Results and helpers, which are no measurement's series.
_NO_SERIES = re.compile(r"(map|mask|dseg|probseg|defacemask)$", re.IGNORECASE)
# What lies between a dataset and its images.
_BELOW = re.compile(r"anat|(sub|ses)-[A-Za-z0-9]+")
# Frames of a train one by one; of fewer a number may be that of a run.
_NUMBER, _FEWEST = re.compile(r"(.*?)[_.\- ]?(\d+)", re.DOTALL), 3
# Of a segmentation the number is that of a tissue.
_NO_FRAMES = re.compile(r"(pve|prob|seg|label|tissue|class|map|mask)$", re.IGNORECASE)
#: What a sidecar calls a contrast, what people call it, and what makes it ms or degrees.
_SAID = {
    "InversionTime": ("TI", 1000.0),
    "EchoTime": ("TE", 1000.0),
    "RepetitionTimeExcitation": ("TR", 1000.0),
    "RepetitionTime": ("TR", 1000.0),
    "FlipAngle": ("flip angle", 1.0),
}


def bids_series(folder: Path) -> dict[str, list[Path]]:
    """Return the series of a folder (``sub-x/anat``, or what is above it and leads nowhere else), by name.

    Returns
    -------
    dict of str to list of Path
        The name is that of the files without the numbers of inversions, echoes, flip angles; files are in the order of
        these. Maps, masks and labels are left out. Three or more files of one name with a number at its end
        (``img_0001.nii``) are a series, too.
    """
    folder = _images_folder(folder)
    found: dict[str, list[tuple[tuple[int, ...], Path]]] = {}
    for file in sorted(folder.iterdir()):
        if not is_nifti(file) or file.name.startswith("."):
            continue
        *entities, suffix = nifti_stem(file).split("_")
        if _NO_SERIES.search(suffix):
            continue
        numbers = {key: int(value) for key, _, value in (entity.partition("-") for entity in entities)
                   if key in _NUMBERED and value.isdecimal()}  # fmt: skip
        rest = [entity for entity in entities if entity.partition("-")[0] not in numbers]
        order = tuple(numbers.get(key, 0) for key in _NUMBERED)
        found.setdefault("_".join([*rest, suffix]), []).append((order, file))
    return _with_frames({name: [file for _, file in sorted(files)] for name, files in found.items()})


def _images_folder(folder: Path) -> Path:
    """Return the folder below, as long as one without NIfTI files leads to one only."""
    for _ in range(3):
        if any(is_nifti(file) for file in folder.iterdir()):
            break
        below = [each for each in folder.iterdir() if each.is_dir() and _BELOW.fullmatch(each.name)]
        below = [each for each in below if each.name == "anat"] or below
        if len(below) != 1:
            break
        folder = below[0]
    return folder


def _with_frames(series: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Return the series with files of one name and a number at its end put together, in the order of that."""
    frames: dict[str, list[tuple[int, str]]] = {}
    for name, files in series.items():
        ending = _NUMBER.fullmatch(name)
        if len(files) == 1 and ending and not _NO_FRAMES.search(ending[1]):
            frames.setdefault(ending[1], []).append((int(ending[2]), name))
    together = {
        common: [series[name][0] for _, name in sorted(those)]
        for common, those in frames.items()
        if len(those) >= _FEWEST and len({number for number, _ in those}) == len(those) and common not in series
    }
    gone = {name for common in together for _, name in frames[common]}
    return {name: files for name, files in series.items() if name not in gone} | together


def sidecar_contrasts(files: list[Path]) -> dict[str, FloatArray]:
    """Return TI, TE and TR in ms and flip angles in degrees as the JSON files say; NaN where one does not."""
    values: dict[str, list[float]] = {}
    said = [nifti_sidecar(file) for file in files]
    for keyword, (called, scale) in _SAID.items():
        column = [_number(each.get(keyword)) * scale for each in said]
        if not np.isnan(column).all():
            values.setdefault(called, column)
    return {called: np.array(column) for called, column in values.items()}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


def join_series(name: str, files: list[Path], *, watch: Watch = UNWATCHED) -> tuple[AnyArray, Geometry]:
    """Read the files of a series, one contrast each, as one array (contrast, z, y, x).

    Raises
    ------
    InputError
        Files of more than three axes, of several shapes, or that do not lie alike.
    Cancelled
    """
    data: AnyArray | None = None
    place = Geometry()
    for number, file in enumerate(files):
        watch.check(f"reading {name}")
        watch.report(number, len(files), f"reading {name}")
        volume, geometry = read_nifti(file, watch=watch.quiet)
        if volume.ndim == 4 and len(volume) == 1:
            volume = volume[0]
        if data is None:
            if volume.ndim != 3:
                raise FileError(
                    file, f"has axes of {dimensions(volume.shape)} and is one of {len(files)} files of a series",
                    "one volume in each",
                )  # fmt: skip
            refuse_beyond_memory(file, volume.nbytes * len(files))
            data, place = roomy_array((len(files), *volume.shape), volume.dtype), geometry
        if volume.shape != data.shape[1:] or not np.allclose(geometry.affine, place.affine, atol=1e-2):
            raise FileError(
                file, f"has another grid than {files[0].name} ({dimensions(volume.shape)})",
                "files of one series that lie alike",
            )  # fmt: skip
        if not np.can_cast(volume.dtype, data.dtype):
            data = data.astype(np.result_type(data.dtype, volume.dtype))
        data[number] = volume
    if data is None:
        raise FileError(name, "holds no image.")
    return data, place
