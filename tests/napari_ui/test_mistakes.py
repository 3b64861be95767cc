"""A mistake in a file or a field gets the core's sentence in the panel, and never a traceback."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.operations.opening import open_fingerprints, open_phantom


def _sentence(function, *args) -> str:
    with pytest.raises(InputError) as caught:
        function(*args)
    return str(caught.value)


def test_files_that_are_not_what_their_name_says(desk, tmp_path, shared_data):
    desk = desk()
    data = desk.turn_to("Data")
    text = tmp_path / "head_crisp.mnc"
    text.write_text("not a volume at all\n" * 50)
    short = tmp_path / "cut" / "gm.rawb"
    short.parent.mkdir()
    short.write_bytes(b"\x00" * 1000)
    for source in (text, short.parent, tmp_path / "absent"):
        said = desk.open_phantom(source)
        # a field is called what its form calls it
        assert said == _sentence(open_phantom, source).replace("voxel_size", "Voxel size")
        assert data.jobs.message.property("state") == "error"
        assert "Traceback" not in said
    assert len(desk.viewer.layers) == 0


def test_stack_and_schedule_that_do_not_fit(desk, tmp_path):
    desk = desk()
    path = tmp_path / "stack.npy"
    np.save(path, np.ones((40, 1, 3, 4), np.float32))
    said = desk.open_stack(path)
    assert said == _sentence(open_fingerprints, path, desk.session.schedule)
    assert "40" in said
    assert "1000" in said


def test_a_stack_of_nothing_but_nan(desk, tmp_path):
    desk = desk()
    desk.use_spline(30)
    np.save(tmp_path / "stack.npy", np.full((30, 1, 3, 4), np.nan, np.float32))
    said = desk.open_stack(tmp_path / "stack.npy")
    assert said == _sentence(open_fingerprints, tmp_path / "stack.npy", desk.session.schedule)
    assert "NaN" in said


def test_what_the_numbers_are_is_asked_beside_its_field(desk, tmp_path):
    desk = desk()
    desk.use_spline(30)
    path = tmp_path / "stack.npy"
    parts = np.random.default_rng(0).normal(size=(30, 3, 4, 2)).astype(np.float32)
    np.save(path, parts)
    said = desk.open_stack(path)
    assert said == _sentence(open_fingerprints, path, desk.session.schedule)
    data = desk.turn_to("Data")
    assert data.stack_form.errors()["kind"] == said
    assert data.stack_form.isVisible()
    data.stack_form.set_values({"kind": "complex"})
    desk.open_stack(path)
    (entry,) = desk.session.entries("stack")
    np.testing.assert_array_equal(entry.subject.data[:, 0], parts[..., 0] + 1j * parts[..., 1])
    # of extended precision, which no picture has
    data.stack_form.set_values({"kind": None})
    np.save(tmp_path / "long.npy", parts[..., 0].astype(np.longdouble))
    desk.open_stack(tmp_path / "long.npy")
    assert desk.session.entries("stack")[-1].subject.data.dtype == np.float32
    assert not data.is_busy


def test_phantom_with_t2_above_t1(desk, tmp_path):
    from scipy.io import savemat

    desk = desk()
    t1 = np.full((8, 8), 800.0)
    t2 = np.full((8, 8), 80.0)
    t2[3, 4] = 900.0
    savemat(tmp_path / "maps.mat", {"T1": t1, "T2": t2, "PD": np.ones((8, 8))})
    assert desk.open_phantom(tmp_path / "maps.mat").startswith("Opened maps.")
    assert desk.turn_to("Data").jobs.warning.text() == ("maps.mat: 1 voxel was left out of the mask: 1 with T2 > T1.")
    mask = desk.session.entries("phantom")[0].subject.mask
    assert not mask[0, 3, 4]
    assert mask.sum() == 63


def test_sentences_stand_beside_their_field(desk, tmp_path):
    desk = desk()
    schedule = desk.turn_to("Schedule")
    schedule.kind.setCurrentText("From a file")
    form = schedule.form
    missing = tmp_path / "none.csv"
    desk.type(form.editor("path").line.native, str(missing))
    schedule.make()
    assert str(missing) in form.errors()["path"]
    assert desk.session.schedule is None
    simulate = desk.turn_to("Simulate")
    assert not simulate.run.isEnabled()
    assert "Schedule tab" in simulate.schedule_line.text()

    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.turn_to("Schedule").kind.setCurrentText("FISP (Jiang 2015)")
    simulate = desk.turn_to("Simulate")
    simulate.part.setCurrentText("slices from … to …")
    simulate.form.set_values({"slices": (5, 2)})
    desk.click(simulate.run)
    assert "first < end" in simulate.jobs.message.text()


def test_error_in_the_program_is_a_sentence_and_is_logged(desk, qtbot, caplog):
    desk = desk()
    data = desk.turn_to("Data")

    def broken(*, progress, cancelled):
        raise ZeroDivisionError("a bug")

    data.start("Opening nothing", broken).start()
    said = desk.wait(data)
    assert said.startswith("Opening nothing stopped by an error in the program (ZeroDivisionError: a bug)")
    assert "Traceback" in caplog.text


def test_a_length_that_does_not_fit_leads_to_the_schedule_tab_and_goes_with_its_cause(desk, tmp_path):
    desk = desk()
    path = tmp_path / "stack.npy"
    np.save(path, np.random.default_rng(0).uniform(1, 2, (40, 1, 3, 4)).astype(np.float32))
    said = desk.open_stack(path)
    data = desk.workbench.data
    assert data.question.error.isVisible()
    assert "1000 pulses" in data.question.error.text()
    data.question.error.linkActivated.emit("Schedule")
    assert desk.workbench.tabs.currentWidget() is desk.workbench.schedule
    desk.use_spline(40)
    desk.turn_to("Data")
    assert not data.question.error.isVisible()
    assert data.jobs.message.text() == ""
    assert said != ""
    assert desk.run(data, data.open_stack).startswith("Opened")


def test_a_sentence_goes_when_any_control_it_may_be_about_changes(desk):
    desk = desk()
    desk.use_spline(40)
    train = desk.turn_to("Train")
    train.form.set_values({"t1_range": (300.0, 100.0)})
    desk.click(train.run)
    assert train.jobs.message.property("state") == "error"
    sentence = train.jobs.message.text()
    assert train.form.errors() == {"t1_range": sentence}
    # another form of the panel
    train.choice.set_values({"preset": "paper"})
    assert train.jobs.message.text() == ""
    assert train.form.errors() == {}
    desk.click(train.run)
    assert train.jobs.message.text() == sentence
    # another schedule
    desk.use_spline(50)
    desk.turn_to("Train")
    assert train.jobs.message.text() == ""


def test_what_was_missing_is_not_missed_once_it_is_there(desk):
    from napari_blochnet.jobs.operations.opening import synthetic_head
    from napari_blochnet.napari_ui.canvas import layers
    from napari_blochnet.napari_ui.napari_calls.palette_commands import simulate_fingerprints

    desk = desk()
    simulate_fingerprints(desk.viewer)
    simulate = desk.workbench.simulate
    assert simulate.jobs.message.text().startswith("Nothing to simulate")
    layers.add_phantom(desk.session, synthetic_head(shape=(1, 12, 10)))
    assert simulate.jobs.message.text() == ""
