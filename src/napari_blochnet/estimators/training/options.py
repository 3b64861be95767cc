"""How a network is trained: every choice in one place, and the presets."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.matching.grid import LONGEST, SHORTEST
from napari_blochnet.estimators.networks.cards import ARCHITECTURES
from napari_blochnet.sampling.scans import Scan
from napari_blochnet.sampling.trajectories import SHAPES, Rotation

__all__ = ["PRESETS", "Preset", "TrainingOptions", "options_from"]

Preset = Literal["paper", "quick", "reduced", "aliased"]

# What aliasing is of; it says nothing where none is added.
_ALIASING = ("trajectory", "trajectory_file", "interleaves", "rotation", "coils", "aliasing_from")
# Ranges of ratios; the others are of times.
_RATIOS = ("snr_range", "aliasing_range")


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of a training; the defaults are the paper's.

    Parameters
    ----------
    widths : tuple of int, optional
        Hidden widths of an FC encoder. None: as published.
    activation : {"relu", "silu"}
        Of an FC encoder. Published: relu.
    subspace : int, optional
        Feed the encoder this many SVD coefficients instead of the time points.
    t1_range, t2_range : tuple of float
        Smallest and largest T1 and T2, ms.
    grid_step : float, optional
        Tissues are all pairs on a grid of this step (ms) with T2 ≤ T1. None: drawn evenly in log T1 and log T2.
    fingerprints : int, optional
        Tissues per schedule: drawn, or a random choice of the grid. None: the whole grid.
    fresh : bool
        Draw new tissues for every epoch, those held out included, so that none is seen twice; needs
        ``grid_step=None``.
    epochs, batch : int
        Passes over the tissues; fingerprints per step.
    learning_rate : float
        Of Adam, at the start.
    cosine : bool
        Let it fall to 0 along half a cosine. Otherwise it is constant.
    loss : {"mse", "smooth-l1"}
        Of the labels log10 T1 and T2.
    loss_scale : float
        Error in log10 at which smooth L1 goes from quadratic to linear.
    decoder_weight : float
        λ: loss = label loss + λ·mean((x̂ − x)²), for networks with a decoder.
    balanced : bool
        Take λ as a ratio of losses: at 1 that of the signal is as large as that of the labels where these are
        ``loss_scale`` off, under any schedule; where they are further off, it grows like that of the labels.
    decoded : int, optional
        Fingerprints of each batch that the decoder makes, a random choice; their mean stands for that of all. None:
        all, as published.
    snr_range : tuple of float, optional
        Add Gaussian noise of an SNR drawn per fingerprint, evenly in its logarithm. None: no noise.
    aliasing_range : tuple of float, optional
        Add aliasing (`napari_blochnet.estimators.training.aliasing`) whose root mean square, over that of the
        fingerprint, is drawn per fingerprint, evenly in its logarithm. None: no aliasing.
    trajectory, trajectory_file, interleaves, rotation, coils
        Of the scan that aliases; see `napari_blochnet.sampling.scans.Scan`.
    aliasing_from : str, optional
        What people call the stack whose aliasing is added, in place of that scan's. None: there is none.
    held_out : float
        Share of the tissues kept for validation, 0 to 0.5; the best weights by them are the result.
    patience : int, optional
        Stop after this many epochs without improvement on them.
    tolerance : float
        NRMSE of the decoder, in fingerprints and in the loss.
    precision : {"float32", "half"}
        Half: the products of all layers but the last in bfloat16, which is faster where the device is built for it.
    seed : int
        Of weights, tissues, order and noise.
    """

    widths: tuple[int, ...] | None = None
    activation: Literal["relu", "silu"] = "relu"
    subspace: int | None = None
    t1_range: tuple[float, float] = (5.0, 4995.0)
    t2_range: tuple[float, float] = (5.0, 1995.0)
    grid_step: float | None = 10.0
    fingerprints: int | None = None
    fresh: bool = False
    epochs: int = 26
    batch: int = 1000
    learning_rate: float = 1e-3
    cosine: bool = False
    loss: Literal["mse", "smooth-l1"] = "mse"
    loss_scale: float = 0.01
    decoder_weight: float = 10.0
    balanced: bool = False
    decoded: int | None = None
    snr_range: tuple[float, float] | None = None
    aliasing_range: tuple[float, float] | None = None
    trajectory: Literal["spiral", "radial", "rosette", "file"] = "spiral"
    trajectory_file: str | None = None
    interleaves: int = 48
    rotation: Rotation = "golden"
    coils: int = 8
    aliasing_from: str | None = None
    held_out: float = 0.0
    patience: int | None = None
    tolerance: float = 1e-3
    precision: Literal["float32", "half"] = "float32"
    seed: int = 1234

    def __post_init__(self) -> None:
        for name in ("t1_range", "t2_range", *_RATIOS):
            limits = getattr(self, name)
            if limits is not None:
                low, high = (float(value) for value in limits)
                object.__setattr__(self, name, (low, high))
                least, most = (0.0, math.inf) if name in _RATIOS else (SHORTEST, LONGEST)
                is_range = 0 < low <= high < math.inf and least <= low and high <= most
                _require(is_range, name, f"{low:g} to {high:g}", f"smallest ≤ largest, from {least:g} to {most:g}")
        if self.widths is not None:
            object.__setattr__(self, "widths", tuple(self.widths))
        if self.grid_step is None:
            _require(self.fingerprints is not None, "fingerprints", None, "a number where there is no grid")
            lowest = self.t2_range[0]
            _require(lowest <= self.t1_range[1], "t2_range", f"from {lowest:g} ms", "some T2 ≤ T1")
        else:
            _require(self.grid_step > 0, "grid_step", self.grid_step, "above 0 ms")
            _require(not self.fresh, "fresh", self.fresh, "no grid, from which nothing new can be drawn")
        for name, low in (("fingerprints", 2), ("epochs", 1), ("batch", 1), ("patience", 1), ("seed", 0),
                          ("subspace", 1), ("decoded", 1), ("interleaves", 1), ("coils", 1)):  # fmt: skip
            value = getattr(self, name)
            _require(value is None or value >= low, name, value, f"at least {low}")
        for name in ("learning_rate", "loss_scale"):
            _require(0 < getattr(self, name) < math.inf, name, getattr(self, name), "above 0")
        _require(0 <= self.decoder_weight < math.inf, "decoder_weight", self.decoder_weight, "at least 0")
        _require(0 <= self.held_out <= 0.5, "held_out", self.held_out, "0 to 0.5")
        _require(0 < self.tolerance < 1, "tolerance", self.tolerance, "between 0 and 1")
        _require(self.patience is None or self.held_out > 0, "patience", self.patience,
                 "a held-out share above 0 to judge by")  # fmt: skip
        is_read = self.trajectory_file is not None
        _require(is_read == (self.trajectory == "file"), "trajectory_file", self.trajectory_file,
                 "a file where the trajectory is 'file', and none with another")  # fmt: skip
        for name, choices in (("loss", ("mse", "smooth-l1")), ("precision", ("float32", "half")),
                              ("activation", ("relu", "silu")), ("trajectory", (*SHAPES, "file")),
                              ("rotation", ("golden", "uniform"))):  # fmt: skip
            _require(getattr(self, name) in choices, name, getattr(self, name), f"one of {', '.join(choices)}")

    @property
    def scan(self) -> Scan:
        """The scan whose aliasing is added."""
        return Scan.of(asdict(self))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def _require(good: bool, name: str, found: object, expected: str) -> None:
    if not good:
        raise InputError(f"{name} is {found}; expected {expected}.", field=name)


