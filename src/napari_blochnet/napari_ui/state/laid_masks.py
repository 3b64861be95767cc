"""What other layers hold as masks of our stacks: laid onto their grid once, and again when a layer is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal
from superqt.utils import qdebounced

from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.state.places import mask_of_region
from napari_blochnet.napari_ui.state.world import affine_in_mm

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_blochnet.common.arrays import BoolArray
    from napari_blochnet.napari_ui.state.session import Session

__all__ = ["REST", "LaidMask", "edits_of"]

#: A stroke of the brush is many events; what follows from it follows when the hand rests for this long, ms.
REST = 150
# Layers do not name the events of all the ways in which they can be edited alike: brush, undo, data set from outside.
_EDITS = ("paint", "labels_update", "data", "features", "selected_label", "show_selected_label")
# And where it lies.
_MOVES = ("units", "scale", "translate", "rotate", "shear", "affine")


def edits_of(layer: Layer | None) -> list[Any]:
    """Return what a layer emits when it is edited or moved; `set_data`, which comes with every slice too, is apart."""
    found = [] if layer is None else [getattr(layer.events, name, None) for name in (*_EDITS, *_MOVES)]
    return [emitter for emitter in found if emitter is not None]


class LaidMask(QObject):
    """The voxels of one layer on the grid of another, kept as long as neither is edited or moved.

    Laying a volume of millions of voxels takes the better part of a second, and panels ask at every slice.

    Parameters
    ----------
    session : Session
    parent : QObject
    """

    #: the layer that was asked for last was edited
    edited = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._layer: Layer | None = None
        self._key: object = None
        self._found: tuple[BoolArray, str] | InputError | None = None
        self._seen: object = None
        self._tell_later = qdebounced(self.edited.emit, timeout=REST, parent=self)

    def follow(self, layer: Layer | None) -> None:
        """Listen to the edits of another layer."""
        if layer is self._layer:
            return
        for emitter in edits_of(self._layer):
            emitter.disconnect(self._forget)
        if self._layer is not None:
            self._layer.events.set_data.disconnect(self._on_data)
        self._layer, self._found = layer, None
        for emitter in edits_of(layer):
            emitter.connect(self._forget)
        if layer is not None:
            layer.events.set_data.connect(self._on_data)
        self._seen = self._view()

    def of(self, layer: Layer, target: Layer) -> tuple[BoolArray, str]:
        """Return what `mask_of_region` does.

        Raises
        ------
        InputError
            As there.
        """
        self.follow(layer)
        label = (layer.show_selected_label, layer.selected_label) if isinstance(layer, Labels) else None
        key = (id(target), target.data.shape, affine_in_mm(target).tobytes(), layer.name, label)
        if self._found is None or key != self._key:
            self._key = key
            try:
                self._found = mask_of_region(layer, target)
            except InputError as error:
                self._found = error
        if isinstance(self._found, InputError):
            raise self._found
        return self._found

    def _view(self) -> object:
        viewer = self._session.viewer
        return None if viewer is None else (viewer.dims.current_step, viewer.dims.order, viewer.dims.ndisplay)

    def _on_data(self, event: Any = None) -> None:
        """Tell a layer's data, refreshed by whoever changed them in place, from another slice of the same."""
        view = self._view()
        if view == self._seen:
            self._forget()
        self._seen = view

    def _forget(self, event: Any = None) -> None:
        self._found = None
        self._tell_later()
