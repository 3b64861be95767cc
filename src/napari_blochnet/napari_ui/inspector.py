"""The voxel inspector: one voxel's fingerprint, what each model makes of it, and what is left over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDockWidget,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMainWindow,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.arrays import AnyArray, FloatArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui import layers, places
from napari_blochnet.napari_ui.appearance import style_plot
from napari_blochnet.napari_ui.plots import pg
from napari_blochnet.napari_ui.session import Voxel, entry_of
from napari_blochnet.napari_ui.widgets import Panel
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.progress import CancelEvent, ProgressCallback

if TYPE_CHECKING:
    from napari import Viewer

    from napari_blochnet.physics.decoder import EPGDecoder

__all__ = ["Explanation", "Explanations", "VoxelInspector", "explain"]

# The curves of a plot are told apart to a fraction of a line's width.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Explanation:
    """What one model, or the truth, says of a voxel.

    Parameters
    ----------
    name : str
    t1, t2 : float
        ms.
    pd : float
        Relative.
    phase : float
        Degrees.
    is_truth : bool
    """

    name: str
    t1: float
    t2: float
    pd: float
    phase: float = 0.0
    is_truth: bool = False


@dataclass(frozen=True)
class Explanations:
    """A voxel's fingerprint and its explanations, as they are drawn.

    Parameters
    ----------
    voxel : Voxel
    quantity : str
        What is drawn: the magnitude, or the real part in the frame of the voxel's phase.
    measured : array of shape (time,)
    curves : array of shape (explanation, time)
        The signal of each explanation.
    misfit : array of shape (explanation,)
        ‖x − ŝ‖/‖x‖ of the whole fingerprint.
    items : tuple of Explanation
    """

    voxel: Voxel
    quantity: str
    measured: FloatArray
    curves: FloatArray
    misfit: FloatArray
    items: tuple[Explanation, ...]


def explain(decoder: EPGDecoder, voxel: Voxel, items: tuple[Explanation, ...]) -> Explanations:
    """Simulate what the explanations of a voxel predict.

    Parameters
    ----------
    decoder : EPGDecoder
        For the stack's schedule.
    voxel : Voxel
    items : tuple of Explanation
        With T1 and T2 above 0.

    Returns
    -------
    Explanations
    """
    z, y, x = voxel.index
    measured = np.asarray(voxel.stack.data[:, z, y, x])
    measured = measured.astype(np.complex128 if measured.dtype.kind == "c" else np.float64)
    signals = np.empty((0, len(measured)))
    if items:
        pds = np.array([item.pd * np.exp(1j * np.radians(item.phase)) for item in items])
        signals = decoder.signal([item.t1 for item in items], [item.t2 for item in items]) * pds[:, None]
    if voxel.stack.kind == "magnitude":
        signals = np.abs(signals)
    elif voxel.stack.kind == "real":
        signals = np.real(signals)
    norm = np.linalg.norm(measured)
    misfit = np.linalg.norm(measured - signals, axis=1) / norm if norm > 0 else np.full(len(items), np.nan)
    quantity, measured, signals = _drawn(voxel.stack, measured, signals)
    return Explanations(voxel, quantity, measured, signals, misfit, items)


def _drawn(stack: FingerprintStack, measured: AnyArray, signals: AnyArray) -> tuple[str, FloatArray, FloatArray]:
    """Return what can be drawn as one line: complex signals as the real part in the voxel's own frame."""
    if stack.kind != "complex":
        name = "magnitude" if stack.kind == "magnitude" else "real samples"
        return name, np.real(measured), np.real(signals)
    if not stack.schedule.is_real:
        return "magnitude", np.abs(measured), np.abs(signals)
    # on the real path all samples lie on one line through 0: half the angle of Σs² is its direction
    turn = np.exp(-0.5j * np.angle(np.sum(measured**2)))
    likely = signals[0] if len(signals) else measured
    if np.real(np.sum(likely * turn)) < 0:
        turn = -turn
    return "real part, the voxel's phase taken out", np.real(measured * turn), np.real(signals * turn)


