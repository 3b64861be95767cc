"""What a person chose comes back with the next viewer; a settings file that is broken changes nothing."""

from __future__ import annotations

import json

import pytest
import yaml
from napari import settings as napari_settings

from napari_blochnet.napari_ui.state import preferences


def _reopen(desk, open_desk):
    """Close the viewer, let napari read its settings anew, open another one."""
    desk.viewer.close()
    desk.qtbot.waitUntil(lambda: desk.session.is_closed, timeout=10_000)
    napari_settings._clear_plugin_settings_cache()
    return open_desk()


def _choose(desk) -> None:
    """Choose something in every tab, by the widgets."""
    simulate = desk.turn_to("Simulate")
    snr = simulate.form.editor("snr")
    snr.tick.native.click()
    snr.inner.native.selectAll()
    desk.qtbot.keyClicks(snr.inner.native, "17\r")
    schedule = desk.turn_to("Schedule")
    schedule.kind.setCurrentText("SplineNoise11")
    schedule.form.set_values({"length": 70, "seed": 4})
    train = desk.turn_to("Train")
    train.choice.set_values({"estimator": "blochnet"})
    train.form.set_values({"epochs": 12, "t1_range": (100.0, 3000.0)})
    train.device.native.setCurrentText("CPU")
    mapping = desk.turn_to("Map")
    mapping.estimators.tick(["universal", "fc"])
    mapping.part.setCurrentIndex(1)
    mapping.form.set_values({"refine": True})


def test_choices_come_back(desk, own_settings):
    first = desk()
    _choose(first)
    second = _reopen(first, desk)
    workbench = second.workbench
    assert workbench.tabs.tabText(workbench.tabs.currentIndex()) == "Map"
    assert workbench.simulate.form.values()["snr"] == 17
    assert workbench.schedule.kind.currentText() == "SplineNoise11"
    assert len(second.session.schedule) == 70
    assert workbench.schedule.form.values()["control_points"] == 11
    values = workbench.train.form.values()
    assert (values["epochs"], values["t1_range"], values["batch"]) == (12, (100.0, 3000.0), None)
    assert workbench.train.choice.values()["estimator"] == "blochnet"
    assert workbench.train.device.value == "cpu"
    assert workbench.map.estimators.ticked == ["fc", "universal"]
    assert workbench.map.part.currentIndex() == 1
    assert workbench.map.form.values()["refine"] is True
    # a value that is a default again is not kept
    workbench.simulate.form.set_values({"snr": None})
    assert _reopen(second, desk).workbench.simulate.form.values()["snr"] is None
    stored = json.loads(yaml.safe_load(own_settings.read_text())["workbench"]["remembered"])
    assert "settings" not in stored["values"]["simulate"]


def test_nothing_is_written_per_keystroke(desk, own_settings, qtbot):
    desk = desk()
    simulate = desk.turn_to("Simulate")
    qtbot.waitUntil(own_settings.exists, timeout=10_000)
    before = own_settings.read_text()
    for seed in range(30):
        simulate.form.set_values({"seed": seed + 1})
    assert own_settings.read_text() == before
    qtbot.waitUntil(lambda: own_settings.read_text() != before, timeout=10_000)
    stored = json.loads(yaml.safe_load(own_settings.read_text())["workbench"]["remembered"])
    assert stored["values"]["simulate"]["settings"] == {"seed": 30}


@pytest.mark.parametrize(
    "content",
    [
        "workbench: [no mapping",
        "workbench:\n  remembered: 7\n  remember: perhaps\n",
        yaml.safe_dump({"workbench": {"remembered": "{no JSON"}}),
        yaml.safe_dump({"workbench": {"remembered": "[" * 5000}}),
        yaml.safe_dump({"workbench": {"remembered": json.dumps({"version": 99, "values": {"simulate": 1}})}}),
        yaml.safe_dump({"workbench": {"remembered": json.dumps({"version": 1, "values": [1, 2]})}}),
    ],
)
def test_a_broken_file_counts_as_empty(desk, own_settings, content):
    own_settings.write_text(content)
    desk = desk()
    assert desk.workbench.simulate.form.values()["snr"] is None
    assert desk.workbench.tabs.currentIndex() == 0


def test_a_bad_value_is_passed_over_and_a_good_one_beside_it_taken(desk, own_settings):
    values = {
        "workbench": {"tab": "Nowhere"},
        "simulate": {"settings": {"snr": -3, "seed": 11, "gone": 1, "slices": "all"}, "unknown": 5},
        "schedule": {"kind": 5, "spline5": {"length": "long", "echo_time": 3.5}, "fisp": [1]},
        "map": {"estimators": ["nothing", 4], "device": {"a": 1}, "part": "the moon", "settings": {"batch": 1e400}},
        "train": {"device": "cuda:3; rm", "options": {"t1_range": [1, 2, 3], "epochs": 9}},
        "data": {"phantom": {"shape": ["x"] * 3}},
    }
    text = json.dumps({"version": 1, "values": values})
    own_settings.write_text(yaml.safe_dump({"workbench": {"remembered": text}}))
    workbench = desk().workbench
    assert workbench.tabs.currentIndex() == 0
    assert workbench.simulate.form.values()["seed"] == 11
    assert workbench.simulate.form.values()["snr"] is None
    assert workbench.schedule.kind.currentIndex() == 0
    assert 4 not in workbench.map.estimators.ticked
    assert workbench.map.part.currentIndex() == 0
    assert workbench.train.device.value == "auto"
    assert workbench.train.form.values()["epochs"] == 9
    assert workbench.train.form.values()["t1_range"] is None


def test_forgetting_can_be_asked_for(desk, own_settings):
    own_settings.write_text(yaml.safe_dump({"workbench": {
        "remember": False, "remembered": json.dumps({"version": 1, "values": {"simulate": {"settings": {"seed": 8}}}})
    }}))  # fmt: skip
    desk = desk()
    assert desk.workbench.simulate.form.values()["seed"] != 8


def test_dialogs_begin_where_the_last_one_ended(desk, tmp_path):
    preferences.set_folder("fingerprints", str(tmp_path / "scan.npy"))
    first = desk()
    second = _reopen(first, desk)
    row = second.workbench.data.stack_path
    assert row._start() == str(tmp_path)
    row.line.setText("elsewhere")
    assert row._start() == "elsewhere"
