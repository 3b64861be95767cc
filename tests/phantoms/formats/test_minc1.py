"""MINC 1 against nibabel and by hand-made files, whole and damaged."""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.io import netcdf_file

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.phantoms.formats.brainweb import read_volume
from napari_blochnet.phantoms.formats.minc1 import read_minc


def _write(
    path: Path,
    stored: np.ndarray,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    *,
    axes: tuple[str, ...] = ("zspace", "yspace", "xspace"),
    signtype: str = "unsigned",
    valid_range: tuple[float, float] | None = None,
    steps: dict[str, float] | None = None,
) -> None:
    """Write a MINC 1 file with scipy's netCDF writer."""
    steps = steps or {"zspace": 3.0, "yspace": 2.0, "xspace": 1.0}
    with netcdf_file(path, "w") as file:
        for name, length in zip(axes, stored.shape, strict=True):
            file.createDimension(name, length)
        for name in axes:
            variable = file.createVariable(name, "i4", ())
            variable.spacing = "regular__"
            variable.step = steps.get(name, 1.0)
            variable.start = {"zspace": -10.0, "yspace": 20.0, "xspace": 30.0}.get(name, 0.0)
        for name, values in (("image-min", low), ("image-max", high)):
            if values is not None:
                variable = file.createVariable(name, "f8", axes[: values.ndim])
                variable[:] = values
        image = file.createVariable("image", stored.dtype.newbyteorder("="), axes)
        image[:] = stored
        image.signtype = signtype
        if valid_range is not None:
            image.valid_range = np.array(valid_range, np.float64)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    stored = random.integers(-128, 128, (4, 5, 6)).astype(np.int8)
    low, high = random.uniform(-1, 0, 4), random.uniform(1, 2, 4)
    path = tmp_path / "small.mnc"
    _write(path, stored, low, high, signtype="signed__", valid_range=(-128, 127))
    values = (stored + 128.0) / 255.0 * (high - low)[:, None, None] + low[:, None, None]
    return path, values, stored


