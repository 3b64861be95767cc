"""The inspector's three views beside each other: filled in, coloured and highlighted together."""

from __future__ import annotations

import functools

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSplitter

from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.napari_ui.inspector.curves import CurvesView
from napari_blochnet.napari_ui.inspector.numbers import VoxelTable
from napari_blochnet.napari_ui.inspector.plane import PlaneView
from napari_blochnet.napari_ui.widgets.appearance import Palette

__all__ = ["Views"]

# Below each other each has at least this height, pixels.
_LOWEST = 170
_NOTHING_KNOWN = "No T1 and T2 are known here yet: map these fingerprints in the Map tab."
# Beside each other plots are at least so wide.
_CURVES, _PLANE = 240, 170
_TABLE_WIDTH, _WIDEST = 540, 16_777_215


class Views(QSplitter):
    """Curves, T1–T2 plane and numbers of one voxel."""

    #: all that are visible have been painted since they were filled in
    painted = Signal()
    #: index of the explanation whose name was clicked
    named = Signal(int)

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
        # in place of an empty plane and an empty table
        self.nothing = QLabel(_NOTHING_KNOWN)
        self.nothing.setTextFormat(Qt.TextFormat.PlainText)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setWordWrap(True)
        self.nothing.setMinimumWidth(160)
        self.nothing.hide()
        self.addWidget(self.nothing)
        self.setStretchFactor(3, 2)
        self.table.named.connect(self.named)
        self.curves.setMinimumWidth(_CURVES)
        self.plane.setMinimumWidth(_PLANE)
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
            # curves say themselves how high they must be
            view.setMinimumHeight(_LOWEST if below_each_other and view is not self.curves else 0)
        self.table.is_beside = not below_each_other
        self.table.setMinimumWidth(0)
        # beyond this the names would only move away from their numbers
        self.table.setMaximumWidth(_WIDEST if below_each_other else _TABLE_WIDTH)

    def show_explanations(self, shown: Explanations | None, hidden: frozenset[int] = frozenset()) -> None:
        """Fill in curves and numbers of a voxel, or none; those whose slots are hidden are not drawn."""
        is_known = shown is None or bool(shown.items)
        for view in (self.plane, self.table):
            view.setVisible(is_known)
        self.nothing.setVisible(not is_known)
        self._unpainted = set() if shown is None else {name for name, view in self._views.items() if view.isVisible()}
        self.curves.show_explanations(shown, hidden)
        self.table.show_explanations(shown, hidden)

    def _on_painted(self, name: str) -> None:
        if name in self._unpainted:
            self._unpainted.discard(name)
            if not self._unpainted:
                self.painted.emit()

    def _highlight(self, number: int | None) -> None:
        for view in self._views.values():
            view.highlight(number)
