"""The settings of every operation.

One model per operation is the form in napari, the options of the command line, the step in a recipe and the record
stored with the result. A field carries its bounds, its unit (``json_schema_extra["unit"]``), a title for the form and
a description for tooltip and ``--help``.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_blochnet.common.errors import InputError

__all__ = [
    "BrainWebSettings",
    "FingerprintsSettings",
    "FispSettings",
    "PhantomSettings",
    "ReconstructSettings",
    "ScheduleFileSettings",
    "ScheduleSettings",
    "Settings",
    "SimulateSettings",
    "SplineSettings",
    "SyntheticSettings",
    "check_slices",
    "check_times",
    "quantity",
    "settings_from",
]

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of all settings: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def quantity(
    default: Any, title: str, description: str, unit: str = "", *, files: str | None = None, **bounds: Any
) -> Any:
    """Return a field with what people read of it, its unit, and its bounds (``ge``, ``le``, ``gt``, ``lt``).

    ``files``: of a field that may name a file, endings as a file dialog takes them, such as "NIfTI (*.nii *.nii.gz)".
    """
    extra: dict[str, Any] = {"unit": unit} | ({} if files is None else {"files": files})
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)


# Fields that several models have.
_TISSUES: str = quantity(
    "paper", "Tissue values", "T1, T2 and PD of each tissue: 'paper', 'brainweb-1.5T', or a CSV file of your own.",
    files="Tissue values (*.csv);;All files (*)",
)  # fmt: skip
_INVERSION_TIME: float | None = quantity(
    0.0, "Inversion time", "Delay between the inversion pulse and the first pulse; none: no inversion.", "ms", ge=0
)
_INVERSION_EFFICIENCY: float = quantity(
    1.0, "Inversion efficiency", "The inversion turns the equilibrium 1 into minus this.", ge=0, le=1
)
_B1_NOMINAL: float | None = quantity(
    None,
    "Nominal B1",
    "What the B1 map holds where the field is nominal: 100 of per cent, the prescribed flip angle of degrees; none: 1, "
    "or 100 where its median is from 95 to 105.",
    gt=0,
)
_SLICES: tuple[int, int] | None = quantity(
    None, "Slices", "First slice and the one after the last, along z, counted from 0; none: all."
)


def settings_from(model: type[S], settings: S | None = None, /, **fields: Any) -> S:
    """Return settings with some fields changed, validated.

    Raises
    ------
    InputError
        The first field that is unknown or out of bounds, with what was found and what was expected.
    """
    known = {} if settings is None else settings.model_dump()
    try:
        return model.model_validate({**known, **fields})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            expected = f"one of {', '.join(model.model_fields)}"
            raise InputError(f"There is no setting {name}; expected {expected}.", field=name) from None
        raise InputError(
            f"{_label(model, first['loc'])} is {first['input']!r}; {_expected(first)}.", field=name
        ) from None


def _label(model: type[Settings], location: tuple[Any, ...]) -> str:
    return str(location[0]) if location else model.__name__


def _expected(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:].replace("Input should be", "expected").replace(
        "input should be", "expected"
    )


def _ordered(slices: tuple[int, int] | None) -> tuple[int, int] | None:
    if slices is not None and not 0 <= slices[0] < slices[1]:
        raise ValueError("expected first < end, counted from 0")
    return slices


def check_times(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """Refuse a range of T1 or T2 that is none, or that no grid can hold (`TissueGrid` has the same bounds)."""
    if limits is not None and not 0 < limits[0] <= limits[1]:
        raise ValueError("expected 0 < smallest ≤ largest")
    if limits is not None and not (limits[0] >= 1e-3 and limits[1] <= 1e6):
        raise ValueError("expected times from 0.001 to 1,000,000 ms")
    return limits


def check_slices(slices: tuple[int, int], available: int, where: str) -> None:
    """Raise `InputError` where a volume ends before the slices do."""
    if slices[1] > available:
        raise InputError(f"slices is {slices[0]} to {slices[1]}, but {where} has {available} slices; expected an end "
                         f"of at most {available}.", field="slices")  # fmt: skip


class FispSettings(Settings):
    """The published FISP schedule: 1000 pulses (Jiang 2015)."""

    kind: Literal["fisp"] = "fisp"
    echo_time: float = quantity(10.0, "Echo time", "Time from each pulse to its sample.", "ms", ge=0, le=11.6)
    inversion_time: float | None = _INVERSION_TIME
    inversion_efficiency: float = _INVERSION_EFFICIENCY


class SplineSettings(Settings):
    """A random smooth schedule: flip angles on a cubic spline through random control points."""

    kind: Literal["spline"] = "spline"
    length: int = quantity(1000, "Pulses", "Number of RF pulses.", ge=2, le=20_000)
    control_points: int = quantity(5, "Control points", "Equally spaced random points of the spline.", ge=2, le=200)
    noise_variance: float = quantity(
        0.0,
        "Noise variance",
        "Variance of Gaussian noise added to each flip angle (SplineNoise11: 10).",
        "deg²",
        ge=0,
        le=1000,
    )
    max_flip_angle: float = quantity(
        120.0, "Largest flip angle", "Control points are drawn from 0 to this.", "°", gt=0, le=180
    )
    seed: int = quantity(0, "Seed", "Of the control points and the noise.", ge=0)
    echo_time: float = quantity(10.0, "Echo time", "Time from each pulse to its sample.", "ms", ge=0, le=11.5)
    inversion_time: float | None = _INVERSION_TIME
    inversion_efficiency: float = _INVERSION_EFFICIENCY


class ScheduleFileSettings(Settings):
    """A schedule from a file, with what the file leaves open."""

    kind: Literal["file"] = "file"
    path: str = quantity(
        "",
        "File",
        "CSV or text with a column for each quantity, a pair of text files, MATLAB, HDF5, or JSON of ours.",
        files="Schedules (*.csv *.tsv *.txt *.mat *.h5 *.hdf5 *.json);;All files (*)",
    )
    flip_angle: float | None = quantity(
        None,
        "Base flip angle",
        "What the file's fractions multiply; leave out where it holds angles.",
        "°",
        gt=0,
        le=360,
    )
    repetition_time: float | None = quantity(
        None, "Base TR", "What the file's TR column is added to, or TR itself where the file has none.", "ms", gt=0
    )
    echo_time: float | None = quantity(
        None, "Base TE", "What the file's TE column is added to, or TE itself where the file has none.", "ms", ge=0
    )
    inversion_time: float | None = quantity(
        None, "Inversion time", "Where the file does not say; leave out for no inversion.", "ms", ge=0
    )
    inversion_efficiency: float | None = quantity(
        None, "Inversion efficiency", "Where the file does not say: the inversion turns 1 into minus this.", ge=0, le=1
    )
    rf_phase: float | None = quantity(None, "RF phase", "Of all pulses, where the file has none.", "°")
    angle_unit: Literal["deg", "rad", "fraction"] | None = quantity(
        None, "Angle unit", "Of the file's flip angles, where it does not say."
    )
    time_unit: Literal["ms", "s", "us"] | None = quantity(
        None, "Time unit", "Of the file's times, where it does not say."
    )
    receiver_phase: Literal["follows", "fixed"] | None = quantity(
        None,
        "Receiver phase",
        "Whether the scanner took the RF phase out of the data (follows) or not (fixed), where the file does not say.",
    )
    variable: str | None = quantity(
        None,
        "Variable",
        "In MATLAB and HDF5 files: the structure to read, such as seq.rf or x(2), or one array with a column for each "
        "quantity.",
    )
    columns: str | None = quantity(
        None,
        "Columns",
        "Of a table without names: what its columns are, in order, such as 'fa tr te' or 'fa_rad tr_s phase_deg'.",
    )


ScheduleSettings = FispSettings | SplineSettings | ScheduleFileSettings


class PhantomSettings(Settings):
    """How a phantom's files are understood."""

    tissues: str = _TISSUES
    shape: tuple[int, int, int] | None = quantity(
        None, "Shape", "Voxels along (z, y, x); needed only for raw files of unknown size.", "voxels"
    )
    voxel_size: tuple[float, float, float] | None = quantity(
        None, "Voxel size", "(z, y, x); needed only where the file does not say.", "mm"
    )
    variable: str | None = quantity(None, "Variable", "Name of the array, where a file holds several.")
    tissue_order: str | None = quantity(
        None,
        "Tissue order",
        "Tissues along the fourth axis of memberships in one file, such as 'csf, gm, wm'; '-': left alone.",
    )
    t1_unit: Literal["ms", "s", "us", "1/ms", "1/s"] | None = quantity(
        None, "T1 unit", "Of a T1 map, 1/s of R1; needed only where neither its file nor its values tell."
    )
    t2_unit: Literal["ms", "s", "us", "1/ms", "1/s"] | None = quantity(
        None, "T2 unit", "Of a T2 map, 1/s of R2; needed only where neither its file nor its values tell."
    )
    b1_nominal: float | None = _B1_NOMINAL


