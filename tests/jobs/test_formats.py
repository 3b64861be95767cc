"""README's table of formats, held against the readers: each row by a file that an independent library wrote.

And landmarks: a voxel of its own T1 lies at one place of the world, which is where nibabel finds it in the T1 map that
is written at the end, whatever format its phantom or its fingerprints came in.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest
import zarr
from scipy.io import netcdf_file, savemat

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import write_maps
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.io import matlab73
from napari_blochnet.io.containers import spilled_arrays
from napari_blochnet.phantoms.write import write_phantom
from napari_blochnet.schedules.generators import spline_schedule

SCHEDULE = spline_schedule(length=12, inversion_time=20.0)
SHAPE = (2, 3, 4)  # z, y, x
# whole numbers, so that every format holds them
VALUES = np.random.default_rng(1).integers(1, 2000, (12, *SHAPE)).astype(np.float32)
# oblique, anisotropic, left-handed
AFFINE = np.array([[-1.2, 0.5, 0.1, 11.0], [0.4, 1.9, 0.6, -23.0], [0.2, -0.7, 3.1, 35.0], [0.0, 0.0, 0.0, 1.0]])
SIZE = tuple(np.linalg.norm(AFFINE[:3, :3], axis=0)[::-1])
T1 = np.random.default_rng(2).integers(300, 2000, SHAPE).astype(np.float32)

Written = tuple[Path, dict[str, Any]]
Write = Callable[[Path, Any], Written]


# -- writers: each returns what is to be opened, and how


def _nifti(name: str, kind: type = nib.Nifti1Image) -> Write:
    def write(folder: Path, _: Any) -> Written:
        nib.save(kind(VALUES.T, AFFINE), folder / name)
        return folder / name, {}

    return write


def _bids(folder: Path, _: Any) -> Written:
    for number, volume in enumerate(VALUES, start=1):
        nib.save(nib.Nifti1Image(volume.T, AFFINE), folder / f"sub-1_flip-{number}_MRF.nii.gz")
    return folder, {}


def _dicom(folder: Path, write_dicom: Any, values: np.ndarray = VALUES, rotation: np.ndarray | None = None) -> Written:
    """Write images whose affine, by DICOM's equation, is `_dicom_affine` of the rotation."""
    rotation = np.eye(3) if rotation is None else rotation
    orientation = np.concatenate([rotation[:, 0], rotation[:, 1]])
    for t, volume in enumerate(values):
        for z, plane in enumerate(volume):
            place = np.array([5.0, -6.0, 7.0]) + z * 4.0 * rotation[:, 2]
            write_dicom(folder / f"{len(values) - t}_{z}", plane, place, orientation=orientation, InstanceNumber=t)
    return folder, {}


def _dicom_affine(rotation: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.5, 2.0, 4.0])
    affine[:3, 3] = [5.0, -6.0, 7.0]
    return np.diag([-1, -1, 1, 1]) @ affine


def _zarr(
    folder: Path, _: Any, values: np.ndarray = VALUES, affine: np.ndarray = AFFINE, schedule: nb.Schedule = SCHEDULE
) -> Written:
    attributes = {
        "schedule": schedule.to_dict(),
        "kind": "real",
        "affine": affine.tolist(),
        "voxel_size": list(np.linalg.norm(affine[:3, :3], axis=0)[::-1]),
    }
    group = zarr.open_group(folder / "a.zarr", mode="w", attributes=attributes)
    group.create_array("data", data=values, chunks=(len(values), 1, 2, 2))
    return folder / "a.zarr", {}


def _ome(folder: Path, _: Any) -> Written:
    axes = [{"name": name, "unit": "millimeter"} if name in "zyx" else {"name": name} for name in "tzyx"]
    scale = {"type": "scale", "scale": [1.0, *map(float, SIZE)]}
    scales = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2, attributes={"multiscales": [scales]})
    group.create_array("0", data=VALUES)
    return folder / "a.zarr", {}


def _npy(folder: Path, _: Any) -> Written:
    np.save(folder / "a.npy", VALUES)
    return folder / "a.npy", {}


