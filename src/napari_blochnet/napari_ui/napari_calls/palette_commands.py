"""The steps of the main job as commands: whoever knows their names works without the mouse.

Each opens the workbench at the tab it belongs to and presses the button there, so that a command does what the button
does, with the values that stand there, and says in the panel why it cannot.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

# napari hands a command what its annotations name, and looks the names up here
from napari.viewer import Viewer, current_viewer
from qtpy.QtWidgets import QPushButton

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import brainweb_phantom
from napari_blochnet.napari_ui.canvas.layer_data import LayerData
from napari_blochnet.napari_ui.napari_calls.commands import open_workbench
from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari
from napari_blochnet.napari_ui.saving.copying import copied, recorded_layer, save_recipes
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.places import voxel_under
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.napari_ui.widgets.docks import INSPECTOR, open_dock

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_blochnet.napari_ui.panels.data.compress_fold import CompressFold
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = [
    "compare_maps",
    "compress_fingerprints",
    "copy_command",
    "copy_python",
    "expand_coefficients",
    "figure_of_maps",
    "figure_of_voxel",
    "map_slice",
    "open_brainweb",
    "open_fingerprints",
    "open_phantom",
    "open_sample",
    "pin_voxel",
    "save_fingerprints",
    "save_maps",
    "save_recipe",
    "simulate_fingerprints",
    "train_network",
]


def _press(panel: Panel, button: QPushButton, missing: str) -> None:
    panel.update_session()
    if button.isEnabled():
        button.setFocus()
        button.click()
    elif panel.is_busy:
        panel.jobs.refuse()
    else:
        panel.jobs.say(missing, "error")


def open_sample(viewer: Viewer) -> None:
    """Open the noisy fingerprints of a head slice, with their truth."""
    open_workbench(viewer, "Data").data.open_sample("noisy-fingerprints")


def open_brainweb() -> list[LayerData]:
    """Ask which of BrainWeb's subjects to download, and return its layers.

    Raises
    ------
    Cancelled
        Nobody wanted one: napari takes no sample without layers.
    """
    viewer = current_viewer()
    settings = None if viewer is None else open_workbench(viewer, "Data").data.choose_brainweb()
    if settings is None:
        raise Cancelled("No BrainWeb subject was opened.")
    read = functools.partial(brainweb_phantom, settings)
    return open_for_napari(f"BrainWeb {settings.subject}", read, is_sample=True)


def open_phantom(viewer: Viewer) -> None:
    """Choose the folder of a phantom and open it."""
    data = open_workbench(viewer, "Data").data
    if data.begin():
        data.phantom_path.choose_folder()


def open_fingerprints(viewer: Viewer) -> None:
    """Choose a fingerprint stack and open it."""
    data = open_workbench(viewer, "Data").data
    if data.begin():
        data.stack_path.choose_files()


def compress_fingerprints(viewer: Viewer) -> None:
    """Unfold what makes coefficients of the selected fingerprints, or of those that were opened last."""
    fold = _compress_fold(viewer)
    if fold is not None:
        fold.run.setFocus()


def expand_coefficients(viewer: Viewer) -> None:
    """Make whole fingerprints of the selected coefficients, or of those that were opened last."""
    fold = _compress_fold(viewer)
    if fold is not None:
        fold.expand()


def _compress_fold(viewer: Viewer) -> CompressFold | None:
    data = open_workbench(viewer, "Data").data
    # napari hands commands a proxy, whose layers are proxies too; layers are told by identity
    plain = session_of(viewer).viewer
    active = None if plain is None else plain.layers.selection.active
    entry = None if active is None else entry_of(active)
    if data.compressing.choose(None if entry is None else entry.stack):
        return data.compressing
    if data.begin():
        data.jobs.say("Nothing to compress or expand: open or simulate fingerprints first.", "error")
    return None


def simulate_fingerprints(viewer: Viewer) -> None:
    """Simulate the fingerprints of the phantom in the Simulate tab."""
    panel = open_workbench(viewer, "Simulate").simulate
    _press(panel, panel.run, "Nothing to simulate: open a phantom in the Data tab, and choose a schedule.")


def map_slice(viewer: Viewer) -> None:
    """Map the slice that the viewer shows, with the estimators ticked in the Map tab."""
    panel = open_workbench(viewer, "Map").map
    panel.part.setCurrentIndex(0)
    _press(panel, panel.run, "Nothing to map: open or simulate fingerprints first, and tick an estimator.")


def compare_maps(viewer: Viewer) -> None:
    """Compare the maps with the truth."""
    panel = open_workbench(viewer, "Compare").compare
    _press(panel, panel.run, "Nothing to compare: it takes a phantom, and maps on its grid.")


def train_network(viewer: Viewer) -> None:
    """Train a network for the schedule in the Train tab."""
    panel = open_workbench(viewer, "Train").train
    _press(panel, panel.run, "Nothing to train for: choose a schedule in the Schedule tab.")


def pin_voxel(viewer: Viewer) -> None:
    """Pin the voxel under the mouse in the voxel inspector."""
    session = session_of(viewer)
    open_dock(viewer, INSPECTOR)
    voxel = voxel_under(session, viewer.cursor.position)
    if voxel is not None:
        session.add_pin(voxel)
    else:
        viewer.status = "There is no fingerprint under the mouse: move it over a stack or its maps."


def save_maps(viewer: Viewer) -> None:
    """Save the maps of the latest result, or those of the selected layers where these belong to another."""
    panel = open_workbench(viewer, "Map").map
    session = session_of(viewer)
    selected = [id(entry.subject) for layer in viewer.layers.selection if (entry := entry_of(layer)) is not None]
    latest = session.latest_maps()
    others = [entry for entry in session.entries("maps") if id(entry.subject) in selected and entry not in latest]
    if others and not panel.is_busy:
        panel.save.save_as(others)
    else:
        _press(panel, panel.save, "Nothing to save: map fingerprints first.")


def save_fingerprints(viewer: Viewer) -> None:
    """Save the stack that was simulated last."""
    panel = open_workbench(viewer, "Simulate").simulate
    _press(panel, panel.save, "Nothing to save: simulate fingerprints first.")


def figure_of_maps(viewer: Viewer) -> None:
    """Draw the maps in a grid for a paper."""
    panel = open_workbench(viewer, "Compare").compare
    panel.update_session()
    missing = "Nothing to draw: map fingerprints first, or open maps."
    if panel.paper.isVisibleTo(panel):
        _press(panel, panel.paper, missing)
    else:
        panel.jobs.say(missing, "error")


def figure_of_voxel(viewer: Viewer) -> None:
    """Draw the voxel in the inspector for a paper."""
    panel = open_dock(viewer, INSPECTOR)
    _press(panel, panel.figure_button, "Nothing to draw: click a voxel first.")


def copy_python(viewer: Viewer) -> None:
    """Copy a script that makes the selected result again."""
    _hand_out(viewer, lambda name, record: copied(as_python(record), f"Python for {name}"))


def copy_command(viewer: Viewer) -> None:
    """Copy the shell commands that make the selected result again."""
    _hand_out(viewer, lambda name, record: copied(as_command(record), f"Commands for {name}"))


def save_recipe(viewer: Viewer) -> None:
    """Save the recipe of the selected result."""
    _hand_out(viewer, lambda name, record: save_recipes(session_of(viewer).window(), [(name, record)]))


def _hand_out(viewer: Viewer, give: Callable[[str, dict[str, Any]], str]) -> None:
    """Give the name and the record of the selected result, and say what became of it."""
    layer, record = recorded_layer(viewer)
    said = "No layer here was made by BlochNet."
    if layer is not None:
        try:
            said = give(layer.name, record)
        except (InputError, KeyError) as error:
            said = str(error)
    if said:
        viewer.status = said
