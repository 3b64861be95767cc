"""Files that are dropped on the Data tab."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.brought.dictionary_files import basis_beside
from napari_blochnet.jobs.recognise import is_dictionary, what_is_in
from napari_blochnet.napari_ui.forms.text_lines import accept_files
from napari_blochnet.napari_ui.widgets.path_row import PathRow
from napari_blochnet.schedules.pulseq.pulseq_hints import is_pulseq_name

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.forms.forms import SettingsForm
    from napari_blochnet.napari_ui.panels.data.schedule_question import ScheduleQuestion
    from napari_blochnet.napari_ui.panels.data.session_buttons import SessionRow
    from napari_blochnet.napari_ui.state.session import Session
    from napari_blochnet.napari_ui.widgets.job_bar import JobBar
    from napari_blochnet.napari_ui.widgets.parts import Foldable

__all__ = ["TakesDrops"]


class TakesDrops:
    """What a panel with lines for a phantom, for fingerprints and for sessions does with files dropped on it."""

    phantom_path: PathRow
    stack_path: PathRow
    question: ScheduleQuestion
    sessions: SessionRow
    jobs: JobBar
    is_busy: Any
    session: Session
    stack_form: SettingsForm
    stack_options: Foldable
    dictionary_given: Any
    bring_into_view: Any
    _opened_with: dict[PathRow, dict[str, Any]]

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        found = what_is_in(accept_files(event))
        self.phantom_path.mark(found == "phantom")
        self.stack_path.mark(found == "fingerprints")

    def dragLeaveEvent(self, event: Any) -> None:  # noqa: N802
        self.phantom_path.mark(False)
        self.stack_path.mark(False)

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        self.dragLeaveEvent(event)
        paths = accept_files(event)
        dictionaries = [path for path in paths if is_dictionary(path)]
        if len(paths) == 2 and len(dictionaries) == 1:
            # coefficients, and what came with them
            self.take_dictionary(dictionaries[0])
            paths.remove(dictionaries[0])
        found = what_is_in(paths)
        if found == "session":
            self.sessions.open(paths[0])
        elif found == "dictionary":
            self.take_dictionary(paths[0])
        elif found is not None:
            (self.phantom_path if found == "phantom" else self.stack_path).take(paths)
        elif len(paths) == 1 and is_pulseq_name(paths[0]):
            self.question.take(paths[0])
        elif paths:
            name = Path(paths[0]).name if len(paths) == 1 else f"Each of these {len(paths)} files"
            self._say_unless_busy(f"{name} may hold a phantom or fingerprints; drop it on the line of one of the two.")

    def take_dictionary(self, path: str) -> None:
        """Take what a dictionary's file holds: its basis for coefficients that are to be opened, its atoms for Map.

        Coefficients that are named already, and waited for their basis, are opened.
        """
        if self.is_busy and self.jobs.job is not None:
            # somebody dropped it together with its coefficients
            self.jobs.job.ended.connect(functools.partial(self._take_later, path))
            return
        is_waiting = bool(self.stack_path.paths) and self.stack_path not in self._opened_with
        name = Path(path).name
        self.dictionary_given.emit(path)
        if not (is_waiting or not self.session.entries("stack")) or not _has_basis(path):
            self.jobs.say(f"{name} is a dictionary: the Map tab matches fingerprints among its atoms.", "good")
            return
        self.stack_form.set_values({"basis": path})
        if is_waiting:
            self.stack_path.submitted.emit()
            return
        self.stack_options.open()
        self.bring_into_view(self.stack_path)
        self.jobs.say(
            f"{name} is a dictionary: its basis is taken for the coefficients that are opened next, and the Map tab "
            "matches them among its atoms.",
            "good",
        )

    def _take_later(self, path: str) -> None:
        # the job is over once all who hear of its end have heard
        QTimer.singleShot(0, functools.partial(self.take_dictionary, path))

    def _say_unless_busy(self, sentence: str) -> None:
        if self.is_busy:
            self.jobs.refuse()
        else:
            self.jobs.say(sentence, "error")


def _has_basis(path: str) -> bool:
    try:
        return basis_beside(path) is not None
    except InputError:
        return False
