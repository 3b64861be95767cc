"""Asking what a figure for a paper is to show, and where it is saved; the core draws it in the background."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDialog, QVBoxLayout

from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.drawing.figure_style import ENDINGS
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.widgets.appearance import panel_style
from napari_blochnet.napari_ui.widgets.parts import note, primary_button
from napari_blochnet.napari_ui.widgets.rows import ask_where_to_save, button, fill, row_of

if TYPE_CHECKING:
    from napari_blochnet.common.progress import CancelEvent, ProgressCallback
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["FIGURE_KINDS", "FigureDialog", "save_figure_of"]

FIGURE_KINDS = "PDF (*.pdf);;SVG (*.svg);;PNG, 300 dpi (*.png)"
# The kind under which the folder of figures is remembered.
_FOLDER = "figures"


class FigureDialog(QDialog):
    """What a figure shows, and a button that asks where to save it.

    Parameters
    ----------
    panel : Panel
        Shows the job and what became of it.
    title : str
    form : SettingsForm
        What may be chosen; the rest is as on the screen.
    said : str
        What that is, in a sentence.
    name : str
        Of the file, without an ending.
    draw : callable
        Called with the form's settings; returns what draws, called with ``progress`` and ``cancelled`` on a worker
        thread.
    say : callable, optional
        Says what was saved. None: the panel's line of jobs.
    """

    def __init__(
        self,
        panel: Panel,
        title: str,
        form: SettingsForm,
        said: str,
        name: str,
        draw: Callable[[dict[str, Any]], Callable[..., DrawnFigure]],
        say: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(panel)
        self._panel, self._name, self._draw, self.form = panel, name, draw, form
        self._say = say
        self.setWindowTitle(title)
        self.setStyleSheet(panel_style(panel.colours))
        self.said = note(said)
        self.save_as = primary_button("Save as…", "Choose where; the ending says what it is: .pdf, .svg or .png.")
        self.cancel = button("Cancel", "Draw nothing.")
        fill(QVBoxLayout(self), form, self.said, row_of(self.save_as, self.cancel))
        self.setMinimumWidth(380)
        self.save_as.clicked.connect(self._ask)
        self.cancel.clicked.connect(self.reject)

    def _ask(self) -> None:
        start = Path(preferences.folder(_FOLDER) or Path.home()) / f"{self._name}.pdf"
        path = ask_where_to_save(self, "Save the figure", str(start), FIGURE_KINDS)
        if not path:
            return
        preferences.set_folder(_FOLDER, path)
        if save_figure_of(self._panel, path, self._draw(self.form.values()), self._say):
            self.accept()

    def done(self, result: int) -> None:
        super().done(result)
        # the form is the panel's, and is shown again by the next dialog
        self.form.setParent(None)
        self.deleteLater()


def save_figure_of(
    panel: Panel, path: str, draw: Callable[..., DrawnFigure], say: Callable[[str], None] | None = None
) -> bool:
    """Draw and save a figure in the background, shown in a panel; False where it cannot begin."""
    if panel.is_busy:
        panel.jobs.say("Wait for what runs here, or cancel it, before a figure is drawn.", "error")
        return False
    try:
        check_ending(path, ENDINGS, "figures")
    except InputError as error:
        panel.jobs.say(str(error), "error")
        return False
    job = panel.start(f"Drawing {Path(path).name}", functools.partial(_drawn, draw, path))
    job.returned.connect(say or functools.partial(panel.jobs.say, state="good"))
    job.start()
    return True


def _drawn(
    draw: Callable[..., DrawnFigure],
    path: str,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> str:
    """Draw a figure and write it; worker thread."""
    figure = draw(progress=progress, cancelled=cancelled)
    try:
        figure.save(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).", field="path") from None
    wide, high = figure.figure.get_size_inches() * 25.4
    return f"Saved {path}, {wide:.0f} × {high:.0f} mm."
