"""Which voxels of a stack: the slice in view, all, what is painted, or what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.state import places
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.laid_masks import LaidMask
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.choices import OpenChoice

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["PartChoice", "slice_mask"]

_SLICE, _ALL, _REGION, _SHAPE = "this slice", "the whole volume", "a painted region", "a drawn shape"


def slice_mask(stack: FingerprintStack, z: int) -> BoolArray:
    """Return the mask of one slice."""
    mask = np.zeros(stack.shape[1:], dtype=bool)
    mask[z] = True
    return mask


def _may_hold(layer: Layer) -> bool:
    """Whether a layer's labels or shapes are somebody's region; a phantom's tissues are, once one of them is shown."""
    entry = entry_of(layer)
    if entry is not None and entry.role == "mask":
        return False
    return entry is None or entry.kind == "region" or (isinstance(layer, Labels) and layer.show_selected_label)


class PartChoice(QWidget):
    """A choice of part; for a region or a shape also of the layer that holds it, and a button that makes one.

    Parameters
    ----------
    session : Session
    """

    #: the person chose something else
    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._stack: FingerprintStack | None = None
        #: how the region that was asked for last came onto the stack's grid, where that is worth knowing
        self.note = ""
        self.part = QComboBox()
        self.part.addItems([_SLICE, _ALL, _REGION, _SHAPE])
        self.part.setToolTip("Which voxels; 'this slice' is the one that the viewer shows.")
        self.part.setAccessibleName("Part")
        self.region = OpenChoice(
            self._regions, called="Region", newest=True,
            tooltip="The layer whose painted voxels, or whose closed shapes, are mapped; with 'show selected' ticked "
                    "in the layer controls, the selected label alone, of a phantom's tissues too.",
        )  # fmt: skip
        self.make = QPushButton()
        row = filled(QHBoxLayout(), self.region.native, self.make)
        row.setStretch(0, 1)
        filled(QVBoxLayout(self), self.part, row, spacing=4)
        self.part.currentIndexChanged.connect(self._on_part)
        self.region.changed.connect(lambda: self.changed.emit())
        self.make.clicked.connect(self._make)
        self._laid = LaidMask(session, self)
        self._laid.edited.connect(self._on_edit)
        self._update()

    def set_stack(self, stack: FingerprintStack | None) -> None:
        """Choose voxels of another stack."""
        self._stack = stack
        self._update()

    @property
    def _holds(self) -> type[Layer] | None:
        """The kind of layer that holds the chosen part; None: no layer does."""
        return {_REGION: Labels, _SHAPE: Shapes}.get(self.part.currentText())

    def _on_edit(self) -> None:
        if self.isVisible() and self._holds is not None:
            self.changed.emit()

    def hide_held(self) -> None:
        """Take the region or the shapes that are the part from above maps to come."""
        held = self.region.value if self._holds is not None else None
        if held is not None and held.visible:
            held.visible = False

    def _on_part(self, _index: int = 0) -> None:
        self._update()
        self.changed.emit()

    def _update(self) -> None:
        holds = self._holds
        for widget in (self.region.native, self.make):
            widget.setVisible(holds is not None)
        self.make.setText("Draw…" if holds is Shapes else "Paint…")
        self.make.setToolTip("Add a shapes layer on the stack's grid, to draw ellipses, rectangles or polygons."
                             if holds is Shapes else
                             "Add an empty region on the stack's grid and take the brush.")  # fmt: skip
        with self.region.changed.blocked():
            self.region.reset_choices()

    def _regions(self) -> list[tuple[str, Layer]]:
        """Return the layers that could hold the part."""
        viewer, holds = self._session.viewer, self._holds
        if viewer is None or holds is None:
            return []
        return [(layer.name, layer) for layer in viewer.layers if isinstance(layer, holds) and _may_hold(layer)]

    def _make(self) -> None:
        if self._stack is not None:
            add: Any = layers.add_drawing if self._holds is Shapes else layers.add_region
            add(self._session, self._stack)
            self.region.reset_choices()
            self.region.value = self.region.choices[-1]

    def voxels(self) -> BoolArray | None:
        """Return the chosen voxels; None for all of them. Sets `note`.

        Raises
        ------
        InputError
            The viewer shows no slice of the stack; nothing is painted or drawn on it.
        """
        self.note = ""
        stack, holds = self._stack, self._holds
        if stack is None or self.part.currentText() == _ALL:
            return None
        if holds is not None:
            region = self.region.value
            if region is None:
                raise InputError("No shape is drawn; click Draw and draw one." if holds is Shapes else
                                 "No region is painted; click Paint and paint one.", field="mask")  # fmt: skip
            shown = self._session.layers("stack", stack)
            if not shown:
                raise InputError(f"The layer of {stack.name} is gone; choose other fingerprints.", field="stack")
            mask, self.note = self._laid.of(region, shown[-1])
            return mask
        here = places.current_slice(self._session, stack)
        if here is None:
            raise InputError(f"The viewer shows no slice of {stack.name}; move the z slider, or choose the whole "
                             "volume.", field="mask")  # fmt: skip
        return slice_mask(stack, here)
