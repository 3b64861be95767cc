"""Where a training stands: everything its next step depends on, as a file that can be gone on from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.estimators.networks.tensors import read_tensors, write_tensors
from napari_blochnet.estimators.training.options import TrainingOptions

__all__ = ["LossPoint", "TrainingState", "read_state", "told_apart", "write_state"]


@dataclass(frozen=True)
class LossPoint:
    """Losses at one moment of a training.

    Parameters
    ----------
    epoch, step : int
        Epochs and steps that are complete.
    loss, label_loss, decoder_loss : float
        Means over the epoch so far; ``decoder_loss`` is mean((x̂ − x)²) without its weight, 0 without a decoder.
    held_out : float, optional
        Label loss of the held-out tissues, at the end of an epoch.
    seconds : float
        Time the training has taken.
    """

    epoch: int
    step: int
    loss: float
    label_loss: float
    decoder_loss: float
    held_out: float | None
    seconds: float


@dataclass
class TrainingState:
    """Weights, moments and counts.

    Parameters
    ----------
    step : int
        Steps taken, over all epochs.
    sums : list of float
        Sums of loss, label loss and decoder loss over the steps of the present epoch.
    history : list of LossPoint
        One for each complete epoch.
    best : dict, optional
        Weights of the best epoch by the held-out tissues.
    best_loss : float
        Its loss.
    seconds : float
        Time taken by all runs together.
    """

    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    history: list[LossPoint] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_loss: float = float("inf")
    best_epoch: int = 0
    seconds: float = 0.0


# What checkpoints from before there was a choice do not say, where it is as it was then.
_LATER = ("balanced", "trajectory", "trajectory_file", "interleaves", "rotation", "coils", "aliasing_from")


def told_apart(options: TrainingOptions, measured: Mapping[str, AnyArray]) -> dict[str, Any]:
    """Return what of options, and of the aliasing that was measured, makes two trainings the same, as JSON.

    Files and stacks are told by what they hold: names are changed, and contents, too.
    """
    plain, known = TrainingOptions().to_dict(), options.to_dict()
    key = {name: value for name, value in known.items() if name not in _LATER or value != plain[name]}
    if options.trajectory_file is not None:
        key["trajectory_file"] = options.scan.file_digest
    if measured:
        content = hashlib.sha256()
        for digest in sorted(measured):
            content.update(digest.encode() + measured[digest].tobytes())
        key["aliasing_from"] = content.hexdigest()
    return {f"option {name}": value for name, value in key.items()}


def write_state(
    path: str | os.PathLike[str],
    key: dict[str, Any],
    state: TrainingState,
    modules: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a state; a crash leaves the one before it.

    Parameters
    ----------
    path : path
    key : dict
        What the training is (estimator, schedules, options): only the same can go on from it.
    about : mapping, optional
        Further JSON; see `napari_blochnet.estimators.training.stopped`.
    """
    tensors = {f"weights.{name}": value for name, value in modules.state_dict().items()}
    for name, parameter in modules.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"moments.{moment}.{name}"] = torch.as_tensor(value)
    for name, value in (state.best or {}).items():
        tensors[f"best.{name}"] = value
    counts = {
        "step": state.step, "sums": state.sums, "history": [asdict(point) for point in state.history],
        # JSON has no infinity
        "best_loss": state.best_loss if state.best else None, "best_epoch": state.best_epoch, "seconds": state.seconds,
    }  # fmt: skip
    write_tensors(path, tensors, {"blochnet_training": json.dumps({"key": key, **counts, "about": dict(about or {})})})


def read_state(
    path: str | os.PathLike[str],
    key: dict[str, Any],
    modules: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> TrainingState:
    """Read a state into modules and optimizer.

    Raises
    ------
    InputError
        A file that is not a training's, is damaged, or belongs to another training; nothing has changed then.
    """
    name = Path(path).name
    expected = {f"weights.{key}": value.shape for key, value in modules.state_dict().items()}
    tensors, metadata = read_tensors(path, expected=expected)
    try:
        content = parse_json(metadata["blochnet_training"])
        found = dict(content["key"])
        history = [LossPoint(**point) for point in content["history"]]
        best_loss = float("inf") if content["best_loss"] is None else float(content["best_loss"])
        state = TrainingState(int(content["step"]), [float(value) for value in content["sums"]], history, None,
                              best_loss, int(content["best_epoch"]), float(content["seconds"]))  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(
            f"{name}: is no saved training; expected one that was interrupted here.", field="checkpoint"
        ) from None
    differing = sorted(part for part in {*key, *found} if key.get(part) != found.get(part))
    if differing:
        raise InputError(
            f"{name}: holds another training, which differs in {', '.join(differing)}; expected the same settings "
            "(remove the file to start anew).",
            field="checkpoint",
        )
    names = list(modules.state_dict())
    if content["best_loss"] is not None:
        state.best = {key: tensors[f"best.{key}"] for key in names if f"best.{key}" in tensors}
    modules.load_state_dict({key: tensors[f"weights.{key}"] for key in names})
    for name, parameter in modules.named_parameters():
        for moment in ("step", "exp_avg", "exp_avg_sq"):
            value = tensors.get(f"moments.{moment}.{name}")
            if value is not None:
                optimizer.state[parameter][moment] = value if moment == "step" else value.to(parameter.device)
    return state
