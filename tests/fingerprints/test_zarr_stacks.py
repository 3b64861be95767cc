"""Stacks as Zarr stores: ours both ways, other people's as arrays, OME-NGFF with its voxel size."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import zarr

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import read_fingerprints, write_fingerprints
from napari_blochnet.schedules.generators import spline_schedule

SCHEDULE = spline_schedule(length=20)
AFFINE = np.array([[-1.5, 0.2, 0.0, 10.0], [0.1, 2.0, 0.3, -5.0], [0.0, 0.4, -3.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


def _stack(dtype=np.complex64, **more):
    random = np.random.default_rng(0)
    data = random.normal(size=(20, 2, 5, 6)) + (
        1j * random.normal(size=(20, 2, 5, 6)) if dtype().dtype.kind == "c" else 0
    )
    data[:, :, :2] = 0
    size = Geometry.from_affine(AFFINE).voxel_size
    return FingerprintStack(data.astype(dtype), SCHEDULE, voxel_size=size, affine=AFFINE, **more)


@pytest.mark.parametrize("dtype", [np.complex64, np.float32, np.float64, np.longdouble])
def test_a_stack_comes_back_without_being_told_a_schedule(tmp_path, dtype):
    stack = _stack(dtype, snr=30.0, noise_sigma=0.1, name="mine", record={"operation": "given"})
    assert write_fingerprints(stack, tmp_path / "a.zarr") == [tmp_path / "a.zarr"]
    back = read_fingerprints(tmp_path / "a.zarr")
    np.testing.assert_array_equal(back.data, stack.data.astype(back.data.dtype))
    np.testing.assert_array_equal(back.mask, stack.mask)
    np.testing.assert_array_equal(back.affine, AFFINE)
    assert (back.schedule, back.kind, back.snr, back.noise_sigma, back.name, back.record) == (
        SCHEDULE, stack.kind, 30.0, 0.1, "mine", {"operation": "given"},
    )  # fmt: skip
    # as anybody reads it
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert group["data"].metadata.dimension_names == ("time", "z", "y", "x")
    assert group["data"].chunks[0] == 20
    assert group.attrs["schedule"]["name"] == SCHEDULE.to_dict()["name"]
    np.testing.assert_array_equal(group["mask"][:], stack.mask)


def test_a_store_of_ours_is_replaced_and_one_with_something_else_in_it_is_not(tmp_path):
    write_fingerprints(_stack(), tmp_path / "a.zarr")
    write_fingerprints(_stack(np.float32), tmp_path / "a.zarr")
    assert read_fingerprints(tmp_path / "a.zarr").kind == "real"
    (tmp_path / "a.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"a\.zarr in .* was not written by napari-blochnet and is not replaced"):
        write_fingerprints(_stack(), tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_who_stops_the_writing_keeps_the_old_store(tmp_path):
    write_fingerprints(_stack(np.float32), tmp_path / "a.zarr")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        write_fingerprints(_stack(), tmp_path / "a.zarr", cancelled=stop)
    assert read_fingerprints(tmp_path / "a.zarr").kind == "real"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_other_peoples_stores_are_arrays_with_hints(tmp_path):
    data = np.arange(20 * 3 * 4, dtype=np.float32).reshape(3, 4, 20) + 1
    zarr.create_array(tmp_path / "one.zarr", data=data, dimension_names=["y", "x", "pulse"])
    with pytest.raises(InputError, match=r"one\.zarr: does not say what schedule made it"):
        read_fingerprints(tmp_path / "one.zarr")
    stack = read_fingerprints(tmp_path / "one.zarr", SCHEDULE)
    np.testing.assert_array_equal(stack.data[:, 0], np.moveaxis(data, -1, 0))
    assert "The store calls the axes of one.zarr y, x, pulse." in stack.notes
    group = zarr.open_group(tmp_path / "two.zarr", mode="w", zarr_format=2)
    for name in ("raw", "svd"):
        group.create_array(f"recon/{name}", data=data)
    with pytest.raises(InputError, match=r"holds 2 arrays: recon/raw \(3 × 4 × 20\), recon/svd") as refused:
        read_fingerprints(tmp_path / "two.zarr", SCHEDULE)
    assert refused.value.field == "variable"
    np.testing.assert_array_equal(
        read_fingerprints(tmp_path / "two.zarr", SCHEDULE, variable="recon/svd").data, stack.data
    )
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(InputError, match=r"empty\.zarr: holds 0 arrays"):
        read_fingerprints(tmp_path / "empty.zarr", SCHEDULE)


def _ome(path, axes, shape, scale, version=3):
    scales = {
        "axes": axes,
        "datasets": [
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]} for level in (0, 1)
        ],
    }
    attributes = {"ome": {"version": "0.5", "multiscales": [scales]}} if version == 3 else {"multiscales": [scales]}
    group = zarr.open_group(path, mode="w", zarr_format=version, attributes=attributes)
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    group.create_array("0", data=data)
    group.create_array("1", data=data[..., ::2, ::2])
    return data


def _axes(names, unit="millimeter"):
    return [{"name": name, "type": "space", "unit": unit} if name in "zyx" else {"name": name} for name in names]


@pytest.mark.parametrize("version", [2, 3])
def test_ome_ngff_states_axes_and_voxel_size(tmp_path, version):
    data = _ome(tmp_path / "a.zarr", _axes("tczyx", "micrometer"), (20, 1, 2, 4, 6), [1, 1, 3000, 2000, 1500], version)
    stack = read_fingerprints(tmp_path / "a.zarr", SCHEDULE)
    np.testing.assert_array_equal(stack.data, data[:, 0])
    np.testing.assert_allclose(stack.voxel_size, (3.0, 2.0, 1.5))
    assert any("not where it lies" in note for note in stack.notes)
    # a channel is what changes where there is no time; two axes of space are one slice
    data = _ome(tmp_path / "b.zarr", _axes("yxc"), (4, 6, 20), [2, 1.5, 1], version)
    source = open_array(tmp_path / "b.zarr")
    np.testing.assert_array_equal(source.data[:, 0], np.moveaxis(data, -1, 0))
    assert any("Axis c is taken as time" in note for note in source.notes)


def test_ome_ngff_that_cannot_be_a_stack_is_refused(tmp_path):
    _ome(tmp_path / "a.zarr", _axes("tcyx"), (3, 2, 4, 6), [1, 1, 2, 2])
    with pytest.raises(InputError, match=r"a\.zarr: has the axes t 3, c 2, y 4, x 6; expected z, y, x and one axis"):
        open_array(tmp_path / "a.zarr")
    _ome(tmp_path / "b.zarr", _axes("tyx", "parsec"), (3, 4, 6), [1, 2, 2])
    with pytest.raises(InputError, match=r"b\.zarr: measures y in 'parsec'"):
        open_array(tmp_path / "b.zarr")
    _ome(tmp_path / "c.zarr", _axes("tyx"), (3, 1, 4, 6), [1, 2, 2])
    with pytest.raises(InputError, match=r"c\.zarr: names 3 axes of 3 × 1 × 4 × 6"):
        open_array(tmp_path / "c.zarr")


def test_a_damaged_store_of_ours_is_one_sentence(tmp_path):
    write_fingerprints(_stack(), tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "a.zarr")
    for key, value in (("affine", [1, 2]), ("affine", "x"), ("voxel_size", [0, 1, 1]), ("voxel_size", 3)):
        kept = group.attrs[key]
        group.attrs[key] = value
        with pytest.raises(InputError, match=r"^a\.zarr: "):
            read_fingerprints(tmp_path / "a.zarr")
        group.attrs[key] = kept
    # without numbers in its place
    file = tmp_path / "a.zarr" / "data" / "zarr.json"
    file.write_text(file.read_text().replace('"complex64"', '"string"'))
    with pytest.raises(InputError, match=r"a\.zarr: has no array 'data'; it holds mask"):
        read_fingerprints(tmp_path / "a.zarr")
