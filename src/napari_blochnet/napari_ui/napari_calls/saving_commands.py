"""Saving results by the command palette and the Layers menu."""

from __future__ import annotations

# napari hands a command what its annotations name, and looks the names up here
from napari.viewer import Viewer

from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.napari_calls.commands import open_workbench
from napari_blochnet.napari_ui.saving.copying import recorded_layer, save_recipes
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.session import session_of

__all__ = ["save_fingerprints", "save_maps", "save_recipe"]


def save_maps(viewer: Viewer) -> None:
    """Save the maps of the latest result, or those of the selected layers where these belong to another."""
    panel = open_workbench(viewer, "Map").map
    panel.update_session()
    session = session_of(viewer)
    selected = [entry_of(layer) for layer in viewer.layers.selection]
    chosen = [
        entry
        for entry in session.entries("maps")
        if any(known is not None and known.subject is entry.subject for known in selected)
    ]
    latest = session.latest_maps()
    others = [entry for entry in chosen if all(entry.subject is not known.subject for known in latest)]
    if panel.is_busy:
        panel.jobs.refuse()
    elif others:
        panel.save.save_as(others)
    elif panel.save.isEnabled():
        panel.save.click()
    else:
        panel.jobs.say("Nothing to save: map fingerprints first.", "error")


def save_fingerprints(viewer: Viewer) -> None:
    """Save the stack that was simulated last."""
    panel = open_workbench(viewer, "Simulate").simulate
    panel.update_session()
    if panel.is_busy:
        panel.jobs.refuse()
    elif panel.save.isEnabled():
        panel.save.click()
    else:
        panel.jobs.say("Nothing to save: simulate fingerprints first.", "error")


def save_recipe(viewer: Viewer) -> None:
    """Save the recipe of the selected result."""
    layer, record = recorded_layer(viewer)
    if layer is None:
        viewer.status = "No layer here was made by BlochNet."
        return
    try:
        said = save_recipes(session_of(viewer).window(), [(layer.name, record)])
    except InputError as error:
        said = str(error)
    if said:
        viewer.status = said