class _Question:
    """Everything the worker needs to answer for one voxel; made on the main thread."""

    def __init__(self, voxel: Voxel, items: tuple[Explanation, ...], decoders: dict[str, Any]) -> None:
        self._voxel, self._items, self._decoders = voxel, items, decoders

    def __call__(self, *, progress: ProgressCallback, cancelled: CancelEvent) -> Explanations:
        from napari_blochnet.physics.decoder import EPGDecoder

        schedule = self._voxel.stack.schedule
        if schedule.digest not in self._decoders:
            self._decoders[schedule.digest] = EPGDecoder(schedule, tolerance=_TOLERANCE)
        return explain(self._decoders[schedule.digest], self._voxel, self._items)


class VoxelInspector(Panel):
    """Click a voxel: its fingerprint, the re-simulated ones, the residuals, the numbers."""

    title = "Voxel inspector"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._decoders: dict[str, Any] = {}
        self._waiting: Voxel | None = None
        # napari notes every dock's area as soon as it has one, so this tells whether there was one before
        known = get_settings().application.plugin_widget_positions
        self._was_placed = any(name.startswith(self.title) for name in known)
        self.shown: Explanations | None = None
        self.tool = QCheckBox("Click picks a voxel")
        self.tool.setToolTip("While it is on, a click in the viewer pins the voxel under the cursor.")
        self.tool.setChecked(True)
        self.place = QLabel("Click a voxel of a fingerprint stack or of its maps.")
        self.place.setWordWrap(True)
        self.table = QTableWidget(0, 7)
        self.table.setHorizontalHeaderLabels(["", "T1 (ms)", "error", "T2 (ms)", "error", "PD", "misfit"])
        for column, tip in ((2, "(estimate − truth)/truth of T1"), (4, "(estimate − truth)/truth of T2"),
                            (6, "‖x − ŝ‖/‖x‖ of the whole fingerprint")):  # fmt: skip
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        numbers_width = 400

        self.plots = pg.GraphicsLayoutWidget()
        self.plots.ci.setContentsMargins(0, 4, 8, 0)
        self.plots.ci.setSpacing(2)
        self._signal: pg.PlotItem = self.plots.addPlot(row=0, col=0)
        self._residual: pg.PlotItem = self.plots.addPlot(row=1, col=0)
        self._residual.setXLink(self._signal)
        self._signal.getAxis("bottom").setStyle(showValues=False)
        self.plots.ci.layout.setRowStretchFactor(0, 5)
        self.plots.ci.layout.setRowStretchFactor(1, 3)
        for plot in (self._signal, self._residual):
            plot.getAxis("left").setWidth(58)
        self._legend = self._signal.addLegend(offset=(-8, -4), colCount=4)
        self._now = [pg.InfiniteLine(angle=90), pg.InfiniteLine(angle=90)]
        self._signal.addItem(self._now[0], ignoreBounds=True)
        self._residual.addItem(self._now[1], ignoreBounds=True)
        self._curves: list[tuple[pg.PlotItem, pg.PlotDataItem]] = []

        numbers = QWidget()
        column = QVBoxLayout(numbers)
        column.setContentsMargins(6, 4, 6, 4)
        top = QHBoxLayout()
        top.addWidget(self.tool)
        top.addStretch(1)
        column.addLayout(top)
        column.addWidget(self.place)
        column.addWidget(self.table, 1)
        column.addWidget(self.jobs)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.plots)
        split.addWidget(numbers)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 0)
        split.setSizes([3 * numbers_width, numbers_width])
        self.body.setContentsMargins(2, 2, 2, 2)
        self.body.addWidget(split)
        self.setMinimumHeight(150)
        self.session.pinned.connect(self._on_pinned)

    def sizeHint(self) -> Any:  # noqa: N802
        hint = super().sizeHint()
        hint.setHeight(250)
        return hint

    def apply_theme(self) -> None:
        super().apply_theme()
        colours = self.colours
        self.plots.setBackground(colours.background)
        style_plot(self._signal, colours, left="signal (a.u.)")
        style_plot(self._residual, colours, left="residual", bottom="TR index")
        self._legend.setLabelTextColor(colours.text)
        for line in self._now:
            line.setPen(pg.mkPen(colours.faint, width=1))
        if self.shown is not None:
            self._draw(self.shown)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        if not self._was_placed:
            self._was_placed = True
            # napari docks every plugin on the right; curves want width. Not while Qt is still laying the dock out.
            QTimer.singleShot(0, self._dock_below)

    def _dock_below(self) -> None:
        """Move to the bottom; afterwards napari remembers where the person puts it."""
        dock = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        window = None if dock is None else dock.parent()
        if isinstance(window, QMainWindow):
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            window.resizeDocks([dock], [260], Qt.Orientation.Vertical)

    def attach(self, viewer: Viewer) -> None:
        viewer.mouse_drag_callbacks.append(self._on_mouse)
        viewer.dims.events.current_step.connect(self._on_step)

    def detach(self, viewer: Viewer) -> None:
        if self._on_mouse in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_mouse)
        viewer.dims.events.current_step.disconnect(self._on_step)

    def update_session(self) -> None:
        voxel = self.session.voxel
        if voxel is not None and self.shown is not None and self._items(voxel) != self.shown.items:
            self._ask(voxel)

    # -- pointing

    def _on_mouse(self, viewer: Viewer, event: Any) -> Iterator[None]:
        """Pin the voxel under a click; a drag pans as always."""
        if not self.tool.isChecked() or event.button != 1 or event.modifiers:
            return
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved:
            self.pick(tuple(event.position))

    def pick(self, position: tuple[float, ...]) -> None:
        """Pin the voxel at a world position, in the stack that is shown there."""
        viewer = self.session.viewer
        if viewer is None:
            return
        if viewer.dims.ndisplay == 3:
            self.place.setText("Switch the viewer to 2D to point at a voxel.")
            return
        ours = [layer for layer in reversed(list(viewer.layers)) if entry_of(layer) is not None]
        for layer in [layer for layer in ours if layer.visible] + ours:
            stack = entry_of(layer).stack
            if stack is None or not self.session.layers("stack", stack):
                continue
            index = places.voxel_at(self.session.layers("stack", stack)[-1], position, len(position))
            if index is not None:
                self.session.pin(Voxel(stack, index))
                return
        self.place.setText("There is no fingerprint here: open or simulate a stack, and click inside it.")

    def _on_pinned(self, voxel: Voxel | None) -> None:
        layers.mark_voxel(self.session, voxel)
        if voxel is None:
            self.shown = None
            self._clear()
            self.place.setText("Click a voxel of a fingerprint stack or of its maps.")
        else:
            self._ask(voxel)

    # -- asking

    def _items(self, voxel: Voxel) -> tuple[Explanation, ...]:
        """Return what the truth and the maps say of the voxel."""
        found: list[Explanation] = []
        entry = self.session.entry(voxel.stack)
        truths = [entry.truth] if entry is not None and entry.truth is not None else []
        entries = [known for known in self.session.entries("maps") if known.stack is voxel.stack]
        truths += [known.truth for known in entries if known.truth is not None]
        if truths:
            found += _explanation("truth", truths[0], voxel.index, truth=True)
        for known in entries:
            found += _explanation(known.title, known.subject, voxel.index)
        return tuple(found)

    def _ask(self, voxel: Voxel) -> None:
        if self.is_busy:
            self._waiting = voxel
            return
        self._waiting = None
        job = self.session.start("Explaining the voxel", _Question(voxel, self._items(voxel), self._decoders))
        self.jobs.job = job
        job.returned.connect(self._show)
        job.failed.connect(self.show_failure)
        job.ended.connect(self._ask_again)
        job.start()

    def _ask_again(self) -> None:
        if self._waiting is not None:
            self._ask(self._waiting)

    # -- showing

    def _clear(self) -> None:
        for plot, curve in self._curves:
            plot.removeItem(curve)
        self._curves = []
        self._legend.clear()
        self.table.setRowCount(0)

    def _show(self, shown: Explanations) -> None:
        if self._waiting is None and self.session.voxel is not None:
            self.shown = shown
            self.jobs.say("")
            self._draw(shown)

    def _draw(self, shown: Explanations) -> None:
        self._clear()
        colours = self.colours
        z, y, x = shown.voxel.index
        stack = shown.voxel.stack
        outside = "" if stack.mask[shown.voxel.index] else ", outside the mask"
        self.place.setText(f"Voxel z {z}, y {y}, x {x} of {stack.name}{outside}; drawn: {shown.quantity}.")
        index = np.arange(1, len(shown.measured) + 1)
        # broad and faint below the thin lines of the models, so that both are seen where they agree
        broad = pg.mkColor(colours.measured)
        broad.setAlpha(120)
        self._plot(self._signal, index, shown.measured, pg.mkPen(broad, width=3.5), "measured")
        models = iter(colours.traces)
        for item, curve in zip(shown.items, shown.curves, strict=True):
            if item.is_truth:
                pen = pg.mkPen(colours.good, width=1.4, style=Qt.PenStyle.DashLine)
                self._plot(self._signal, index, curve, pen, item.name)
                continue
            pen = pg.mkPen(next(models, colours.traces[-1]), width=1.2)
            self._plot(self._signal, index, curve, pen, item.name)
            self._plot(self._residual, index, shown.measured - curve, pg.mkPen(pen.color(), width=1), None)
        self._signal.setXRange(1, len(index), padding=0.01)
        self._on_step()
        self._fill_table(shown)

    def _plot(self, plot: pg.PlotItem, x: FloatArray, y: FloatArray, pen: Any, name: str | None) -> None:
        self._curves.append((plot, plot.plot(x, y, pen=pen, name=name)))

    def _fill_table(self, shown: Explanations) -> None:
        truth = next((item for item in shown.items if item.is_truth), None)
        self.table.setRowCount(len(shown.items))
        for row, (item, misfit) in enumerate(zip(shown.items, shown.misfit, strict=True)):
            texts = [item.name, f"{item.t1:.0f}" if item.t1 >= 100 else f"{item.t1:.1f}", "",
                     f"{item.t2:.0f}" if item.t2 >= 100 else f"{item.t2:.1f}", "", f"{item.pd:.3g}",
                     f"{100 * misfit:.1f} %"]  # fmt: skip
            if truth is not None and not item.is_truth:
                texts[2] = f"{100 * (item.t1 / truth.t1 - 1):+.1f} %"
                texts[4] = f"{100 * (item.t2 / truth.t2 - 1):+.1f} %"
            for column, text in enumerate(texts):
                cell = QTableWidgetItem(text)
                if column:
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, cell)

    def _on_step(self, event: Any = None) -> None:
        """Mark the TR that the viewer's slider stands at."""
        viewer = self.session.viewer
        visible = viewer is not None and viewer.dims.ndim == 4
        for line in self._now:
            line.setVisible(visible)
            if visible:
                line.setValue(viewer.dims.point[0] + 1)


def _explanation(
    name: str, source: Phantom | ParameterMaps, index: tuple[int, int, int], *, truth: bool = False
) -> list[Explanation]:
    """Return what maps say of a voxel; nothing where they have no value."""
    if not source.mask[index] or not (source.t1[index] > 0 and source.t2[index] > 0):
        return []
    phase = getattr(source, "phase", None)
    return [Explanation(name, float(source.t1[index]), float(source.t2[index]), float(source.pd[index]),
                        0.0 if phase is None else float(phase[index]), truth)]  # fmt: skip
