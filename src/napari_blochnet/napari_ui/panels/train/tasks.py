"""Training and adapting as jobs: what runs on the worker thread and what is kept of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.errors import Cancelled, FileError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.networks.cards import SUFFIX, user_folder
from napari_blochnet.estimators.training.stopped import CHECKPOINT, StoppedTraining, stopped_trainings
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.adapt import adapt
from napari_blochnet.jobs.operations.train import train
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings
from napari_blochnet.napari_ui.panels.train.loss_view import thinned
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.training.state import LossPoint

__all__ = ["Kept", "Points", "TrainingTask", "adapt_task", "go_on_task", "stopped_in_store", "train_task"]

Points = tuple["LossPoint", ...]


@dataclass(frozen=True)
class Kept:
    """A network that was put into the model store.

    Parameters
    ----------
    name : str
        In the store.
    path : Path
    card : dict
    """

    name: str
    path: Path
    card: dict[str, Any]

    @property
    def scores(self) -> dict[str, Any]:
        """Its scores under its first schedule, empty where it was stopped."""
        return dict(next(iter(self.card.get("scores", {}).values()), {}))


def stopped_in_store() -> tuple[StoppedTraining, ...]:
    """Return the trainings of the model store that can be gone on with."""
    return stopped_trainings(user_folder())


def _keep(estimator: NetworkEstimator, name: str) -> Kept:
    path = estimator.save(user_folder() / f"{name}{SUFFIX}")
    return Kept(name, Path(path), estimator.card)


class _Losses:
    """Collects the losses of a training and hands them on; worker thread."""

    def __init__(self, partial: Callable[[Points], None]) -> None:
        self._partial = partial
        self._points: list[LossPoint] = []

    def __call__(self, point: LossPoint) -> None:
        self._points = thinned([*self._points, point])
        self._partial(tuple(self._points))


@dataclass(frozen=True)
class TrainingTask:
    """Make a network and keep it.

    Parameters
    ----------
    function : callable
        Returns the network; takes ``progress``, ``cancelled`` and ``watch``.
    name : str
        In the store.
    """

    function: Callable[..., NetworkEstimator]
    name: str

    def run(self, *, progress: ProgressCallback, cancelled: CancelEvent, partial: Callable[[Points], None]) -> Kept:
        """Train; where it is cancelled, its best network so far is kept if an epoch was finished."""
        try:
            network = self.function(progress=progress, cancelled=cancelled, watch=_Losses(partial))
        except Cancelled as stopped:
            so_far: Any = stopped.partial
            is_trained = so_far is not None and so_far.card.get("training", {}).get("epochs_trained", 1)
            raise Cancelled(str(stopped), partial=_keep(so_far, self.name) if is_trained else None) from None
        return _keep(network, self.name)


def train_task(settings: TrainSettings, schedule: Schedule, device: str, name: str) -> TrainingTask:
    """Return the task to train a network for a schedule, saved about once a minute."""
    checkpoint = user_folder() / f"{name}{CHECKPOINT}"
    function = functools.partial(train, None, [schedule], settings, device=device, checkpoint=checkpoint)
    return TrainingTask(function, name)


def go_on_task(stopped: StoppedTraining) -> TrainingTask:
    """Return the task to go on with a training that was stopped.

    Raises
    ------
    InputError
        Settings or schedules in its checkpoint that this version does not take.
    """
    settings = settings_from(TrainSettings, None, **stopped.settings)
    try:
        schedules = [Schedule.from_dict(schedule) for schedule in stopped.schedules]
    except (TypeError, ValueError) as error:
        raise FileError(stopped.path, str(error), field="checkpoint") from None
    function = functools.partial(train, None, schedules, settings, device=stopped.device, checkpoint=stopped.path)
    return TrainingTask(function, stopped.name)


def adapt_task(settings: AdaptSettings, model: str, stack: FingerprintStack, device: str, name: str) -> TrainingTask:
    """Return the task to adapt a network of the store to a stack."""
    return TrainingTask(functools.partial(adapt, model, stack, settings, device=device), name)
