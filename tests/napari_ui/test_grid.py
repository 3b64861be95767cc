"""Several models beside each other: what stands in which cell of the grid."""

from __future__ import annotations

from napari_blochnet.jobs.operations import synthetic_head
from napari_blochnet.napari_ui import layers
from napari_blochnet.napari_ui.session import entry_of


def _cells(viewer) -> list[list[tuple[str, str]]]:
    """Return (role, model) of the visible layers by rows of the grid."""
    rows, columns = viewer.canvas.grid.shape
    # napari fills the cells with the layers, the lowest first; hidden layers above take cells after these
    shown = [entry_of(layer) for layer in viewer.layers if layer.visible and entry_of(layer) is not None]
    names = [(entry.role, entry.subject.estimator if entry.kind == "maps" else "truth") for entry in shown]
    return [names[row * columns : (row + 1) * columns] for row in range(rows)]


def test_each_estimate_of_three_models_stands_above_its_error(desk):
    place = desk()
    layers.add_phantom(place.session, synthetic_head(shape=(1, 24, 20)))
    simulate = place.turn_to("Simulate")
    place.run(simulate, simulate.run)
    tab = place.turn_to("Map")
    tab.form.set_values({"step": 0.1})
    models = ["dictionary", "universal", "fc"]
    tab.estimators.tick(models)
    place.run(tab, tab.run)
    for name in ("T1", "T2"):
        if name == "T2":
            # the person asks for the other quantity
            place.click(place.workbench.view_bar.buttons["T2"])
            place.qtbot.waitUntil(
                lambda: any(role == "T2 error" for row in _cells(place.viewer) for role, _ in row), timeout=10_000
            )
            place.qtbot.wait(500)
        above, below = _cells(place.viewer)
        assert [model for _, model in above] == [*models, "truth"]
        assert above == [(name, model) for model in (*models, "truth")]
        assert below == [(f"{name} error", model) for model in models]
    assert tuple(place.viewer.canvas.grid.shape) == (2, 4)