#: What each preset changes of the published settings.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    # as many steps as fit: 60 steps of 1000 would hardly leave the start
    "reduced": {"fingerprints": 20_000, "epochs": 3, "batch": 100},
    "quick": {
        "widths": (128, 128, 128),
        "activation": "silu",
        "subspace": 24,
        "t1_range": (50.0, 8000.0),
        "t2_range": (5.0, 3000.0),
        "grid_step": None,
        "fingerprints": 150_000,
        "epochs": 200,
        "batch": 1000,
        "learning_rate": 5e-3,
        "cosine": True,
        "loss": "smooth-l1",
        "loss_scale": 0.005,
        "snr_range": (5.0, 200.0),
        "held_out": 0.02,
    },
}
PRESETS["aliased"] = {
    **PRESETS["quick"],
    # with narrower layers it reads white noise in CSF less well: T1 at 1.13 instead of 1.07 times the bound
    "widths": (256, 256, 256),
    "aliasing_range": (0.0005, 1.5),
    # at 1 it costs CSF, whose T1 hardly moves the signal: 1.29 instead of 1.13 times the bound
    "decoder_weight": 0.3,
    "balanced": True,
    "decoded": 32,
    "loss_scale": 0.003,
}
# Of the preset aliased, where the encoder takes time points and has layers of its own.
_ON_TIME_POINTS: dict[str, Any] = {
    "widths": None, "activation": "relu", "subspace": None, "learning_rate": 3e-3, "epochs": 40,
}  # fmt: skip


def options_from(preset: str = "paper", architecture: str = "fc", **changes: Any) -> TrainingOptions:
    """Return the options of a preset with some of them changed.

    Parameters
    ----------
    preset : str
        See `PRESETS`.
    architecture : str
        What is trained: of an rnn or hydra, ``aliased`` keeps the published layers.
    **changes
        Fields of `TrainingOptions`.

    Raises
    ------
    InputError
        An unknown preset or option; a value out of range.
    """
    if preset not in PRESETS:
        raise InputError(f"There is no preset {preset!r}; expected one of {', '.join(PRESETS)}.", field="preset")
    known = [item.name for item in fields(TrainingOptions)]
    for name in changes:
        if name not in known:
            raise InputError(f"A training has no option {name}; expected one of {', '.join(known)}.", field=name)
    own = _ON_TIME_POINTS if preset == "aliased" and ARCHITECTURES.get(architecture, ("fc",))[0] != "fc" else {}
    options = replace(TrainingOptions(), **{**PRESETS[preset], **own, **changes})
    of_none = [name for name in _ALIASING if name in changes] if options.aliasing_range is None else []
    if of_none:
        found = f"{of_none[0]} is {changes[of_none[0]]}, but no aliasing is added"
        raise InputError(found, "aliasing_range, or the preset aliased", field=of_none[0])
    return options
