"""MATLAB 5 files against scipy's reader and writer, whole and damaged."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.matlab5 import is_matlab_73, list_matlab_arrays


@pytest.mark.parametrize("compressed", [False, True])
def test_every_numeric_type(tmp_path: Path, compressed: bool) -> None:
    random = np.random.default_rng(0)
    content = {
        dtype: (100 * random.random((3, 4, 5))).astype(dtype)
        for dtype in ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "c8", "c16")
    }
    content |= {
        "scalar": np.float64(3.5),
        "row": np.arange(4.0),
        "tiny": np.array([[1, 2]], np.uint8),
        "yes": np.array([True]),
    }
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, content, do_compression=compressed)
    found = list_matlab_arrays(path)
    by_scipy = scipy.io.loadmat(path)
    assert set(found) == set(content)
    for name, array in found.items():
        np.testing.assert_array_equal(array.read(), by_scipy[name])
        assert array.shape == by_scipy[name].shape


@pytest.mark.parametrize(
    "name",
    [
        "schedules/fatr.mat",
        "brainweb/crisp/MNIbrain.mat",
        "brainweb/crisp/brain2D.mat",
        "anatomical/brain_t1_t2_pd_128.mat",
    ],
)
def test_real_files_as_scipy_reads_them(shared_data: Path, name: str) -> None:
    by_scipy = {key: value for key, value in scipy.io.loadmat(shared_data / name).items() if not key.startswith("__")}
    found = list_matlab_arrays(shared_data / name)
    assert set(found) == set(by_scipy)
    for key, values in by_scipy.items():
        again = found[key].read()
        np.testing.assert_array_equal(again, values)
        assert again.dtype == values.dtype


def test_what_is_no_array_of_numbers_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"text": "abc", "cell": np.array([[1], "b"], object), "s": {"a": 1}, "n": np.eye(2)})
    assert set(list_matlab_arrays(path)) == {"cell{1}", "s.a", "n"}
    assert not is_matlab_73(path)


@pytest.mark.parametrize("content", [b"", b"text", bytes(200), b"x" * 124 + b"\x00\x02IM" + bytes(50)])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mat: cannot be read as a MATLAB file"):
        list_matlab_arrays(tmp_path / "a.mat")


def test_big_endian(tmp_path: Path) -> None:
    """A 2 × 2 matrix of doubles by hand, as a big-endian machine writes it."""
    body = (
        struct.pack(">IIII", 6, 8, 6, 0)
        + struct.pack(">IIii", 5, 8, 2, 2)
        + struct.pack(">I", 1 << 16 | 1)
        + b"m\0\0\0"
    )
    body += struct.pack(">IIdddd", 9, 32, 1, 2, 3, 4)
    head = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI"
    (tmp_path / "a.mat").write_bytes(head + struct.pack(">II", 14, len(body)) + body)
    np.testing.assert_array_equal(list_matlab_arrays(tmp_path / "a.mat")["m"].read(), [[1, 3], [2, 4]])


def test_damage_is_read_or_a_sentence(tmp_path: Path) -> None:
    """Cut anywhere, or with bytes changed, a file never raises anything else; scipy's reader may end the process."""
    random = np.random.default_rng(0)
    outcomes = set()
    for compressed in (False, True):
        scipy.io.savemat(tmp_path / "a.mat", {"a": random.random((5, 6)), "b": np.eye(3)}, do_compression=compressed)
        whole = (tmp_path / "a.mat").read_bytes()
        damaged = [whole[:n] for n in range(0, len(whole), 5)]
        for _ in range(400):
            data = bytearray(whole)
            for at in random.integers(100, len(whole), 3):
                data[at] = random.integers(256)
            damaged.append(bytes(data))
        for data in damaged:
            (tmp_path / "b.mat").write_bytes(data)
            try:
                for array in list_matlab_arrays(tmp_path / "b.mat").values():
                    if array.nbytes < 10**6:
                        array.read()
                outcomes.add("read")
            except InputError as error:
                outcomes.add(str(error).split("(")[0])
    assert outcomes == {"read", "b.mat: cannot be read as a MATLAB file "}


def test_a_bomb_is_unpacked_no_further_than_its_shape(tmp_path: Path) -> None:
    body = (
        struct.pack("<IIII", 6, 8, 6, 0)
        + struct.pack("<IIii", 5, 8, 2, 2)
        + struct.pack("<I", 1 << 16 | 1)
        + b"m\0\0\0"
    )
    body += struct.pack("<II", 9, 32) + bytes(50_000_000)
    packed = zlib.compress(struct.pack("<II", 14, len(body)) + body)
    assert len(packed) < 60_000
    head = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    np.testing.assert_array_equal(list_matlab_arrays(tmp_path / "a.mat")["m"].read(), np.zeros((2, 2)))
