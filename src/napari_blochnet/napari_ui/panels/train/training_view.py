"""What is seen of a training: how far it is, its loss curves, and its scores beside the Cramér–Rao bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHeaderView, QVBoxLayout, QWidget

from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.panels.amounts import duration
from napari_blochnet.napari_ui.panels.train.loss_view import LossPlot
from napari_blochnet.napari_ui.widgets.number_table import ROW_HEIGHT, NumberTable
from napari_blochnet.napari_ui.widgets.parts import note

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.panels.train.tasks import Points

__all__ = ["TissueScores", "TrainingView"]

_COLUMNS = (
    ("Tissue", "Simulated tissue, and which of its times."),
    ("Bias / ms", "Mean of estimate − truth."),
    ("RMSE / ms", "Root mean square of estimate − truth."),
    ("Bound / ms", "The smallest standard deviation that the noise allows an unbiased estimate (Cramér–Rao)."),
    ("× bound", "1 is the physical limit of this schedule; biased estimates may fall below it."),
)


class TissueScores(NumberTable):
    """Errors of a network in brain tissue under its own schedule, beside the Cramér–Rao bound."""

    def __init__(self) -> None:
        super().__init__(
            "Scores in brain tissue",
            "Errors in simulated white matter, grey matter and CSF, beside the Cramér–Rao bound.",
            _COLUMNS,
        )
        self.head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.head.setMinimumSectionSize(40)

    def show_scores(self, scores: Mapping[str, Any]) -> None:
        """Show what `napari_blochnet.estimators.training.scores.tissue_scores` found."""
        rows = [(name, value) for name, value in scores.items() if isinstance(value, Mapping)]
        self.setRowCount(len(rows))
        for i, (name, value) in enumerate(rows):
            bias = f"{value['bias']:+z.1f}"
            cells = (bias, f"{value['rmse']:.1f}", f"{value['bound']:.1f}", f"{value['ratio']:.2f}")
            for j, text in enumerate((name, *cells)):
                self.write(i, j, text, _COLUMNS[j][1])
        self.setFixedHeight(self.head.sizeHint().height() + ROW_HEIGHT * len(rows) + 4)


class TrainingView(QWidget):
    """Shows one training after the other, or adaptations."""

    def __init__(self) -> None:
        super().__init__()
        self._epochs, self._steps = 1, 0
        self.time_left, self.plot, self.scores, self.caption = note(), LossPlot(), TissueScores(), note()
        self.plot.hide()
        self.scores.hide()
        filled(QVBoxLayout(self), self.time_left, self.plot, self.scores, self.caption, spacing=8)

    def begin(self, epochs: int) -> None:
        """Show a training that has just begun."""
        self._epochs, self._steps = epochs, 0
        self.scores.hide()
        self.caption.clear()
        self.plot.show_points((), 0, epochs)
        self.plot.show()

    def note_steps(self, _done: int, total: int, message: str) -> None:
        """Learn from a job's progress how many steps there will be."""
        if message.startswith(("training", "adapting")) and total > 1:
            self._steps = total

    def show_losses(self, points: Points) -> None:
        """Draw the losses so far, and say how long the rest will take."""
        self.plot.show_points(points, self._steps / self._epochs, self._epochs)
        last = points[-1]
        if self._steps and 0 < last.step < self._steps:
            left = last.seconds * (self._steps - last.step) / last.step
            epoch = min(self._epochs, last.epoch + 1)
            self.time_left.setText(f"Epoch {epoch:,} of {self._epochs:,}, about {duration(left)} left.")

    def show_scores(self, scores: Mapping[str, Any]) -> None:
        """Show how the network scores, if that is known."""
        self.scores.setVisible(bool(scores))
        if scores:
            self.scores.show_scores(scores)
            self.caption.setText(
                f"{scores['voxels']:,} simulated voxels a tissue, complex, at SNR {scores['snr']:g}, "
                "beside the Cramér–Rao bound at that noise."
            )
