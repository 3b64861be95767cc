"""Sessions saved by an earlier version open in the window as they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_blochnet.napari_ui.state.entries import entry_of

STORED = Path(__file__).parents[1] / "earlier_versions" / "stored"


@pytest.mark.parametrize("name", ["session", "session-simple"])
def test_a_session_of_version_0_1_0_is_shown_as_it_was(desk, tmp_path, name):
    shutil.copytree(STORED / name, tmp_path / name)
    shown = json.loads((STORED / f"shown-{name}.json").read_text(encoding="utf-8"))
    desk = desk()
    data = desk.turn_to("Data")
    data.sessions.open(str(tmp_path / name))
    desk.wait(data)
    layers = list(desk.viewer.layers)
    assert [layer.name for layer in layers] == [known["name"] for known in shown["layers"]]
    for layer, known in zip(layers, shown["layers"], strict=True):
        entry = entry_of(layer)
        assert type(layer).__name__ == known["type"]
        assert (layer.visible, layer.opacity, layer.blending) == (known["visible"], known["opacity"], known["blending"])
        np.testing.assert_allclose(layer.scale, known["scale"])
        np.testing.assert_allclose(layer.translate, known["translate"])
        assert [str(unit) for unit in layer.units] == known["units"]
        if "kind" in known:
            assert (entry.kind, entry.role, entry.title) == (known["kind"], known["role"], known["title"])
        if "contrast_limits" in known:
            np.testing.assert_allclose(layer.contrast_limits, known["contrast_limits"])
            assert layer.colormap.name == known["colormap"]
    assert [
        (list(pin.index), desk.session.pin_number(pin), pin == desk.session.voxel) for pin in desk.session.pins
    ] == [(pin["index"], pin["number"], pin["current"]) for pin in shown["pins"]]
    rows = [] if desk.session.compared is None else desk.session.compared.comparison.rows()
    assert len(rows) == len(shown.get("comparison") or [])
    for row, known in zip(rows, shown.get("comparison") or [], strict=True):
        for column, value in known.items():
            if known["parameter"] == "PD" and isinstance(value, float):
                # it was scored with a scale for each model, and is with one for each stack
                continue
            assert row[column] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), column
