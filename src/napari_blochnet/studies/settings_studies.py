"""Settings of the experiments beyond the paper."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_blochnet.jobs.declaring.settings_sampling import CoefficientSettings, TrajectorySettings
from napari_blochnet.jobs.settings import Settings, quantity
from napari_blochnet.jobs.settings_training import ExperimentSettings

__all__ = [
    "AcquiredSettings",
    "BeyondSettings",
    "PrecisionSettings",
    "SchedulesSettings",
    "UndersamplingSettings",
    "WeightsSettings",
]


class BeyondSettings(ExperimentSettings):
    """Adapted, universal and refined maps beside the paper's, and the voxels that they miss."""

    draws: int = quantity(1, "Draws", "Pairs of random training schedules.", ge=1, le=1000)
    models: str = quantity(
        "dictionary,fc,blochnet,fc-adapted,blochnet-adapted,universal,refined", "Models", "Names, separated by commas."
    )
    snr: float = quantity(
        20.0, "SNR", "At which standard errors are predicted; the data themselves are noise-free.", gt=0, le=1e9
    )


class WeightsSettings(Settings):
    """Networks whose decoder's loss weighs more or less."""

    weights: tuple[float, ...] = quantity(
        (0.0, 1.0, 10.0, 100.0), "Weights", "λ of the signal's loss; 0: of the tissue parameters alone."
    )
    models: str = quantity("blochnet", "Models", "Names, separated by commas: of BlochNet and the autoencoders.")
    draws: int = quantity(2, "Draws", "Pairs of random training schedules.", ge=1, le=1000)
    seed: int = quantity(1, "Seed", "Of the first draw's schedules; each draw takes the next two.", ge=0)
    preset: Literal["paper", "reduced"] = quantity(
        "paper", "Preset", "Of the networks' training: the published size, or a reduced one for a trial."
    )
    precision: Literal["float32", "half"] = quantity("float32", "Precision", "Of the networks' products in training.")

    @field_validator("weights")
    @classmethod
    def _some(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if not weights or min(weights) < 0:
            raise ValueError("expected one or more, each at least 0")
        return weights


class SchedulesSettings(Settings):
    """One estimator under every published schedule."""

    voxels: int = quantity(2000, "Voxels", "Noise-free: T1 100 to 4500 ms, T2 10 to 1000 ms.", "voxels", ge=2, le=10**7)
    noisy: int = quantity(4000, "Noisy voxels", "Of each tissue, with noise.", "voxels", ge=2, le=10**7)
    snr: float = quantity(20.0, "SNR", "Over equal parts of the three tissues.", gt=0, le=1e9)
    small_step: float = quantity(
        0.105, "Small step", "Of the smaller dictionary; this one makes it 3,000 atoms.", ge=0.01, le=1
    )
    seed: int = quantity(0, "Seed", "Of tissues, PD phase and noise.", ge=0)


class PrecisionSettings(Settings):
    """Refined maps of pure tissues against the Cramér–Rao bound, with noise drawn anew for every voxel."""

    voxels: int = quantity(
        4000,
        "Voxels",
        "Pure ones of each tissue, drawn from the volume; where it has fewer, each is used with noise drawn again.",
        "voxels",
        ge=2,
        le=10**7,
    )
    unmodelled: int = quantity(
        1000, "Unmodelled voxels", "Of each tissue, for data with a slice profile fitted without.", "voxels", ge=2
    )
    snr: tuple[float, float, float] = quantity((10.0, 20.0, 50.0), "SNR", "Over the whole volume's mask.")
    profile_snr: float = quantity(20.0, "SNR with profile", "Of the data with a slice profile.", gt=0, le=1e9)
    time_bandwidth: float = quantity(
        4.0, "Time-bandwidth", "Of the Hann-windowed sinc pulse whose profile the data have.", gt=1, le=100
    )
    positions: int = quantity(11, "Positions", "Across the slice, over twice its thickness.", ge=1, le=200)
    seed: int = quantity(0, "Seed", "Of voxels, PD phase and noise.", ge=0)


class AcquiredSettings(Settings):
    """The acquired phantom, refined, against the truth and the site's own result."""

    scan: Literal["vumc_mrf_500", "vumc_mrf_210"] = quantity(
        "vumc_mrf_500",
        "Scan",
        "vumc_mrf_500: one train, with plausible slice profiles; vumc_mrf_210: a train played four times, mapped as "
        "one train and as it was played.",
    )
    saturation: float = quantity(250.0, "Saturation", "Samples at or above this magnitude are left out.", gt=0)
    radius: float = quantity(5.0, "Radius", "Of the spheres.", "voxels", gt=0, le=100)
    positions: int = quantity(15, "Positions", "Across the slice, of the profiles tried.", ge=1, le=200)


class _WholeImages(Settings):
    """What is scanned, and who maps it."""

    estimators: str = quantity(
        "dictionary,universal,fc,rnn,hydra,autoencoder-fc,blochnet",
        "Estimators",
        "Names or files of models, separated by commas; a name with +refine is refined.",
    )
    size: int = quantity(128, "Size", "Of the image, whose middle is the slice.", "voxels", ge=16, le=1024)
    snr: float = quantity(30.0, "SNR", "Of a whole image of one TR; the noise is added in k-space.", gt=0, le=1e9)
    seed: int = quantity(0, "Seed", "Of the noise.", ge=0)
    peer: bool = quantity(False, "Peer", "Grid the same k-space and match it with mrpro, too, where that is installed.")
    coverage: bool = quantity(
        True, "Coverage", "How often 95 % intervals of dictionary and universal, refined, hold the truth, too."
    )


# fields of the last base come first
class UndersamplingSettings(CoefficientSettings, TrajectorySettings, _WholeImages):
    """Estimators on an undersampled slice: whole images, aliased frames and coefficient images."""

    trajectory: Literal["spiral", "radial", "rosette", "file"] = quantity(
        "spiral", "Trajectory", "How k-space is undersampled, one readout in each TR."
    )
