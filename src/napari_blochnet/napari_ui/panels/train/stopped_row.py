"""Trainings that were stopped, and the offer to go on with them."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_blochnet.estimators.training.stopped import StoppedTraining
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.panels.train.tasks import stopped_in_store
from napari_blochnet.napari_ui.widgets.parts import note
from napari_blochnet.napari_ui.widgets.rows import button, row_of

__all__ = ["StoppedRow"]


class StoppedRow(QWidget):
    """Lists trainings of the model store that were stopped; not there where there is none.

    Attributes
    ----------
    wanted : Signal
        The training that the person wants to go on with.
    """

    wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._found: tuple[StoppedTraining, ...] = ()
        self.caption = note("A training was stopped before its end:")
        self.choice = QComboBox()
        self.choice.setAccessibleName("Stopped trainings")
        self.choice.setToolTip("Trainings whose steps so far are saved in the model store.")
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.go_on = button("Go on", "Go on where it was stopped, with its own settings and schedule.")
        self.discard = button("Discard", "Remove what is saved of it; it cannot be gone on with any more.")
        filled(QVBoxLayout(self), self.caption, self.choice, row_of(self.go_on, self.discard), spacing=2)
        self.go_on.clicked.connect(lambda: self.wanted.emit(self._found[self.choice.currentIndex()]))
        self.discard.clicked.connect(self._discard)
        self.hide()

    def look(self, *, is_busy: bool) -> None:
        """Look which there are; none is offered while one is at work, whose checkpoint lies there, too."""
        self._found = () if is_busy else stopped_in_store()
        self.choice.clear()
        self.choice.addItems([training.describe() for training in self._found])
        self.setVisible(bool(self._found))

    def _discard(self) -> None:
        self._found[self.choice.currentIndex()].path.unlink(missing_ok=True)
        self.look(is_busy=False)
