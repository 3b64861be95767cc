"""The inspector's three views beside each other: filled in, coloured and highlighted together."""

from __future__ import annotations

import functools

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSplitter

from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.napari_ui.inspector.curves import CurvesView
from napari_blochnet.napari_ui.inspector.numbers import VoxelTable
from napari_blochnet.napari_ui.inspector.plane import PlaneView
from napari_blochnet.napari_ui.widgets.appearance import Palette

__all__ = ["Views"]

# Below each other each has at least this height, pixels.
_LOWEST = 170
_TABLE_WIDTH, _WIDEST = 540, 16_777_215


class Views(QSplitter):
    """Curves, T1–T2 plane and numbers of one voxel."""

    #: all that are visible have been painted since they were filled in
    painted = Signal()

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.curves, self.plane, self.table = CurvesView(), PlaneView(), VoxelTable()
        self._views: dict[str, CurvesView | PlaneView | VoxelTable]
        self._views = {"curves": self.curves, "plane": self.plane, "table": self.table}
        self._unpainted: set[str] = set()
        for name, source in (("curves", self.curves.plots), ("plane", self.plane.plots), ("table", self.table)):
            source.painted.connect(functools.partial(self._on_painted, name), Qt.ConnectionType.QueuedConnection)
        for index, (view, stretch) in enumerate(zip(self._views.values(), (5, 2, 1), strict=True)):
            view.hovered.connect(self._highlight)
            self.addWidget(view)
            self.setStretchFactor(index, stretch)
        self.setChildrenCollapsible(False)
        self.setSizes([460, 280, 480])

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        for view in self._views.values():
            view.apply_theme(colours)

    def stand(self, *, below_each_other: bool) -> None:
        """Stand beside or below each other."""
        self.setOrientation(Qt.Orientation.Vertical if below_each_other else Qt.Orientation.Horizontal)
        for view in self._views.values():
            view.setMinimumHeight(_LOWEST if below_each_other else 0)
        # beyond this the names would only move away from their numbers
        self.table.setMaximumWidth(_WIDEST if below_each_other else _TABLE_WIDTH)

    def show_explanations(self, shown: Explanations | None) -> None:
        """Fill in curves and numbers of a voxel, or none."""
        self._unpainted = set() if shown is None else {name for name, view in self._views.items() if view.isVisible()}
        self.curves.show_explanations(shown)
        self.table.show_explanations(shown)

    def _on_painted(self, name: str) -> None:
        if name in self._unpainted:
            self._unpainted.discard(name)
            if not self._unpainted:
                self.painted.emit()

    def _highlight(self, number: int | None) -> None:
        for view in self._views.values():
            view.highlight(number)
