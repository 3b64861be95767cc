"""What napari opens with us, what it must not, and the samples."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from napari_blochnet.napari_ui.napari_calls.readers import contrast_reader, phantom_reader, stack_reader


def test_only_what_is_ours_is_claimed(tmp_path, shared_data):
    plain = tmp_path / "somebody.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 5), np.float32), np.eye(4)), plain)
    assert stack_reader(str(plain)) is None
    assert phantom_reader(str(plain)) is None
    (tmp_path / "somebody.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    assert stack_reader(str(plain)) is None
    assert phantom_reader(str(tmp_path)) is None
    (tmp_path / "somebody.json").write_text("{")
    assert stack_reader(str(plain)) is None

    from scipy.io import savemat

    savemat(tmp_path / "other.mat", {"spikes": np.zeros(100)})
    assert phantom_reader(str(tmp_path / "other.mat")) is None
    brainweb = shared_data / "brainweb"
    for ours in (
        brainweb / "mritc_2mm",
        brainweb / "mritc_2mm" / "gm.rawb.gz",
        brainweb / "subject20" / "subject20_crisp_v.mnc.gz",
        shared_data / "anatomical" / "brain_t1_t2_pd_128.mat",
    ):
        assert phantom_reader(str(ours)) is not None, ours


def test_a_folder_dropped_on_the_viewer(make_napari_viewer, shared_data):
    from napari_blochnet.napari_ui.state.session import session_of

    viewer = make_napari_viewer(show=True)
    viewer.open(str(shared_data / "brainweb" / "mritc_2mm"), plugin="napari-blochnet")
    session = session_of(viewer)
    (entry,) = session.entries("phantom")
    assert entry.subject.shape == (91, 109, 91)
    assert {layer.colorbar.visible for layer in session.layers(role="T1")} == {True}


def test_anatomical_maps_are_upright_and_masked(make_napari_viewer, shared_data):
    viewer = make_napari_viewer(show=True)
    viewer.open(str(shared_data / "anatomical" / "brain_t1_t2_pd_128.mat"), plugin="napari-blochnet")
    t1 = next(layer for layer in viewer.layers if layer.name.startswith("T1"))
    assert t1.data.shape == (1, 128, 128)


@pytest.mark.parametrize("key", ["head-slice", "noisy-fingerprints"])
def test_samples(make_napari_viewer, key):
    from napari_blochnet.napari_ui.state.session import session_of

    viewer = make_napari_viewer(show=True)
    viewer.open_sample("napari-blochnet", key)
    session = session_of(viewer)
    assert session.entries("phantom")
    stacks = session.entries("stack")
    assert len(stacks) == (key == "noisy-fingerprints")
    if stacks:
        # the truth comes with the stack: errors can be shown at once
        assert stacks[0].truth is session.entries("phantom")[0].subject
        (shown,) = [layer for layer in viewer.layers if layer.visible]
        assert shown.name.endswith("SNR 20")


def test_stack_with_our_sidecar(make_napari_viewer, tmp_path):
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.fingerprints.stack_files import write_fingerprints
    from napari_blochnet.napari_ui.state.session import session_of
    from napari_blochnet.schedules.generators import spline_schedule

    schedule = spline_schedule(length=20)
    data = np.random.default_rng(0).standard_normal((20, 2, 5, 6)).astype(np.complex64)
    write_fingerprints(FingerprintStack(data, schedule), tmp_path / "mine.nii.gz")
    assert stack_reader(str(tmp_path / "mine.nii.gz")) is not None
    viewer = make_napari_viewer(show=True)
    viewer.open(str(tmp_path / "mine.nii.gz"), plugin="napari-blochnet")
    (entry,) = session_of(viewer).entries("stack")
    assert entry.subject.schedule == schedule
    np.testing.assert_allclose(np.asarray(viewer.layers[0].data), np.abs(data), rtol=1e-5)


@pytest.mark.parametrize("ending", ["zarr", "h5"])
def test_a_store_of_ours_dropped_on_the_viewer(make_napari_viewer, tmp_path, ending):
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.fingerprints.stack_files import write_fingerprints
    from napari_blochnet.napari_ui.state.session import session_of
    from napari_blochnet.schedules.generators import spline_schedule

    data = np.random.default_rng(0).standard_normal((20, 2, 5, 6)).astype(np.complex64)
    write_fingerprints(FingerprintStack(data, spline_schedule(length=20)), tmp_path / f"mine.{ending}")
    viewer = make_napari_viewer(show=True)
    viewer.open(str(tmp_path / f"mine.{ending}"), plugin="napari-blochnet")
    (entry,) = session_of(viewer).entries("stack")
    np.testing.assert_array_equal(entry.subject.data, data)


def test_a_series_of_contrasts_is_an_image_and_no_stack(make_napari_viewer, tmp_path, write_dicom):
    from napari_blochnet.napari_ui.state.session import session_of
    from napari_blochnet.napari_ui.workbench import Workbench

    folder = tmp_path / "ir"
    folder.mkdir()
    for number, time in enumerate((400, 50)):
        write_dicom(folder / f"{number}.dcm", np.full((6, 8), time), series=f"1.{number}", InversionTime=time)
    assert contrast_reader(str(folder)) is not None
    assert contrast_reader(str(tmp_path / "none")) is None
    viewer = make_napari_viewer(show=True)
    viewer.open(str(folder), plugin="napari-blochnet")
    (layer,) = viewer.layers
    np.testing.assert_array_equal(layer.data[:, 0, 0, 0], [50, 400])
    assert layer.axis_labels == ("contrast", "z", "y", "x")
    assert [str(unit) for unit in layer.units[1:]] == ["millimeter"] * 3
    np.testing.assert_allclose(layer.scale[1:], (3.0, 2.0, 1.5))
    assert layer.metadata["blochnet"]["contrasts"]["TI"] == [50, 400]
    session = session_of(viewer)
    assert not session.entries("stack")
    (workbench,) = session.window().findChildren(Workbench)
    assert "is no fingerprint stack" in workbench.data.jobs.message.text()
    viewer.layers.clear()
    viewer.open(str(folder / "1.dcm"), plugin="napari-blochnet")
    assert viewer.layers[0].data.shape == (1, 1, 6, 8)


def test_a_stack_keeps_its_own_schedule(desk, tmp_path):
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.fingerprints.stack_files import write_fingerprints
    from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule

    # as long as the one in the Schedule tab: nothing but the sidecar tells them apart
    mine = spline_schedule(length=1000, seed=5)
    data = np.random.default_rng(0).standard_normal((1000, 1, 3, 4)).astype(np.complex64)
    write_fingerprints(FingerprintStack(data, mine), tmp_path / "mine.nii.gz")
    desk = desk()
    assert desk.session.schedule == fisp_schedule()
    assert desk.open_stack(tmp_path / "mine.nii.gz").startswith("Opened")
    # the choice is that of a file: another path begins with the file's own
    data = desk.workbench.data
    data.schedule_choice.setCurrentIndex(1)
    assert desk.run(data, data.open_stack).startswith("Opened")
    first, second = (entry.subject for entry in desk.session.entries("stack"))
    assert first.schedule == mine
    assert second.schedule == fisp_schedule()


def test_a_damaged_file_dropped_on_the_viewer_is_said_in_a_sentence(make_napari_viewer, tmp_path):
    from napari.utils.notifications import notification_manager

    text = tmp_path / "head_crisp.mnc"
    text.write_text("not a volume at all\n" * 50)
    viewer = make_napari_viewer(show=True)
    notification_manager.records.clear()
    viewer.open(str(text), plugin="napari-blochnet")
    assert len(viewer.layers) == 0
    said = [record.message for record in notification_manager.records]
    assert any("head_crisp.mnc" in message for message in said), said
