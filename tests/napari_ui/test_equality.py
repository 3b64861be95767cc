"""One result, three ways: what the forms made, what the copied commands write, what the copied script returns.

Ten sets of form values, drawn at random with a fixed seed and entered by keyboard and mouse. All copied scripts run in
one fresh interpreter, all copied commands in one shell, after the window is done with.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox

from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints.stack_files import read_fingerprints
from napari_blochnet.io.nifti import read_nifti
from napari_blochnet.napari_ui.forms.forms import SettingsForm

FIELDS = ("t1", "t2", "pd", "residual", "mask", "failed", "phase", "t1_se", "t2_se", "converged")
# file of each field, and what its unit is in the field's
FILES = {"t1": ("T1map", 1e3), "t2": ("T2map", 1e3), "pd": ("PDmap", 1.0), "residual": ("desc-residual_stat", 1.0),
         "phase": ("desc-phase_PDmap", 1.0), "t1_se": ("desc-se_T1map", 1e3),
         "t2_se": ("desc-se_T2map", 1e3)}  # fmt: skip
CASES = 10


@dataclass
class Draw:
    """One random set of form values."""

    sample: str
    schedule: tuple[str, dict[str, Any]]
    part_of_phantom: str
    simulate: dict[str, Any]
    part: str
    estimator: str
    reconstruct: dict[str, Any]

    @classmethod
    def from_seed(cls, number: int) -> Draw:
        rng = random.Random(1000 + number)
        # every estimator, kind of signal and part occurs; the rest is left to chance
        kind = ("complex", "magnitude", "real")[number % 3]
        estimator = ("dictionary", "universal", "fc", "universal", "dictionary")[number % 5]
        if estimator == "fc":
            kind = "complex"
        spline = {"length": rng.randint(60, 140), "seed": rng.randint(0, 10**6),
                  "inversion_time": rng.choice([None, round(rng.uniform(0, 40), 1)]),
                  "inversion_efficiency": round(rng.uniform(0.9, 1.0), 3)}  # fmt: skip
        schedule = ("FISP (Jiang 2015)", {}) if estimator == "fc" else (
            rng.choice(["Spline5", "SplineNoise11"]), spline)  # fmt: skip
        low = round(rng.uniform(50, 300), 1)
        maps: dict[str, Any] = {
            "step": round(rng.uniform(0.08, 0.3), 3),
            "t1_range": (low, round(low * rng.uniform(10, 20), 1)),
            "t2_range": (round(rng.uniform(5, 30), 1), round(rng.uniform(500, 2500), 1)),
            "batch": rng.randint(300, 3000),
            "saturation": rng.choice([None, round(rng.uniform(0.2, 0.6), 3)]) if estimator == "dictionary" else None,
            "other_schedule": False,
            "refine": number in (1, 4, 8),
            "uncertainty": rng.random() < 0.5,
            "noise_sigma": rng.choice([None, round(rng.uniform(0.001, 0.02), 4)]),
        }
        return cls(
            sample="head-volume" if number == 6 else "head-slice",
            schedule=schedule,
            part_of_phantom="slices" if number == 6 else "this slice",
            simulate={"snr": rng.choice([None, round(rng.uniform(10, 90), 2)]), "seed": rng.randint(0, 10**6),
                      "kind": kind, "tolerance": rng.choice([1e-6, 1e-4])},
            part="a painted region" if number % 3 == 1 else ("this slice", "the whole volume")[number % 2],
            estimator=estimator,
            reconstruct=maps,
        )  # fmt: skip


def _enter(qtbot, box, value) -> None:
    """Enter one value by keyboard or mouse."""
    if isinstance(box, QCheckBox):
        if box.isChecked() != value:
            box.setFocus()
            qtbot.keyClick(box, Qt.Key.Key_Space)
        assert box.isChecked() == value
    elif isinstance(box, QComboBox):
        box.setFocus()
        index = next(i for i in range(box.count()) if value in (box.itemData(i), box.itemText(i)))
        qtbot.keyClick(box, Qt.Key.Key_Home)
        for _ in range(index):
            qtbot.keyClick(box, Qt.Key.Key_Down)
        assert box.currentIndex() == index
    else:
        line = box.lineEdit()
        line.selectAll()
        qtbot.keyClicks(line, repr(value))
        qtbot.keyClick(line, Qt.Key.Key_Return)


def _fill(qtbot, form: SettingsForm, values: dict[str, Any]) -> None:
    for name, value in values.items():
        row = form.row(name)
        boxes = [child for kind in (QSpinBox, QDoubleSpinBox, QComboBox) for child in row.findChildren(kind)]
        ticks = row.findChildren(QCheckBox)
        if ticks:
            _enter(qtbot, ticks[0], value if isinstance(value, bool) else value is not None)
        if value is not None and not isinstance(value, bool):
            parts = value if isinstance(value, tuple) else (value,)
            for box, part in zip(boxes, parts, strict=True):
                _enter(qtbot, box, part)
    assert {name: form.values()[name] for name in values} == values


def _tick(qtbot, estimators, wanted: str) -> None:
    """Tick one estimator, then untick the others; offers may be made anew between two keys."""
    qtbot.wait(200)
    for name in [wanted, *estimators.chosen]:
        box = estimators.box(name)
        assert box.isEnabled(), box.toolTip()
        _enter(qtbot, box, name == wanted)
    assert estimators.chosen == [wanted]


def _copied(desk, button) -> str:
    QApplication.clipboard().clear()
    desk.click(button)
    return QApplication.clipboard().text()


def _work(desk, qtbot, draw: Draw, folder: Path) -> dict[str, Any]:
    """Do one case in the window; keep its arrays and what was copied."""
    for layer in list(desk.viewer.layers):
        desk.viewer.layers.remove(layer)
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons[draw.sample])
    schedule = desk.turn_to("Schedule")
    _enter(qtbot, schedule.kind, draw.schedule[0])
    _fill(qtbot, schedule.form, draw.schedule[1])

    simulate = desk.turn_to("Simulate")
    if draw.part_of_phantom == "slices":
        desk.go_to_slice(desk.layer("T1"), 27)
    _fill(qtbot, simulate.form, draw.simulate)
    said = desk.run(simulate, simulate.run)
    assert said.startswith("Simulated"), said
    stack = desk.session.entries("stack")[-1].subject

    mapping = desk.turn_to("Map")
    _enter(qtbot, mapping.part, draw.part)
    if draw.part == "a painted region":
        desk.click(mapping.paint)
        layer = desk.viewer.layers.selection.active
        layer.data[:, 20:70, 25 : 40 + draw.simulate["seed"] % 30] = 1
        layer.refresh()
        layer.mode = "pan_zoom"
    mapping.options.open()
    # what may be ticked depends on the options
    _fill(qtbot, mapping.form, draw.reconstruct)
    _tick(qtbot, mapping.estimators, draw.estimator)
    said = desk.run(mapping, mapping.run, timeout=240_000)
    assert said.startswith("Mapped"), said
    maps = desk.session.entries("maps")[-1].subject
    shown = {role: np.array(desk.session.layers("maps", maps, role)[0].data) for role in ("T1", "T2", "PD", "residual")}
    for role, values in shown.items():
        np.testing.assert_array_equal(values, getattr(maps, role.lower()))
    folder.mkdir()
    (folder / "script.py").write_text(_copied(desk, mapping.copy.python), encoding="utf-8")
    (folder / "commands.sh").write_text(_copied(desk, mapping.copy.command), encoding="utf-8")
    found = {"stack": np.array(stack.data)}
    found |= {name: np.array(getattr(maps, name)) for name in FIELDS if getattr(maps, name) is not None}
    return found


# Runs every copied script in a namespace of its own and keeps what it made.
_RUN_SCRIPTS = """
import sys
from pathlib import Path
import numpy as np
for folder in map(Path, sys.argv[1:]):
    names = {}
    exec((folder / "script.py").read_text(encoding="utf-8"), names)
    maps = names["maps"]
    arrays = {name: getattr(maps, name) for name in %r if getattr(maps, name) is not None}
    np.savez(folder / "python.npz", stack=names["stack"].data, **arrays)
