"""Save maps… and Save fingerprints…: buttons that ask where, ask before they replace, and write in the background."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMessageBox, QPushButton, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_drafts import PARTS_ENDINGS
from napari_blochnet.fingerprints.stack_files import files_to_write
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.napari_ui.saving.results import (
    SavedMaps,
    check_sets,
    file_names,
    maps_on_disk,
    maps_to_save,
    save_fingerprints,
    save_maps,
    with_nifti_ending,
)
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.entries import Entry

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["FOLDER", "SaveFingerprints", "SaveMaps", "may_replace"]

_MAPS_TOOLTIP = (
    "Write the maps of the latest result as NIfTI, a folder for each model: T1 and T2 (in seconds, as BIDS asks), PD, "
    "residual, standard errors and B1 where there are any, errors (%) where the truth is known, and how they were made."
)
_STACK_TOOLTIP = (
    "Write the simulated fingerprints as NIfTI, with their mask, and JSON with schedule, SNR and how they were made; "
    "a name ending in .nii is faster to write and to open, .nii.gz is smaller."
)
#: The kind under which the folder of results is remembered.
FOLDER = "results"


def may_replace(parent: QWidget | None, paths: Sequence[Path], where: Path) -> bool:
    """Ask whether files may be replaced; True where there are none."""
    if not paths:
        return True
    which = f"{paths[0].name} is" if len(paths) == 1 else f"{len(paths)} files are"
    answer = QMessageBox.question(
        parent,
        "Replace files?",
        f"{which} already in {where}. Replace?",
        QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
        QMessageBox.StandardButton.No,
    )
    return bool(answer == QMessageBox.StandardButton.Yes)


class _SaveButton(QPushButton):
    """A button of a panel that saves what the panel made.

    Parameters
    ----------
    panel : Panel
        Shows the job and what became of it.
    text, tooltip : str
    ended : callable
        Called after the job.
    """

    def __init__(self, panel: Panel, text: str, tooltip: str, ended: Callable[[], None]) -> None:
        super().__init__(text)
        self._panel, self._tooltip, self._after = panel, tooltip, ended
        self._entries: list[Entry] = []
        self.setAccessibleName(text.rstrip("…"))
        self.clicked.connect(lambda: self.save_as())
        self.offer(())

    def offer(self, entries: Sequence[Entry]) -> None:
        """Save these from now on."""
        self._entries = list(entries)
        self.setEnabled(bool(entries) and not self._panel.is_busy)
        names = ", ".join(entry.title for entry in entries)
        self.setToolTip(f"{self._tooltip} Now: {names}." if names else self._tooltip)

    def save_as(self) -> None:
        """Ask where, and save there."""
        raise NotImplementedError

    def _start(self, title: str, function: Callable[..., object], returned: Callable[..., None]) -> None:
        job = self._panel.start(title, function)
        job.returned.connect(returned)
        job.stopped.connect(self._on_stopped)
        job.ended.connect(self._on_ended)
        job.start()
        self.setEnabled(False)
        self._panel.update_session()

    def _on_stopped(self, partial: object) -> None:
        self._panel.jobs.say(
            f"Cancelled. {partial.describe()}" if isinstance(partial, SavedMaps) else "Cancelled; nothing was saved."
        )

    def _on_ended(self) -> None:
        self.setEnabled(bool(self._entries))
        self._after()


class SaveMaps(_SaveButton):
    """Saves maps, each model's in a folder of its own."""

    def __init__(self, panel: Panel, ended: Callable[[], None]) -> None:
        super().__init__(panel, "Save maps…", _MAPS_TOOLTIP, ended)

    def save_as(self, entries: Sequence[Entry] | None = None) -> None:
        """Ask for the folder that the models' folders are put into, and save there; ``entries``: as in `save`."""
        start = preferences.folder(FOLDER) or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Where the models' folders are put", start)
        if folder:
            preferences.set_folder(FOLDER, folder)
            self.save(folder, entries)

    def save(self, folder: str | os.PathLike[str], entries: Sequence[Entry] | None = None) -> None:
        """Save these maps, or else what is offered, in the background."""
        sets = maps_to_save(self._panel.session, self._entries if entries is None else entries, folder)
        if not sets or self._panel.is_busy:
            return
        try:
            check_sets(sets)
        except InputError as error:
            self._panel.jobs.say(str(error), "error")
            return
        if not may_replace(self, maps_on_disk(sets), Path(folder)):
            return
        self._start("Saving maps", functools.partial(save_maps, sets), self._on_saved)

    def _on_saved(self, saved: SavedMaps) -> None:
        self._panel.jobs.say(saved.describe(), "good")


class SaveFingerprints(_SaveButton):
    """Saves a stack."""

    def __init__(self, panel: Panel, ended: Callable[[], None]) -> None:
        super().__init__(panel, "Save fingerprints…", _STACK_TOOLTIP, ended)

    def save_as(self) -> None:
        """Ask for a file, and save there."""
        if not self._entries:
            return
        (name,) = file_names([self._entries[-1].title])
        start = Path(preferences.folder(FOLDER) or Path.home()) / f"{name}.nii.gz"
        path, _ = QFileDialog.getSaveFileName(
            self,
            "Save the fingerprints",
            str(start),
            "NIfTI (*.nii.gz *.nii);;Zarr (*.zarr);;HDF5 (*.h5)",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            preferences.set_folder(FOLDER, path)
            self.save(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the stack in the background."""
        is_named = os.fspath(path).lower().endswith(PARTS_ENDINGS)
        target = Path(path).expanduser() if is_named else with_nifti_ending(path)
        if not self._entries or self._panel.is_busy:
            return
        stack = self._entries[-1].subject
        try:
            files = files_to_write(target)
            check_outputs(files, record=stack.record)
        except InputError as error:
            self._panel.jobs.say(str(error), "error")
            return
        if not may_replace(self, [file for file in files if file.exists()], target.parent):
            return
        self._start(f"Saving {target.name}", functools.partial(save_fingerprints, stack, target), self._on_saved)

    def _on_saved(self, files: list[Path]) -> None:
        every = [file for path in files for file in (path.rglob("*") if path.is_dir() else [path])]
        size = sum(file.stat().st_size for file in every) / 1e6
        names = ", ".join(path.name for path in files)
        self._panel.jobs.say(f"Saved {names} in {files[0].parent}, {size:,.1f} MB.", "good")
