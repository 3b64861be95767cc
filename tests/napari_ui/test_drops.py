"""Whatever is dropped on the canvas or given to a tab ends in layers or in a sentence, never in a traceback."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer
from scipy.io import savemat

from napari_blochnet.napari_ui.background.workers import result_of

FILES = ("damaged.mat", "empty.mat", "spikes.mat", "struct.mat", "somebody.nii", "deep.nii", "nothing.nii", "folder")


def _make(folder, name):
    """Write one of the files; several are what people have, one is no file at all."""
    path = folder / name
    rng = np.random.default_rng(0)
    if name == "damaged.mat":
        savemat(path, {"T1": rng.random((20, 20)), "T2": rng.random((20, 20))}, do_compression=True)
        content = bytearray(path.read_bytes())
        content[200:204] = b"\xff\xff\xff\xff"
        path.write_bytes(content)
    elif name == "empty.mat":
        path.write_bytes(b"")
    elif name == "spikes.mat":
        savemat(path, {"spikes": np.zeros(100)})
    elif name == "struct.mat":
        savemat(path, {"study": {"subject": "A", "scan": np.zeros((4, 4, 4))}})
    elif name == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("T1 map to come")
    elif name != "nothing.nii":
        nibabel.save(nibabel.Nifti1Image(rng.random((4, 4, 4, 5)).astype(np.float32), np.eye(4)), path)
        if name == "deep.nii":
            (folder / "deep.json").write_text('{"schedule": ' * 20_000)
    return path


def _drop(viewer, qtbot, path, monkeypatch) -> list[str]:
    """Drop a path on the canvas, choosing this plugin where napari asks; return what it says."""

    def choose(paths, qt_viewer, stack=False, *rest, **how):
        qt_viewer.viewer.open(paths, stack=stack, plugin="napari-blochnet")

    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", choose)
    notification_manager.records.clear()
    done = []

    def drop():
        # an exception in here ends the test, as in any slot
        viewer.window._qt_viewer._qt_open([str(path)], stack=False)
        done.append(True)

    QTimer.singleShot(0, drop)
    qtbot.waitUntil(lambda: bool(done), timeout=60_000)
    return [record.message for record in notification_manager.records]


@pytest.mark.parametrize("name", [name for name in FILES if name != "nothing.nii"])
def test_on_the_canvas(make_napari_viewer, qtbot, tmp_path, monkeypatch, name):
    viewer = make_napari_viewer()
    (said,) = _drop(viewer, qtbot, _make(tmp_path, name), monkeypatch)
    assert name in said
    assert "\n" not in said
    assert len(viewer.layers) == 0
    if name in ("damaged.mat", "empty.mat"):
        assert "cannot be read as a MATLAB file" in said
    else:
        assert "open it in BlochNet's Data tab" in said


def test_napari_goes_on_where_the_choice_of_us_is_an_old_one(make_napari_viewer, qtbot, tmp_path, monkeypatch):
    from napari.settings import get_settings

    viewer = make_napari_viewer()
    asked = []

    def choose(paths, qt_viewer, stack, plugin_name, error, **how):
        asked.append(plugin_name)

    path = _make(tmp_path, "somebody.nii")
    monkeypatch.setattr(get_settings().plugins, "extension2reader", {"*.nii": "napari-blochnet"})
    _drop_with(viewer, qtbot, path, monkeypatch, choose)
    # its dialog offers the other readers
    assert asked == ["napari-blochnet"]


def _drop_with(viewer, qtbot, path, monkeypatch, choose) -> None:
    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", choose)
    done = []
    QTimer.singleShot(0, lambda: done.append(viewer.window._qt_viewer._qt_open([str(path)], stack=False)))
    qtbot.waitUntil(lambda: bool(done), timeout=60_000)


def test_a_script_gets_the_error(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    path = _make(tmp_path, "spikes.mat")
    with pytest.raises(ValueError, match=r"refused the file"):
        viewer.open(str(path), plugin="napari-blochnet")


def test_in_the_tabs(desk, tmp_path):
    desk = desk()
    files = [name for name in FILES if name != "deep.nii"]
    for name in files:
        path = _make(tmp_path, name)
        for open_it in (desk.open_phantom, desk.open_stack):
            said = open_it(path)
            assert name in said or said.startswith("Opened"), (name, said)
            assert not said.endswith("…")
            assert "error in the program" not in said
    schedule = desk.turn_to("Schedule")
    schedule.kind.setCurrentText("From a file")
    for name in files:
        schedule.form.set_values({"path": str(tmp_path / name)})
        schedule.make()
        said = schedule.jobs.message.text() + " ".join(schedule.form.errors().values())
        assert name.split(".")[0] in said or "notes" in said, (name, said)
        assert "log has the details" not in said


def test_a_result_that_cannot_be_shown_is_said(desk, tmp_path, monkeypatch, qtbot):
    desk = desk()
    np.save(tmp_path / "scan.npy", np.ones((1000, 1, 2, 2), np.complex64))
    data = desk.turn_to("Data")

    def broken(*_):
        raise FloatingPointError("what no reader has thought of")

    monkeypatch.setattr("napari_blochnet.napari_ui.canvas.layers.stack_layer_data", broken)
    said = desk.open_stack(tmp_path / "scan.npy")
    assert said.startswith("Opening scan.npy stopped by an error in the program (FloatingPointError")
    assert data.open_stack.isEnabled()
    job = data.job("Opening it again", lambda **_: data.session, lambda _: job.run_steps(iter_of(broken)))
    with pytest.raises(ValueError, match="Opening it again stopped"):
        result_of(job, "")


def iter_of(function):
    yield function()


def test_warnings_stand_where_the_job_was(desk, tmp_path):
    import warnings

    from napari_blochnet.common.errors import DataWarning

    desk = desk()
    data = desk.turn_to("Data")

    def warned(**_):
        for sentence in ("One voxel is NaN.", "Times are in s.", "One voxel is NaN."):
            warnings.warn(sentence, DataWarning, stacklevel=1)

    data.job("Looking", warned, lambda _: data.jobs.say("Looked.", "good")).start()
    assert desk.wait(data) == "Looked."
    assert data.jobs.warning.isVisible()
    assert data.jobs.warning.text() == "One voxel is NaN.\nTimes are in s."
    data.jobs.say("Something else.", "error")
    assert not data.jobs.warning.isVisible()


def test_what_was_understood_is_told_where_it_is_seen(desk, tmp_path):
    desk = desk()
    desk.use_spline(20)
    np.save(tmp_path / "scan.npy", np.ones((3, 5, 20), np.complex64))
    assert desk.open_stack(tmp_path / "scan.npy") == "Opened scan."
    data = desk.workbench.data
    (entry,) = desk.session.entries("stack")
    assert entry.subject.notes
    assert data.jobs.told.isVisible()
    assert data.jobs.told.text().split("\n") == list(entry.subject.notes)
    # in view wherever the panel is scrolled to
    assert not data.jobs.told.visibleRegion().isEmpty()
    data.jobs.say("Something else.")
    assert not data.jobs.told.isVisible()


def test_what_a_schedule_s_file_has_beside_is_told_in_its_tab(desk, tmp_path):
    desk = desk()
    schedule = desk.turn_to("Schedule")
    schedule.kind.setCurrentText("From a file")
    (tmp_path / "s.csv").write_text(
        "flip_angle_deg,repetition_time_ms,echo_time_ms,gradient\n" + "30,12,3,7\n" * 20, encoding="utf-8"
    )
    notification_manager.records.clear()
    schedule.form.set_values({"path": str(tmp_path / "s.csv")})
    schedule.make()
    assert len(desk.session.schedule) == 20
    assert "gradient" in schedule.jobs.warning.text()
    assert not [record for record in notification_manager.records if "gradient" in record.message]
    (tmp_path / "s.json").write_text(json.dumps({"schedule": 3}))
    schedule.form.set_values({"path": str(tmp_path / "s.json")})
    schedule.make()
    assert not schedule.jobs.warning.isVisible()


def test_a_pulseq_file_goes_to_the_schedule_tab(desk, qtbot, shared_data, monkeypatch):
    desk = desk()
    path = shared_data / "pulseq" / "fisp_yun.seq"
    desk.turn_to("Map")
    assert _drop(desk.viewer, qtbot, path, monkeypatch) == []
    tab = desk.workbench.schedule
    assert desk.workbench.tabs.currentWidget() is tab
    desk.wait(tab)
    assert len(desk.session.schedule) == 1000
    assert "Plays 1000 excitations" in tab.understood.text()
    assert len(desk.viewer.layers) == 0
