"""How long a training will take, before it is begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import TrainSettings
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.training.timing import TrainingPace

__all__ = ["measure_training", "training_time"]


@tells_of_compiling
def measure_training(
    schedules: Schedule | Sequence[Schedule],
    settings: TrainSettings,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> TrainingPace:
    """Take a few steps of a training, for nothing but their time; a few seconds.

    Parameters
    ----------
    schedules : Schedule or sequence of Schedule
        All of one length.
    settings : TrainSettings
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Raises
    ------
    InputError
        What the training would refuse.
    Cancelled
    """
    from napari_blochnet.estimators.training import timing

    several = [schedules] if isinstance(schedules, Schedule) else list(schedules)
    return timing.measure_training(
        settings.estimator,
        several,
        settings.preset,
        device=resolve_device(device),
        watch=Watch(progress, cancelled),
        **settings.options(),
    )


def training_time(
    estimator: str | None = None,
    schedules: Schedule | Sequence[Schedule] = (),
    settings: TrainSettings | None = None,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> float:
    """Return about how many seconds `napari_blochnet.train` will take with the same arguments, by a few steps of it.

    See `measure_training`. Where some patience may end it earlier, it is the longest.
    """
    from napari_blochnet.estimators.training.options import options_from

    if estimator is not None:
        fields["estimator"] = estimator
    given = settings_from(TrainSettings, settings, **fields)
    pace = measure_training(schedules, given, device=device, progress=progress, cancelled=cancelled)
    return pace.seconds(options_from(given.preset, given.estimator, **given.options()))
