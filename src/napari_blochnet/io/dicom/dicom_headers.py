"""What DICOM files say of each image: where it lies, how it was made, what its numbers are.

Single-frame files and enhanced multi-frame ones give the same `Frame`. Philips stores each image with a scale of its
own, so that its images can be compared only after division by a private scale slope (Chenevert et al., Transl Oncol
7:65, 2014).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import FileError, InputError

__all__ = ["CONTRASTS", "Frame", "Part", "dicom_files", "has_dicom_mark", "read_frames"]

#: What may differ between the images of one series of contrasts: DICOM's keyword, what people call it, its unit.
CONTRASTS = {
    "InversionTime": ("TI", "ms"),
    "EchoTime": ("TE", "ms"),
    "RepetitionTime": ("TR", "ms"),
    "FlipAngle": ("flip angle", "°"),
}
Part: TypeAlias = Literal["magnitude", "phase", "real", "imaginary"]

# Enhanced files call some of these otherwise.
_ENHANCED = {"EchoTime": "EffectiveEchoTime", "InversionTime": "InversionTimes"}
_PHILIPS_SLOPE, _GE_PART = (0x2005, 0x100E), (0x0043, 0x102F)
_PARTS: dict[str, Part] = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_MOST_FILES = 200_000
# What patients, scanners and sequences differ in: images that differ in these are of two measurements.
_IDENTITY = ("PatientID", "FrameOfReferenceUID", "MagneticFieldStrength", "ScanningSequence")


@dataclass(frozen=True, eq=False)
class Frame:
    """One image, without its samples.

    Parameters
    ----------
    file : Path
    index : int, optional
        Within an enhanced file.
    uid : str
        Of the image.
    series, number, description : str, int, str
        UID, number and description of the series.
    identity : tuple
        Patient, frame of reference, field strength and kind of sequence.
    size : tuple of int
        Rows and columns.
    spacing : tuple of float
        Between rows, and between columns, mm.
    orientation : array of shape (6,)
        Direction along a row, and along a column; to left, posterior, head.
    position : array of shape (3,)
        Of the first voxel, mm.
    thickness : float
        mm.
    part : {"magnitude", "phase", "real", "imaginary"}
    contrasts : dict of str to float
        By DICOM's keyword, ms and degrees.
    order : tuple of float
        By which images were acquired.
    slope, intercept : float
        Stored numbers times slope, plus intercept, are what the reconstruction meant.
    scaled_by : {"rescale", "Philips"}
    limits : tuple of float
        What the image's type can hold, so scaled.
    is_ge : bool
    """

    file: Path
    index: int | None
    uid: str
    series: str
    number: int
    description: str
    identity: tuple[str, ...]
    size: tuple[int, int]
    spacing: tuple[float, float]
    orientation: FloatArray
    position: FloatArray
    thickness: float
    part: Part
    contrasts: dict[str, float]
    order: tuple[float, ...]
    slope: float
    intercept: float
    scaled_by: Literal["rescale", "Philips"]
    limits: tuple[float, float]
    is_ge: bool

    @property
    def normal(self) -> FloatArray:
        """Direction across the image."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def depth(self) -> float:
        """Place along that direction, mm."""
        return float(self.normal @ self.position)

    @property
    def contrast(self) -> tuple[float, ...]:
        """TI, TE, TR and flip angle, rounded to what headers are sure of; −1 where it does not say."""
        return tuple(round(self.contrasts.get(keyword, -1.0), 2) for keyword in CONTRASTS)


def has_dicom_mark(file: Path) -> bool:
    """Whether a file is DICOM: by its mark, or by how files begin that were written without one."""
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            head = stream.read(132)
    except OSError:
        return False
    if head[128:] == b"DICM":
        return True
    # an identifying group first: (0008,00xx), its type in letters or a short length
    return head[:2] == b"\x08\x00" and (head[4:6].isalpha() or head[5:8] == bytes(3)) and head[3:4] == b"\x00"


