"""The name of a new model: a free one is proposed, and what is written is checked."""

from __future__ import annotations

import re

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.networks.cards import SUFFIX, stored_models, user_folder
from napari_blochnet.estimators.registry import estimator_names
from napari_blochnet.estimators.training.stopped import CHECKPOINT
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.napari_ui.forms.layouts import filled

__all__ = ["NameRow", "check_name", "free_name"]


def _taken() -> set[str]:
    """Return the names of all estimators, in small letters."""
    return {*estimator_names(), *(model.name for model in stored_models())}


def free_name(start: str) -> str:
    """Return a name for a new model that none in the store has."""
    base = re.sub(r"[^a-z0-9.]+", "-", start.lower()).strip("-.") or "model"
    taken = {name.lower() for name in _taken()} | {path.stem.lower() for path in user_folder().glob(f"*{CHECKPOINT}")}
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def check_name(name: str) -> str:
    """Return the name of a new model.

    Raises
    ------
    InputError
        A name that is no file name on every system, or is taken.
    """
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+()-]{0,98}[A-Za-z0-9_+)-])?", name):
        raise InputError(
            f"The name is {name!r}; expected letters, digits, spaces and . _ + ( ) -, at most 100.", field="name"
        )
    if name.lower() in {taken.lower() for taken in _taken()} or name.lower().endswith(SUFFIX):
        raise InputError(f"There is an estimator called {name} already; expected another name.", field="name")
    if (user_folder() / f"{name}{CHECKPOINT}").exists():
        raise InputError(
            f"A training of {name} was stopped and is kept", "another name, or Go on or Discard below", field="name"
        )
    files = [user_folder() / f"{name}{ending}" for ending in (SUFFIX, ".json", ".training")]
    check_outputs(files, instead="another name", field="name")
    return name


class NameRow(QWidget):
    """The name of a new model; a free one is proposed until the person writes another."""

    def __init__(self) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.setToolTip("What the model is called in Map's list and in the model store.")
        self.line.setAccessibleName("Name of the new model")
        self.error = QLabel()
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setObjectName("blochnetError")
        self.error.setWordWrap(True)
        self.error.hide()
        self._is_own = False
        filled(QVBoxLayout(self), self.line, self.error, spacing=1)
        self.line.textEdited.connect(self._on_edited)

    def _on_edited(self, text: str) -> None:
        self._is_own = bool(text)
        self.error.hide()

    def propose(self, start: str) -> None:
        """Propose a name, unless the person wrote one."""
        if not self._is_own:
            self.line.setText(free_name(start))

    def settle(self) -> None:
        """Forget the person's name: a model has it now."""
        self._is_own = False

    def show_error(self, sentence: str) -> None:
        """Write a sentence below the name."""
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))
