"""Training a network for a schedule."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.errors import Cancelled
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.records import embed_schedule, make_record
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import TrainSettings
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.training.state import LossPoint

__all__ = ["train"]


@tells_of_compiling
def train(
    estimator: str | None = None,
    schedules: Schedule | Sequence[Schedule] = (),
    settings: TrainSettings | None = None,
    *,
    device: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    watch: Callable[[LossPoint], None] | None = None,
    **fields: Any,
) -> NetworkEstimator:
    """Train a network on fingerprints that the decoder makes under one or several schedules.

    Parameters
    ----------
    estimator : str, optional
        "fc", "rnn", "hydra", "autoencoder-fc", "autoencoder-rnn" or "blochnet". None: as the settings say.
    schedules : Schedule or sequence of Schedule
        All of one length.
    settings : TrainSettings, optional
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    checkpoint : path, optional
        Where the training is saved about once a minute, and at Ctrl-C; an interrupted one goes on from there. Removed
        when the network is saved (``.save``), so that nothing is lost while its scores are computed.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    watch : callable, optional
        Called with the losses so far about twice a second, from the thread that works.
    **fields
        Fields of `TrainSettings`.

    Returns
    -------
    NetworkEstimator
        ``.save(path)`` writes it; its ``card`` tells how it was trained and how it scores under its schedules.

    Raises
    ------
    InputError
        Settings out of bounds, schedules that do not go together, a training that diverges.
    Cancelled
        Its ``partial`` is the estimator with the best weights so far, whose card says that it was stopped; None where
        no step was taken.
    """
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.training.against_bound import tissue_scores
    from napari_blochnet.estimators.training.loop import train_estimator

    if estimator is not None:
        fields["estimator"] = estimator
    given = settings_from(TrainSettings, settings, **fields)
    several = [schedules] if isinstance(schedules, Schedule) else list(schedules)
    started = time.perf_counter()
    chosen = resolve_device(device)

    def recorded(trained: NetworkEstimator, **more: Any) -> NetworkEstimator:
        inputs = {"schedules": [embed_schedule(schedule) for schedule in several]}
        seconds = time.perf_counter() - started
        trained.card["record"] = make_record(
            "train", given, inputs, device=str(trained.device), seconds=seconds, **more
        )
        return trained

    try:
        trained = train_estimator(
            given.estimator,
            several,
            given.preset,
            device=chosen,
            checkpoint=checkpoint,
            about={
                "settings": given.model_dump(mode="json"),
                "schedules": [schedule.to_dict() for schedule in several],
            },
            watch=Watch(progress, cancelled),
            on_loss=watch,
            **given.options(),
        )
    except Cancelled as stopped:
        if isinstance(stopped.partial, NetworkEstimator):
            training = stopped.partial.card["training"]
            words = f"Stopped after {training['epochs_trained']} of {training['epochs']} epochs."
            stopped.partial.card["notes"].append(words)
            recorded(stopped.partial, stopped=words)
        raise
    try:
        trained.card["scores"] = {
            schedule.name or f"schedule {number}": tissue_scores(trained, schedule, watch=Watch(cancelled=cancelled))
            for number, schedule in enumerate(several, start=1)
        }
    except Cancelled as stopped:
        raise Cancelled(str(stopped), partial=recorded(trained)) from None
    return recorded(trained)
