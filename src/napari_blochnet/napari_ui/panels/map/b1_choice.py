"""The layer that holds the transmit field, for maps that are refined."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Layer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.canvas.layer_sources import volume_layers
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.state.drawn_regions import lay_volume
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import give_mm
from napari_blochnet.napari_ui.widgets.choices import OpenChoice

__all__ = ["B1Choice"]


class B1Choice(QWidget):
    """A choice among image layers that may be a B1 map; seen where maps are refined and there is one.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._is_refined = False
        self.choice = OpenChoice(
            lambda: [(layer.name, layer) for layer in volume_layers(session)],
            "none, or the file under More options",
            called="B1 map",
            nullable=True,
            tooltip="An image layer with the transmit field, 1 (or 100) where nominal; it is held fixed.",
        )
        self.choice.changed.connect(lambda layer: None if layer is None else give_mm(layer))
        filled(QHBoxLayout(self), QLabel("B1 map"), self.choice.native, spacing=8).setStretch(1, 1)
        self.offer(False)

    def offer(self, is_refined: bool) -> None:
        """Look again at what is open, and whether maps are refined."""
        self._is_refined = is_refined
        self.choice.reset_choices()
        self.setVisible(is_refined and len(self.choice.choices) > 1)

    def choose(self, layer: Layer) -> bool:
        """Choose a layer; return whether it is offered."""
        self.offer(self._is_refined)
        is_offered = any(layer is known for known in self.choice.choices)
        if is_offered:
            self.choice.value = layer
        return is_offered

    def reading(self, stack: FingerprintStack) -> Callable[[], AnyArray] | None:
        """Return what reads the field onto a stack's grid, on any thread; None where no layer is chosen.

        It raises an `InputError` for a layer that lies elsewhere, or whose units are no lengths.
        """
        layer, shown = self.choice.value, self._session.layers("stack", stack)
        if layer is None or not shown:
            return None
        return lambda: lay_volume(layer, shown[-1], nearest=False, zero_is_empty=True)[0]
