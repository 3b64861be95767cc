"""Scenes that tests and pictures share: one session, worked by its own widgets, in the state each tab is about."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QScrollArea
from scipy.ndimage import distance_transform_edt

from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import showing as canvas

if TYPE_CHECKING:
    from conftest import Desk

__all__ = ["PANELS", "Stage"]

ESTIMATORS = ("dictionary", "universal", "fc")
# A training that ends within seconds and whose curve still looks like one.
SHORT_TRAINING = {
    "fingerprints": 4000,
    "epochs": 40,
    "batch": 200,
    "t1_range": (300.0, 4500.0),
    "t2_range": (20.0, 1000.0),
}


class Stage:
    """A viewer with a head slice, its fingerprints under FISP, maps of three estimators, and what follows from them.

    Every part is made once, when a scene first needs it; ``show`` sets the canvas and the tab.

    Parameters
    ----------
    desk : Desk
        A viewer with the workbench, and hands to work it.
    snr : float
        Of the simulated stack.
    """

    def __init__(self, desk: Desk, snr: float = 30.0) -> None:
        self.desk, self.viewer, self.session, self.snr = desk, desk.viewer, desk.session, snr
        self.inspector: Any = None
        self._inspector_dock: Any = None
        self._made: set[str] = set()

    def _once(self, name: str, make: Callable[[], None]) -> None:
        if name not in self._made:
            self._made.add(name)
            make()

    # -- what there is

    def stack(self) -> None:
        """Open the head slice and simulate it under FISP."""
        self._once("stack", self._simulate)

    def _simulate(self) -> None:
        data = self.desk.turn_to("Data")
        self.desk.run(data, data.sample_buttons["head-slice"])
        simulate = self.desk.turn_to("Simulate")
        simulate.form.set_values({"snr": self.snr, "seed": 1})
        self.desk.run(simulate, simulate.run)

    def maps(self) -> None:
        """Map the slice with three estimators."""
        self.stack()
        self._once("maps", self._map)

    def _map(self) -> None:
        mapping = self.desk.turn_to("Map")
        mapping.estimators.tick(ESTIMATORS)
        said = self.desk.run(mapping, mapping.run, timeout=300_000)
        assert said.startswith("Mapped"), said

    def comparison(self) -> None:
        """Compare the maps with the head, and paint a region into white matter and one into grey matter."""
        self.maps()
        self._once("comparison", self._compare)

    def _compare(self) -> None:
        compare = self.desk.turn_to("Compare")
        self.desk.run(compare, compare.run)
        self.desk.click(compare.regions.paint)
        region = self.viewer.layers.selection.active
        region.brush_size = 5
        for label, tissue in enumerate(("white matter", "grey matter"), start=1):
            region.selected_label = label
            self._click(self.voxels(tissue)[0])
        self.desk.qtbot.waitUntil(
            lambda: compare.regions.means is not None and len(compare.regions.means.regions) == 2, timeout=5000
        )
        region.mode = "pan_zoom"

    def models(self) -> None:
        """Compare the models with the first of them; the head only says where the tissues are."""
        self.comparison()
        compare = self.desk.turn_to("Compare")
        maps = [entry.subject for entry in self.session.entries("maps")]
        if self.session.compared.reference is not maps[0]:
            compare.reference.value = maps[0]
            compare.reference.native.activated.emit(compare.reference.native.currentIndex())
            self.desk.run(compare, compare.run)

    def training(self) -> None:
        """Train a network for the schedule."""
        self.stack()
        self._once("training", self._train)

    def _train(self) -> None:
        train = self.desk.turn_to("Train")
        train.form.set_values(SHORT_TRAINING)
        said = self.desk.run(train, train.run, timeout=300_000)
        assert "was made in" in said, said

    def stopped(self) -> None:
        """Begin to train a network, and stop."""
        self.stack()
        self._once("stopped", self._stop)

    def _stop(self) -> None:
        train = self.desk.turn_to("Train")
        train.form.set_values({**SHORT_TRAINING, "epochs": 1000})
        self.desk.click(train.run)
        job = train.jobs.job
        job.partial.connect(lambda points: points[-1].step > 40 and job.cancel())
        self.desk.wait(train, timeout=300_000)
        assert train.stopped.isVisible()

    def pins(self) -> None:
        """Open the inspector and click a voxel of white and one of grey matter."""
        self.maps()
        self._once("pins", self._pin)

    def _pin(self) -> None:
        from qtpy.QtCore import Qt

        self._inspector_dock, self.inspector = self.viewer.window.add_plugin_dock_widget(
            "napari-blochnet", "Voxel inspector"
        )
        at_once(canvas.show_quantity(self.session, "T1", beside=False))
        modifiers = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier)
        for modifier, tissue in zip(modifiers, ("white matter", "grey matter"), strict=True):
            index = self.voxels(tissue)[1]
            self._click(index, modifier)
            self.desk.qtbot.waitUntil(functools.partial(self._explains, index), timeout=60_000)
        assert len(self.session.pins) == 2

    def _explains(self, index: tuple[int, int, int]) -> bool:
        shown = self.inspector.shown
        return shown is not None and shown.voxel.index == index

    def _click(self, index: tuple[int, int, int], modifier: Any = None) -> None:
        """Click the middle of a voxel, one image on the canvas."""
        from qtpy.QtCore import QPoint, Qt

        wait = self.desk.qtbot.wait
        wait(200)
        self.viewer.reset_view()
        wait(200)
        shown = self.viewer.window._qt_viewer.canvas
        world = self.desk.layer("T1 (ms)").data_to_world(index)
        point = np.array([0.0] * (self.viewer.dims.ndim - 3) + list(world))
        flat = [*point[list(self.viewer.dims.displayed)][::-1], 0, 1]
        x, y = shown.view.scene.node_transform(shown._scene_canvas.scene).map(flat)[:2]
        place = QPoint(round(x), round(y))
        self.desk.qtbot.mouseMove(shown.native, place)
        wait(50)
        self.desk.qtbot.mouseClick(shown.native, self.desk.button, modifier or Qt.KeyboardModifier.NoModifier, place)
        wait(50)

    def voxels(self, tissue: str) -> list[tuple[int, int, int]]:
        """Return two voxels that lie deep inside a tissue, far from each other."""
        phantom = self.session.entries("phantom")[0].subject
        inside = np.pad(phantom.labels == phantom.tissues.index(tissue) + 1, ((0, 0), (1, 1), (1, 1)))
        depth = np.stack([distance_transform_edt(plane) for plane in inside])[:, 1:-1, 1:-1]
        first = np.unravel_index(int(np.argmax(depth)), depth.shape)
        _, y, x = np.indices(depth.shape)
        far = np.hypot(y - first[1], x - first[2]) > 12
        second = np.unravel_index(int(np.argmax(np.where(far, depth, 0))), depth.shape)
        return [tuple(map(int, first)), tuple(map(int, second))]

    # -- how it is shown

    def resize(self, width: int, height: int) -> None:
        """Give the window a size."""
        self.viewer.window.resize(width, height)
        self.desk.qtbot.wait(300)

    def show(self, name: str) -> Any:
        """Set the canvas and the tab for one of `PANELS`; return the dock's widget that the scene is about."""
        tab, needs, role, beside = _SCENES[name]
        for need in needs:
            getattr(self, need)()
        if self._inspector_dock is not None:
            self._inspector_dock.setVisible(name == "Inspector")
        panel = self.desk.turn_to(tab)
        for layer in self.viewer.layers:
            if layer.name.startswith("Region"):
                layer.visible = name == "Regions"
        at_once(canvas.show_quantity(self.session, role, beside=beside))
        self.desk.qtbot.wait(300)
        lowest = {"Train": "copy", "Stopped": "stopped", "Regions": "regions", "Agreement": "plots"}.get(name)
        for scroll in panel.findChildren(QScrollArea):
            scroll.verticalScrollBar().setValue(0)
            if lowest:
                scroll.ensureWidgetVisible(getattr(panel, lowest), 0, 0)
        self.desk.qtbot.wait(400)
        return self.inspector if name == "Inspector" else self.desk.workbench


# the tab, what it needs, the quantity on the canvas, and whether all of that quantity stand beside each other
_SCENES: dict[str, tuple[str, tuple[str, ...], str, bool]] = {
    "Data": ("Data", ("stack",), "tissue", False),
    "Schedule": ("Schedule", ("stack",), "signal", False),
    "Simulate": ("Simulate", ("stack",), "signal", False),
    "Map": ("Map", ("maps",), "T1", True),
    "Compare": ("Compare", ("comparison",), "T2", True),
    "Regions": ("Compare", ("comparison",), "T1", False),
    "Models": ("Compare", ("models",), "T1", True),
    "Agreement": ("Compare", ("models",), "T1", True),
    "Train": ("Train", ("training",), "T2", False),
    "Stopped": ("Train", ("stopped",), "T2", False),
    "Inspector": ("Map", ("pins",), "T1", False),
}
PANELS = tuple(_SCENES)
