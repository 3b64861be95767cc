"""Settings of trainings and experiments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from napari_blochnet.jobs.declaring.settings_sampling import NamesTrajectory, TrajectorySettings
from napari_blochnet.jobs.settings import Settings, check_times, quantity

__all__ = ["AdaptSettings", "ExperimentSettings", "TrainSettings"]

_NETWORK = Literal["fc", "rnn", "hydra", "autoencoder-fc", "autoencoder-rnn", "blochnet"]


def _preset(title: str, description: str, unit: str = "", **bounds: Any) -> Any:
    """Return a field that the preset decides where it is left out."""
    return quantity(None, title, f"{description} Left out: as in the preset.", unit, **bounds)


def _scan(name: str, description: str, **more: Any) -> Any:
    """Return a field of the scan that aliases, titled and bounded as where a scan is simulated."""
    like = TrajectorySettings.model_fields[name]
    bounds = {key: value for each in like.metadata for key in ("ge", "le") if (value := getattr(each, key, None))}
    return quantity(None, str(like.title), description, **bounds, **more)


class TrainSettings(NamesTrajectory):
    """A network for one's own schedule."""

    estimator: _NETWORK = quantity("fc", "Estimator", "Which network is trained.")
    preset: Literal["quick", "paper", "reduced", "aliased"] = quantity(
        "quick",
        "Preset",
        "quick: a small network on 24 SVD coefficients, trained with noise (networks with an FC encoder); aliased: the "
        "same, for frames of undersampled k-space too, with wider layers and a decoder whose loss weighs a third of "
        "that of the labels (rnn, hydra and autoencoder-rnn keep the published layers); "
        "paper: the published layers and settings; reduced: those with 20,000 fingerprints and 3 epochs of small "
        "batches.",
    )
    epochs: int | None = _preset("Epochs", "Passes over the tissues.", ge=1, le=100_000)
    batch: int | None = _preset("Batch", "Fingerprints per step.", ge=1, le=1_000_000)
    learning_rate: float | None = _preset("Learning rate", "Of Adam, at the start.", gt=0, le=1)
    cosine: bool | None = _preset("Cosine", "Let the learning rate fall to 0 along half a cosine.")
    fingerprints: int | None = _preset("Tissues", "Per schedule.", ge=2, le=100_000_000)
    grid_step: float | None = _preset("Grid step", "Of T1 and T2.", "ms", gt=0)
    t1_range: tuple[float, float] | None = _preset("T1 range", "Smallest and largest T1.", "ms")
    t2_range: tuple[float, float] | None = _preset("T2 range", "Smallest and largest T2.", "ms")
    snr_range: tuple[float, float] | None = _preset("SNR range", "Noise that is added, drawn per fingerprint.")
    aliasing_range: tuple[float, float] | None = _preset(
        "Aliasing range",
        "Aliasing of undersampled k-space that is added, relative to the fingerprint (root mean square), drawn per "
        "fingerprint.",
    )
    trajectory: Literal["spiral", "radial", "rosette", "file"] | None = _scan(
        "trajectory",
        "Of the aliasing that is added: along what k-space is read, in each TR a readout. Left out: spiral.",
        blank="spiral, by default",
    )
    trajectory_file: str | None = _scan(
        "trajectory_file",
        f"Of the aliasing. {TrajectorySettings.model_fields['trajectory_file'].description}",
        files="Trajectories (*.npy *.npz *.mat *.h5 *.cfl);;All files (*)",
    )
    interleaves: int | None = _scan("interleaves", "Of the aliasing: readouts that fill k-space. Left out: 48.")
    rotation: Literal["golden", "uniform"] | None = _scan(
        "rotation",
        "Of the aliasing: from one readout to the next by the golden angle, or interleaf after interleaf. Left out: "
        "golden.",
        blank="golden, by default",
    )
    coils: int | None = _scan("coils", "Of the aliasing: receive coils around the slice. Left out: 8.")
    aliasing_from: str | None = quantity(
        None,
        "Aliasing from",
        "Fingerprints of a scan of one's own, frames under the schedule: what lies beside the object in them is the "
        "aliasing that is added, in place of a simulated scan's.",
        files="Fingerprints (*.nii *.nii.gz *.npy *.npz *.mat *.h5 *.hdf5);;All files (*)",
    )
    subspace: int | None = _preset("SVD coefficients", "Fed to the network in place of time points.", ge=1, le=1000)
    loss: Literal["mse", "smooth-l1"] | None = _preset("Loss", "Of log10 T1 and T2.")
    decoder_weight: float | None = _preset(
        "Decoder weight", "λ of the signal's loss, for networks with a decoder.", ge=0, le=1e9
    )
    balanced: bool | None = _preset("Balanced", "Let λ = 1 make the signal's loss as large as that of T1 and T2.")
    decoded: int | None = _preset("Decoded", "Fingerprints of a batch whose signal is compared.", ge=1, le=1_000_000)
    held_out: float | None = _preset("Held out", "Share of the tissues that validates.", ge=0, le=0.5)
    patience: int | None = _preset("Patience", "Epochs without improvement after which to stop.", ge=1)
    precision: Literal["float32", "half"] | None = _preset("Precision", "Of the network's products.")
    seed: int | None = _preset("Seed", "Of weights, tissues, order and noise.", ge=0)

    _times = field_validator("t1_range", "t2_range")(check_times)

    @field_validator("snr_range", "aliasing_range")
    @classmethod
    def _ratios(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits is not None and not 0 < limits[0] <= limits[1]:
            raise ValueError("expected 0 < smallest ≤ largest")
        return limits

    def options(self) -> dict[str, Any]:
        """Return what differs from the preset."""
        return self.model_dump(exclude={"estimator", "preset"}, exclude_none=True)


class AdaptSettings(Settings):
    """A trained network for a stack of one's own, without labels."""

    epochs: int = quantity(40, "Epochs", "Passes over the stack's fingerprints.", ge=1, le=100_000)
    batch: int = quantity(256, "Batch", "Fingerprints per step, and as many simulated ones.", ge=1, le=1_000_000)
    learning_rate: float = quantity(5e-4, "Learning rate", "Of Adam, at the start; it falls to 0.", gt=0, lt=1)
    voxels: int = quantity(20_000, "Voxels", "Fingerprints used at most, a random choice.", "voxels", ge=1)
    seed: int = quantity(0, "Seed", "Of choice, order and noise.", ge=0)
    precision: Literal["auto", "float32", "half"] = quantity(
        "auto", "Precision", "Of the network's products; auto: half where the processor multiplies such matrices."
    )


class ExperimentSettings(Settings):
    """One of the paper's experiments, over several draws of the training schedules."""

    draws: int = quantity(5, "Draws", "Pairs of random training schedules.", ge=1, le=1000)
    models: str = quantity(
        "dictionary,fc,rnn,hydra,autoencoder-fc,autoencoder-rnn,blochnet,fc-adapted,blochnet-adapted,universal,refined",
        "Models",
        "Names, separated by commas; the two slow ones (hydra, autoencoder-rnn) train by the preset reduced; refined "
        "is universal with refinement.",
    )
    slow_draws: int = quantity(1, "Slow draws", "Draws of the two slow networks where they are reduced.", ge=1, le=1000)
    full: bool = quantity(
        False, "Full size", "Train hydra and autoencoder-rnn at the published size too: hours a draw on a CPU."
    )
    seed: int = quantity(1, "Seed", "Of the first draw's schedules; each draw takes the next two.", ge=0)
    preset: Literal["paper", "reduced"] = quantity(
        "paper", "Preset", "Of the other networks' training: the published size, or a reduced one for a trial."
    )
    precision: Literal["float32", "half"] = quantity("float32", "Precision", "Of the networks' products in training.")
    decoder_weight: float = quantity(10.0, "Decoder weight", "λ of the signal's loss (BlochNet, autoencoders).", ge=0)
