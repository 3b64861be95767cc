"""Stacks in files: round trips, every format, the acquired data, and mistakes as sentences."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import read_fingerprints, write_fingerprints
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.schedules.schedule_files import read_schedule

_N = 7
_SCHEDULE = Schedule(np.linspace(5, 60, _N), 12.0, 3.0, inversion_time=20.0, name="seven")
_RANDOM = np.random.default_rng(0)
_DATA = (_RANDOM.normal(size=(_N, 2, 3, 4)) + 1j * _RANDOM.normal(size=(_N, 2, 3, 4))).astype(np.complex64)


@pytest.fixture
def acquired(shared_data: Path) -> Path:
    return shared_data / "acquired" / "vumc_mrf_500"


@pytest.fixture
def mrf_500(acquired: Path) -> Schedule:
    return read_schedule(
        acquired / "MRF_500.csv", flip_angle=60.0, repetition_time=15.0, echo_time=3.3, inversion_time=15.0
    )


def test_acquired_stack(acquired: Path, mrf_500: Schedule) -> None:
    stack = read_fingerprints(acquired / "frames.npz", mrf_500)
    assert stack.shape == (500, 1, 240, 240)
    assert stack.kind == "magnitude"
    assert stack.data.dtype == np.uint8
    np.testing.assert_array_equal(stack.data[:, 0], np.load(acquired / "frames.npz")["frames"])
    # sphere 1 lies at x = 128, y = 75 pixels: bright there, dark in the corner
    assert stack.data[:, 0, 75, 128].mean() > 5 * stack.data[:, 0, 5, 5].mean()
    assert any("voxel size" in note for note in stack.notes)
    with pytest.raises(InputError, match=r"frames\.npz: its axes have lengths 500 × 240 × 240; expected one as long"):
        read_fingerprints(acquired / "frames.npz", _SCHEDULE)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_DATA, "complex"),
        (_DATA.real.copy(), "real"),
        (np.abs(_DATA), "magnitude"),
        (np.rint(np.abs(_DATA) * 9).astype(np.uint16), "magnitude"),
    ],
)
def test_round_trip(tmp_path: Path, ending: str, data: np.ndarray, kind: str) -> None:
    mask = np.ones((2, 3, 4), bool)
    mask[0, 0, 0] = False
    affine = np.array([[0, -2.0, 0, 5], [1.0, 0, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])
    stack = FingerprintStack(data, _SCHEDULE, kind, mask, (3.0, 2.0, 1.0), affine, snr=20.0, noise_sigma=0.1,
                             name="mine", record={"seed": 3})  # fmt: skip
    files = write_fingerprints(stack, tmp_path / f"stack{ending}")
    assert {file.name for file in files} == {f"stack{ending}", "stack_mask.nii.gz", "stack.json"}
    again = read_fingerprints(files[0])
    np.testing.assert_array_equal(again.data, data)
    np.testing.assert_array_equal(again.mask, mask)
    assert again.schedule == _SCHEDULE
    assert (again.kind, again.snr, again.noise_sigma, again.name) == (kind, 20.0, 0.1, "mine")
    assert again.record == {"seed": 3}
    np.testing.assert_allclose(again.affine, affine, atol=1e-6)
    if ending == ".nii":
        assert isinstance(again.data.base, np.memmap) or isinstance(again.data, np.memmap)


def test_other_endings_are_refused_for_writing(tmp_path: Path) -> None:
    stack = FingerprintStack(_DATA, _SCHEDULE)
    with pytest.raises(InputError, match=r"stack\.npy: a stack is written as NIfTI"):
        write_fingerprints(stack, tmp_path / "stack.npy")


def _npy(path: Path, data: np.ndarray) -> Path:
    np.save(path / "a.npy", data)
    return path / "a.npy"


def _npz(path: Path, data: np.ndarray) -> Path:
    np.savez_compressed(path / "a.npz", stack=data, te=np.arange(3.0))
    return path / "a.npz"


def _hdf5(path: Path, data: np.ndarray) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file["group/stack"] = data
        file["te"] = np.arange(3.0)
    return path / "a.h5"


def _chunked(path: Path, data: np.ndarray) -> Path:
    with h5py.File(path / "a.hdf5", "w") as file:
        file.create_dataset("stack", data=data, chunks=True, compression="gzip")
    return path / "a.hdf5"


@pytest.mark.parametrize("write", [_npy, _npz, _hdf5, _chunked])
@pytest.mark.parametrize("axis", [0, 1, 3])
def test_time_on_any_axis(tmp_path: Path, write, axis: int) -> None:
    path = write(tmp_path, np.moveaxis(_DATA, 0, axis))
    stack = read_fingerprints(path, _SCHEDULE, voxel_size=(3.0, 2.0, 1.0))
    np.testing.assert_array_equal(stack.data, _DATA)
    assert stack.voxel_size == (3.0, 2.0, 1.0)
    assert any(f"Time is axis {axis}" in note for note in stack.notes)


@pytest.mark.parametrize("write", [_npy, _hdf5])
def test_what_can_be_mapped_is(tmp_path: Path, write) -> None:
    data = read_fingerprints(write(tmp_path, _DATA), _SCHEDULE).data
    while data.base is not None and not isinstance(data, np.memmap):
        data = data.base
    assert isinstance(data, np.memmap)


def test_fewer_axes(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_fingerprints(_npy(tmp_path, _DATA[:, 0]), _SCHEDULE).data, _DATA[:, :1])
    line = read_fingerprints(_npy(tmp_path, _DATA[:, 0, 0].T), _SCHEDULE)
    np.testing.assert_array_equal(line.data, _DATA[:, :1, :1])


def test_matlab_has_slices_last(tmp_path: Path) -> None:
    matlab = _DATA.transpose(2, 3, 1, 0)  # (y, x, z, time)
    scipy.io.savemat(tmp_path / "a.mat", {"stack": matlab, "note": "text"})
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.mat", _SCHEDULE).data, _DATA)
    pairs = np.zeros(matlab.T.shape, [("real", "<f4"), ("imag", "<f4")])
    pairs["real"], pairs["imag"] = matlab.T.real, matlab.T.imag
    for options in ({}, {"chunks": True}):
        with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
            file.create_dataset("stack", data=pairs, **options)
        np.testing.assert_array_equal(read_fingerprints(tmp_path / "b.mat", _SCHEDULE).data, _DATA)


def test_two_axes_that_fit_are_asked_about(tmp_path: Path) -> None:
    square = np.arange(_N * _N * 2, dtype=np.float32).reshape(_N, _N, 2) + 1
    path = _npy(tmp_path, square)
    with pytest.raises(InputError, match=r"a\.npy: axes 0 and 1 of 7 × 7 × 2 are as long") as caught:
        read_fingerprints(path, _SCHEDULE)
    assert caught.value.field == "time_axis"
    stack = read_fingerprints(path, _SCHEDULE, time_axis=1)
    np.testing.assert_array_equal(stack.data[:, 0], square.transpose(1, 0, 2))
    with pytest.raises(InputError, match="axis 2 has length 2; expected that of the schedule seven, 7 pulses"):
        read_fingerprints(path, _SCHEDULE, time_axis=2)
    with pytest.raises(InputError, match="time_axis is 5; expected 0 to 2"):
        read_fingerprints(path, _SCHEDULE, time_axis=5)


def test_several_arrays_are_asked_about(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=_DATA, two=2 * _DATA)
    with pytest.raises(InputError, match=r"holds 2 arrays: one \(7 × 2 × 3 × 4\), two .* give variable") as caught:
        read_fingerprints(tmp_path / "a.npz", _SCHEDULE)
    assert caught.value.field == "variable"
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.npz", _SCHEDULE, variable="two").data, 2 * _DATA)
    with pytest.raises(InputError, match="has no array 'three'; it holds one, two"):
        read_fingerprints(tmp_path / "a.npz", _SCHEDULE, variable="three")


def test_masks(tmp_path: Path) -> None:
    path = _npy(tmp_path, _DATA)
    mask = np.zeros((2, 3, 4))
    mask[1, 1, 1] = 3
    assert read_fingerprints(path, _SCHEDULE, mask=mask).mask.sum() == 1
    np.save(tmp_path / "mask.npy", mask)
    assert read_fingerprints(path, _SCHEDULE, mask=tmp_path / "mask.npy").mask[1, 1, 1]
    with pytest.raises(InputError, match=r"the mask: has shape \(1, 3, 4\); expected that of a\.npy, \(2, 3, 4\)"):
        read_fingerprints(path, _SCHEDULE, mask=mask[0])


def test_a_stack_of_nan_alone_names_the_file(tmp_path: Path) -> None:
    data = np.full_like(_DATA, np.nan)
    with pytest.raises(InputError, match=r"^a\.npy: .*NaN or infinity in all 24 voxels inside the mask; expected fin"):
        read_fingerprints(_npy(tmp_path, data), _SCHEDULE)


def test_a_receiver_that_did_not_follow_is_turned_back(tmp_path: Path) -> None:
    spoiled = _SCHEDULE.replace(rf_phase=117.0 * np.arange(_N) * (np.arange(_N) + 1) / 2)
    fixed = _DATA * np.exp(1j * np.deg2rad(spoiled.rf_phase))[:, None, None, None]
    path = _npy(tmp_path, fixed.astype(np.complex64))
    for stack in (
        read_fingerprints(path, spoiled, receiver_phase="fixed"),
        read_fingerprints(path, spoiled.replace(receiver_phase="fixed")),
    ):
        np.testing.assert_allclose(stack.data, _DATA, atol=1e-5)
        assert stack.schedule.receiver_phase == "follows"
    np.testing.assert_allclose(read_fingerprints(path, spoiled).data, fixed, atol=1e-5)
    # what was turned once stays so when written and read again
    write_fingerprints(read_fingerprints(path, spoiled, receiver_phase="fixed"), tmp_path / "b.nii")
    np.testing.assert_allclose(read_fingerprints(tmp_path / "b.nii").data, _DATA, atol=1e-5)


def test_real_data_can_only_change_its_sign(tmp_path: Path) -> None:
    alternating = _SCHEDULE.replace(rf_phase=180.0 * (np.arange(_N) % 2), receiver_phase="fixed")
    signs = np.where(np.arange(_N) % 2, -1, 1)[:, None, None, None]
    path = _npy(tmp_path, (signs * _DATA.real).astype(np.float32))
    np.testing.assert_allclose(read_fingerprints(path, alternating, kind="real").data, _DATA.real)
    with pytest.raises(InputError, match="holds real numbers, from which an RF phase of 90"):
        read_fingerprints(path, alternating.replace(rf_phase=90.0), kind="real")
    # a single slice is asked nothing, and magnitudes have no phase
    np.save(tmp_path / "b.npy", (signs * _DATA.real)[:, 0].astype(np.float32))
    np.testing.assert_allclose(read_fingerprints(tmp_path / "b.npy", alternating).data[:, 0], _DATA.real[:, 0])
    np.save(tmp_path / "b.npy", np.abs(_DATA))
    magnitude = read_fingerprints(tmp_path / "b.npy", alternating)
    assert magnitude.kind == "magnitude"
    np.testing.assert_array_equal(magnitude.data, np.abs(_DATA))
    with pytest.raises(InputError, match="receiver_phase is 'turns'"):
        read_fingerprints(path, alternating, "real", receiver_phase="turns")  # type: ignore[arg-type]


def test_no_schedule(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.npy: does not say what schedule made it; give schedule"):
        read_fingerprints(_npy(tmp_path, _DATA))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.npy", b"no array", r"^a\.npy: cannot be read as a NumPy array"),
        ("a.npz", b"no archive", r"^a\.npz: cannot be read as NumPy arrays"),
        ("a.h5", b"no file of this kind", r"^a\.h5: does not begin as an HDF5 file does"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(600), r"^a\.h5: cannot be read as HDF5"),
        ("a.mat", b"no MATLAB", r"^a\.mat: cannot be read as a MATLAB file"),
        ("a.nii", b"no image", r"^a\.nii: cannot be read as NIfTI"),
        ("a.jpg", b"a picture", r"^a\.jpg: cannot tell the format"),
    ],
)
def test_files_that_are_no_stack(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_fingerprints(tmp_path / name, _SCHEDULE)
    assert "\n" not in str(caught.value)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path(tmp_path / "sprung").touch, ())

    trap = np.array([Trap()] * _N, dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "a.npz", stack=trap)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError):
            read_fingerprints(tmp_path / name, _SCHEDULE)
    assert not (tmp_path / "sprung").exists()


def test_truncated_and_forged_arrays(tmp_path: Path) -> None:
    path = _npy(tmp_path, _DATA)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"^a\.npy: cannot be read as a NumPy array"):
        read_fingerprints(path, _SCHEDULE)
    forged = whole[:128].replace(b"(7, 2, 3, 4)", b"(7, 9999999)")
    path.write_bytes(forged.replace(b"(7, 9999999)", b"(7,10**12,)") + whole[128:])
    with pytest.raises(InputError, match=r"^a\.npy"):
        read_fingerprints(path, _SCHEDULE)
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stack.npy", forged + whole[128:])
    with pytest.raises(InputError, match=r"^b\.npz"):
        read_fingerprints(tmp_path / "b.npz", _SCHEDULE)


def test_numbers_in_another_file_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["stack"] = _DATA
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stack"] = h5py.ExternalLink("secret.h5", "stack")
    with pytest.raises(InputError, match=r"a\.h5: holds 0 arrays"):
        read_fingerprints(tmp_path / "a.h5", _SCHEDULE)
    with pytest.raises(InputError, match="has no array 'stack'"):
        read_fingerprints(tmp_path / "a.h5", _SCHEDULE, variable="stack")


def test_text_is_no_fingerprint(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((_N, 3), "text"))
    with pytest.raises(InputError, match=r"a\.npy: holds <U4; expected complex or real numbers"):
        read_fingerprints(tmp_path / "a.npy", _SCHEDULE)
