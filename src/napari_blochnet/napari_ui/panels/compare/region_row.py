"""The layer whose regions are compared, made at a click, and a line that names the one in hand."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.state import drawn_regions as regions
from napari_blochnet.napari_ui.state.laid_masks import edits_of
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.choices import OpenChoice
from napari_blochnet.napari_ui.widgets.rows import button

__all__ = ["RegionRow"]


class RegionRow(QWidget):
    """A choice of region layers, buttons that make one, and the name of the region that is painted or drawn.

    Parameters
    ----------
    session : Session
    """

    #: a person gave the region in hand another name
    named = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.layer = OpenChoice(
            lambda: [(layer.name, layer) for layer in regions.region_layers(session)],
            "none",
            nullable=True,
            called="Layer with regions",
            tooltip="A Labels layer (each label is a region) or a Shapes layer (each closed shape is one).",
        )
        self.paint = button("Paint…", "Add an empty Labels layer on the maps' grid and take the brush.")
        self.draw = button("Draw…", "Add a Shapes layer on the maps' grid and take the ellipse.")
        #: of the region in hand
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the region")
        self.name.setToolTip("What tables, plots and files call the region that is painted or drawn; Enter names it.")
        self.name.hide()
        row = filled(QHBoxLayout(), self.layer.native, self.paint, self.draw, spacing=4)
        row.setStretch(0, 1)
        filled(QVBoxLayout(self), row, self.name, spacing=4)
        self._followed: Layer | None = None
        self._region: regions.RegionInHand | None = None
        self.name.editingFinished.connect(self._on_name)

    def let_make(self, can: bool) -> None:
        """Offer to make a layer, or not."""
        self.paint.setEnabled(can)
        self.draw.setEnabled(can)

    def follow(self, layer: Layer | None) -> None:
        """Name the regions of another layer; None: of none."""
        # what was begun belongs to the last
        self._on_name()
        for emitter in _tells_of_hand(self._followed):
            emitter.disconnect(self._show)
        self._followed = layer
        for emitter in _tells_of_hand(layer):
            emitter.connect(self._show)
        self._show()

    def _show(self, event: Any = None) -> None:
        # what somebody is typing is meant for the region that it was begun for
        if self.name.isModified():
            return
        self._region = regions.region_in_hand(self._followed)
        self.name.setVisible(self._region is not None)
        if self._region is not None:
            self.name.setPlaceholderText(f"Name {self._region.usual} here")
            if self.name.text() != self._region.name:
                self.name.setText(self._region.name)

    def _on_name(self) -> None:
        layer, region = self._followed, self._region
        if layer is None or region is None or not self.name.isModified():
            return
        self.name.setModified(False)
        if self.name.text().strip() != region.name:
            regions.name_in_hand(layer, region, self.name.text())
            self.named.emit()
        self._show()


def _tells_of_hand(layer: Layer | None) -> list[Any]:
    """Return what a layer emits when another region is in hand, or it has another name."""
    selected = [layer.selected_data.events.items_changed] if isinstance(layer, Shapes) else []
    return [*edits_of(layer), *selected]
