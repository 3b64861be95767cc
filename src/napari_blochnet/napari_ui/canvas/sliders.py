"""napari's sliders: one of an axis that nothing on the canvas has is hidden, such as time while only maps show.

Time points and coefficients share an axis. napari's slider runs over the longest of all layers, seen or not, under the
name that the newest gives it: it is made to run over what is seen, under the name of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_blochnet.napari_ui.canvas.layer_data import COMPONENT
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.looking_again import LooksAgain
from napari_blochnet.napari_ui.state.session import Session

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Sliders", "runs_over_time"]


def runs_over_time(viewer: Viewer) -> bool:
    """Whether there is a slider of time points, and none of coefficients in its place."""
    return bool(viewer.dims.ndim >= 4 and viewer.dims.axis_labels[-4] != COMPONENT)


class Sliders(LooksAgain):
    """Hides and shows one viewer's sliders.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        # what the first axis is now, and where each kind of it was left
        self._kind: str | None = None
        self._left: dict[str, float] = {}
        viewer = session.viewer
        if viewer is None:
            return
        # napari shows them again at all of these
        events = viewer.dims.events
        for event in (events.ndim, events.range, events.order, events.ndisplay, events.axis_labels):
            event.connect(self._look_again)

    def update(self) -> None:
        """Hide sliders of axes that no visible layer has, show them again once one has, and fit the first."""
        viewer = self._session.viewer
        if viewer is None:
            return
        self._fit_first(viewer)
        dims, sliders = viewer.dims, viewer.window._qt_viewer.dims
        visible = [layer for layer in viewer.layers if layer.visible]
        most = max((layer.ndim for layer in visible), default=dims.ndim)
        wanted = [
            axis not in dims.displayed and dims.nsteps[axis] > 1 and axis >= dims.ndim - most
            for axis in range(dims.ndim)
        ]
        # napari does so for labels that are typed, not for those of layers, and cuts the longer of two
        sliders._resize_axis_labels()
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

    def _fit_first(self, viewer: Viewer) -> None:
        """Let the slider of time points or coefficients run over those that are seen, from where they were left."""
        dims = viewer.dims
        axis = dims.ndim - 4
        having = [layer for layer in viewer.layers if layer.ndim == dims.ndim]
        seen = [layer for layer in having if layer.visible] or having
        ours = [layer for layer in seen if entry_of(layer) is not None]
        if axis < 0 or not ours:
            return
        active = viewer.layers.selection.active
        kind = (active if active in ours else ours[-1]).axis_labels[axis]
        extent, here = viewer.layers.get_extent(seen), dims.point[axis]
        low, high = float(extent.world[0][axis]), float(extent.world[1][axis])
        if kind != self._kind:
            if self._kind is not None:
                self._left[self._kind] = here
            self._kind, here = kind, self._left.get(kind, here)
        if tuple(dims.range[axis])[:2] != (low, high):
            dims.set_range(axis, (low, high, float(extent.step[axis])))
        point = here if low <= here <= high else low
        if point != dims.point[axis]:
            dims.set_point(axis, point)
        # what somebody has typed stays
        if dims.axis_labels[axis] != kind and dims.axis_labels[axis] in {layer.axis_labels[axis] for layer in having}:
            dims.set_axis_label(axis, kind)