"""
# One interpreter runs all copied commands, each through the command line's own entry: words in, exit status out.
_RUN_COMMANDS = """
import os, shlex, sys
from pathlib import Path
from napari_blochnet.cli.main import main
for folder in map(Path, sys.argv[1:]):
    os.chdir(folder)
    for line in (folder / "commands.sh").read_text(encoding="utf-8").splitlines():
        words = shlex.split(line)
        assert words[0] == "blochnet", line
        sys.argv = words
        try:
            main()
        except SystemExit as end:
            assert not end.code, (line, end.code)
"""


def _run(code: str, folders: list[Path]) -> None:
    done = subprocess.run([sys.executable, "-c", code, *map(str, folders)], capture_output=True, text=True, check=False,
                          timeout=900, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"})  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("equality")


def test_forms_commands_and_scripts_give_the_same_bits(desk, qtbot, folder):
    desk = desk()
    draws = [Draw.from_seed(number) for number in range(CASES)]
    folders = [folder / f"case-{number}" for number in range(CASES)]
    results = [_work(desk, qtbot, draw, place) for draw, place in zip(draws, folders, strict=True)]

    _run(_RUN_SCRIPTS % (FIELDS,), folders)
    for result, place, draw in zip(results, folders, draws, strict=True):
        with np.load(place / "python.npz") as made:
            assert set(made.files) == set(result), draw
            for name, values in result.items():
                assert made[name].dtype == values.dtype, (draw, name)
                np.testing.assert_array_equal(made[name], values, err_msg=f"{name}, {draw}")

    # a painted region is no option of a command: the window says so, and copies no half command
    commanded = []
    for result, place, draw in zip(results, folders, draws, strict=True):
        if draw.part == "a painted region":
            assert (place / "commands.sh").read_text() == "", draw
        else:
            commanded.append((result, place, draw))
    assert len(commanded) >= 6
    _run(_RUN_COMMANDS, [place for _, place, _ in commanded])
    for result, place, draw in commanded:
        stack = read_fingerprints(place / "stack.nii.gz")
        np.testing.assert_array_equal(stack.data, result["stack"], err_msg=str(draw))
        for name, (suffix, scale) in FILES.items():
            path = place / "maps" / f"sub-01_{suffix}.nii.gz"
            assert path.is_file() == (name in result), (draw, name)
            if name in result:
                stored, _ = read_nifti(path)
                assert stored.dtype == np.float32
                # equal to the last bit of the unit in the file
                expected = (result[name].astype(np.float64) / scale).astype(np.float32)
                np.testing.assert_array_equal(stored, expected, err_msg=f"{name}, {draw}")
        maps = read_maps(place / "maps")
        for name in ("mask", "failed", "converged"):
            assert (getattr(maps, name) is None) == (name not in result)
            if name in result:
                np.testing.assert_array_equal(getattr(maps, name), result[name])


def test_the_draws_cover_what_a_person_can_choose():
    draws = [Draw.from_seed(number) for number in range(CASES)]
    assert {draw.estimator for draw in draws} == {"dictionary", "universal", "fc"}
    assert {draw.simulate["kind"] for draw in draws} == {"complex", "magnitude", "real"}
    assert {draw.part for draw in draws} == {"this slice", "the whole volume", "a painted region"}
    assert {draw.reconstruct["refine"] for draw in draws} == {True, False}
    assert {draw.simulate["snr"] is None for draw in draws} == {True, False}
    assert len({json.dumps(draw.reconstruct) for draw in draws}) == CASES
