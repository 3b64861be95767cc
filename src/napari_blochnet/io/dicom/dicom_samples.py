"""The numbers of DICOM images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.dicom.dicom_headers import Frame
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["complex_samples", "read_samples"]

# Compressed images are believed to hold this much, or a thousand times their file.
_SURELY_BYTES = 64 * 2**20


def read_samples(slices: Sequence[Sequence[Frame]], watch: Watch) -> FloatArray:
    """Read images sorted by slice and time.

    Parameters
    ----------
    slices : sequence of sequence of Frame
        Of each slice, its images over time; as many of each.
    watch : Watch
        Counts images.

    Returns
    -------
    float32 array of shape (time, z, y, x)

    Raises
    ------
    InputError
        Samples that cannot be unpacked here, or are missing; more than this machine's memory.
    Cancelled
    """
    one = slices[0][0]
    shape = (len(slices[0]), len(slices), *one.size)
    refuse_beyond_memory(one.file, 4 * math.prod(shape))
    _stored(one.file)  # that images are as large as they claim is known before any place is set aside for them
    data: FloatArray = roomy_array(shape, np.dtype(np.float32))
    by_file: dict[Path, list[tuple[int, int, Frame]]] = defaultdict(list)
    for z, row in enumerate(slices):
        for t, frame in enumerate(row):
            by_file[frame.file].append((t, z, frame))
    for done, (file, wanted) in enumerate(by_file.items()):
        watch.check("reading DICOM images")
        watch.report(done, len(by_file), "reading DICOM images")
        stored = _stored(file)
        for t, z, frame in wanted:
            # an enhanced file may hold fewer images than it describes
            image = stored if frame.index is None else stored[frame.index] if frame.index < len(stored) else stored[:0]
            if image.shape != frame.size:
                raise FileError(file, f"has {stored.shape} samples", f"images of {frame.size} as its header says")
            data[t, z] = image * np.float64(frame.slope) + frame.intercept
    return data


def _stored(file: Path) -> AnyArray:
    """Return the samples of a file as they are stored: (y, x), or (frame, y, x) of an enhanced one."""
    import pydicom

    try:
        whole = pydicom.dcmread(file, force=True)
        _check_claims(file, whole)
        if "TransferSyntaxUID" not in whole.file_meta:
            # without a mark, files are in DICOM's oldest encoding, or say so by the types that they name
            whole.file_meta.TransferSyntaxUID = (
                pydicom.uid.ImplicitVRLittleEndian if whole.original_encoding[0] else pydicom.uid.ExplicitVRLittleEndian
            )
        samples: AnyArray = whole.pixel_array
        if "PerFrameFunctionalGroupsSequence" in whole and samples.ndim == 2:
            samples = samples[None]
    except InputError:
        raise
    except Exception as error:  # what pydicom's decoders raise is as varied as the formats
        reason = str(error).split("\n")[0].rstrip(".:")
        raise FileError(
            file,
            f"its samples cannot be read ({reason})",
            "an image that is not compressed, or a decoder for it "
            "(pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg)",
        ) from None
    return samples


def _check_claims(file: Path, header: Any) -> None:
    """Refuse an image that claims more samples than its file can hold."""
    from pydicom.uid import UID

    rows, columns, frames = int(header.Rows), int(header.Columns), int(header.get("NumberOfFrames", 1) or 1)
    claimed = rows * columns * frames * max(8, int(header.get("BitsAllocated", 8))) // 8
    syntax = UID(header.file_meta.get("TransferSyntaxUID", ""))
    held = file.stat().st_size
    if syntax.is_transfer_syntax and syntax.is_compressed:
        held = max(_SURELY_BYTES, 1000 * held)
    if claimed <= 0 or claimed > held:
        raise FileError(
            file,
            f"its header claims {frames} × {rows} × {columns} samples, more than the file can hold",
            "a whole image",
        )


def complex_samples(name: str, magnitude: FloatArray, phase: FloatArray, frame: Frame) -> tuple[AnyArray, str]:
    """Join magnitude and phase.

    Parameters
    ----------
    name : str
        For sentences.
    magnitude, phase : float32 array of shape (time, z, y, x)
    frame : Frame
        One of the phase images: what these can hold tells their unit.

    Returns
    -------
    complex64 array of shape (time, z, y, x)
    str
        The unit of the phase.

    Raises
    ------
    InputError
        A unit that cannot be told.
    """
    turn, start, unit = _unit(name, phase, frame)
    data = roomy_array(magnitude.shape, np.dtype(np.complex64))
    for t in range(len(data)):
        angle = turn * phase[t] + start
        data[t].real = magnitude[t] * np.cos(angle)
        data[t].imag = magnitude[t] * np.sin(angle)
    return data, unit


def _unit(name: str, phase: FloatArray, frame: Frame) -> tuple[float, float, str]:
    """Return what turns phases to radians, as factor and offset, and what they are."""
    low, high = float(phase.min()), float(phase.max())
    # the whole range that the type can hold tells more than what happens to be there; not where that is all of 16 bits
    lowest, highest = frame.limits
    if highest - lowest > 9000 or frame.is_ge:
        lowest, highest = low, high
    largest = max(abs(lowest), abs(highest))
    if largest <= 3.2:
        return 1.0, 0.0, "radians"
    if (frame.is_ge and largest <= 3200) or 3100 <= largest <= 3200:
        return 1e-3, 0.0, "milliradians"
    if 4000 <= largest <= 4097 and lowest < 0:
        return math.pi / 4096, 0.0, "4096ths of half a turn"
    if 4000 <= largest <= 4097:
        return 2 * math.pi / 4096, -math.pi, "4096ths of a turn"
    raise FileError(
        name,
        f"its phase images hold {low:g} to {high:g}, whose unit cannot be told",
        "radians, milliradians or ±4096",
    )
