"""Files that are dropped on the Data tab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_blochnet.jobs.recognise import what_is_in
from napari_blochnet.napari_ui.forms.text_lines import accept_files
from napari_blochnet.napari_ui.widgets.path_row import PathRow
from napari_blochnet.schedules.pulseq.pulseq_hints import is_pulseq_name

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.panels.data.schedule_question import ScheduleQuestion
    from napari_blochnet.napari_ui.panels.data.session_buttons import SessionRow
    from napari_blochnet.napari_ui.widgets.job_bar import JobBar

__all__ = ["TakesDrops"]


class TakesDrops:
    """What a panel with lines for a phantom, for fingerprints and for sessions does with files dropped on it."""

    phantom_path: PathRow
    stack_path: PathRow
    question: ScheduleQuestion
    sessions: SessionRow
    jobs: JobBar
    is_busy: Any

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
        found = what_is_in(paths)
        if found == "session":
            self.sessions.open(paths[0])
        elif found is not None:
            (self.phantom_path if found == "phantom" else self.stack_path).take(paths)
        elif len(paths) == 1 and is_pulseq_name(paths[0]):
            self.question.take(paths[0])
        elif paths:
            name = Path(paths[0]).name if len(paths) == 1 else f"Each of these {len(paths)} files"
            self._say_unless_busy(f"{name} may hold a phantom or fingerprints; drop it on the line of one of the two.")

    def _say_unless_busy(self, sentence: str) -> None:
        if self.is_busy:
            self.jobs.refuse()
        else:
            self.jobs.say(sentence, "error")