def dicom_files(folder: Path, most: int = _MOST_FILES) -> Iterator[Path]:
    """Yield the plain files below a folder; links, devices, hidden files and indices (DICOMDIR) are passed over.

    Raises
    ------
    InputError
        More than ``most`` of them.
    """
    count = 0
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(names):
            file = Path(parent, name)
            if name.upper() == "DICOMDIR" or name.startswith(".") or file.is_symlink() or not file.is_file():
                continue
            count += 1
            if count > most:
                raise FileError(folder, f"holds more than {most:,} files", "the folder of one examination or series")
            yield file


def read_frames(file: Path) -> list[Frame] | str:
    """Read the header of a DICOM file.

    Returns
    -------
    list of Frame, or str
        Where it is nothing that can be part of a stack: what it is.

    Raises
    ------
    InputError
        A damaged header, or one whose image lies nowhere that can be.
    """
    import pydicom

    try:
        with file.open("rb") as stream:
            plain = stream.read(132)[128:] == b"DICM"
        if plain and pydicom.filereader.read_file_meta_info(file).get("TransferSyntaxUID") == _DEFLATED:
            # pydicom would unpack all of it, however much that is
            raise FileError(file, "is deflated as a whole", "an uncompressed image, as scanners export")
        header = pydicom.dcmread(file, stop_before_pixels=True, force=not plain)
        reason = _no_image(header)
        if reason:
            return reason
        groups = header.get("PerFrameFunctionalGroupsSequence")
        if groups is None:
            return [_frame(file, None, header, [])]
        shared = _macros(list(header.get("SharedFunctionalGroupsSequence") or []))
        return [_frame(file, index, header, [*_macros([group]), *shared]) for index, group in enumerate(groups)]
    except InputError:
        raise
    except Exception as error:  # a damaged file makes pydicom raise what its parsers raise
        reason = str(error).split("\n")[0]
        raise FileError(
            file, f"cannot be read as DICOM ({type(error).__name__}: {reason})", "a whole DICOM image"
        ) from None


def _no_image(header: Any) -> str:
    """Return what a file is that holds no image of a slice; nothing where it does."""
    if "Rows" not in header or "Columns" not in header:
        return "no image"
    if int(header.get("SamplesPerPixel", 1) or 1) != 1:
        return "a colour picture"
    if "ImagePositionPatient" not in header and "PerFrameFunctionalGroupsSequence" not in header:
        return "a picture that lies nowhere"
    if str(header.get("Modality", "MR")) not in ("MR", ""):
        return f"of the modality {header.Modality}"
    if "MOSAIC" in {str(word).upper() for word in header.get("ImageType", ())}:
        return "a mosaic, all slices in one image, which dcm2niix turns into NIfTI"
    return ""


def _macros(groups: Sequence[Any]) -> list[Any]:
    """Return the datasets inside functional groups: each macro is a sequence of one."""
    return [item for group in groups for element in group if element.VR == "SQ" for item in element.value]


