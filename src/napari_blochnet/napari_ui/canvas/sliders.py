"""napari's sliders: one of an axis that nothing on the canvas has is hidden, such as time while only maps show."""

from __future__ import annotations

from napari_blochnet.napari_ui.state.looking_again import LooksAgain
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["Sliders"]


class Sliders(LooksAgain):
    """Hides and shows one viewer's sliders.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        viewer = session.viewer
        if viewer is None:
            return
        # napari shows them again at all of these
        for event in (viewer.dims.events.ndim, viewer.dims.events.range, viewer.dims.events.order):
            event.connect(self._look_again)
        viewer.dims.events.ndisplay.connect(self._look_again)

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
