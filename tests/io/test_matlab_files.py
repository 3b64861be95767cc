"""The one way into MATLAB files: versions 4, 5 and 7.3 as scipy and h5py write them, by path, whole and damaged."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.io import matlab_array
from napari_blochnet.io.matlab_files import ArraysOnDemand, find_array, list_arrays, outermost

_HEAD = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"


def _nested(path: Path, compressed: bool) -> None:
    elements = np.zeros((1, 2), dtype=[("fa", object), ("name", object)])
    elements[0, 0] = (np.array([1.0, 2.0]), "first")
    elements[0, 1] = (np.array([3.0, 4.0]), "second")
    cell = np.empty((1, 3), dtype=object)
    cell[0, :] = [np.eye(2), "text", {"deep": np.array([7], np.int16)}]
    content = {"seq": {"rf": {"fa": np.arange(5.0), "on": True}, "tr": 12.0}, "x": elements, "c": cell, "n": np.eye(3)}
    scipy.io.savemat(path, content, do_compression=compressed)


@pytest.mark.parametrize("compressed", [False, True])
def test_structures_and_cells_are_opened_by_path(tmp_path: Path, compressed: bool) -> None:
    _nested(tmp_path / "a.mat", compressed)
    arrays = list_arrays(tmp_path / "a.mat")
    assert list(arrays) == ["seq.rf.fa", "seq.rf.on", "seq.tr", "x(1).fa", "x(2).fa", "c{1}", "c{3}.deep", "n"]
    np.testing.assert_array_equal(arrays["seq.rf.fa"].read(), [np.arange(5.0)])
    np.testing.assert_array_equal(arrays["x(2).fa"].read(), [[3.0, 4.0]])
    np.testing.assert_array_equal(arrays["c{1}"].read(), np.eye(2))
    assert arrays["c{3}.deep"].read() == 7
    assert arrays["c{3}.deep"].matlab_class == "int16"
    assert arrays["seq.rf.on"].is_flag
    assert not arrays["seq.tr"].is_flag
    assert find_array(tmp_path / "a.mat", arrays, "seq/rf/fa") is arrays["seq.rf.fa"]
    assert find_array(tmp_path / "a.mat", arrays, "x (1) . fa") is arrays["x(1).fa"]
    assert list(outermost(arrays)) == ["n"]
    np.testing.assert_array_equal(ArraysOnDemand(arrays)["n"], np.eye(3))
    with pytest.raises(InputError, match=r"a\.mat: has no array 'seq\.fa'; it holds n, seq\.rf\.fa, ") as caught:
        find_array(tmp_path / "a.mat", arrays, "seq.fa")
    assert caught.value.field == "variable"


def test_the_structures_of_a_real_file(shared_data: Path) -> None:
    """Its maker's own reading is scipy's."""
    path = shared_data / "coefficients" / "ua_t1_phantom" / "t1_phantom_PC_30TI.mat"
    by_scipy = scipy.io.loadmat(path)["D"][0, 0]
    arrays = list_arrays(path)
    numeric = [name for name in by_scipy.dtype.names if by_scipy[name].dtype.kind in "iuf" and by_scipy[name].size]
    assert [name for name, each in arrays.items() if each.nbytes] == [f"D.{name}" for name in numeric]
    for name in numeric:
        np.testing.assert_array_equal(arrays[f"D.{name}"].read(), by_scipy[name])


def _hdf5(path: Path) -> h5py.File:
    return h5py.File(path, "w", userblock_size=512)


def test_structures_and_cells_of_version_73(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with _hdf5(path) as file:
        refs = file.create_group("#refs#")
        for name, values in (("a", np.eye(2)), ("b", [[3.0], [4.0]]), ("c", [[5.0], [6.0]])):
            refs[name] = values
        refs["text"] = np.array([[97], [98]], np.uint16)
        refs["text"].attrs["MATLAB_class"] = np.bytes_("char")
        seq = file.create_group("seq")
        seq.attrs["MATLAB_class"] = np.bytes_("struct")
        seq["fa"] = np.arange(6.0).reshape(3, 2)
        seq["on"] = np.array([[1]], np.uint8)
        seq["on"].attrs["MATLAB_class"] = np.bytes_("logical")
        many = file.create_group("x")
        many.attrs["MATLAB_class"] = np.bytes_("struct")
        many.create_dataset("fa", data=np.array([[refs["b"].ref], [refs["c"].ref]], h5py.ref_dtype))
        cell = file.create_dataset("c", data=np.array([[refs["a"].ref], [refs["text"].ref]], h5py.ref_dtype))
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    arrays = list_arrays(path)
    assert sorted(arrays) == ["c{1}", "seq.fa", "seq.on", "x(1).fa", "x(2).fa"]
    # as MATLAB shows it: two rows of three, the axes of the file in reverse
    np.testing.assert_array_equal(arrays["seq.fa"].read(), [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(arrays["x(2).fa"].read(), [[5.0, 6.0]])
    assert arrays["seq.on"].is_flag


@pytest.mark.parametrize("chunks", [None, (2, 1)])
@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("real", "<f8"), ("imag", "<f8")]),
        np.dtype([("imag", "<f8"), ("real", "<f8")]),
        np.dtype([("r", ">f4"), ("i", ">f4")]),
        np.dtype({"names": ["real", "imag"], "formats": ["<f4", "<f4"], "offsets": [4, 12], "itemsize": 20}),
        np.dtype([("Re", "<i2"), ("Im", "<i2")]),
    ],
)
def test_complex_numbers_by_the_names_of_their_parts(tmp_path: Path, dtype: np.dtype, chunks) -> None:
    expected = np.array([[1 + 2j, 3 - 4j, 5j], [-6, 7 + 8j, 9]])
    stored = np.zeros(expected.T.shape, dtype)
    for name in dtype.names or ():
        stored[name] = expected.T.real if name.lower() in ("real", "re", "r") else expected.T.imag
    with _hdf5(tmp_path / "a.mat") as file:
        file.create_dataset("z", data=stored, chunks=chunks)
    np.testing.assert_array_equal(list_arrays(tmp_path / "a.mat")["z"].read(), expected)


def test_version_4(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    content = {"fa": np.array([[1.5, 2.5]]), "n": np.array([[3]], np.int16), "z": np.array([[1 + 2j], [3 - 4j]])}
    scipy.io.savemat(path, content | {"text": "abc"}, format="4")
    arrays = list_arrays(path)
    assert set(arrays) == set(content)
    for name, values in content.items():
        np.testing.assert_array_equal(arrays[name].read(), values)
    whole = path.read_bytes()
    path.write_bytes(struct.pack(">5i", 1000, 1, 2, 0, 2) + b"m\0" + struct.pack(">2d", 4, 5))
    np.testing.assert_array_equal(list_arrays(path)["m"].read(), [[4.0, 5.0]])
    path.write_bytes(whole[:-30])
    with pytest.raises(InputError, match=r"a\.mat: cannot be read as a MATLAB file \(.* is cut off\)"):
        list_arrays(path)


def test_large_arrays_that_are_not_packed_stay_on_disk(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((400, 400))
    scipy.io.savemat(tmp_path / "a.mat", {"s": {"a": values}})
    read = list_arrays(tmp_path / "a.mat")["s.a"].read()
    assert isinstance(read, np.memmap)
    np.testing.assert_array_equal(read, values)
    before = (tmp_path / "a.mat").read_bytes()
    read[0, 0] = 5
    assert (tmp_path / "a.mat").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is empty"),
        (b"# Created by Octave 8.4.0\n# name: fa\n", "Octave's text format; save it with save -v7"),
        (bytes(200), "does not begin as one of version 4, 5 or 7.3"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "cannot be read as a MATLAB 7.3 file"),
    ],
)
def test_what_is_no_matlab_file_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError) as caught:
        list_arrays(tmp_path / "a.mat")
    assert str(caught.value).startswith("a.mat: cannot be read as a MATLAB")
    assert sentence in str(caught.value)


def test_a_pointer_in_place_of_a_matlab_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(InputError, match=r"^a\.mat: holds only a pointer of Git LFS.*fetch it with: git lfs pull"):
        list_arrays(tmp_path / "a.mat")


def test_what_lies_in_another_file_is_never_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.eye(3)
    (tmp_path / "raw").write_bytes(bytes(80))
    with _hdf5(tmp_path / "a.mat") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
        file["soft"] = h5py.SoftLink("/link")
        file.create_dataset("raw", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
        layout = h5py.VirtualLayout((3, 3), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3, 3))
        file.create_virtual_dataset("virtual", layout)
        file["own"] = np.eye(2)
    arrays = list_arrays(tmp_path / "a.mat")
    assert {name for name, each in arrays.items() if each.trouble} == {"link", "soft", "raw", "virtual"}
    for name in ("link", "soft", "raw", "virtual"):
        with pytest.raises(InputError, match=f"a.mat: {name} lies in another file"):
            arrays[name].read()
    assert list(outermost(arrays)) == ["own"]


def test_groups_that_hold_themselves_end(tmp_path: Path) -> None:
    with _hdf5(tmp_path / "a.mat") as file:
        group = file.create_group("g")
        group["again"] = group
        group["x"] = np.eye(3)
    assert list(list_arrays(tmp_path / "a.mat")) == ["g.x"]


def _matrix(name: str, matlab_class: int, shape: tuple[int, ...]) -> bytes:
    head = struct.pack("<IIII", 6, 8, matlab_class, 0) + struct.pack("<IIii", 5, 8, *shape)
    return head + struct.pack("<II", 1, len(name)) + name.encode() + b"\0" * (-len(name) % 8)


def _packed(body: bytes, zeros: int) -> bytes:
    stream = zlib.compressobj()
    packed = stream.compress(struct.pack("<II", 14, len(body) + zeros) + body)
    for _ in range(zeros >> 20):
        packed += stream.compress(bytes(2**20))
    packed += stream.flush()
    return struct.pack("<II", 15, len(packed)) + packed


def test_an_array_out_of_nearly_nothing_is_refused_before_memory_is_set_aside(tmp_path: Path) -> None:
    size = 100 * 2**20
    body = _matrix("fa", 6, (size // 8, 1)) + struct.pack("<II", 9, size)
    (tmp_path / "a.mat").write_bytes(_HEAD + _packed(body, size))
    with pytest.raises(InputError, match=r"a\.mat: fa claims 100 MB out of"):
        list_arrays(tmp_path / "a.mat")["fa"].read()
    with _hdf5(tmp_path / "b.mat") as file:
        file.create_dataset("fa", (2**40,), "f8", chunks=(2**20,), compression="gzip")
    with pytest.raises(InputError, match=r"b\.mat: fa claims 8,388,608 MB out of"):
        list_arrays(tmp_path / "b.mat")["fa"].read()


def test_structures_are_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes behind 8 MB of zeros in a structure of 8 kB is not looked for."""
    monkeypatch.setattr(matlab_array, "_UNPACKED", 2**20)
    zeros = 8 * 2**20
    fields = struct.pack("<HHi", 5, 4, 2) + struct.pack("<II", 1, 4) + b"a\0b\0" + bytes(4)
    inner = _matrix("", 6, (zeros // 8, 1)) + struct.pack("<II", 9, zeros)
    body = _matrix("s", 2, (1, 1)) + fields + struct.pack("<II", 14, len(inner) + zeros) + inner
    (tmp_path / "a.mat").write_bytes(_HEAD + _packed(body, zeros))
    with pytest.warns(DataWarning, match="packed too tightly to be looked through"):
        assert list(list_arrays(tmp_path / "a.mat")) == ["s.a"]


def test_a_file_of_many_tiny_arrays_is_cut_short(tmp_path: Path) -> None:
    one = _matrix("a", 6, (1, 1)) + struct.pack("<IId", 9, 8, 1.0)
    (tmp_path / "a.mat").write_bytes(_HEAD + (struct.pack("<II", 14, len(one)) + one) * 6000)
    with pytest.warns(DataWarning, match="more than 5,000 arrays; the rest is left out"):
        list_arrays(tmp_path / "a.mat")


@pytest.mark.filterwarnings("ignore::napari_blochnet.common.errors.DataWarning")
def test_damaged_structures_and_other_versions_are_read_or_a_sentence(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    _nested(tmp_path / "5.mat", False)
    _nested(tmp_path / "7.mat", True)
    scipy.io.savemat(tmp_path / "4.mat", {"a": np.eye(3), "z": np.eye(2) * 1j}, format="4")
    with _hdf5(tmp_path / "73.mat") as file:
        file.create_dataset("g/a", data=random.random((20, 20)), chunks=(5, 5), compression="gzip")
        file["b"] = np.eye(3)
    outcomes = set()
    for name in ("4", "5", "7", "73"):
        whole = (tmp_path / f"{name}.mat").read_bytes()
        for _ in range(150):
            data = bytearray(whole[: random.integers(len(whole))] if random.random() < 0.3 else whole)
            for at in random.integers(0, max(1, len(data)), 4):
                if data:
                    data[at] = random.integers(256)
            (tmp_path / "damaged.mat").write_bytes(bytes(data))
            try:
                for array in list_arrays(tmp_path / "damaged.mat").values():
                    if array.nbytes < 10**6:
                        array.read()
                outcomes.add("read")
            except InputError as error:
                outcomes.add(str(error).split("(")[0].strip())
    assert "read" in outcomes
    assert all(each == "read" or each.startswith("damaged.mat: ") for each in outcomes)
