"""Training and adapting as jobs: what runs on the worker thread and what is kept of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.networks.cards import SUFFIX, stored_models, user_folder
from napari_blochnet.estimators.registry import estimator_names
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.adapt import adapt
from napari_blochnet.jobs.operations.train import train
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings
from napari_blochnet.napari_ui.panels.train.loss_view import thinned
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.training.state import LossPoint

__all__ = ["AdaptTask", "Kept", "TrainTask", "check_name", "free_name"]

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


def _taken() -> set[str]:
    return {*estimator_names(), *(model.name for model in stored_models())}


def free_name(start: str) -> str:
    """Return a name for a new model that none in the store has."""
    base = re.sub(r"[^a-z0-9.]+", "-", start.lower()).strip("-.") or "model"
    taken = {name.lower() for name in _taken()}
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def check_name(name: str) -> str:
    """Return the name of a new model.

    Raises
    ------
    InputError
        A name that is no file name on every system, or is taken.
    """
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+()-]{0,98}[A-Za-z0-9_+)-])?", name):
        raise InputError(f"The name is {name!r}; expected letters, digits, spaces and . _ + ( ) -, at most 100.",
                         field="name")  # fmt: skip
    if name.lower() in {taken.lower() for taken in _taken()} or name.lower().endswith(SUFFIX):
        raise InputError(f"There is an estimator called {name} already; expected another name.", field="name")
    return name


def _keep(estimator: NetworkEstimator, name: str) -> Kept:
    path = estimator.save(user_folder() / f"{name}{SUFFIX}")
    return Kept(name, Path(path), estimator.card)


class _Watch:
    """Collects the losses of a training and hands them on; worker thread."""

    def __init__(self, partial: Callable[[Points], None]) -> None:
        self._partial = partial
        self._points: list[LossPoint] = []

    def __call__(self, point: LossPoint) -> None:
        self._points = thinned([*self._points, point])
        self._partial(tuple(self._points))


@dataclass(frozen=True)
class TrainTask:
    """Train a network and keep it."""

    settings: TrainSettings
    schedule: Schedule
    device: str
    name: str

    def run(self, *, progress: ProgressCallback, cancelled: CancelEvent, partial: Callable[[Points], None]) -> Kept:
        """Train; a training that is cancelled keeps its best network so far if an epoch was finished."""
        try:
            trained = train(None, [self.schedule], self.settings, device=self.device, progress=progress,
                            cancelled=cancelled, watch=_Watch(partial))  # fmt: skip
        except Cancelled as stopped:
            network = stopped.partial
            kept = None
            if network is not None and network.card["training"]["epochs_trained"]:  # type: ignore[attr-defined]
                kept = _keep(network, self.name)  # type: ignore[arg-type]
            raise Cancelled(str(stopped), partial=kept) from None
        return _keep(trained, self.name)


@dataclass(frozen=True)
class AdaptTask:
    """Adapt a network of the store to a stack and keep the result."""

    model: str
    stack: FingerprintStack
    settings: AdaptSettings
    device: str
    name: str

    def run(self, *, progress: ProgressCallback, cancelled: CancelEvent, partial: Callable[[Points], None]) -> Kept:
        """Adapt; what is cancelled keeps the network after the last whole epoch."""
        try:
            adapted = adapt(self.model, self.stack, self.settings, device=self.device, progress=progress,
                            cancelled=cancelled, watch=_Watch(partial))  # fmt: skip
        except Cancelled as stopped:
            network = stopped.partial
            kept = None if network is None else _keep(network, self.name)  # type: ignore[arg-type]
            raise Cancelled(str(stopped), partial=kept) from None
        return _keep(adapted, self.name)
