"""MINC 2 written with h5py, against nibabel and by hand; whole, hostile and damaged."""

from __future__ import annotations

import gzip
import tracemalloc
import warnings
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.phantoms.formats.brainweb import brainweb_grid, read_volume
from napari_blochnet.phantoms.formats.minc1 import read_minc

STEPS = {"zspace": 3.0, "yspace": -2.0, "xspace": 1.0}
STARTS = {"zspace": -10.0, "yspace": 20.0, "xspace": 30.0}
SPACE = ("zspace", "yspace", "xspace")


def _write(
    path: Path,
    stored: np.ndarray,
    low: np.ndarray | float | None = None,
    high: np.ndarray | float | None = None,
    *,
    axes: tuple[str, ...] = SPACE,
    valid_range: tuple[float, float] | None = None,
    cosines: dict[str, tuple[float, float, float]] | None = None,
) -> Path:
    with h5py.File(path, "w") as file:
        place = file.create_group("minc-2.0/image/0")
        image = place.create_dataset("image", data=stored, chunks=True, compression="gzip")
        image.attrs["dimorder"] = np.bytes_(",".join(axes))
        if valid_range is not None:
            image.attrs["valid_range"] = np.array(valid_range)
        for name, values in (("image-min", low), ("image-max", high)):
            if values is not None:
                scale = place.create_dataset(name, data=values)
                scale.attrs["dimorder"] = np.bytes_(",".join(axes[: np.ndim(values)]))
        for name, length in zip(axes, stored.shape, strict=True):
            axis = file.create_dataset(f"minc-2.0/dimensions/{name}", data=0)
            axis.attrs["length"] = length
            axis.attrs["start"] = STARTS.get(name, 0.0)
            axis.attrs["step"] = STEPS.get(name, 1.0)
            axis.attrs["spacing"] = np.bytes_("regular__")
            if cosines and name in cosines:
                axis.attrs["direction_cosines"] = np.array(cosines[name])
    return path


