"""The card of a model: what it is, how it was trained, and how well it does."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

from napari_blochnet.common.plain_text import counted
from napari_blochnet.estimators.networks.cards import CARD_FORMAT
from napari_blochnet.estimators.training.options import TrainingOptions, options_from
from napari_blochnet.estimators.training.state import TrainingState
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["make_card"]


def make_card(
    architecture: str,
    schedules: Sequence[Schedule],
    preset: str,
    options: TrainingOptions,
    state: TrainingState,
    device: str,
) -> dict[str, Any]:
    """Return the card of a training as plain JSON; `scores` may be added to it later."""
    last = state.history[-1] if state.history else None
    kept = state.best_epoch if state.best is not None else len(state.history)
    return {
        "blochnet_model": CARD_FORMAT,
        "architecture": architecture,
        "network": {
            "length": len(schedules[0]),
            "widths": None if options.widths is None else list(options.widths),
            "subspace": options.subspace,
            "activation": options.activation,
        },
        "schedules": [{**schedule.to_dict(), "record": {}} for schedule in schedules],
        "training": {
            "preset": preset,
            **options.to_dict(),
            "epochs_trained": len(state.history),
            "epoch_kept": kept,
            "steps_trained": state.step,
            "seconds": round(state.seconds, 1),
            "device": device,
            "final_loss": None if last is None else last.loss,
            "held_out_loss": state.best_loss if state.best is not None else None,
        },
        "seed": options.seed,
        "versions": versions(),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "scores": {},
        "notes": _notes(architecture, preset, options),
    }


def _notes(architecture: str, preset: str, options: TrainingOptions) -> list[str]:
    notes = []
    if preset == "reduced":
        notes.append(f"Reduced training: {options.fingerprints:,} fingerprints a schedule, "
                     f"{counted(options.epochs, 'epoch')}, "
                     f"batches of {options.batch}, where the paper has 80,100, 26 and 1000.")  # fmt: skip
    usual, mine = options_from(preset, architecture).to_dict(), options.to_dict()
    changed = [f"{name} {mine[name]}" for name in mine if mine[name] != usual[name] and name != "seed"]
    if changed:
        notes.append(f"Differs from the preset {preset}: {', '.join(changed)}.")
    return notes


def versions() -> dict[str, str]:
    """Return the versions that act on a training."""
    found = {"python": platform.python_version()}
    for name in ("napari-blochnet", "numpy", "torch", "numba"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
