"""Trainings that were stopped, by what their checkpoints say; no tensor is read, and torch is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.estimators.networks.tensors import read_header

__all__ = ["CHECKPOINT", "StoppedTraining", "stopped_trainings"]

#: How the names of checkpoints end.
CHECKPOINT = ".training"


@dataclass(frozen=True)
class StoppedTraining:
    """A training that was stopped, as its checkpoint tells of it.

    Parameters
    ----------
    name : str
        Of the model that it makes.
    path : Path
        The checkpoint.
    step, total : int
        Steps taken, and how many there are.
    settings : dict
        Fields of `napari_blochnet.jobs.settings_training.TrainSettings`.
    schedules : tuple of dict
        As `Schedule.from_dict` takes them.
    epochs : int
        How many the whole training has.
    device : str
    """

    name: str
    path: Path
    step: int
    total: int
    settings: dict[str, Any]
    schedules: tuple[dict[str, Any], ...]
    epochs: int
    device: str

    def describe(self) -> str:
        """Return what it is and how far it came."""
        return f"{self.name} ({self.settings.get('estimator', 'network')}): {self.step:,} of {self.total:,} steps"


def stopped_trainings(folder: Path) -> tuple[StoppedTraining, ...]:
    """Return the trainings in a folder that can be gone on with by what their checkpoints say; others are left out."""
    found = []
    for path in sorted(folder.glob(f"*{CHECKPOINT}")):
        try:
            content = parse_json(read_header(path)[1]["blochnet_training"])
            about = content["about"]
            found.append(
                StoppedTraining(path.stem, path, int(content["step"]), int(about["total"]), dict(about["settings"]),
                                tuple(map(dict, about["schedules"])), int(content["key"]["option epochs"]),
                                str(content["key"]["device"]))
            )  # fmt: skip
        except (InputError, OSError, KeyError, TypeError, ValueError, OverflowError):
            continue
    return tuple(found)