def _npz(folder: Path, _: Any) -> Written:
    np.savez_compressed(folder / "a.npz", VALUES)
    return folder / "a.npz", {}


def _bart(folder: Path, _: Any) -> Written:
    """Write echoes as BART does: x, y, z in the first dimensions, echo in the sixth, the first the fastest."""
    VALUES.astype("<c8").tofile(folder / "a.cfl")
    sizes = [*SHAPE[::-1], 1, 1, len(VALUES), *[1] * 10]
    (folder / "a.hdr").write_text(f"# Dimensions\n{' '.join(map(str, sizes))} \n# Command\npics -B basis ksp sens a\n")
    return folder / "a.cfl", {}


def _hdf5(chunks: tuple[int, ...] | None) -> Write:
    def write(folder: Path, _: Any) -> Written:
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("signal", data=VALUES, chunks=chunks)
        return folder / "a.h5", {}

    return write


def _our_hdf5(folder: Path, _: Any) -> Written:
    with h5py.File(folder / "a.h5", "w") as file:
        data = file.create_dataset("data", data=np.moveaxis(VALUES, 0, -1))
        data.attrs["voxel_size"], data.attrs["affine"] = SIZE, AFFINE
        for axis, name in enumerate(("z", "y", "x", "time")):
            data.dims[axis].label = name
    return folder / "a.h5", {}


def _matlab_5(folder: Path, _: Any) -> Written:
    savemat(folder / "a.mat", {"signal": VALUES.transpose(2, 3, 1, 0)}, do_compression=True)
    return folder / "a.mat", {}


def _matlab_73(chunks: tuple[int, ...] | None) -> Write:
    def write(folder: Path, _: Any) -> Written:
        with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
            file.create_dataset("signal", data=VALUES.transpose(2, 3, 1, 0).T, chunks=chunks)
        return folder / "a.mat", {}

    return write


def _minc(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    with netcdf_file(path, "w") as file:
        for axis, length in zip("zyx", values.shape, strict=True):
            file.createDimension(f"{axis}space", length)
        corner = np.linalg.solve(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0), affine[:3, 3])
        for column, axis in enumerate("xyz"):
            variable = file.createVariable(f"{axis}space", "i4", ())
            step = float(np.linalg.norm(affine[:3, column]))
            variable.step, variable.start, variable.spacing = step, float(corner[column]), "regular__"
            variable.direction_cosines = affine[:3, column] / step
        # netCDF knows signed bytes only; an attribute says that they are not
        image = file.createVariable("image", "i1", ("zspace", "yspace", "xspace"))
        image[:] = values.view(np.int8)
        image.signtype, image.valid_range = "unsigned", np.array([0.0, 255.0])
        for name, value in (("image-min", 0.0), ("image-max", 1.0)):
            file.createVariable(name, "f8", ("zspace",))[:] = value


def _minc_1(folder: Path, _: Any) -> Written:
    _minc(folder / "subject04_gm_v.mnc", np.full(SHAPE, 255, np.uint8), AFFINE)
    return folder / "subject04_gm_v.mnc", {}


def _minc_2(folder: Path, _: Any) -> Written:
    path = folder / "subject04_gm_v.mnc"
    _minc2_file(path, np.full(SHAPE, 255, np.uint8), AFFINE)
    return path, {}


def _minc2_file(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    corner = np.linalg.solve(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0), affine[:3, 3])
    with h5py.File(path, "w") as file:
        place = file.create_group("minc-2.0/image/0")
        image = place.create_dataset("image", data=values)
        image.attrs["dimorder"], image.attrs["valid_range"] = np.bytes_("zspace,yspace,xspace"), np.array([0.0, 255.0])
        place["image-min"], place["image-max"] = 0.0, 1.0
        for column, axis in enumerate("xyz"):
            step = float(np.linalg.norm(affine[:3, column]))
            said = file.create_dataset(f"minc-2.0/dimensions/{axis}space", data=0).attrs
            said["length"], said["spacing"] = values.shape[2 - column], np.bytes_("regular__")
            said["start"], said["step"], said["direction_cosines"] = corner[column], step, affine[:3, column] / step


