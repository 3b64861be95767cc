"""napari's sliders: one of an axis that nothing on the canvas has is hidden, such as time while only maps show."""

from __future__ import annotations

import contextlib
from typing import Any

from qtpy.QtCore import QObject
from superqt.utils import qdebounced

from napari_blochnet.napari_ui.state.session import Session

__all__ = ["Sliders"]


class Sliders(QObject):
    """Hides and shows one viewer's sliders.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        # napari shows them again at many events; this comes after, and once for what happens together
        self._later = qdebounced(self.update, timeout=60, parent=self)
        viewer = session.viewer
        if viewer is None:
            return
        for event in (viewer.dims.events.ndim, viewer.dims.events.range, viewer.dims.events.order):
            event.connect(self._look_again)
        viewer.dims.events.ndisplay.connect(self._look_again)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._look_again)
        for layer in viewer.layers:
            layer.events.visible.connect(self._look_again)

    def _on_inserted(self, event: Any) -> None:
        event.value.events.visible.connect(self._look_again)
        self._later()

    def _look_again(self, _event: object = None) -> None:
        with contextlib.suppress(RuntimeError):  # the last events of a viewer that is being deleted
            self._later()

    def update(self) -> None:
        """Hide sliders of axes that no visible layer has, and show them again once one has."""
        viewer = self._session.viewer
        if viewer is None:
            return
        dims, sliders = viewer.dims, viewer.window._qt_viewer.dims
        visible = [layer for layer in viewer.layers if layer.visible]
        most = max((layer.ndim for layer in visible), default=dims.ndim)
        wanted = [
            axis not in dims.displayed and dims.nsteps[axis] > 1 and axis >= dims.ndim - most
            for axis in range(dims.ndim)
        ]
        if wanted == list(sliders._displayed_sliders) or len(wanted) != sliders.nsliders:
            return
        last = dims.last_used
        for axis, (widget, is_wanted) in enumerate(zip(sliders.slider_widgets, wanted, strict=True)):
            sliders._displayed_sliders[axis] = is_wanted
            widget.setVisible(is_wanted)
        sliders.setMinimumHeight(sum(wanted) * sliders.SLIDERHEIGHT)
        sliders._resize_axis_labels()
        # the arrow keys move along an axis that can be seen
        if any(wanted) and not wanted[last]:
            dims.last_used = wanted.index(True)