def test_scale_of_each_slice(small: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, values, stored = small
    volume = read_minc(path)
    assert volume.stored.dtype == np.int8
    np.testing.assert_array_equal(volume.stored, stored)
    np.testing.assert_allclose(volume.slab(0, 4), values, atol=2e-6)
    np.testing.assert_allclose(volume.slab(2, 3), values[2:3], atol=2e-6)


def test_place(small: tuple[Path, np.ndarray, np.ndarray]) -> None:
    geometry = read_minc(small[0]).geometry
    assert geometry.voxel_size == (3.0, 2.0, 1.0)
    np.testing.assert_allclose(geometry.affine @ [1, 2, 3, 1], [30 + 1, 20 + 4, -10 + 9, 1])


def test_agrees_with_nibabel(small: tuple[Path, np.ndarray, np.ndarray]) -> None:
    image = nib.load(small[0])
    volume = read_minc(small[0])
    np.testing.assert_allclose(volume.slab(0, 4), image.get_fdata(), atol=2e-6)
    # nibabel's affine takes indices in the order of the file's axes, (z, y, x)
    np.testing.assert_allclose(volume.geometry.affine, image.affine[:, [2, 1, 0, 3]], atol=1e-9)


def test_other_axis_orders_come_out_as_zyx(tmp_path: Path) -> None:
    stored = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    low, high = np.zeros(4), np.linspace(1, 2, 4)
    _write(tmp_path / "a.mnc", stored, low, high, axes=("xspace", "zspace", "yspace"), signtype="signed__",
           valid_range=(0, 119))  # fmt: skip
    volume = read_minc(tmp_path / "a.mnc")
    assert volume.shape == (5, 6, 4)
    expected = stored / 119.0 * high[:, None, None]
    np.testing.assert_allclose(volume.slab(0, 5), expected.transpose(1, 2, 0), atol=1e-6)


def test_unsigned_shorts_and_floats(tmp_path: Path) -> None:
    stored = np.array([0, 1, 40000, 65535], np.uint16).astype(np.int16).reshape(1, 1, 4)
    _write(tmp_path / "a.mnc", stored, np.zeros(1), np.ones(1))
    np.testing.assert_allclose(read_minc(tmp_path / "a.mnc").slab(0, 1)[0, 0] * 65535, [0, 1, 40000, 65535], rtol=1e-5)
    real = np.array([[[0.25, -3.5]]], np.float32)
    _write(tmp_path / "b.mnc", real)
    np.testing.assert_array_equal(read_minc(tmp_path / "b.mnc").slab(0, 1), real)


@pytest.mark.parametrize("name", ["fat_v", "marrow_v", "vessels"])
def test_brainweb_files_as_they_circulate(shared_data: Path, name: str, tmp_path: Path) -> None:
    """Four bytes are missing; with them put back, nibabel reads the same voxels."""
    path = shared_data / "brainweb" / "subject20" / f"subject20_{name}.mnc.gz"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        volume = read_volume(path)
    assert read_minc(path).damage == ("" if name == "vessels" else "lacks the last 4 bytes of its netCDF")
    sentences = [str(warning.message) for warning in caught if warning.category is DataWarning]
    if name == "vessels":
        assert sentences == []
    else:
        assert sentences == [
            f"subject20_{name}.mnc.gz lacks the last 4 bytes of its netCDF; all voxels are there and were read."
        ]
    assert volume.shape == (362, 434, 362)
    assert volume.geometry.voxel_size == (0.5, 0.5, 0.5)
    mended = tmp_path / "mended.mnc"
    mended.write_bytes(zlib.decompressobj(31).decompress(path.read_bytes()) + bytes(4))
    image = nib.load(mended)
    for z in (100, 181, 250):
        np.testing.assert_allclose(volume.slab(z, z + 1)[0], np.asarray(image.dataobj[z]), atol=1e-6)
    np.testing.assert_allclose(volume.geometry.affine, image.affine[:, [2, 1, 0, 3]], atol=1e-9)


def test_missing_voxels_are_an_error(small: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    whole = small[0].read_bytes()
    for name, data in (("a.mnc", whole[:-60]), ("b.mnc.gz", gzip.compress(whole[:-60]))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(
            InputError, match=rf"{name}: ends after {len(whole) - 60} bytes; expected \d+ for its 4 × 5"
        ):
            read_minc(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"This is a text file, named .mnc by mistake.", "does not begin as a netCDF file does"),
        (b"", "does not begin as a netCDF file does"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "does not begin as a netCDF file does"),
        (b"CDF\x01" + bytes(3), "its netCDF header is cut off"),
        (b"CDF\x01" + struct.pack(">III", 0, 77, 5), "header is damaged \\(found the tag 77 where 10"),
        (b"CDF\x01" + struct.pack(">III", 0, 10, 2**31), "header is damaged \\(a list of 2147483648 entries\\)"),
        (b"CDF\x01" + struct.pack(">IIIIII", 0, 0, 0, 0, 0, 0) + bytes(4), "without a variable 'image'"),
    ],
)
def test_files_that_are_not_minc(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "wrong.mnc"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^wrong\.mnc: .*{sentence}"):
        read_minc(path)


def test_a_forged_size_is_refused_before_memory_is_set_aside(small: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path = small[0]
    whole = bytearray(path.read_bytes())
    at = whole.index(b"zspace") + 8
    assert struct.unpack(">I", whole[at : at + 4]) == (4,)
    whole[at : at + 4] = struct.pack(">I", 2**30)
    path.write_bytes(whole)
    with pytest.raises(InputError, match="its header claims 1073741824 × 5 × 6 voxels"):
        read_minc(path)
    whole[at : at + 4] = struct.pack(">I", 2**20)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"ends after \d+ bytes; expected"):
        read_minc(path)


def test_every_truncation_and_any_flipped_byte_is_read_or_a_sentence(
    small: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    whole = small[0].read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / "damaged.mnc"
    damaged = [whole[:n] for n in range(0, len(whole), 7)]
    for _ in range(300):
        data = bytearray(whole)
        for at in random.integers(0, len(whole), 3):
            data[at] = random.integers(256)
        damaged.append(bytes(data))
    outcomes = set()
    for data in damaged:
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_minc(path)
            outcomes.add("read")
        except InputError as error:
            outcomes.add(str(error).split(":")[0])
    assert outcomes == {"read", "damaged.mnc"}


def test_axes_other_than_space(tmp_path: Path) -> None:
    _write(tmp_path / "a.mnc", np.zeros((2, 3, 4), np.int8), axes=("time", "yspace", "xspace"))
    with pytest.raises(InputError, match="the image has the axes time, yspace, xspace"):
        read_minc(tmp_path / "a.mnc")