def _rawb(folder: Path, _: Any) -> Written:
    (folder / "gm.rawb").write_bytes(np.full((91, 109, 91), 255, np.uint8).tobytes())
    return folder / "gm.rawb", {}


def _raws(folder: Path, _: Any) -> Written:
    # label 2, grey matter, as shorts of twelve bits
    labels = np.full((91, 109, 91), round(2 * 4095 / 255), "<u2")
    (folder / "phantom_2.0mm_normal_crisp.raws").write_bytes(labels.tobytes())
    return folder / "phantom_2.0mm_normal_crisp.raws", {}


def _matlab_4(folder: Path, _: Any) -> Written:
    savemat(folder / "a.mat", {"fa": SCHEDULE.flip_angle, "tr": SCHEDULE.repetition_time}, format="4")
    return folder / "a.mat", {"echo_time": float(SCHEDULE.echo_time[0]), "inversion_time": 20.0}


COLUMNS = {"flip_angle_deg": SCHEDULE.flip_angle, "repetition_time_ms": SCHEDULE.repetition_time,
           "echo_time_ms": SCHEDULE.echo_time}  # fmt: skip


def _csv(folder: Path, _: Any) -> Written:
    table = np.stack([*COLUMNS.values()], axis=1)
    np.savetxt(folder / "a.csv", table, "%.17g", ",", header=",".join(COLUMNS), comments="# inversion_time_ms: 20\n")
    return folder / "a.csv", {}


def _text(folder: Path, _: Any) -> Written:
    np.savetxt(folder / "x_fa.txt", SCHEDULE.flip_angle)
    np.savetxt(folder / "x_tr.txt", SCHEDULE.repetition_time)
    return folder / "x_fa.txt", {"echo_time": float(SCHEDULE.echo_time[0]), "inversion_time": 20.0}


def _columns(folder: Path, _: Any) -> Written:
    """Three columns without a header: flip angle, TR, TE."""
    columns = (SCHEDULE.flip_angle, SCHEDULE.repetition_time, SCHEDULE.echo_time)
    np.savetxt(folder / "a.txt", np.stack(columns, axis=1), "%.17g")
    return folder / "a.txt", {"inversion_time": 20.0}


def _json(folder: Path, _: Any) -> Written:
    (folder / "a.json").write_text(json.dumps({"anything": 1, "schedule": SCHEDULE.to_dict()}))
    return folder / "a.json", {}


#: By the first words of README's row: who writes such a file, and what it is opened as.
WRITERS: dict[str, tuple[Write, str]] = {
    "NIfTI-1 .nii": (_nifti("a.nii"), "stack"),
    "NIfTI-1 .nii.gz": (_nifti("a.nii.gz"), "stack"),
    "NIfTI-2 .nii": (_nifti("a.nii", nib.Nifti2Image), "stack"),
    "BIDS series": (_bids, "stack"),
    "DICOM": (_dicom, "stack"),
    "Zarr 3 .zarr, ours": (_zarr, "stack"),
    "Zarr 2": (_ome, "stack"),
    "NumPy .npy": (_npy, "stack"),
    "NumPy .npz": (_npz, "stack"),
    "HDF5 .h5, ours": (_our_hdf5, "stack"),
    "HDF5 .h5, contiguous": (_hdf5(None), "stack"),
    "HDF5 .h5, chunked": (_hdf5((4, 1, 3, 2)), "stack"),
    "BART": (_bart, "stack"),
    "MATLAB 4 .mat": (_matlab_4, "schedule"),
    "MATLAB 5 .mat": (_matlab_5, "stack"),
    "MATLAB 7.3 .mat, contiguous": (_matlab_73(None), "stack"),
    "MATLAB 7.3 .mat, chunked": (_matlab_73((4, 1, 3, 2)), "stack"),
    "MINC 1": (_minc_1, "phantom"),
    "MINC 2": (_minc_2, "phantom"),
    "BrainWeb raw bytes": (_rawb, "phantom"),
    "BrainWeb raw shorts": (_raws, "phantom"),
    "CSV": (_csv, "schedule"),
    "Text, a column": (_columns, "schedule"),
    "Text, two": (_text, "schedule"),
    "JSON": (_json, "schedule"),
}


