"""Image layers as maps of T1 and T2: a truth, or maps of another program to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.evaluation.brought_maps import maps_of_arrays
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_sources import map_source, volume_layers
from napari_blochnet.napari_ui.forms.editors import BlankChoice
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import give_mm
from napari_blochnet.napari_ui.widgets.choices import OpenChoice
from napari_blochnet.napari_ui.widgets.rows import named_rows
from napari_blochnet.phantoms.map_files import MapArray, MapHints
from napari_blochnet.phantoms.phantom_maps import phantom_from_maps

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_blochnet.evaluation.maps import ParameterMaps
    from napari_blochnet.napari_ui.background.turns import Steps
    from napari_blochnet.napari_ui.background.workers import Failure
    from napari_blochnet.napari_ui.panels.data.data_tab import DataPanel
    from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["MapsDialog", "subject_of_layers"]


def subject_of_layers(chosen: dict[str, Layer], unit: str | None, *, as_truth: bool) -> Phantom | ParameterMaps:
    """Return the phantom or the maps that layers hold.

    Parameters
    ----------
    chosen : dict of str to Image
        "t1", "t2", and "pd" where there is one; on one grid.
    unit : {"ms", "s"}, optional
        Of T1 and T2; None: told by the values.
    as_truth : bool
        A phantom, or else maps to compare.

    Raises
    ------
    InputError
        One layer as both; other shapes or places; a unit that cannot be told; no voxel with times of tissue.
    """
    if chosen["t1"] is chosen["t2"]:
        raise InputError(f"{chosen['t1'].name} is chosen as T1 and as T2", "two layers", field="t2")
    first: tuple[Any, Geometry] | None = None
    found: dict[str, MapArray] = {}
    for key, layer in chosen.items():
        values, geometry = map_source(layer)
        if first is None:
            first = values, geometry
        elif values.shape != first[0].shape or not np.allclose(geometry.affine, first[1].affine, atol=1e-6):
            raise InputError(
                f"{layer.name} does not lie on the grid of {chosen['t1'].name}", "layers of one shape and one place",
                field=key,
            )  # fmt: skip
        found[key] = MapArray(np.asarray(values), layer.name, geometry, unit if key in ("t1", "t2") else None)
    assert first is not None
    source = f"{chosen['t1'].name} and {chosen['t2'].name}"
    record = {"operation": "given", "layers": {key: layer.name for key, layer in chosen.items()}}
    if not as_truth:
        return maps_of_arrays(found, first[1], source, source, MapHints()).replace(record=record)
    if "pd" not in found:
        valid = (found["t1"].values > 0) & (found["t2"].values > 0)
        found["pd"] = MapArray(valid.astype(np.float32), "proton density", first[1])
    phantom = phantom_from_maps(found, first[1], source=source, name=source)
    object.__setattr__(phantom, "record", record)
    return phantom


class MapsDialog(QDialog):
    """A choice of the layers that are T1, T2 and PD.

    Parameters
    ----------
    panel : DataPanel
        Shows what they make, or what is wrong with them.
    layer : Image
        The one that a person has selected.
    as_truth : bool
    """

    def __init__(self, panel: DataPanel, layer: Layer, *, as_truth: bool) -> None:
        super().__init__(panel)
        self._panel, self._as_truth = panel, as_truth
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Layers as truth" if as_truth else "Layers as maps to compare")
        self.choices = {
            key: _choice(panel.session, title, nullable=key == "pd")
            for key, title in (("t1", "T1"), ("t2", "T2"), ("pd", "PD"))
        }
        self.unit = BlankChoice(choices=("ms", "s"), nullable=True)
        self.error = QLabel()
        self.error.setObjectName("blochnetError")
        self.error.setWordWrap(True)
        self.error.hide()
        rows = named_rows(
            ("T1", self.choices["t1"]), ("T2", self.choices["t2"]), ("PD, if there is one", self.choices["pd"]),
            ("Unit of T1 and T2", self.unit),
        )  # fmt: skip
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        layout = QVBoxLayout(self)
        layout.addLayout(rows)
        layout.addWidget(self.error)
        layout.addWidget(self.buttons)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.setMinimumWidth(360)
        _guess(self.choices, layer)

    def accept(self) -> None:
        """Make them what they are to be, in the background; a mistake is said here."""
        chosen = {key: choice.value for key, choice in self.choices.items() if choice.value is not None}
        self._say("")
        if not {"t1", "t2"} <= chosen.keys():
            self._say("T1 and T2 take a layer each; open the other one first.")
            return
        if not self._panel.begin():
            self._say("Something else is running in the Data tab; wait for it, or cancel it.")
            return

        unit, as_truth = self.unit.value, self._as_truth

        def read(**_watched: Any) -> Phantom | ParameterMaps:
            return subject_of_layers(chosen, unit, as_truth=as_truth)

        self._set_busy(True)
        job = self._panel.job("Reading layers", read, self._take)
        job.failed.connect(self._on_failed)
        job.stopped.connect(self._on_stopped)
        job.start()

    def _say(self, sentence: str) -> None:
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))

    def _set_busy(self, busy: bool) -> None:
        self.buttons.setEnabled(not busy)

    def _on_failed(self, failure: Failure) -> None:
        self._set_busy(False)
        self._say(failure.sentence)

    def _on_stopped(self, _partial: object) -> None:
        self._set_busy(False)

    def _take(self, found: Phantom | ParameterMaps) -> None:
        panel = self._panel
        super().accept()
        for choice in self.choices.values():
            if choice.value is not None:
                give_mm(choice.value)
        panel.show_layers_as(_steps(panel.session, found), found)


def _steps(session: Session, found: Phantom | ParameterMaps) -> Steps[Any]:
    from napari_blochnet.phantoms.phantom import Phantom

    if isinstance(found, Phantom):
        return layers.phantom_steps(session, found)
    return layers.maps_steps(session, found, None, None, found.estimator)


def _choice(session: Session, called: str, *, nullable: bool) -> OpenChoice:
    return OpenChoice(
        lambda: [(layer.name, layer) for layer in volume_layers(session)],
        "none",
        called=called,
        nullable=nullable,
        tooltip=f"The image layer that holds {called}.",
    )


def _guess(choices: dict[str, OpenChoice], selected: Layer) -> None:
    """Choose the selected layer, and others by their names."""
    for choice in choices.values():
        choice.reset_choices()
    offered = [layer for layer in choices["t1"].choices if layer is not None]
    named = {key: [layer for layer in offered if key in layer.name.lower()] for key in choices}
    own = "t2" if selected in named["t2"] and selected not in named["t1"] else "t1"
    for key, choice in choices.items():
        others = [layer for layer in named[key] if layer is not selected]
        if key == own and selected in offered:
            choice.value = selected
        elif others:
            choice.value = others[0]
        elif key != "pd":
            rest = [layer for layer in offered if layer is not selected]
            choice.value = rest[0] if rest else choice.value
