"""Which voxels of a stack are worth mapping: those above a threshold of the signal, of a file, or of a layer."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider
from superqt.utils import qthrottled

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.thresholds import OTSU, otsu_threshold, signal_level, threshold_mask
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import signal_limits
from napari_blochnet.napari_ui.canvas.layer_sources import volume_layers
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.text_lines import PathEdit
from napari_blochnet.napari_ui.state.drawn_regions import is_region
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.laid_masks import LaidMask
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import give_mm
from napari_blochnet.napari_ui.widgets.choices import OpenChoice

__all__ = ["MaskChoice"]

_ALL, _THRESHOLD, _FILE = "all voxels with signal", "above a threshold (Otsu's)", "a file…"
_FILES = "Masks (*.nii *.nii.gz *.npy *.npz *.mat *.h5);;All files (*)"


class MaskChoice(QWidget):
    """A choice of mask, with its threshold's slider or its file, and a button that makes a layer to paint on.

    Parameters
    ----------
    session : Session
    measure : callable
        Called with a function of no argument but ``progress`` and ``cancelled``, and what to call with its result on
        the main thread: computes in the background. Returns whether it may.
    """

    #: other voxels are chosen
    changed = Signal()

    def __init__(self, session: Session, measure: Callable[[Callable[..., Any], Callable[[Any], None]], bool]) -> None:
        super().__init__()
        self._session, self._measure = session, measure
        self._stack: FingerprintStack | None = None
        # Otsu's threshold of each stack that was looked at
        self._otsu: weakref.WeakKeyDictionary[FingerprintStack, float] = weakref.WeakKeyDictionary()
        self._asked: FingerprintStack | None = None
        self._shown: Layer | None = None
        self._limited: Any = None
        #: how the mask came onto the stack's grid, where that is worth knowing
        self.note = ""
        self.choice = OpenChoice(
            self._offered, called="Mask",
            tooltip="Which voxels hold an object. By default all that have signal, background of a plain stack too; "
                    "a threshold, a file, or a layer that is painted, drawn or computed leaves that out.",
        )  # fmt: skip
        self.paint = QPushButton("Paint…")
        self.paint.setToolTip("Add an empty region on the stack's grid, take the brush, and map what is painted.")
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip(
            "Voxels whose signal (root mean square over time, in units of the data) lies above this."
        )
        self.slider.setAccessibleName("Threshold of the signal")
        for part in self.slider.findChildren(QWidget):
            part.setToolTip(self.slider.toolTip())
            part.setAccessibleName(self.slider.accessibleName())
        self.slider.setDecimals(3)
        self.otsu = QPushButton("Otsu")
        self.otsu.setToolTip("Go back to Otsu's threshold, which parts signal from background best.")
        self.file = PathEdit(_FILES, optional=True)
        for part in (self.file.native, *self.file.native.findChildren(QWidget)):
            part.setToolTip("The mask's file: what is not 0 in it is mapped; NIfTI lies as its affine says.")
            part.setAccessibleName("File of the mask")
        self._threshold_row = QWidget()
        filled(QHBoxLayout(self._threshold_row), self.slider, self.otsu, spacing=6).setStretch(0, 1)
        row = filled(QHBoxLayout(), self.choice.native, self.paint)
        row.setStretch(0, 1)
        filled(QVBoxLayout(self), row, self._threshold_row, self.file.native, spacing=4)
        self._preview_later = qthrottled(self._preview, timeout=60, parent=self)
        self.choice.changed.connect(self._on_choice)
        self.paint.clicked.connect(self._paint)
        self.slider.valueChanged.connect(self._on_slider)
        self.otsu.clicked.connect(self._to_otsu)
        self.file.changed.connect(lambda _: self.changed.emit())
        self._laid = LaidMask(session, self)
        self._laid.edited.connect(self._on_edit)
        self._show_rows()

    # -- what there is

    def _offered(self) -> list[tuple[str, Any]]:
        viewer = self._session.viewer
        drawn = [layer for layer in (viewer.layers if viewer is not None else ()) if _may_be_mask(layer)]
        found = [*drawn, *volume_layers(self._session)]
        return [(_ALL, _ALL), (_THRESHOLD, _THRESHOLD), (_FILE, _FILE), *((layer.name, layer) for layer in found)]

    def set_stack(self, stack: FingerprintStack | None) -> None:
        """Choose voxels of another stack, from all of them."""
        is_other = stack is not self._stack
        self._stack = stack
        self.choice.reset_choices()
        self.setEnabled(stack is not None)
        if is_other and self.choice.value != _ALL:
            self.choice.value = _ALL
        elif is_other:
            self._on_choice()

    def choose(self, layer: Layer) -> bool:
        """Take a layer as mask; return whether it is offered."""
        self.choice.reset_choices()
        is_offered = any(layer is known for known in self.choice.choices)
        if is_offered:
            self.choice.value = layer
        return is_offered

    def _show_rows(self) -> None:
        is_known = self._stack is not None and self._stack in self._otsu
        self._threshold_row.setVisible(self.choice.value == _THRESHOLD and is_known)
        self.file.native.setVisible(self.choice.value == _FILE)

    def _on_edit(self) -> None:
        if self.isVisible():
            self._update_shown()
            self.changed.emit()

    def _on_choice(self, _value: Any = None) -> None:
        stack = self._stack
        if self.choice.value == _THRESHOLD and stack is not None and stack not in self._otsu:
            self._ask_level(stack)
        elif self.choice.value == _THRESHOLD:
            self._to_otsu()
        layer = self.choice.value if isinstance(self.choice.value, Layer) else None
        if layer is not None:
            give_mm(layer)
        self._laid.follow(layer)
        self._show_rows()
        self._update_shown()
        self.changed.emit()

    # -- the threshold

    def _ask_level(self, stack: FingerprintStack) -> None:
        """Look at the samples in the background; the slider comes with its threshold."""

        def look(**watched: Any) -> float:
            from napari_blochnet.common.progress import Watch

            return otsu_threshold(stack, watch=Watch(**watched))

        self._asked = stack
        if not self._measure(look, self._on_level):
            self._asked = None

    def ask_again(self) -> None:
        """Look at the samples now, where a job was in the way when a threshold was chosen."""
        stack = self._stack
        if self.choice.value == _THRESHOLD and stack is not None and stack not in self._otsu and self._asked is None:
            self._ask_level(stack)

    def _on_level(self, threshold: float) -> None:
        stack, self._asked = self._asked, None
        if stack is None or stack is not self._stack:
            return
        self._otsu[stack] = threshold
        self._on_choice()

    def _to_otsu(self) -> None:
        stack = self._stack
        if stack is None or stack not in self._otsu:
            return
        threshold = self._otsu[stack]
        high = max(float(np.percentile(signal_level(stack), 99.8)), 2 * threshold)
        self.slider.blockSignals(True)
        self.slider.setDecimals(max(0, 3 - int(np.floor(np.log10(high)))))
        self.slider.setRange(0.0, high)
        self.slider.setValue(threshold)
        self.slider.blockSignals(False)
        self._on_slider()

    def _on_slider(self, _value: float = 0.0) -> None:
        self._preview_later()
        self.changed.emit()

    @property
    def threshold(self) -> float | None:
        """The slider's threshold; None where Otsu's or none is chosen."""
        if self.choice.value != _THRESHOLD or self._stack is None or self._stack not in self._otsu:
            return None
        value, otsu = float(self.slider.value()), self._otsu[self._stack]
        return None if abs(value - otsu) <= 10.0 ** -self.slider.decimals() else value

    # -- what is chosen

    def settings(self) -> dict[str, Any]:
        """Return the fields of `ReconstructSettings` that say the same; a layer is no setting, and goes as an array."""
        chosen = self.choice.value
        if chosen == _THRESHOLD:
            return {"mask": OTSU if self.threshold is None else None, "threshold": self.threshold}
        return {"mask": self.file.value if chosen == _FILE else None, "threshold": None}

    def voxels(self) -> BoolArray | None:
        """Return the voxels of a threshold or a layer; None where all are, or a file says which. Sets `note`.

        Raises
        ------
        InputError
            Nothing lies above the threshold, or is painted on the stack.
        """
        self.note = ""
        stack, chosen = self._stack, self.choice.value
        if stack is None or chosen in (None, _ALL, _FILE):
            return None
        if chosen == _THRESHOLD:
            if stack not in self._otsu:
                return None
            threshold = self._otsu[stack] if self.threshold is None else self.threshold
            return stack.mask & threshold_mask(stack, threshold)
        shown = self._session.layers("stack", stack)
        if not shown:
            raise InputError(f"The layer of {stack.name} is gone; choose other fingerprints.", field="stack")
        mask, self.note = self._laid.of(chosen, shown[-1])
        return mask

    # -- what is seen of it

    def _preview(self) -> None:
        """Show the outline of what lies above the threshold, and the colours of what lies inside."""
        stack = self._stack
        if self.choice.value != _THRESHOLD or stack is None or stack not in self._otsu:
            return
        try:
            inside = self.voxels()
        except InputError:
            inside = np.zeros(stack.shape[1:], bool)
        assert inside is not None
        if self._shown is None or self._session.viewer is None or self._shown not in self._session.viewer.layers:
            self._shown = layers.add_outline(self._session, stack)
        if self._shown is not None:
            self._shown.data = inside.astype(np.uint8)
            self._shown.visible = True
        self._limit_colours(inside)

    def hide_outline(self) -> None:
        """Take the outline, or the layer that is the mask, from above maps to come; painting needs it back."""
        chosen = self.choice.value
        for layer in (self._shown, chosen if isinstance(chosen, (Labels, Shapes)) else None):
            # the tissues of a phantom, or a layer that somebody hid
            if layer is not None and layer.visible:
                layer.visible = False

    def _update_shown(self) -> None:
        """Take the outline away where there is no threshold; let the colours be those of what lies inside."""
        viewer = self._session.viewer
        if self.choice.value != _THRESHOLD and self._shown is not None:
            gone, self._shown = self._shown, None
            if viewer is not None and gone in viewer.layers:
                viewer.layers.remove(gone)
        if self._stack is None or self.choice.value == _THRESHOLD:
            return
        try:
            inside = self.voxels()
        except InputError:
            return
        self._limit_colours(inside)

    def _limit_colours(self, inside: BoolArray | None) -> None:
        """Give the stack's layer limits from inside the mask; where nobody has chosen one they stay as they are."""
        stack = self._stack
        if stack is None or (inside is None and self._limited is not stack):
            return
        limits = signal_limits(stack, stack.mask if inside is None else stack.mask & inside)
        self._limited = None if inside is None else stack
        for layer in self._session.layers("stack", stack, "signal"):
            if isinstance(layer, Image) and tuple(layer.contrast_limits) != limits:
                layer.contrast_limits_range = layer.contrast_limits = limits

    def _paint(self) -> None:
        if self._stack is not None:
            made = layers.add_region(self._session, self._stack)
            if made is not None:
                self.choose(made)


def _may_be_mask(layer: Layer) -> bool:
    entry = entry_of(layer)
    return is_region(layer) and (entry is None or entry.kind == "region")