def _frame(file: Path, index: int | None, header: Any, macros: Sequence[Any]) -> Frame:
    places = (*macros, header)

    def first(keyword: str, default: Any = None) -> Any:
        for place in places:
            value = place.get(keyword)
            if value is not None and value != "":
                return value
        return default

    def number(keyword: str, default: float = 0.0) -> float:
        value = _first_of(first(keyword))
        return default if value is None else float(value)

    def private(tag: tuple[int, int], layout: str) -> float | None:
        return next((found for place in places if tag in place
                     and (found := _number(place[tag].value, layout)) is not None), None)  # fmt: skip

    missing = [name for name in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing") if not first(name)]
    if missing:
        raise FileError(file, f"says nothing of {', '.join(missing)}", "an MR image that lies somewhere")
    orientation = np.array([float(value) for value in first("ImageOrientationPatient")])
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    if not np.allclose(lengths, 1, atol=1e-3) or abs(orientation[:3] @ orientation[3:]) > 1e-3:
        raise FileError(file, f"its directions are {orientation.tolist()}", "two unit vectors at right angles")
    spacing = tuple(float(value) for value in first("PixelSpacing"))
    position = np.array([float(value) for value in first("ImagePositionPatient")])
    if len(spacing) != 2 or position.shape != (3,):
        found = f"has {len(spacing)} lengths of a voxel and {position.size} numbers of its place"
        raise FileError(file, found, "two and three")
    if min(spacing) <= 0:
        raise FileError(file, f"its voxels measure {spacing} mm", "lengths above 0")
    maker = str(first("Manufacturer", "")).lower()
    part = _part(first, private(_GE_PART, "<h") if maker.startswith("ge") else None)
    slope, intercept = number("RescaleSlope", 1.0), number("RescaleIntercept")
    scaled_by: Literal["rescale", "Philips"] = "rescale"
    scale = private(_PHILIPS_SLOPE, "<f") if "philips" in maker else None
    # phases are angles by the rescale rule; the scale slope makes images comparable
    if scale and part != "phase":
        slope, intercept, scaled_by = 1.0 / scale, intercept / (slope * scale), "Philips"
    contrasts = {}
    for keyword in CONTRASTS:
        value = _first_of(first(keyword, first(_ENHANCED[keyword]) if keyword in _ENHANCED else None))
        if value is not None:
            contrasts[keyword] = float(value)
    bits, is_signed = int(header.get("BitsStored", 16)), int(header.get("PixelRepresentation", 0)) == 1
    stored = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if is_signed else (0.0, 2.0**bits - 1)
    times = [re.sub(r"[^\d.]", "", str(first(name, ""))) for name in ("AcquisitionTime", "ContentTime")]
    order = (
        number("TemporalPositionIdentifier", number("TemporalPositionIndex")),
        number("SeriesNumber"),
        number("FrameAcquisitionNumber", number("AcquisitionNumber")),
        number("InstanceNumber"),
        float(index or 0),
        *(float(time) if re.fullmatch(r"\d+(\.\d*)?", time) else 0.0 for time in times),
    )
    return Frame(
        file=file,
        index=index,
        uid=str(header.get("SOPInstanceUID", "") or file),
        series=str(first("SeriesInstanceUID", "")),
        number=int(number("SeriesNumber")),
        description=str(first("SeriesDescription", "") or first("ProtocolName", "")),
        identity=tuple(str(first(name, "")) for name in _IDENTITY),
        size=(int(header.Rows), int(header.Columns)),
        spacing=(spacing[0], spacing[1]),
        orientation=orientation,
        position=position,
        thickness=number("SliceThickness") or 1.0,
        part=part,
        contrasts=contrasts,
        order=order,
        slope=slope,
        intercept=intercept,
        scaled_by=scaled_by,
        limits=(stored[0] * slope + intercept, stored[1] * slope + intercept),
        is_ge=maker.startswith("ge"),
    )


def _first_of(value: Any) -> Any:
    if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        return value
    return value[0] if len(value) else None


def _number(value: Any, layout: str) -> float | None:
    """Return a private element's number, whose type a file may have lost."""
    value = _first_of(value)
    if isinstance(value, bytes):
        size = struct.calcsize(layout)
        return float(struct.unpack(layout, value[:size])[0]) if len(value) >= size else None
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _part(first: Any, of_ge: float | None) -> Part:
    """Return what an image's numbers are."""
    if of_ge in (0, 1, 2, 3):
        return ("magnitude", "phase", "real", "imaginary")[int(of_ge)]
    component = str(first("ComplexImageComponent", "")).lower()
    for part in _PARTS.values():
        if component == part:
            return part
    # after ORIGINAL\PRIMARY: M, P, R, I at Siemens; M_FFE, PHASE MAP, R_IR… at Philips
    for word in list(first("FrameType") or first("ImageType") or ())[2:]:
        upper = str(word).upper()
        if upper.startswith("PHASE"):
            return "phase"
        if re.fullmatch(r"[MPRI](_.*)?|REAL|IMAGINARY", upper):
            return _PARTS[upper[0]]
    return "magnitude"