def _values(path: Path) -> np.ndarray:
    volume = read_volume(path)
    return volume.slab(0, volume.shape[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_scaled_slices_as_nibabel_reads_them(tmp_path, dtype):
    random = np.random.default_rng(0)
    top = 200
    stored = random.integers(0, top, (4, 5, 6)).astype(dtype)
    low, high = random.uniform(-1, 0, 4), random.uniform(1, 2, 4)
    path = _write(tmp_path / "a.mnc", stored, low, high, valid_range=(0, top))
    witness = nib.load(path)
    np.testing.assert_allclose(_values(path), witness.get_fdata(), atol=1e-6)
    wanted = stored / top * (high - low)[:, None, None] + low[:, None, None]
    np.testing.assert_allclose(_values(path), wanted, atol=1e-6)
    # nibabel's affine is of the file's order of axes
    np.testing.assert_allclose(read_volume(path).geometry.affine, witness.affine[:, [2, 1, 0, 3]])
    packed = tmp_path / "b.mnc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(_values(packed), _values(path))


def test_other_orders_of_axes_and_oblique_directions(tmp_path):
    stored = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    low, high = np.zeros(2), np.array([255.0, 510.0])
    axes = ("xspace", "zspace", "yspace")
    turn = {"xspace": (0.6, 0.8, 0.0), "yspace": (-0.8, 0.6, 0.0), "zspace": (0.0, 0.0, 1.0)}
    path = _write(tmp_path / "a.mnc", stored, low, high, axes=axes, cosines=turn)
    volume = read_volume(path)
    wanted = (stored * np.array([1, 2])[:, None, None]).transpose(1, 2, 0)
    np.testing.assert_allclose(volume.slab(0, 3), wanted)
    # a landmark: voxel (x, y, z) = (1, 2, 1)
    at = sum(np.array(turn[name]) * (STARTS[name] + STEPS[name] * i) for name, i in zip(turn, (1, 2, 1), strict=True))
    np.testing.assert_allclose((volume.geometry.affine @ [1, 2, 1, 1])[:3], at)
    assert volume.geometry.voxel_size == (3.0, 2.0, 1.0)
    np.testing.assert_array_equal(
        np.asarray(_values(_write(tmp_path / "f.mnc", stored / 7.0))), np.float32(stored / 7.0)
    )


def test_phantoms_of_labels_memberships_and_maps(tmp_path):
    shape, _ = brainweb_grid(91 * 109 * 91)
    labels = np.zeros(shape, np.uint8)
    labels[40:50, 50:60, 40:50] = 3
    labels[40:45, 50:60, 40:50] = 2
    crisp = _write(tmp_path / "phantom_2.0mm_normal_crisp.mnc", labels, 0.0, 255.0, valid_range=(0, 255))
    with pytest.raises(InputError, match="subject or phantom_"):
        nb.read_phantom(_write(tmp_path / "crisp.mnc", labels[40:50], 0.0, 255.0, valid_range=(0, 255)))
    phantom = nb.read_phantom(crisp)
    assert phantom.tissues == ("grey matter", "white matter")
    np.testing.assert_array_equal(phantom.labels > 0, labels > 0)
    folder = tmp_path / "memberships"
    folder.mkdir()
    share = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8)
    _write(folder / "gm.mnc", share, 0.0, 1.0, valid_range=(0, 255))
    _write(folder / "wm.mnc", 255 - share, 0.0, 1.0, valid_range=(0, 255))
    mixed = nb.read_phantom(folder)
    np.testing.assert_allclose(mixed.fractions["grey matter"], share / 255, atol=1e-6)
    assert mixed.affine[1, 1] == -2
    maps = tmp_path / "maps"
    maps.mkdir()
    t1 = np.linspace(500, 2000, 60).reshape(3, 4, 5)
    _write(maps / "x_T1map.mnc", t1)
    _write(maps / "x_T2map.mnc", t1 / 10)
    read = nb.read_phantom(maps)
    np.testing.assert_allclose(read.t2, t1 / 10, rtol=1e-6)


def test_what_is_no_volume_is_refused_in_a_sentence(tmp_path):
    stored = np.zeros((2, 3, 4), np.uint8)
    path = _write(tmp_path / "t.mnc", stored, axes=("time", "yspace", "xspace"))
    with pytest.raises(InputError, match=r"^t\.mnc: the image has the axes time, yspace, xspace"):
        read_volume(path)
    assert read_volume(_write(tmp_path / "one.mnc", stored[None], axes=("time", *SPACE))).shape == (2, 3, 4)
    with h5py.File(tmp_path / "other.mnc", "w") as file:
        file["data"] = stored
    with pytest.raises(InputError, match=r"is an HDF5 file without minc-2\.0/image/0/image"):
        read_volume(tmp_path / "other.mnc")
    with h5py.File(tmp_path / "link.mnc", "w") as file:
        file["minc-2.0/image/0/image"] = h5py.ExternalLink("t.mnc", "/minc-2.0/image/0/image")
    with pytest.raises(InputError, match="is an HDF5 file without"):
        read_volume(tmp_path / "link.mnc")
    flat = {"xspace": (1.0, 0.0, 0.0), "yspace": (1.0, 0.0, 0.0)}
    with pytest.raises(InputError, match="lie in one plane"):
        read_volume(_write(tmp_path / "flat.mnc", stored, cosines=flat))


def test_bombs_are_refused_before_memory_is_set_aside(tmp_path):
    with h5py.File(tmp_path / "claims.mnc", "w") as file:
        image = file.create_dataset("minc-2.0/image/0/image", (1000, 1000, 1000), "u1", chunks=(10, 100, 100))
        image.attrs["dimorder"] = np.bytes_(",".join(SPACE))
    (tmp_path / "zeros.mnc.gz").write_bytes(gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(200 * 2**20), 1))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"^claims\.mnc: its header claims 1000 × 1000 × 1000 voxels"):
            read_volume(tmp_path / "claims.mnc")
        with pytest.raises(InputError, match=r"^zeros\.mnc\.gz: unpacks to more than"):
            read_volume(tmp_path / "zeros.mnc.gz")
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_a_packed_minc_1_that_claims_far_more_than_it_is(tmp_path):
    from scipy.io import netcdf_file

    with netcdf_file(tmp_path / "a.mnc", "w") as file:
        for name in SPACE:
            file.createDimension(name, 2)
        image = file.createVariable("image", "i1", SPACE)
        image[:] = np.zeros((2, 2, 2), np.int8)
    whole = bytearray((tmp_path / "a.mnc").read_bytes())
    for name in SPACE:
        at = whole.index(name.encode()) + 8
        whole[at : at + 4] = (1000).to_bytes(4, "big")
    (tmp_path / "bomb.mnc.gz").write_bytes(gzip.compress(bytes(whole) + bytes(2**20)))
    with pytest.raises(InputError, match=r"^bomb\.mnc\.gz: its header claims 1000 × 1000 × 1000 voxels"):
        read_minc(tmp_path / "bomb.mnc.gz")


def test_damaged_files_are_read_or_a_sentence(tmp_path):
    stored = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    whole = _write(tmp_path / "a.mnc", stored, 0.0, 1.0).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.mnc"
    outcomes = set()
    for step in range(60):
        data = bytearray(whole[: random.integers(8, len(whole))] if step % 3 == 0 else whole)
        for at in random.integers(8, len(data), 6):
            data[at] = random.integers(256)
        path.write_bytes(bytes(data))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_volume(path)
            outcomes.add("read")
        except InputError as error:
            outcomes.add(str(error).split(":")[0])
    assert outcomes <= {"read", "damaged.mnc"}
    assert "damaged.mnc" in outcomes
