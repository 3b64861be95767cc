"""Settings of undersampled acquisitions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from napari_blochnet.jobs.declaring.settings_base import Settings, quantity

__all__ = ["CoefficientSettings", "NamesTrajectory", "SamplingSettings", "TrajectorySettings", "is_taken"]

_OF_SHAPES = ("interleaves", "rotation")


class NamesTrajectory(Settings):
    """What ``trajectory`` and ``trajectory_file`` say of each other."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Take a file as the trajectory where only that is named."""
        if isinstance(given, dict) and given.get("trajectory_file") and given.get("trajectory") is None:
            return {**given, "trajectory": "file"}
        return given

    @field_validator("trajectory_file", check_fields=False)
    @classmethod
    def _file(cls, name: str | None, info: ValidationInfo) -> str | None:
        if "trajectory" in info.data and (name is None) == (info.data["trajectory"] == "file"):
            raise ValueError("expected a file where the trajectory is 'file', and none with another")
        return name


class TrajectorySettings(NamesTrajectory):
    """How k-space is read."""

    trajectory: Literal["spiral", "radial", "rosette", "file"] | None = quantity(
        None,
        "Trajectory",
        "How k-space is undersampled, one readout in each TR; none: each TR has a whole image. SNR is that of a whole "
        "image of one TR in either case.",
        blank="whole images",
    )
    trajectory_file: str | None = quantity(
        None,
        "Trajectory file",
        "Readouts (NumPy, MATLAB, HDF5, BART): TR × sample × 2, or complex kx + i·ky; in cycles or radians per voxel, "
        "or cycles per field of view.",
        files="Trajectories (*.npy *.npz *.mat *.h5 *.cfl);;All files (*)",
    )
    interleaves: int = quantity(
        48, "Interleaves", "Readouts that fill k-space: by so much is each TR undersampled.", ge=1, le=100_000
    )
    rotation: Literal["golden", "uniform"] = quantity(
        "golden", "Rotation", "From one readout to the next: by the golden angle, or interleaf after interleaf."
    )
    coils: int = quantity(8, "Coils", "Receive coils around the slice, of known smooth sensitivities.", ge=1, le=128)


class _ImagesSettings(Settings):
    """What is made of k-space."""

    images: Literal["frames", "coefficients"] = quantity(
        "frames",
        "Images",
        "frames: an image of each TR, by gridding where k-space is undersampled, which aliases; coefficients: a "
        "few images on the first singular vectors of the dictionary, of whole images or such as explain all samples "
        "and are locally of low rank.",
    )


class CoefficientSettings(Settings):
    """How coefficient images are made."""

    components: int = quantity(6, "Coefficients", "Number of coefficient images.", ge=2, le=64)
    low_rank: float = quantity(
        0.005,
        "Low rank",
        "Of coefficients: weight of the nuclear norm of 4 × 4 voxels, relative to their largest singular values; 0: "
        "none.",
        ge=0,
        le=1,
    )


# fields of the last base come first
class SamplingSettings(CoefficientSettings, _ImagesSettings, TrajectorySettings):
    """How k-space is read, and what images are made of it."""

    @property
    def is_made_whole(self) -> bool:
        """Whether stacks are made in memory as a whole: a readout sees a whole slice, coefficients a whole train."""
        return self.trajectory is not None or self.images == "coefficients"


def is_taken(field: str, trajectory: str | None, images: str) -> bool:
    """Whether a field of undersampling says anything, with a trajectory and images that are chosen."""
    if field == "trajectory_file":
        return trajectory == "file"
    if field in _OF_SHAPES:
        return trajectory not in (None, "file")
    if field in ("images", "components"):
        return field == "images" or images == "coefficients"
    return trajectory is not None and (field != "low_rank" or images == "coefficients")