class BrainWebSettings(Settings):
    """A subject of BrainWeb's 20 normal brains, downloaded once."""

    subject: Literal[
        "04", "05", "06", "18", "20", "38", "41", "42", "43", "44", "45", "46", "47", "48", "49", "50", "51", "52",
        "53", "54",
    ] = quantity("04", "Subject", "One of the 20 normal brains of BrainWeb, 0.5 mm.")  # fmt: skip
    volumes: Literal["tissues", "labels"] = quantity(
        "tissues",
        "Volumes",
        "tissues: fuzzy memberships of nine tissues, about 20 MB; labels: one volume of crisp labels, about 3 MB.",
    )
    tissues: str = _TISSUES


class SyntheticSettings(Settings):
    """The built-in head, made by code."""

    shape: tuple[int, int, int] = quantity((60, 109, 91), "Shape", "Voxels along (z, y, x).", "voxels")
    seed: int = quantity(0, "Seed", "Of the cortical folds.", ge=0)
    tissues: str = _TISSUES

    @field_validator("shape")
    @classmethod
    def _sizes(cls, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(shape) < 1 or max(shape) > 1024:
            raise ValueError("expected 1 to 1024 voxels along each axis")
        return shape


class FingerprintsSettings(Settings):
    """How a fingerprint stack's file is understood."""

    kind: Literal["complex", "real", "magnitude"] | None = quantity(
        None,
        "Signal",
        "What the samples are; by default told by the numbers. Complex, of real numbers: an axis of two is real and "
        "imaginary parts.",
    )
    voxel_size: tuple[float, float, float] | None = quantity(
        None, "Voxel size", "(z, y, x), where the file does not say.", "mm"
    )
    time_axis: int | None = quantity(
        None, "Time axis", "Which axis is time, counted from 0, where two fit.", ge=0, le=7
    )
    variable: str | None = quantity(
        None,
        "Variable",
        "Name of the array, where the file holds several; of DICOM and BIDS folders the number or name of the series.",
    )
    receiver_phase: Literal["follows", "fixed"] | None = quantity(
        None,
        "Receiver phase",
        "Whether the RF phase was taken out of the data (follows) or not (fixed); by default as the schedule says.",
    )


class SimulateSettings(Settings):
    """Fingerprints of a phantom under a schedule."""

    snr: float | None = quantity(
        None,
        "SNR",
        "Root mean square of the noise-free signal over the noise standard deviation per channel; none: no noise.",
        gt=0,
        le=1e9,
    )
    seed: int = quantity(0, "Seed", "Of the noise.", ge=0)
    kind: Literal["complex", "real", "magnitude"] = quantity("complex", "Signal", "What is stored.")
    slices: tuple[int, int] | None = _SLICES
    tolerance: float = quantity(
        1e-6, "Tolerance", "Largest relative error of a fingerprint from leaving out EPG states.", gt=0, le=0.1
    )

    _order = field_validator("slices")(_ordered)


class CutSettings(Settings):
    """Some slices of a volume."""

    slices: tuple[int, int] = quantity((0, 1), "Slices", "First slice kept and first one not, counted from 0.")

    _order = field_validator("slices")(_ordered)


class ReconstructSettings(Settings):
    """T1, T2 and PD maps from fingerprints."""

    estimator: str = quantity(
        "dictionary",
        "Estimator",
        "What turns fingerprints into T1 and T2: dictionary, a network of the model store, or a model file.",
        files="Models (*.safetensors);;All files (*)",
    )
    t1_range: tuple[float, float] = quantity(
        (20.0, 6000.0), "T1 range", "Smallest and largest T1 of the dictionary.", "ms"
    )
    t2_range: tuple[float, float] = quantity(
        (2.0, 3000.0), "T2 range", "Smallest and largest T2 of the dictionary.", "ms"
    )
    step: float = quantity(
        0.02, "Step", "Relative step between neighbouring T1 (and T2) of the dictionary.", ge=0.002, le=1
    )
    saturation: float | None = quantity(
        None,
        "Saturation",
        "Samples at or above this magnitude are left out (clipped detectors, 8-bit data); none: all are used.",
        gt=0,
    )
    other_schedule: bool = quantity(
        False, "Other schedule", "Let a network map fingerprints of a schedule it was not trained for."
    )
    refine: bool = quantity(
        False, "Refine", "Fit each voxel by the physics, from the estimator's answer; adds standard errors."
    )
    fit_b1: bool = quantity(
        False, "Fit B1", "Where refined: fit the transmit field along, at several times the error of T2."
    )
    b1: str | None = quantity(
        None,
        "B1 map",
        "Where refined: transmit field on the stack's grid (NIfTI, MINC, NumPy), 1 being nominal; it is held fixed.",
        files="NIfTI (*.nii *.nii.gz);;All files (*)",
    )
    b1_nominal: float | None = _B1_NOMINAL
    uncertainty: bool = quantity(
        False,
        "Uncertainty",
        "Add standard errors of T1 and T2: precision by the Cramér–Rao bound at the estimate, not accuracy.",
    )
    noise_sigma: float | None = quantity(
        None,
        "Noise",
        "For standard errors: standard deviation of the noise in each real channel, in units of the data; none: from "
        "each voxel's residual, which takes aliasing for white noise.",
        gt=0,
    )
    mask: str | None = quantity(
        None,
        "Mask",
        "File of the voxels to map, of those that hold signal; what is not 0 is mapped. NIfTI lies as its affine says.",
        files="Masks (*.nii *.nii.gz *.npy *.npz *.mat *.h5);;All files (*)",
    )
    slices: tuple[int, int] | None = _SLICES
    batch: int = quantity(4096, "Batch", "Most voxels of a slice estimated together.", "voxels", ge=1, le=10_000_000)

    _order = field_validator("slices")(_ordered)

    _ranges = field_validator("t1_range", "t2_range")(check_times)
