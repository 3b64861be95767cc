"""Small sound files of every kind that the package reads, made by other libraries where there is one.

Each seed is a folder with one or more files; what a reader is given is `MAIN` of it, or the folder itself.
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pydicom
import scipy.io
import zarr
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

STORED = Path(__file__).parents[1] / "earlier_versions" / "stored"
_LENGTH, _SHAPE = 12, (2, 5, 4)  # (z, y, x)
_RANDOM = np.random.default_rng(14)
_STACK = _RANDOM.normal(size=(_LENGTH, *_SHAPE)).astype(np.float32)
_COMPLEX = (_STACK + 1j * _RANDOM.normal(size=_STACK.shape)).astype(np.complex64)
_FLIPS, _TIMES = np.linspace(8.0, 60.0, _LENGTH), np.linspace(11.0, 14.0, _LENGTH)
_T1 = _RANDOM.uniform(400, 2000, _SHAPE).astype(np.float32)
_T2 = (_T1 / 12).astype(np.float32)

#: What is read of a seed's folder; the folder itself where a seed is not listed.
MAIN: dict[str, str] = {}


def schedule_dict() -> dict:
    """Return a schedule as JSON has it."""
    return {
        "flip_angle": _FLIPS.tolist(), "repetition_time": _TIMES.tolist(), "echo_time": [3.0] * _LENGTH,
        "rf_phase": [0.0] * _LENGTH, "inversion_time": 20.0, "inversion_efficiency": 1.0, "slice_profile": None,
        "receiver_phase": "follows", "name": "twelve",
    }  # fmt: skip


def make_seeds(root: Path) -> None:
    """Write every seed into a folder of its own."""
    for make in (_stacks, _schedules, _phantoms, _tables, _dicom, _own):
        make(root)


def _place(root: Path, seed: str, main: str = "") -> Path:
    folder = root / seed
    folder.mkdir(parents=True)
    if main:
        MAIN[seed] = main
    return folder / main if main else folder


def _nifti(path: Path, data: np.ndarray, kind: type = nib.Nifti1Image) -> None:
    image = kind(data.T, np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm", "msec")
    nib.save(image, path)


def _json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _stacks(root: Path) -> None:
    _nifti(_place(root, "stack-nii", "a.nii"), _STACK)
    _nifti(_place(root, "stack-nifti2", "a.nii.gz"), _COMPLEX, nib.Nifti2Image)
    path = _place(root, "stack-pair", "a.hdr")
    _nifti(path, _STACK, nib.Nifti1Pair)
    np.save(_place(root, "stack-npy", "a.npy"), _COMPLEX)
    np.savez(_place(root, "stack-npz", "a.npz"), data=_COMPLEX)
    np.savez_compressed(_place(root, "stack-npz-packed", "a.npz"), data=_STACK)
    with h5py.File(_place(root, "stack-h5", "a.h5"), "w") as file:
        file["data"] = _COMPLEX
    with h5py.File(_place(root, "stack-h5-chunks", "a.h5"), "w") as file:
        file.create_dataset("group/data", data=_STACK, chunks=(4, 1, 5, 4), compression="gzip")
    matlab = {"data": _STACK.transpose(2, 3, 1, 0)}
    scipy.io.savemat(_place(root, "stack-mat5", "a.mat"), matlab)
    scipy.io.savemat(_place(root, "stack-mat5-packed", "a.mat"), {"D": {"x": _COMPLEX.T}}, do_compression=True)
    scipy.io.savemat(_place(root, "stack-mat4", "a.mat"), {"data": _STACK.reshape(_LENGTH, -1)}, format="4")
    with h5py.File(_place(root, "stack-mat73", "a.mat"), "w", userblock_size=512) as file:
        file["data"] = _STACK
        file["data"].attrs["MATLAB_class"] = np.bytes_("single")
    with (root / "stack-mat73/a.mat").open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    for version in (2, 3):
        for packer in ("plain", "packed"):
            store = _place(root, f"stack-zarr{version}-{packer}", "a.zarr")
            group = zarr.create_group(zarr.storage.LocalStore(store), zarr_format=version)
            more = {} if packer == "packed" else {"compressors": None}
            made = group.create_array("data", shape=_STACK.shape, dtype="f4", chunks=(_LENGTH, 1, 5, 4), **more)
            made[...] = _STACK
    ours = _place(root, "stack-own", "stack.nii.gz").parent
    for name in ("stack.nii.gz", "stack.json", "stack_mask.nii.gz"):
        shutil.copy(STORED / name, ours)


def _schedules(root: Path) -> None:
    shutil.copy(STORED / "schedule.csv", _place(root, "schedule-csv", "schedule.csv"))
    with _place(root, "schedule-table", "a.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["FA [deg]", "TR [ms]", "TE [ms]"])
        writer.writerows([f"{fa:.3f}".replace(".", ","), f"{tr:.3f}".replace(".", ","), "3,0"]
                         for fa, tr in zip(_FLIPS, _TIMES, strict=True))  # fmt: skip
    pair = _place(root, "schedule-pair", "a_fa.txt")
    np.savetxt(pair, _FLIPS)
    np.savetxt(pair.with_name("a_tr.txt"), _TIMES)
    _json(_place(root, "schedule-json", "a.json"), schedule_dict())
    content = {"seq": {"fa": _FLIPS, "tr": _TIMES, "te": 3.0}}
    scipy.io.savemat(_place(root, "schedule-mat5", "a.mat"), content, do_compression=True)
    scipy.io.savemat(_place(root, "schedule-mat4", "a.mat"), {"fa": _FLIPS, "tr": _TIMES, "te": 3.0}, format="4")
    with h5py.File(_place(root, "schedule-h5", "a.h5"), "w") as file:
        file["fa"], file["tr"], file["te"] = _FLIPS, _TIMES, 3.0


def _phantoms(root: Path) -> None:
    shutil.copytree(STORED / "small", _place(root, "phantom-own"), dirs_exist_ok=True)
    maps = _place(root, "phantom-maps")
    for name, values in (("T1", _T1), ("T2", _T2), ("PD", np.ones(_SHAPE, np.float32))):
        _nifti(maps / f"sub-1_{name}map.nii.gz", values / (1 if name == "PD" else 1000))
        _json(maps / f"sub-1_{name}map.json", {"Units": "arbitrary" if name == "PD" else "s"})
    arrays = _place(root, "phantom-npy")
    np.save(arrays / "T1.npy", _T1)
    np.save(arrays / "T2.npy", _T2)
    np.savez(_place(root, "phantom-npz", "a.npz"), T1=_T1, T2=_T2)
    scipy.io.savemat(_place(root, "phantom-mat", "a.mat"), {"T1map": _T1, "T2map": _T2}, do_compression=True)
    labels = _place(root, "phantom-labels", "a_dseg.nii.gz")
    _nifti(labels, _RANDOM.integers(0, 4, _SHAPE).astype(np.uint8))
    labels.with_name("a_dseg.tsv").write_text("index\tname\n1\tCSF\n2\tgrey matter\n3\twhite matter\n")
    shares = _RANDOM.dirichlet(np.ones(3), _SHAPE).astype(np.float32)
    fast = _place(root, "phantom-fast")
    for number in range(3):
        _nifti(fast / f"a_pve_{number}.nii.gz", shares[..., number])
    raw = _place(root, "phantom-raw")
    minc1, minc2 = _place(root, "phantom-minc1"), _place(root, "phantom-minc2")
    for number, tissue in enumerate(("csf", "gm", "wm")):
        bytes_ = np.round(shares[..., number] * 255).astype(np.uint8)
        _minc1(minc1 / f"subject04_{tissue}_v.mnc", bytes_)
        _minc2(minc2 / f"subject04_{tissue}_v.mnc", bytes_)
        with gzip.open(raw / f"{tissue}.rawb.gz", "wb") as stream:
            stream.write(np.zeros((181, 217, 181), np.uint8).tobytes() if not number else bytes(2**16))
    shutil.rmtree(raw)  # BrainWeb's own grid takes seconds to mix
    packed = _place(root, "phantom-minc1-packed")
    for file in minc1.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))


def _minc1(path: Path, data: np.ndarray) -> None:
    with scipy.io.netcdf_file(path, "w") as file:
        names = ("zspace", "yspace", "xspace")
        for name, length in zip(names, data.shape, strict=True):
            file.createDimension(name, length)
            axis = file.createVariable(name, "i4", ())
            axis.step, axis.start = 2.0, 0.0
        image = file.createVariable("image", "i1", names)
        image.signtype, image.valid_range = b"unsigned", np.array([0.0, 255.0])
        image[:] = data.view(np.int8)
        for name, value in (("image-min", 0.0), ("image-max", 1.0)):
            file.createVariable(name, "f8", ())[...] = value


def _minc2(path: Path, data: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        root = file.create_group("minc-2.0")
        for name, length in zip(("zspace", "yspace", "xspace"), data.shape, strict=True):
            axis = root.create_dataset(f"dimensions/{name}", data=np.int32(0))
            axis.attrs["step"], axis.attrs["start"], axis.attrs["length"] = 2.0, 0.0, np.int32(length)
        image = root.create_dataset("image/0/image", data=data, chunks=data.shape, compression="gzip")
        image.attrs["dimorder"] = np.bytes_("zspace,yspace,xspace")
        image.attrs["valid_range"] = [0.0, 255.0]
        root["image/0/image-min"], root["image/0/image-max"] = 0.0, 1.0


def _tables(root: Path) -> None:
    shutil.copy(STORED / "spheres.csv", _place(root, "regions-csv", "spheres.csv"))
    _nifti(_place(root, "regions-nii", "a.nii.gz"), _RANDOM.integers(0, 4, _SHAPE).astype(np.int16))
    _nifti(_place(root, "mask-nii", "a.nii.gz"), np.ones(_SHAPE, np.uint8))
    np.save(_place(root, "mask-npy", "a.npy"), np.ones(_SHAPE, bool))
    _nifti(_place(root, "b1-nii", "a_TB1map.nii.gz"), _RANDOM.uniform(0.8, 1.2, _SHAPE).astype(np.float32))
    with _place(root, "tissues-csv", "a.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("tissue", "t1_ms", "t2_ms", "pd"), ("CSF", 2569, 329, 1), ("GM", 833, 83, 0.86)])


def _dicom(root: Path) -> None:
    folder = _place(root, "dicom")
    study, series = generate_uid(), generate_uid()
    for number in range(4):
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.MediaStorageSOPClassUID = MRImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, data.file_meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SeriesNumber = study, series, 3
        data.Modality, data.InstanceNumber, data.ImageType = "MR", number + 1, ["ORIGINAL", "PRIMARY", "M"]
        data.Rows, data.Columns, data.SamplesPerPixel = 5, 4, 1
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
        data.PhotometricInterpretation, data.PixelSpacing, data.SliceThickness = "MONOCHROME2", [2, 2], 3
        data.ImagePositionPatient = [0, 0, 3 * (number // 2)]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.RepetitionTime, data.EchoTime, data.InversionTime = 12, 3, 100 * (1 + number % 2)
        data.PixelData = _RANDOM.integers(0, 4000, (5, 4)).astype("<u2").tobytes()
        data.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def _own(root: Path) -> None:
    """Files that only this package writes, as an earlier version did."""
    for name in ("maps", "refined-b1"):
        shutil.copytree(STORED / name, _place(root, f"own-{name}"), dirs_exist_ok=True)
    for name in ("session", "session-simple"):
        shutil.copytree(STORED / name, _place(root, f"own-{name}"), dirs_exist_ok=True)
    for seed, file in (("model", "network.safetensors"), ("recipe", "recipe-maps.json"),
                       ("recipe-network", "recipe-network-maps.json"), ("record", "maps/sub-01_T1map.json"),
                       ("record-stack", "stack.json")):  # fmt: skip
        shutil.copy(STORED / file, _place(root, seed, Path(file).name))
    from napari_blochnet.jobs.packing import pack_b1, pack_mask, pack_regions

    mask = np.zeros(_SHAPE, bool)
    mask[:, 1:3] = True
    region = type("R", (), {"name": "one", "mask": mask, "references": {"true": {"T1": 900.0}}})
    steps = [
        {"operation": "given", "schedule": schedule_dict(), "inputs": {}},
        {"operation": "given", "mask": pack_mask(mask), "inputs": {}},
        {"operation": "given", "b1": pack_b1(_T1), "inputs": {}},
        {"operation": "given", "regions": pack_regions([region]), "inputs": {}},
        {"operation": "make_schedule", "settings": {"kind": "spline", "length": 40}, "inputs": {}},
    ]
    _json(_place(root, "recipe-given", "recipe.json"), {"blochnet_recipe": 1, "steps": steps})
    from napari_blochnet.estimators.training.state import TrainingState, write_state

    modules, optimizer = training()
    write_state(_place(root, "checkpoint", "a.training"), {"estimator": "fc"}, TrainingState(), modules, optimizer)


def training():
    """Return what a checkpoint is read into."""
    import torch

    torch.manual_seed(0)
    modules = torch.nn.Linear(3, 2)
    return modules, torch.optim.Adam(modules.parameters())
