"""Scenes of the workbench on the sample fingerprints, for pictures and for tests of what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from napari_blochnet.napari_ui.event_loop import turn_until

TABS = ("Data", "Schedule", "Simulate", "Map", "Compare", "Train")


def open_window(size: tuple[int, int], theme: str = "dark") -> tuple[Any, Any]:
    """Return a viewer and its workbench."""
    import napari

    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(*size)
    _, workbench = viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")
    assert turn_until(lambda: workbench.data.session.schedule is not None, 60.0, settle=0.5)
    return viewer, workbench


def run(workbench: Any, name: str, press: Callable[[Any], Any]) -> None:
    """Turn to a tab and press a button of it; wait until all is drawn."""
    panel = getattr(workbench, name.lower())
    workbench.tabs.setCurrentWidget(panel)
    turn_until(lambda: True, 1.0, settle=0.3)
    press(panel).click()
    assert turn_until(lambda: not panel.is_busy, 600.0, settle=0.5), panel.jobs.message.text()


def scenes(viewer: Any, workbench: Any) -> Iterator[str]:
    """Go through the main job on the sample, and stop at every tab and at the inspector."""
    run(workbench, "Data", lambda panel: panel.sample_buttons["noisy-fingerprints"])
    for name in ("Data", "Schedule", "Simulate"):
        workbench.tabs.setCurrentWidget(getattr(workbench, name.lower()))
        turn_until(lambda: True, 1.0, settle=0.4)
        yield name
    workbench.map.estimators.tick(["dictionary", "universal"])
    workbench.map.form.set_values({"step": 0.05})
    run(workbench, "Map", lambda panel: panel.run)
    yield "Map"
    run(workbench, "Compare", lambda panel: panel.run)
    yield "Compare"
    workbench.tabs.setCurrentWidget(workbench.train)
    turn_until(lambda: True, 1.0, settle=0.5)
    yield "Train"
    workbench.tabs.setCurrentWidget(workbench.map)
    _, inspector = viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    turn_until(lambda: True, 1.0, settle=0.8)
    stack = workbench.data.session.layers("stack")[-1]
    shape = stack.data.shape
    inspector.pick(tuple(stack.data_to_world((0, 0, shape[2] // 2, shape[3] // 2))))
    turn_until(lambda: inspector.shown is not None, 60.0, settle=1.0)
    yield "Inspector"
