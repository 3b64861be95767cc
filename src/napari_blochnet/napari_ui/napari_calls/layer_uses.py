"""Use this layer as…: what the selected layer of napari, of whatever plugin, may be to BlochNet.

The commands stand in Layers ▸ Data, and in the menu of a right click on a layer, as `layer_menu` puts them there.
"""

from __future__ import annotations

from napari.layers import Image, Labels, Layer, Shapes

# napari hands a command what its annotations name, and looks the names up here
from napari.viewer import Viewer

from napari_blochnet.napari_ui.napari_calls.commands import open_workbench
from napari_blochnet.napari_ui.panels.data.maps_dialog import MapsDialog
from napari_blochnet.napari_ui.state.session import session_of

__all__ = [
    "use_as_b1_map",
    "use_as_fingerprints",
    "use_as_maps",
    "use_as_mask",
    "use_as_truth",
]


def _selected(viewer: Viewer, kinds: tuple[type[Layer], ...], what: str) -> Layer | None:
    """Return the selected layer where it is of some kinds; else say what is expected."""
    # napari hands commands a proxy, whose layers are proxies too; layers are told by identity
    plain = session_of(viewer).viewer
    layer = None if plain is None else plain.layers.selection.active
    if isinstance(layer, kinds):
        return layer
    data = open_workbench(viewer, "Data").data
    if data.begin():
        named = "No layer is selected" if layer is None else f"{layer.name} is no such layer"
        data.jobs.say(f"{named}; select {what} in the layer list.", "error")
    return None


def use_as_fingerprints(viewer: Viewer) -> None:
    """Take the selected layer as fingerprints, with the schedule that is known or asked for."""
    layer = _selected(viewer, (Image,), "one image layer with time and space")
    if layer is not None:
        open_workbench(viewer, "Data").data.use_layer(layer)


def use_as_mask(viewer: Viewer) -> None:
    """Map only voxels inside the selected layer."""
    layer = _selected(viewer, (Image, Labels, Shapes), "one labels, shapes or image layer")
    if layer is None:
        return
    panel = open_workbench(viewer, "Map").map
    panel.update_session()
    if panel.stack.value is None:
        panel.jobs.say("There are no fingerprints yet that it could be the mask of: open some first.", "error")
    elif not panel.masking.choose(layer):
        panel.jobs.say(f"{layer.name} cannot be a mask; expected a painted or drawn layer, or an image.", "error")


def use_as_b1_map(viewer: Viewer) -> None:
    """Hold the transmit field fixed to the selected layer in maps to come."""
    layer = _selected(viewer, (Image,), "one image layer")
    if layer is None:
        return
    panel = open_workbench(viewer, "Map").map
    panel.update_session()
    if panel.stack.value is None:
        panel.jobs.say("There are no fingerprints yet that it could be the B1 map of: open some first.", "error")
    elif panel.b1.choose(layer):
        panel.jobs.say(f"{layer.name} is the B1 map of the maps to come.")
    else:
        panel.jobs.say(f"{layer.name} cannot be a B1 map; expected an image (z, y, x) that is not BlochNet's.", "error")


def use_as_truth(viewer: Viewer) -> None:
    """Take the selected layer and another as true T1 and T2."""
    _open_maps_dialog(viewer, as_truth=True)


def use_as_maps(viewer: Viewer) -> None:
    """Take the selected layer and another as T1 and T2 maps to compare."""
    _open_maps_dialog(viewer, as_truth=False)


def _open_maps_dialog(viewer: Viewer, *, as_truth: bool) -> None:
    layer = _selected(viewer, (Image,), "the image layer of T1 or T2")
    if layer is not None:
        MapsDialog(open_workbench(viewer, "Data").data, layer, as_truth=as_truth).open()
