"""Save session and Open session: two buttons of the Data tab, which menus and dropped folders press too."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QTabWidget, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.jobs.sessions import SESSION_FILE, is_session, session_folder, write_session
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.sessions.restoring import SessionRead, open_session, restore_steps
from napari_blochnet.napari_ui.sessions.snapshots import default_folder, snapshot
from napari_blochnet.napari_ui.widgets.docks import INSPECTOR, is_dock_open, open_dock, turn_to

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.panels.data.data_tab import DataPanel

__all__ = ["SessionRow"]


class SessionRow(QWidget):
    """The two buttons, and what they do.

    Parameters
    ----------
    panel : DataPanel
        Shows the job and what became of it.
    """

    def __init__(self, panel: DataPanel) -> None:
        super().__init__()
        self._panel = panel
        self._folder: Path | None = None
        #: holds nothing that is not open here; saving replaces all that it holds
        self._own_folder: Path | None = None
        self._left_out: tuple[str, ...] = ()
        self.save_button = QPushButton("Save session…")
        self.save_button.setToolTip(
            "Save all that is open (phantoms, fingerprints, maps, regions, pins, comparison, view) to a folder."
        )
        self.open_button = QPushButton("Open session…")
        self.open_button.setToolTip(
            "Show what was saved to a folder; what is open now stays in the layer list, hidden."
        )
        #: not to be pressed while the panel has a job
        self.buttons = (self.save_button, self.open_button)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 4, 0, 0)
        row.addWidget(self.save_button)
        row.addWidget(self.open_button)
        row.addStretch(1)
        self.save_button.clicked.connect(self.save_as)
        self.open_button.clicked.connect(self.open_from)

    def save_as(self) -> None:
        """Ask for a folder and save there."""
        if not self._panel.begin():
            return
        own = self._own_folder
        start = default_folder(self._panel.session) if own is None else own / SESSION_FILE
        name, _ = QFileDialog.getSaveFileName(
            self, f"Folder for the session, or the {SESSION_FILE} of an earlier one", str(start)
        )
        if name:
            self.save(name)

    def open_from(self) -> None:
        """Ask for a session's folder and open it."""
        if not self._panel.begin():
            return
        start = Path.home() if self._folder is None else self._folder.parent
        name = QFileDialog.getExistingDirectory(self, "Folder of a session", str(start))
        if name:
            self.open(name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the session to a folder, in the background."""
        panel = self._panel
        if not panel.begin():
            return
        try:
            taken = snapshot(panel.session, tab=self._tab(), inspector=is_dock_open(panel.session.viewer, INSPECTOR))
        except InputError as error:
            panel.show_input_error(error)
            return
        self._left_out = taken.left_out
        job = panel.start(
            f"Saving {session_folder(path).name}", functools.partial(write_session, taken.saved, os.fspath(path))
        )
        job.returned.connect(self._on_saved)
        job.start()

    def open(self, path: str | os.PathLike[str]) -> None:
        """Read a session from a folder in the background, then show it."""
        panel = self._panel
        if not panel.begin():
            return
        if not is_session(path):
            panel.show_input_error(
                InputError(
                    f"{path}: holds no {SESSION_FILE}; expected the folder of a session that was saved here.",
                    field="path",
                )
            )
            return
        self._folder, self._own_folder = session_folder(path), None
        job = panel.start(f"Opening {self._folder.name}", functools.partial(open_session, path))
        job.returned.connect(self._on_opened)
        job.start()

    def _on_saved(self, folder: Path) -> None:
        self._folder = self._own_folder = folder
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        left = f" Layers that no session holds were left out: {', '.join(self._left_out)}." if self._left_out else ""
        self._panel.jobs.say(f"Saved the session to {folder}, {size / 1e6:,.0f} MB.{left}", "good")

    def _on_opened(self, opened: SessionRead) -> None:
        self._panel.run_steps(self._show(opened))

    def _show(self, opened: SessionRead) -> Steps[None]:
        panel = self._panel
        session = panel.session
        view = opened.state.view
        viewer = session.viewer
        if viewer is None:
            return
        if view.inspector:
            open_dock(viewer, INSPECTOR)
            yield
        made = yield from restore_steps(session, opened)
        if session.viewer is None:
            return
        workbench = self._workbench()
        if opened.schedule is not None:
            schedule_panel = getattr(workbench, "schedule", None)
            if schedule_panel is not None:
                schedule_panel.show_schedule(opened.schedule)
            else:
                session.schedule = opened.schedule
        is_whole = not opened.left_out and len(made) == len(opened.state.layers)
        self._own_folder = self._folder if is_whole else None
        panel.jobs.say(f"Opened the session in {self._folder}: {counted(len(made), 'layer')}.", "good")
        turn_to(self._tabs(), view.tab)

    def _tabs(self) -> QTabWidget | None:
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QTabWidget):
            parent = parent.parentWidget()
        return parent

    def _workbench(self) -> QWidget | None:
        tabs = self._tabs()
        return None if tabs is None else tabs.parentWidget()

    def _tab(self) -> str:
        tabs = self._tabs()
        return "" if tabs is None else tabs.tabText(tabs.currentIndex())
