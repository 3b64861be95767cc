"""HDF5 as other programs write it: complex numbers however they are stored, MATLAB's own groups, other files' data.

h5py writes the files, its low level where its own complex type would say too much.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError

N = 12
SCHEDULE = nb.Schedule(np.linspace(10, 60, N), 12.0, 4.0)
RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(N, 2, 3, 4)) + 1j * RNG.normal(size=(N, 2, 3, 4))

NAMES = [("real", "imag"), ("r", "i"), ("re", "im"), ("Real", "Imag"), ("REAL", "IMAGINARY")]
LAYOUTS = {
    "plain": {"offsets": [0, 4], "itemsize": 8},
    "padded between": {"offsets": [0, 8], "itemsize": 16},
    "padded before and behind": {"offsets": [4, 8], "itemsize": 24},
    "imaginary part first": {"offsets": [4, 0], "itemsize": 8},
    "imaginary part first, padded": {"offsets": [8, 0], "itemsize": 12},
}


def write(path, names, layout, part="<f4", **how):
    """Write `DATA` as pairs in a file, laid out exactly so: h5py hands NumPy's layouts on to HDF5."""
    pairs = np.zeros(DATA.shape, np.dtype({"names": list(names), "formats": [part, part], **layout}))
    pairs[names[0]], pairs[names[1]] = DATA.real, DATA.imag
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("stack", pairs.shape, pairs.dtype, **how)
        # h5py takes (r, i) for its own complex type, and then wants complex numbers
        dataset[...] = pairs if dataset.dtype.names else DATA
        stored = dataset.id.get_type()
        assert [stored.get_member_offset(stored.get_member_index(name.encode())) for name in names] == layout["offsets"]
        assert stored.get_size() == layout["itemsize"]
    return path


@pytest.mark.parametrize("how", [{}, {"chunks": (5, 2, 3, 4)}, {"chunks": True, "compression": "gzip"}], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("names", NAMES, ids=str)
def test_complex_numbers_are_told_by_the_names_of_their_parts(tmp_path, names, layout, how):
    stack = nb.read_fingerprints(write(tmp_path / "a.h5", names, LAYOUTS[layout], **how), SCHEDULE)
    assert stack.kind == "complex"
    np.testing.assert_array_equal(stack.data, DATA.astype(np.complex64))


@pytest.mark.parametrize(
    ("names", "part"),
    [(names, part) for names in NAMES[:2] for part in (">f4", ">f8", "<f8", "<f2")] + [(NAMES[0], "<i2")],
)
def test_their_type_and_byte_order_do_not_matter(tmp_path, names, part):
    size = np.dtype(part).itemsize
    layout = {"offsets": [0, 2 * size], "itemsize": 4 * size}
    stack = nb.read_fingerprints(write(tmp_path / "a.h5", names, layout, part), SCHEDULE)
    expected = DATA.real.astype(part) + 1j * DATA.imag.astype(part)
    np.testing.assert_array_equal(stack.data, expected.astype(stack.data.dtype))
    assert stack.kind == "complex"


def test_what_lies_as_in_memory_stays_on_disk(tmp_path):
    for names in NAMES:
        data = nb.read_fingerprints(write(tmp_path / "a.h5", names, LAYOUTS["plain"]), SCHEDULE).data
        while data.base is not None and not isinstance(data, np.memmap):
            data = data.base
        assert isinstance(data, np.memmap)


def test_pairs_of_other_names_are_no_complex_numbers(tmp_path):
    write(tmp_path / "a.h5", ("magnitude", "phase"), LAYOUTS["plain"])
    with pytest.raises(InputError, match=r"^a\.h5: holds 0 arrays of numbers; it has: stack"):
        nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE)


def test_what_matlab_keeps_for_itself_is_not_offered(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["s"] = np.abs(DATA)
        file["#refs#/a"] = np.zeros((5, 6))
        file["#subsystem#/MCOS"] = np.zeros((5, 6))
        file["note"] = np.zeros((7, 3), np.uint16)
        file["note"].attrs["MATLAB_class"] = np.bytes_(b"char")
        file["names"] = np.array([[file["s"].ref] * 3] * 2, dtype=h5py.ref_dtype)
    # (time, z, x, y) in the file: MATLAB's axes are reversed there
    stack = nb.read_fingerprints(tmp_path / "a.mat", SCHEDULE)
    np.testing.assert_array_equal(stack.data, np.abs(DATA).transpose(0, 1, 3, 2))
    with pytest.raises(InputError, match=r"has no array '#refs#/a'; it holds s, [^#]*\Z"):
        nb.read_fingerprints(tmp_path / "a.mat", SCHEDULE, variable="#refs#/a")


def test_raw_data_in_another_file_is_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(DATA.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("stack", DATA.shape, "f8", external=[("secret", 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(InputError, match=r"^a\.h5: holds 0 arrays"):
        nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE)


def test_a_virtual_dataset_over_other_files_is_not_read(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["stack"] = DATA
    layout = h5py.VirtualLayout(DATA.shape, "c16")
    layout[...] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "stack", DATA.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("stack", layout)
    with pytest.raises(InputError, match=r"^a\.h5: holds 0 arrays"):
        nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE)


def test_what_was_never_written_is_not_set_aside(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("stack", (N, 200, 400, 400), "f4", chunks=(1, 1, 400, 400), compression="gzip")
    with pytest.raises(InputError, match=r"^a\.h5: .*/stack claims 1,536,000,000 bytes out of 0"):
        nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE)
