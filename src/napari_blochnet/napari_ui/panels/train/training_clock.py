"""How long a training will take, measured in the background before it is begun."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.training.options import options_from
from napari_blochnet.jobs.operations.training_time import measure_training
from napari_blochnet.jobs.settings_training import TrainSettings
from napari_blochnet.napari_ui.background.workers import Job, is_any_working
from napari_blochnet.napari_ui.panels.amounts import duration

if TYPE_CHECKING:
    from napari_blochnet.estimators.training.timing import TrainingPace
    from napari_blochnet.napari_ui.widgets.panel import Panel
    from napari_blochnet.schedules.schedule import Schedule

__all__ = ["TrainingClock"]

# Milliseconds that choices rest before anything is measured, and between two looks whether other work has ended.
_REST, _WAIT = 400, 1000
# What changes how many steps there are, and not how long one takes.
_FREE = ("epochs", "patience", "seed", "learning_rate", "cosine")

_Asked = tuple[TrainSettings, "Schedule", str]


class TrainingClock(QObject):
    """Measures trainings while their panel is looked at and nothing else is worked on.

    Parameters
    ----------
    panel : Panel
    """

    #: the sentence has changed
    changed = Signal()

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._paces: dict[object, TrainingPace | None] = {}
        self._asked: _Asked | None = None
        self._job: Job | None = None
        self._measured: object = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)

    @property
    def is_measuring(self) -> bool:
        """Whether a measurement runs."""
        return self._job is not None

    def ask(self, settings: TrainSettings | None, schedule: Schedule | None, device: str) -> None:
        """Be asked for a training, or for none; measure soon what is not known."""
        asked = None if settings is None or schedule is None else (settings, schedule, device)
        if asked is not None and self._job is not None and self._measured == _key(asked):
            self._asked = asked
            return
        self._asked = asked
        self._drop()
        self._timer.stop()
        if asked is not None and _key(asked) not in self._paces and self._panel.isVisible():
            self._timer.start(_REST)

    def stop(self) -> None:
        """Measure nothing any more: the training itself begins, or nobody looks."""
        self._timer.stop()
        self._drop()

    @property
    def sentence(self) -> str:
        """How long the training that was asked for will take; empty where nothing tells."""
        if self._asked is None:
            return ""
        settings, key = self._asked[0], _key(self._asked)
        if key not in self._paces:
            waits = self.is_measuring or self._timer.isActive()
            return "Measuring how long it will take…" if waits else ""
        pace = self._paces[key]
        if pace is None:
            return ""
        try:
            options = options_from(settings.preset, settings.estimator, **settings.options())
        except InputError:
            return ""
        most = "at most " if options.patience is not None else ""
        return f"Will take {most}about {duration(pace.seconds(options))}, by a few steps measured here."

    def _begin(self) -> None:
        asked, panel = self._asked, self._panel
        if asked is None or not panel.isVisible() or self._job is not None:
            return
        if panel.is_busy or is_any_working():
            # what is worked on would make the steps slow, and they it
            self._timer.start(_WAIT)
            return
        settings, schedule, device = asked
        self._measured = _key(asked)
        job = panel.session.start(
            "Timing a training", functools.partial(measure_training, schedule, settings, device=device)
        )
        self._job = job
        job.returned.connect(self._note)
        job.failed.connect(self._note_none)
        job.ended.connect(self._on_ended)
        job.start()
        self.changed.emit()

    def _drop(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _note(self, pace: TrainingPace) -> None:
        self._paces[self._measured] = pace

    def _note_none(self, _failure: object) -> None:
        # what is wrong is said once somebody wants the training
        self._paces[self._measured] = None

    def _on_ended(self) -> None:
        self._job = None
        if self._asked is not None and _key(self._asked) not in self._paces and not self._panel.is_busy:
            self._timer.start(_REST)
        self.changed.emit()


def _key(asked: _Asked) -> object:
    """Return what decides how long a step takes."""
    settings, schedule, device = asked
    options = {name: value for name, value in settings.model_dump().items() if name not in _FREE}
    return schedule.digest, device, tuple(sorted((name, str(value)) for name, value in options.items()))
