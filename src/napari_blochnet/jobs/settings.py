"""The settings of every operation.

One model per operation is the form in napari, the options of the command line, the step in a recipe and the record
stored with the result. A field carries its bounds, its unit (``json_schema_extra["unit"]``), a title for the form and
a description for tooltip and ``--help``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.declaring.settings_base import Settings, of_data, quantity, settings_from
from napari_blochnet.jobs.declaring.settings_sampling import SamplingSettings

__all__ = [
    "NO_FILES",
    "B1FieldSettings",
    "BrainWebSettings",
    "FingerprintsSettings",
    "PhantomSettings",
    "ReconstructSettings",
    "Settings",
    "SimulateSettings",
    "SyntheticSettings",
    "ascending",
    "check_slices",
    "check_times",
    "of_data",
    "quantity",
    "settings_from",
]

#: What fields that may name a file take in place of one.
NO_FILES = ("otsu", "background")

# Fields that several models have.
_TISSUES: str = of_data(
    "paper", "Tissue values", "T1, T2 and PD of each tissue: 'paper', 'brainweb-1.5T', or a CSV file of your own.",
    files="Tissue values (*.csv);;All files (*)",
)  # fmt: skip
_B1_NOMINAL: float | None = of_data(
    None,
    "Nominal B1",
    "What the B1 map holds where the field is nominal: 100 of per cent, 1000 of permille, the prescribed flip angle of "
    "degrees; none: 1, 100 where its median is from 95 to 105, 1000 where it is from 950 to 1050.",
    gt=0,
)
_SLICES: tuple[int, int] | None = of_data(
    None, "Slices", "First slice and the one after the last, along z, counted from 0; none: all."
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


def ascending(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """Refuse colour limits of which the first is not the lower."""
    if limits is not None and not limits[0] < limits[1]:
        raise ValueError(f"{limits[0]:g} to {limits[1]:g} is no range; expected the lower limit first")
    return limits


def check_slices(slices: tuple[int, int], available: int, where: str) -> None:
    """Raise `InputError` where a volume ends before the slices do."""
    if slices[1] > available:
        raise InputError(f"slices is {slices[0]} to {slices[1]}, but {where} has {available} slices; expected an end "
                         f"of at most {available}.", field="slices")  # fmt: skip


class PhantomSettings(Settings):
    """How a phantom's files are understood."""

    tissues: str = _TISSUES
    shape: tuple[int, int, int] | None = of_data(
        None, "Shape", "Voxels along (z, y, x); needed only for raw files of unknown size.", "voxels"
    )
    voxel_size: tuple[float, float, float] | None = of_data(
        None, "Voxel size", "(z, y, x); needed only where the file does not say.", "mm"
    )
    variable: str | None = of_data(None, "Variable", "Name of the array, where a file holds several.")
    tissue_order: str | None = of_data(
        None,
        "Tissue order",
        "Tissues along the fourth axis of memberships in one file, such as 'csf, gm, wm'; '-': left alone.",
    )
    t1_unit: Literal["ms", "s", "us", "1/ms", "1/s"] | None = of_data(
        None, "T1 unit", "Of a T1 map, 1/s of R1; needed only where neither its file nor its values tell."
    )
    t2_unit: Literal["ms", "s", "us", "1/ms", "1/s"] | None = of_data(
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

    kind: Literal["complex", "real", "magnitude"] | None = of_data(
        None,
        "Signal",
        "What the samples are; by default told by the numbers. Complex, of real numbers: an axis of two is real and "
        "imaginary parts.",
    )
    voxel_size: tuple[float, float, float] | None = of_data(
        None, "Voxel size", "(z, y, x), where the file does not say.", "mm"
    )
    time_axis: int | None = of_data(None, "Time axis", "Which axis is time, counted from 0, where two fit.", ge=0, le=7)
    variable: str | None = of_data(
        None,
        "Variable",
        "Name of the array, where the file holds several; of DICOM and BIDS folders the number or name of the series.",
    )
    receiver_phase: Literal["follows", "fixed"] | None = of_data(
        None,
        "Receiver phase",
        "Whether the RF phase was taken out of the data (follows) or not (fixed); by default as the schedule says.",
    )
    basis: str | None = of_data(
        None,
        "Basis",
        "File of the time courses (time × components) that coefficient images belong to; by default what is beside or "
        "within the stack's own file. Or, of whole signals without a known schedule, their number of time points.",
        files="Bases (*.npy *.npz *.mat *.h5 *.hdf5 *.json *.cfl)",
        blank="none",
    )
    basis_variable: str | None = of_data(None, "Basis variable", "Where its file holds several arrays.")
    coefficients: Literal["plain", "conjugated", "projections"] = of_data(
        "plain",
        "Coefficients",
        "What coefficient images are: coefficients of the basis, of its complex conjugate, or projections on its "
        "components, which need not be orthonormal.",
    )
    component_order: str | None = of_data(
        None,
        "Image order",
        "Which component each coefficient image belongs to, counted from 0, such as '1, 0, 2, 3'; none: as they come.",
    )


class _NoiseSettings(Settings):
    """Fingerprints, all of k-space being read."""

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


# fields of the last base come first
class SimulateSettings(SamplingSettings, _NoiseSettings):
    """Fingerprints of a phantom under a schedule."""


class CutSettings(Settings):
    """Some slices of a volume."""

    slices: tuple[int, int] = of_data((0, 1), "Slices", "First slice kept and first one not, counted from 0.")

    _order = field_validator("slices")(_ordered)


class B1FieldSettings(Settings):
    """A synthetic transmit field for a phantom."""

    b1_range: tuple[float, float] = quantity(
        (0.75, 1.25), "B1 range", "Smallest and largest B1 inside the phantom, 1 being nominal; both are reached."
    )
    seed: int = quantity(0, "Seed", "Of the field's pattern, smooth over 25 to 50 cm.", ge=0)

    @field_validator("b1_range")
    @classmethod
    def _fields(cls, limits: tuple[float, float]) -> tuple[float, float]:
        from napari_blochnet.phantoms.quantities import B1_RANGE

        if not B1_RANGE[0] <= limits[0] <= limits[1] <= B1_RANGE[1]:
            raise ValueError(f"expected {B1_RANGE[0]:g} ≤ smallest ≤ largest ≤ {B1_RANGE[1]:g}")
        return limits


class ReconstructSettings(Settings):
    """T1, T2 and PD maps from fingerprints."""

    estimator: str = quantity(
        "dictionary",
        "Estimator",
        "What turns fingerprints into T1 and T2: dictionary, a network of the model store, or a model file.",
        files="Models (*.safetensors);;All files (*)",
    )
    dictionary: str | None = of_data(
        None,
        "Dictionary file",
        "Match among the atoms of this file (MATLAB, .npz, HDF5), in place of simulated ones; it needs no schedule.",
        files="Dictionaries (*.mat *.npz *.h5 *.hdf5);;All files (*)",
    )
    parameters: str | None = of_data(
        None,
        "Parameters",
        "Columns of that dictionary's look-up table in their order, with units, such as 'T1 ms, T2 ms, B1'; none: as "
        "its file says.",
    )
    dictionary_variable: str | None = of_data(
        None,
        "Dictionary variable",
        "Where that file holds several dictionaries: the name of one's atoms, or of the structure that they lie in.",
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
    saturation: float | None = of_data(
        None,
        "Saturation",
        "Samples at or above this magnitude are left out (clipped detectors, 8-bit data); none: all are used.",
        gt=0,
    )
    other_schedule: bool = of_data(
        False, "Other schedule", "Let a network map fingerprints of a schedule it was not trained for."
    )
    refine: bool = quantity(
        False, "Refine", "Fit each voxel by the physics, from the estimator's answer; adds standard errors."
    )
    fit_b1: bool = quantity(
        False, "Fit B1", "Where refined: fit the transmit field along, at several times the error of T2 (FISP: 3.5)."
    )
    b1: str | None = of_data(
        None,
        "B1 map",
        "Transmit field (NIfTI, MINC, NumPy, MATLAB, or a phantom's folder), laid on the stack's grid and held fixed; "
        "networks take B1 as nominal unless refined. 5 % of error in it move T2 by some 8 % and T1 by 0.5 % (FISP).",
        files="B1 maps (*.nii *.nii.gz *.mat *.npy *.npz);;All files (*)",
    )
    b1_nominal: float | None = _B1_NOMINAL
    uncertainty: bool = quantity(
        False,
        "Uncertainty",
        "Add standard errors of T1 and T2: precision by the Cramér–Rao bound at the estimate, not accuracy.",
    )
    noise_sigma: float | None = of_data(
        None,
        "Noise",
        "For standard errors: standard deviation of the noise in each real channel, in units of the data; none: from "
        "each voxel's residual, which takes aliasing for white noise.",
        gt=0,
    )
    noise_covariance: str | None = of_data(
        None,
        "Noise covariance",
        "Of coefficient images whose noise is neither white nor equal: 'background' measures it outside the stack's "
        "mask; a file of a repeated scan of the same object (coefficients of the same basis) by the difference inside "
        "the mask; or a file of K × K numbers, the covariance in each real channel. What is matched and fitted is "
        "weighed by it, and standard errors follow from it; none: equal, white noise.",
        files="Repeated scans, covariances (*.nii *.nii.gz *.npy *.npz *.mat *.h5 *.hdf5);;All files (*)",
        blank="white noise",
    )
    mask: str | None = of_data(
        None,
        "Mask",
        "Voxels to map, of those that hold signal: 'otsu', those above Otsu's threshold of the signal; or a file, in "
        "which they are not 0 (NIfTI lies as its affine says).",
        files="Masks (*.nii *.nii.gz *.npy *.npz *.mat *.h5);;All files (*)",
    )
    threshold: float | None = of_data(
        None,
        "Threshold",
        "Only voxels are mapped whose signal, root mean square over time, lies above this, in units of the data; none: "
        "all.",
        ge=0,
    )
    slices: tuple[int, int] | None = _SLICES
    batch: int = quantity(4096, "Batch", "Most voxels of a slice estimated together.", "voxels", ge=1, le=10_000_000)

    _order = field_validator("slices")(_ordered)

    _ranges = field_validator("t1_range", "t2_range")(check_times)