def _table() -> dict[str, dict[str, str]]:
    """Return README's table of formats: cells by format and column."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in text.split("## File formats")[1].split("## ")[0].splitlines()
        if line.startswith("|")
    ]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


TABLE = _table()


def _row(name: str) -> str:
    """Return the row that begins with these words: the shortest, for .nii begins .nii.gz."""
    return min((row for row in TABLE if row.startswith(name)), key=len)


# Rows whose files are read in tests of their own: tests/fingerprints/test_zarr_stacks.py, tests/schedules/pulseq.
ELSEWHERE = {"Zarr 3 .zarr of others", "Pulseq .seq, 1.2 to 1.5"}


def test_every_row_has_a_file_and_every_file_a_row():
    assert {_row(name) for name in WRITERS} | ELSEWHERE == {*TABLE}
    assert len(WRITERS) + len(ELSEWHERE) == len(TABLE)


def _is_mapped(data: Any) -> bool:
    while data is not None:
        if isinstance(data, (np.memmap, mmap.mmap)):
            return True
        data = getattr(data, "base", None)
    return False


def _expected_affine(name: str, row: dict[str, str]) -> np.ndarray:
    if name == "DICOM":
        return _dicom_affine(np.eye(3))
    if name.startswith("BrainWeb"):
        return np.array([[2.0, 0, 0, -90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
    if row["Geometry"] == "voxel size":
        return np.diag([*SIZE[::-1], 1.0])
    return AFFINE if row["Geometry"] == "affine" else np.eye(4)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_an_independent_library_is_read_as_the_table_says(tmp_path, write_dicom, name, monkeypatch):
    # those of this size are read otherwise
    monkeypatch.setattr(matlab73, "_MAPPED", 0)
    write, kind = WRITERS[name]
    row = TABLE[_row(name)]
    path, how = write(tmp_path, write_dicom)
    assert row["Read"] == "yes"
    if kind == "schedule":
        read = nb.read_schedule(path, **how)
        for field in ("flip_angle", "repetition_time", "echo_time", "inversion_time"):
            np.testing.assert_allclose(getattr(read, field), getattr(SCHEDULE, field), rtol=1e-12)
        return
    if kind == "phantom":
        found = nb.read_phantom(path)
        data, affine = found.t1, found.affine
        assert (data == data.flat[0]).all()
        assert data.flat[0] > 0
    else:
        found = nb.read_fingerprints(path, SCHEDULE, **how)
        data, affine = found.data, found.affine
        np.testing.assert_array_equal(data, VALUES)
    np.testing.assert_allclose(affine, _expected_affine(name, row), atol=1e-5)
    if row["Geometry"] == "no":
        assert any("states no voxel size" in note for note in found.notes)
    assert _is_mapped(data) == (row["Lazily"] == "yes")


@pytest.mark.parametrize("name", [name for name, (_, kind) in WRITERS.items() if kind == "stack"])
def test_a_stack_too_large_for_the_memory_is_unpacked_onto_the_disk_and_is_the_same(
    tmp_path, write_dicom, name, monkeypatch
):
    write, _ = WRITERS[name]
    path, how = write(tmp_path, write_dicom)
    held = nb.read_fingerprints(path, SCHEDULE, **how)
    monkeypatch.setattr(spilled_arrays, "SPILLED_BYTES", 0)
    found = nb.read_fingerprints(path, SCHEDULE, **how)
    assert _is_mapped(found.data) or name == "MATLAB 7.3 .mat, contiguous"  # which is read where it is small
    np.testing.assert_array_equal(found.data, VALUES)
    np.testing.assert_array_equal(found.mask, held.mask)
    assert (found.kind, found.notes, found.data.dtype) == (held.kind, held.notes, held.data.dtype)


# what ends in .nii, .zarr and .h5 is written as version 1, version 3 and ours, which the rows of these hold; long
# trains have a test below
@pytest.mark.parametrize(
    "name", [name for name in WRITERS if name not in ("NIfTI-2 .nii", "Zarr 2") and not name.startswith("HDF5 .h5, c")]
)
def test_what_the_table_says_is_written_an_independent_library_reads(tmp_path, write_dicom, name):
    write, kind = WRITERS[name]
    writes = TABLE[_row(name)]["Write"] == "yes"
    target = tmp_path / "ours" / write(tmp_path, write_dicom)[0].name
    stack = nb.FingerprintStack(VALUES, SCHEDULE, "real", None, SIZE, AFFINE)
    if not writes:
        make = nb.write_schedule if kind == "schedule" else write_fingerprints
        with pytest.raises(InputError, match=r"is written as (NIfTI|CSV)"):
            make(SCHEDULE if kind == "schedule" else stack, target)
        assert not target.exists()
    elif kind == "schedule":
        nb.write_schedule(SCHEDULE, target)
        lines = [line for line in target.read_text().splitlines() if not line.startswith("#")]
        table = np.array([line.split(",") for line in lines[1:]], float)
        for column, values in COLUMNS.items():
            np.testing.assert_array_equal(table[:, lines[0].split(",").index(column)], values)
    elif "Zarr" in name:
        write_fingerprints(stack, target)
        group = zarr.open_group(target, mode="r")
        np.testing.assert_array_equal(group["data"][:], VALUES)
        np.testing.assert_array_equal(group.attrs["affine"], AFFINE)
        assert group.metadata.zarr_format == 3
    elif "HDF5" in name:
        write_fingerprints(stack, target)
        with h5py.File(target) as file:
            np.testing.assert_array_equal(np.moveaxis(file["data"][:], -1, 0), VALUES)
            np.testing.assert_array_equal(file["data"].attrs["affine"], AFFINE)
            assert [dim.label for dim in file["data"].dims] == ["z", "y", "x", "time"]
    else:
        write_fingerprints(stack, target)
        image = nib.load(target)
        assert isinstance(image, nib.Nifti1Image)
        np.testing.assert_array_equal(np.asarray(image.dataobj), VALUES.T)
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


def test_long_trains_are_written_as_nifti_2(tmp_path):
    assert TABLE["NIfTI-2 .nii"]["Write"] == "long trains"
    for pulses, version in ((32_767, nib.Nifti1Image), (32_768, nib.Nifti2Image)):
        train = nb.Schedule(np.full(pulses, 10.0), 8.0, 3.0)
        values = np.random.default_rng(0).normal(size=(pulses, 1, 1, 2)).astype(np.float32)
        write_fingerprints(nb.FingerprintStack(values, train, "real", None, SIZE, AFFINE), tmp_path / "a.nii")
        image = nib.load(tmp_path / "a.nii")
        assert type(image) is version
        np.testing.assert_array_equal(np.asarray(image.dataobj), values.T)


# -- landmarks


def _rotation(*angles: float) -> np.ndarray:
    turned = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles)):
        one, two = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[[one, one, two, two], [one, two, one, two]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
        turned = turn @ turned
    return turned


def _placed(matrix: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, [-31.0, 17.0, 53.0]
    return affine


AFFINES = {
    "oblique": _placed(_rotation(20, -35, 50) * 2.0),
    "anisotropic": _placed(np.diag([0.8, 1.7, 5.0])),
    "left-handed": _placed(np.diag([-1.0, 1.0, 1.0]) * 1.5),
    "all three": _placed(_rotation(-15, 25, 70) @ np.diag([-0.8, 1.7, 5.0])),
}
LANDMARK = (1, 2, 0)  # z, y, x
LAID = np.full(SHAPE, 500.0, np.float32)
LAID[LANDMARK] = 1500.0
TRAIN = spline_schedule(length=40, inversion_time=20.0)


def _phantom(affine: np.ndarray) -> nb.Phantom:
    size = tuple(np.linalg.norm(affine[:3, :3], axis=0)[::-1])
    return nb.Phantom(
        LAID, np.full(SHAPE, 80.0, np.float32), np.ones(SHAPE, np.float32), voxel_size=size, affine=affine
    )


def _landmark(stack: nb.FingerprintStack, folder: Path) -> np.ndarray:
    """Map a stack, and return where nibabel finds the voxel of the longest T1 in the map that is written."""
    maps = nb.reconstruct(stack, t1_range=(400.0, 1800.0), t2_range=(70.0, 90.0), step=0.1)
    write_maps(maps, folder)
    image = nib.load(folder / "sub-01_T1map.nii.gz")
    t1 = np.asarray(image.dataobj)
    assert t1.max() > 2 * np.sort(t1.ravel())[-2]
    return image.affine @ [*np.unravel_index(t1.argmax(), t1.shape), 1]


def _expected(affine: np.ndarray) -> np.ndarray:
    return affine @ [*LANDMARK[::-1], 1]


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("way", ["nii.gz", "zarr"])
@pytest.mark.parametrize("source", ["maps of nibabel", "our phantom folder", "MINC 1", "MINC 2"])
def test_a_landmark_of_a_phantom_stays_where_it_is(tmp_path, source, way, affine):
    folder = tmp_path / "phantom"
    folder.mkdir()
    if source in ("MINC 1", "MINC 2"):
        write = _minc if source == "MINC 1" else _minc2_file
        for tissue, here in (("csf", LAID.max() == LAID), ("wm", LAID.max() > LAID)):
            write(folder / f"subject04_{tissue}_v.mnc", np.where(here, 255, 0).astype(np.uint8), affine)
    elif source == "maps of nibabel":
        for name, values in (("T1map", LAID / 1000), ("T2map", np.full(SHAPE, 0.08, np.float32))):
            nib.save(nib.Nifti1Image(values.T, affine), folder / f"sub-1_{name}.nii.gz")
    elif source == "our phantom folder":
        write_phantom(_phantom(affine), folder)
    stack = nb.simulate(nb.read_phantom(folder), TRAIN)
    write_fingerprints(stack, tmp_path / f"stack.{way}")
    place = _landmark(nb.read_fingerprints(tmp_path / f"stack.{way}"), tmp_path / "maps")
    np.testing.assert_allclose(place, _expected(affine), atol=1e-4)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("source", ["NIfTI-1", "NIfTI-2", "BIDS series", "Zarr"])
def test_a_landmark_of_a_stack_stays_where_it_is(tmp_path, source, affine):
    data = nb.simulate(_phantom(np.eye(4)), TRAIN, kind="real").data
    if source == "Zarr":
        path, _ = _zarr(tmp_path, None, data, affine, TRAIN)
    elif source == "BIDS series":
        path = tmp_path / "anat"
        path.mkdir()
        for number, volume in enumerate(data, start=1):
            nib.save(nib.Nifti1Image(volume.T, affine), path / f"sub-1_flip-{number}_MRF.nii")
    else:
        path = tmp_path / "a.nii"
        nib.save((nib.Nifti1Image if source == "NIfTI-1" else nib.Nifti2Image)(data.T, affine), path)
    stack = nb.read_fingerprints(path, TRAIN, kind="real")
    np.testing.assert_allclose(_landmark(stack, tmp_path / "maps"), _expected(affine), atol=1e-4)


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -35, 50), (90, 0, 0), (0, 90, 10)])
def test_a_landmark_of_dicom_images_stays_where_it_is(tmp_path, write_dicom, angles):
    magnitude = nb.simulate(_phantom(np.eye(4)), TRAIN, kind="magnitude").data
    folder = tmp_path / "images"
    folder.mkdir()
    rotation = _rotation(*angles)
    _dicom(folder, write_dicom, np.rint(magnitude * 30_000), rotation)
    stack = nb.read_fingerprints(folder, TRAIN)
    np.testing.assert_allclose(_landmark(stack, tmp_path / "maps"), _expected(_dicom_affine(rotation)), atol=1e-4)
