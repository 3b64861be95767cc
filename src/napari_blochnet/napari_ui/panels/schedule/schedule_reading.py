"""Reading the files of schedules: at once, or in the background where what they play is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.operations.opening import make_schedule
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.schedules.pulseq.pulseq_hints import is_pulseq_name
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["ScheduleReading", "fields_of_file"]

# What a Pulseq file leaves open, and what may be said of any file.
_PULSEQ = ("preparation_model", "spin_lock", "slice_positions")
_ANY = ("path", "trains", "recovery_time", "preparations")


def fields_of_file(form: SettingsForm, path: str) -> set[str]:
    """Return which fields of a file's form may be given with a file of this name."""
    pulseq = is_pulseq_name(path)
    return {name for name in form.fields if name in _ANY or (name in _PULSEQ) == pulseq}


class ScheduleReading(QObject):
    """Makes schedules for a panel; what was simulated last is kept as long as nothing of it changes.

    Parameters
    ----------
    panel : Panel
        Shows the job.
    """

    #: what was read in the background is there; ask again
    ready = Signal()

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._key: object = None
        self._found: Schedule | InputError | None = None

    def read(self, settings: Settings) -> Schedule | None:
        """Return a schedule; None while it is read in the background.

        Raises
        ------
        InputError
            The core's sentence.
        """
        if not (isinstance(settings, ScheduleFileSettings) and is_pulseq_name(settings.path)):
            return make_schedule(settings)  # type: ignore[arg-type]
        path = Path(settings.path).expanduser()
        key = (settings.model_dump_json(), path.stat().st_mtime_ns if path.is_file() else 0)
        if key != self._key or self._found is None:
            self._begin(settings, key, path.name)
        elif isinstance(self._found, InputError):
            raise self._found
        else:
            return self._found
        return None

    def _begin(self, settings: ScheduleFileSettings, key: object, name: str) -> None:
        running = self._panel.jobs.job
        if running is not None and running.is_running:
            # one at a time; once it has ended, this is asked for again
            running.ended.connect(self.ready)
            return

        def read(**watched: Any) -> Schedule | InputError:
            try:
                return make_schedule(settings, **watched)
            except InputError as error:
                return error

        self._key, self._found = key, None
        job = self._panel.start(f"Reading {name}", read)
        job.returned.connect(self._keep)
        job.ended.connect(self._tell)
        job.start()

    def _keep(self, found: Schedule | InputError) -> None:
        self._found = found

    def _tell(self) -> None:
        # who cancelled does not want it
        if self._found is not None:
            self.ready.emit()
