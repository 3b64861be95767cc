"""How results were made, to take along: as Python, as commands, as recipes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.errors import InputError
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.jobs.history.other_stacks import StackRecipe, recipe_for_stacks
from napari_blochnet.jobs.history.recipes import absolute_files
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.napari_ui.saving.results import file_names
from napari_blochnet.napari_ui.saving.save_buttons import may_replace
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.rows import ask_where_to_save

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

__all__ = ["CopyRow", "copied", "recorded_layer", "save_recipes"]

Record = dict[str, Any]
# The kind under which the folder of recipes is remembered.
_FOLDER = "recipes"
# Operations whose recipes may be for other stacks.
_OF_STACKS = ("reconstruct", "adapt")


def recorded_layer(viewer: Viewer) -> tuple[Layer | None, Record]:
    """Return the active layer and its record, or the newest layer that has one; None and nothing without any."""
    active = viewer.layers.selection.active
    for layer in [*([active] if active is not None else []), *reversed(list(viewer.layers))]:
        entry = entry_of(layer)
        record = getattr(entry.subject, "record", None) if entry is not None else None
        if record:
            return layer, record
    return None, {}


def copied(text: str, what: str) -> str:
    """Put a text on the clipboard, and return the sentence that says so."""
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
    return f"{what} copied."


def save_recipes(parent: QWidget | None, results: Sequence[tuple[str, Record]], *, for_stacks: bool = False) -> str:
    """Ask where, and write a recipe for each result.

    Parameters
    ----------
    parent : QWidget, optional
    results : sequence of (str, dict)
        What people call each result, and its record.
    for_stacks : bool
        Whether it is for other stacks: what was done to this one, without what belongs to it alone.

    Returns
    -------
    str
        What became of it, a sentence; empty where the person gave it up.

    Raises
    ------
    InputError
        A folder that cannot be written to; a result that was made from no stack, where it is for others.
    """
    recipes = [as_recipe(record) for _, record in results]
    notes: list[str] = []
    if for_stacks:
        templates = [recipe_for_stacks(absolute_files(recipe)) for recipe in recipes]
        recipes = [template.recipe for template in templates]
        notes = list(dict.fromkeys(said for template in templates for said in _said_of(template)))
    start = preferences.folder(_FOLDER) or str(Path.home())
    if len(results) == 1:
        name = ask_where_to_save(parent, "Save the recipe", f"{start}/recipe.json", "JSON (*.json)")
        if not name:
            return ""
        check_ending(name, (".json",), "recipes")
        paths = [Path(name)]
    else:
        folder = QFileDialog.getExistingDirectory(parent, "Where the recipes are put, one for each result", start)
        if not folder:
            return ""
        paths = [Path(folder) / f"recipe-{name}.json" for name in file_names(title for title, _ in results)]
        check_outputs(paths)
        if not may_replace(parent, [path for path in paths if path.exists()], Path(folder)):
            return ""
    preferences.set_folder(_FOLDER, str(paths[0]))
    try:
        for path, recipe in zip(paths, recipes, strict=True):
            write_json(recipe, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).", field="path") from None
    names = ", ".join(path.name for path in paths)
    saved = f"Saved {paths[0]}." if len(paths) == 1 else f"Saved {names} in {paths[0].parent}."
    use = f"On other stacks: blochnet run {shlex.quote(paths[0].name)} STACK… -o FOLDER"
    return " ".join([saved, *notes, *([use] if for_stacks else [])])


def _said_of(template: StackRecipe) -> list[str]:
    """Return what should be known of a recipe for other stacks, in sentences."""
    said = list(template.notes)
    if template.needs:
        said.append("Each stack needs a B1 map of its own: a table of stacks names them in a column b1.")
    return said


class CopyRow(QWidget):
    """Three buttons that hand out the records of the latest results."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._results: list[tuple[str, Record]] = []
        self.python = QPushButton("Copy as Python")
        self.command = QPushButton("Copy as command")
        self.recipe = QPushButton("Save recipe…")
        self.for_stacks = QCheckBox("Recipe for other stacks")
        self.for_stacks.setToolTip(
            "Save what was done to this stack for others, without the mask, slices or B1 map that are its own: "
            "'blochnet run' then maps any number of stacks, here or on a cluster."
        )
        self.said = QLabel()
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.said.setWordWrap(True)
        self.said.hide()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button in (self.python, self.command, self.recipe):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.for_stacks, alignment=Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self.said)
        self.python.clicked.connect(lambda: self._copy(as_python, "Python"))
        self.command.clicked.connect(lambda: self._copy(as_command, "Commands"))
        self.recipe.clicked.connect(self._save)
        self.show_results(())

    def show_record(self, record: Record) -> None:
        """Offer the record of one result from now on; an empty one: nothing."""
        self.show_results([("", record)] if record else ())

    def show_results(self, results: Sequence[tuple[str, Record]]) -> None:
        """Offer the records of these results from now on, each with what people call it."""
        if len(results) != len(self._results) or any(
            one is not other for (_, one), (_, other) in zip(results, self._results, strict=True)
        ):
            self.said.hide()
        self._results = [(title, record) for title, record in results if record]
        several = len(self._results) > 1
        names = f" ({', '.join(title for title, _ in self._results)})" if several else ""
        what = f"these results{names}" if several else "this result"
        self.python.setToolTip(f"Copy a script that makes {what} again.")
        self.command.setToolTip(f"Copy the shell commands that make {what} again.")
        self.recipe.setToolTip(
            f"Write files that 'blochnet run' replays, one for each of {what}."
            if several
            else "Write a file that 'blochnet run' replays."
        )
        self.for_stacks.setVisible(all(record.get("operation") in _OF_STACKS for _, record in self._results))
        self.setVisible(bool(self._results))

    def _copy(self, write: Callable[..., str], what: str) -> None:
        try:
            text = write(*(record for _, record in self._results))
        except InputError as error:
            self._say(str(error))
            return
        except KeyError as error:
            self._say(f"A step of this result was not recorded: {error}.")
            return
        names = ", ".join(title for title, _ in self._results if title)
        self._say(copied(text, f"{what} for {names}" if len(self._results) > 1 else what))

    def _save(self) -> None:
        try:
            wanted = self.for_stacks.isVisibleTo(self) and self.for_stacks.isChecked()
            said = save_recipes(self, self._results, for_stacks=wanted)
        except InputError as error:
            said = str(error)
        if said:
            self._say(said)

    def _say(self, text: str) -> None:
        self.said.setText(text)
        self.said.show()
