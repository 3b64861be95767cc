"""What the inspector hands out of the voxel that it shows: curves as CSV, figures for a paper, a picture of itself."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.drawing.figure_style import ENDINGS
from napari_blochnet.evaluation.result_tables import numbered_names
from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.jobs.operations.draw import draw_voxel
from napari_blochnet.jobs.settings_figures import VoxelFigureSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.inspector.curve_files import write_curves
from napari_blochnet.napari_ui.printing.figure_dialog import (
    FIGURE_KINDS,
    FigureDialog,
    save_figure_of,
)
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.widgets.rows import ask_where_to_save, button

if TYPE_CHECKING:
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure
    from napari_blochnet.napari_ui.inspector.inspector import VoxelInspector

__all__ = ["HandingOut"]

# The endings by which `HandingOut.save` tells what is written.
_ENDINGS = (".csv", *ENDINGS)
_FROM_SCREEN = ("voxel", "pulses", "leave_out")


class HandingOut(QObject):
    """Three buttons of the inspector, and what they do.

    Parameters
    ----------
    panel : VoxelInspector
    """

    def __init__(self, panel: VoxelInspector) -> None:
        super().__init__(panel)
        self._panel = panel
        self.save_button = button("Save…", "Save the curves with their numbers as CSV, or a figure as PDF, SVG or PNG.")
        self.figure_button = button(
            "Figure…", "Draw curves and T1–T2 plane for a paper (PDF, SVG, PNG), as wide as a column of a journal."
        )
        self.copy_button = button("Copy", "Put a picture of the inspector on the clipboard.")
        self.buttons = (self.save_button, self.figure_button, self.copy_button)
        self.dialog: FigureDialog | None = None
        self._form: SettingsForm | None = None
        self.save_button.clicked.connect(self._ask_where_to_save)
        self.figure_button.clicked.connect(self._ask_for_figure)
        self.copy_button.clicked.connect(self._copy_picture)

    def _ask_where_to_save(self) -> None:
        if self._panel.shown is not None:
            z, y, x = self._panel.shown.voxel.index
            start = os.path.join(preferences.folder("voxel"), f"voxel-{z}-{y}-{x}.csv")
            kinds = f"Curves (*.csv);;{FIGURE_KINDS}"
            path = ask_where_to_save(self._panel, "Save what the inspector shows", start, kinds)
            if path:
                preferences.set_folder("voxel", path)
                self.save(path)

    def _ask_for_figure(self) -> None:
        shown = self._panel.shown
        if shown is not None:
            z, y, x = shown.voxel.index
            form = self._figure_form()
            said = f"As the inspector shows it: {', '.join(self._seen(shown))}."
            self.dialog = FigureDialog(
                self._panel,
                "Figure of the voxel",
                form,
                said,
                f"voxel-{z}-{y}-{x}",
                functools.partial(self._figure, shown),
                self._say,
            )
            self.dialog.open()

    def _figure_form(self) -> SettingsForm:
        """Return what may be chosen of a figure; made when it is first asked for."""
        if self._form is None:
            self._form = SettingsForm(VoxelFigureSettings, leave_out=_FROM_SCREEN)
            self._panel.remember(figure=self._form)
        return self._form

    def _seen(self, shown: Explanations) -> list[str]:
        """Return in words what a figure takes from the inspector."""
        z, y, x = shown.voxel.index
        seen = [f"voxel z {z}, y {y}, x {x}"]
        pulses = self._panel.curves.pulses()
        if pulses is not None:
            seen.append(f"TR index {pulses[0]} to {pulses[1]}")
        hidden = self._panel.session.hidden_slots()
        seen += [f"without {item.name}" for item in shown.items if item.slot in hidden]
        return seen

    def _figure(self, shown: Explanations, chosen: dict[str, Any]) -> Callable[..., DrawnFigure]:
        """Return what draws a voxel as it is shown now."""
        stack, hidden = shown.voxel.stack, self._panel.session.hidden_slots()
        entries = [entry for entry in self._panel.session.entries("maps") if entry.stack is stack]
        entries.sort(key=lambda entry: self._panel.session.slot(entry.subject))
        # as the window calls them
        names = numbered_names([entry.title for entry in entries])
        maps = [entry.subject.replace(estimator=name) for entry, name in zip(entries, names, strict=True)]
        unwanted = [
            name
            for entry, name in zip(entries, names, strict=True)
            if self._panel.session.slot(entry.subject) in hidden
        ]
        truth = None if self._panel.session.is_truth_hidden else self._panel.session.truth_of(stack)
        return functools.partial(
            draw_voxel, stack, maps, truth, voxel=shown.voxel.index, pulses=self._panel.curves.pulses(),
            leave_out="; ".join(unwanted), **chosen,
        )  # fmt: skip

    def _copy_picture(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setPixmap(self._panel.grab())

    def _say(self, text: str) -> None:
        """Say in the row of buttons what was saved: one more row would take its height from the curves."""
        self._panel.jobs.say("", "good")
        self._panel.place.setText(text)

    def save(self, path: str) -> None:
        """Write the curves to a .csv file, or a figure to a .pdf, .svg or .png file; no other name is taken."""
        if self._panel.shown is None:
            return
        try:
            if check_ending(path, _ENDINGS, "curves and figures") != ".csv":
                save_figure_of(
                    self._panel, path, self._figure(self._panel.shown, self._figure_form().values()), self._say
                )
                return
            write_curves(self._panel.shown, path)
        except InputError as error:
            self._panel.jobs.say(str(error), "error")
        except OSError as error:
            self._panel.jobs.say(f"{path} was not written: {error.strerror or error}.", "error")
        else:
            self._say(f"Saved {path}.")
