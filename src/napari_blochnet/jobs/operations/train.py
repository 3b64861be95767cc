"""Training a network for a schedule."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import carries_schedule
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.operations.opening import open_fingerprints
from napari_blochnet.jobs.records import embed_schedule, make_record, plain_path
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import TrainSettings
from napari_blochnet.sampling.scans import Scan
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
    aliasing_from: FingerprintStack | str | os.PathLike[str] | None = None,
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
    aliasing_from : FingerprintStack or path, optional
        Frames of a scan of one's own under one of the schedules, whose aliasing is added to that one's fingerprints.
        None: as the settings say.
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
        Settings out of bounds, schedules that do not go together, a training that diverges; a stack that holds no
        aliasing under them (`napari_blochnet.sampling.measured_aliasing.measured_residuals`).
    Cancelled
        Its ``partial`` is the estimator with the best weights so far, whose card says that it was stopped; None where
        no step was taken.
    """
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.training.against_bound import tissue_scores
    from napari_blochnet.estimators.training.loop import train_estimator
    from napari_blochnet.estimators.training.options import options_from

    if estimator is not None:
        fields["estimator"] = estimator
    if isinstance(aliasing_from, (str, os.PathLike)):
        fields["aliasing_from"] = plain_path(aliasing_from)
        aliasing_from = None
    given = settings_from(TrainSettings, settings, **fields)
    several = [schedules] if isinstance(schedules, Schedule) else list(schedules)
    started = time.perf_counter()
    chosen = resolve_device(device)
    options, looking = given.options(), Watch(progress, cancelled)
    measured = {}
    if aliasing_from is not None:
        options["aliasing_from"] = aliasing_from.name or "a stack"
    if "aliasing_from" in options:
        # what is wrong with a training is said before a stack is read
        seed = options_from(given.preset, given.estimator, **options).seed
        measured = _measured(aliasing_from or options["aliasing_from"], several, options, seed, looking)

    def recorded(trained: NetworkEstimator, **more: Any) -> NetworkEstimator:
        inputs: dict[str, Any] = {"schedules": [embed_schedule(schedule) for schedule in several]}
        if aliasing_from is not None:
            inputs["aliasing_from"] = aliasing_from.record or {"operation": "given", "stack": aliasing_from.name}
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
            measured=measured,
            watch=looking,
            on_loss=watch,
            **options,
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


def _measured(
    stack: FingerprintStack | str,
    schedules: Sequence[Schedule],
    options: Mapping[str, Any],
    seed: int,
    watch: Watch,
) -> dict[str, AnyArray]:
    """Return the aliasing that a stack, or its file, holds, by the digest of its schedule."""
    from napari_blochnet.sampling.measured_aliasing import measured_residuals

    if isinstance(stack, str):
        only = schedules[0] if len(schedules) == 1 and not carries_schedule(stack) else None
        try:
            stack = open_fingerprints(stack, only, progress=watch.progress, cancelled=watch.cancelled)
        except InputError as error:
            raise InputError(str(error), field="aliasing_from") from None
    known = [schedule.digest for schedule in schedules]
    if stack.schedule is None or stack.schedule.digest not in known:
        asked = "; ".join(schedule.describe() for schedule in schedules)
        raise InputError(f"{stack.name} is of another schedule than is trained for ({stack.describe_schedule()})",
                         f"frames under [{asked}]", field="aliasing_from")  # fmt: skip
    unused = [name for name in Scan.__dataclass_fields__ if name in options]
    if unused and len(set(known)) == 1:
        raise InputError(f"{unused[0]} is {options[unused[0]]}, but aliasing is that of {stack.name}",
                         "one of the two", field=unused[0])  # fmt: skip
    return {stack.schedule.digest: measured_residuals(stack, seed, watch)}
