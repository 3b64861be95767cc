"""A stack that is written part by part, of which no more than a part is in memory.

A part is what lies in one row of chunks of one slice, as a Zarr store has them: it is written, and written again,
without any other. There chunks without a voxel inside the mask are not written, and zeros pack to nothing. In a NIfTI
file or HDF5 parts have their places from the beginning; what is never written takes no room where files may have holes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, is_lazy
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.paired_files import beside_stack
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.zarr_stacks import AXES, chunks_of, is_zarr_name, stored_type
from napari_blochnet.io.containers.hdf5_arrays import create_hdf5_array, is_hdf5_name
from napari_blochnet.io.json_files import beside_json, write_json
from napari_blochnet.io.nifti import is_nifti, nifti_type, read_nifti, write_nifti, write_nifti_header
from napari_blochnet.io.origin import listing, members_named
from napari_blochnet.io.sets.rooms import sync_file
from napari_blochnet.physics.kernels.launch import available_threads

__all__ = [
    "PARTS_ENDINGS",
    "FileDraft",
    "StackDraft",
    "StackPart",
    "files_to_write",
    "fingerprint_files",
    "open_draft",
    "stack_parts",
    "write_samples",
]

#: How the names of what is written part by part end.
PARTS_ENDINGS = (".zarr", ".nii", ".h5", ".hdf5")

# Read at a time.
_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class StackPart:
    """Some rows of a slice.

    Parameters
    ----------
    z : int
    rows : slice
        Along y.
    """

    z: int
    rows: slice

    @property
    def name(self) -> str:
        """What it is called in notes."""
        return f"part-{self.z}-{self.rows.start}"

    def inside(self, mask: BoolArray) -> BoolArray:
        """Return the part of a mask (Z, Y, X)."""
        return mask[self.z, self.rows]


def stack_parts(mask: BoolArray, pulses: int, dtype: np.dtype[Any]) -> Iterator[StackPart]:
    """Yield the parts of a stack that hold voxels inside its mask, in C order."""
    depth, height, width = mask.shape
    step = chunks_of((pulses, depth, height, width), dtype)[2]
    for z in range(depth):
        for start in range(0, height, step):
            part = StackPart(z, slice(start, min(start + step, height)))
            if part.inside(mask).any():
                yield part


class StackDraft:
    """A store that grows.

    Parameters
    ----------
    path : Path
        Of the store; what is there of it already stays.
    mask : bool array of shape (Z, Y, X)
    geometry : Geometry
    pulses : int
    dtype : dtype
        Of the samples.
    """

    def __init__(self, path: Path, mask: BoolArray, geometry: Geometry, pulses: int, dtype: np.dtype[Any]) -> None:
        import zarr
        from zarr.codecs import BloscCodec

        self.path, self._mask, self._geometry = path, mask, geometry
        shape = (pulses, *mask.shape)
        if not path.exists():
            # whole, or not there
            empty = path.with_name("empty")
            shutil.rmtree(empty, ignore_errors=True)
            group = zarr.create_group(zarr.storage.LocalStore(empty), zarr_format=3)
            stored = group.create_array("mask", shape=mask.shape, dtype=bool, chunks=mask.shape, fill_value=0,
                                        dimension_names=AXES[1:])  # fmt: skip
            stored[:] = mask
            # noise packs no better by a slower codec: exponents do, once bytes of one place lie together
            size = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
            packed = BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", typesize=size)
            group.create_array("data", shape=shape, dtype=dtype, chunks=chunks_of(shape, dtype), fill_value=0,
                               dimension_names=AXES, compressors=[packed])  # fmt: skip
            os.rename(empty, path)
        for file in (path / "data").rglob("*"):
            # what a process was writing as it was killed
            if file.is_file() and file.name != "zarr.json" and not file.name.isdigit():
                file.unlink()
        self._group = zarr.open_group(zarr.storage.LocalStore(path), mode="r+")
        self._data: Any = self._group["data"]

    def write(self, part: StackPart, samples: AnyArray) -> list[Path]:
        """Write a part.

        Parameters
        ----------
        part : StackPart
        samples : array of shape (voxel, time)
            Of its voxels inside the mask, in C order.

        Returns
        -------
        list of Path
            The files that hold it.
        """
        inside = part.inside(self._mask)
        number = np.cumsum(inside).reshape(inside.shape) - 1
        time, _, step, across = self._data.chunks
        height = part.rows.stop - part.rows.start

        def write(x: int) -> Path | None:
            here = inside[:, x : x + across]
            if not here.any():
                return None
            block = np.zeros((height, here.shape[1], time), self._data.dtype)
            block[here] = samples[number[:, x : x + across][here]]
            self._data[:, part.z : part.z + 1, part.rows, x : x + across] = np.moveaxis(block, -1, 0)[:, None]
            key = self._data.metadata.encode_chunk_key((0, part.z, part.rows.start // step, x // across))
            return self.path / "data" / str(key)

        with ThreadPoolExecutor(available_threads()) as pool:
            return [file for file in pool.map(write, range(0, inside.shape[1], across)) if file is not None]

    def digest(self, part: StackPart) -> str:
        """Return nothing: a part is known by its files."""
        return ""

    def finish(self, sidecar: dict[str, Any]) -> list[Path]:
        """Write what is said of the stack, by which it is one; see `zarr_stacks`."""
        said = {**sidecar, "voxel_size": list(self._geometry.voxel_size)}
        self._group.update_attributes({**said, "affine": np.asarray(self._geometry.affine).tolist()})
        sync_file(self.path)
        return [self.path]


class FileDraft:
    """A NIfTI file or HDF5 that is filled; beside it mask and JSON, as beside every stack of ours.

    Parameters
    ----------
    path, mask, geometry, pulses, dtype
        See `StackDraft`; ``path`` ends as the file does.
    """

    def __init__(self, path: Path, mask: BoolArray, geometry: Geometry, pulses: int, dtype: np.dtype[Any]) -> None:
        self.path, self._mask, self._geometry, self._dtype = path, mask, geometry, dtype
        # samples of one time point lie together, or all of one voxel
        self._is_by_voxel = is_hdf5_name(path)
        self._shape = (mask.size, pulses) if self._is_by_voxel else (pulses, mask.size)
        # whole, or not there; made anew where it is, to see where its samples lie
        empty = path.with_name(f"empty{path.suffix}")
        if self._is_by_voxel:
            said = {"voxel_size": geometry.voxel_size, "affine": np.asarray(geometry.affine)}
            axes = (*AXES[1:], AXES[0])
            self._start = create_hdf5_array(empty, "data", (*mask.shape, pulses), dtype, axes, said)
        else:
            self._start = write_nifti_header((pulses, *mask.shape), dtype, geometry, empty)
        if path.exists():
            empty.unlink()
        else:
            sync_file(empty)
            os.rename(empty, path)

    def write(self, part: StackPart, samples: AnyArray) -> list[Path]:
        """Write a part; see `StackDraft`. Its file is not its own."""
        with self.path.open("r+b", buffering=0) as file:
            for place, rows in self._pieces(part, samples):
                file.seek(place)
                left = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
                while left:
                    left = left[file.write(left) :]
        return []

    def digest(self, part: StackPart) -> str:
        """Return the digest of what lies in a part's place."""
        found = hashlib.blake2b(digest_size=16)
        with self.path.open("rb") as file:
            for place, size in self._places(part):
                file.seek(place)
                for done in range(0, size, _BLOCK_BYTES):
                    found.update(file.read(min(_BLOCK_BYTES, size - done)))
        return found.hexdigest()

    def _inside(self, part: StackPart) -> AnyArray:
        """Return where the voxels of a part lie in the volume."""
        first = (part.z * self._mask.shape[1] + part.rows.start) * self._mask.shape[2]
        inside: AnyArray = np.flatnonzero(part.inside(self._mask)) + first
        return inside

    def _places(self, part: StackPart) -> Iterator[tuple[int, int]]:
        """Yield where the pieces of a part lie in the file, and how long they are."""
        inside, (_, across), size = self._inside(part), self._shape, self._dtype.itemsize
        if self._is_by_voxel:
            for run in _runs(inside):
                yield self._start + int(inside[run.start]) * across * size, len(inside[run]) * across * size
        else:
            first, last = int(inside[0]), int(inside[-1])
            for pulse in range(self._shape[0]):
                yield self._start + (pulse * across + first) * size, (last + 1 - first) * size

    def _pieces(self, part: StackPart, samples: AnyArray) -> Iterator[tuple[int, AnyArray]]:
        inside = self._inside(part)
        samples = samples.astype(self._dtype, copy=False)
        rows: Iterable[AnyArray]
        if self._is_by_voxel:
            rows = (samples[run] for run in _runs(inside))
        else:
            rows = np.zeros((self._shape[0], int(inside[-1] - inside[0]) + 1), self._dtype)
            rows[:, inside - inside[0]] = samples.T
        for (place, _), piece in zip(self._places(part), rows, strict=True):
            yield place, piece

    def finish(self, sidecar: dict[str, Any]) -> list[Path]:
        """Write mask and JSON beside it; see `napari_blochnet.fingerprints.stack_files.write_fingerprints`."""
        sync_file(self.path)
        mask, beside = beside_stack(self.path)
        write_nifti(self._mask, self._geometry, mask)
        write_json(sidecar | listing([self.path, mask]), beside)
        return [self.path, mask, beside]


def fingerprint_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files of a stack of this name: stack, mask, JSON."""
    target = Path(path)
    return [target] if is_zarr_name(target) else [target, *beside_stack(target)]


def files_to_write(path: str | os.PathLike[str], settings: Any = None) -> list[Path]:
    """Return the files of a stack that is to be written; raise `InputError` where nothing is written under its name."""
    target = Path(path)
    if not any(is_so(target) for is_so in (is_nifti, is_zarr_name, is_hdf5_name)):
        endings = "a name ending in .nii, .nii.gz, .zarr or .h5"
        raise FileError(target, "a stack is written as NIfTI, Zarr or HDF5", endings)
    files = fingerprint_files(target)
    if len(files) > 1:
        # one JSON file says what one stack is
        others = (target.with_name(name) for name in members_named(beside_json(files[-1])[0]) or ())
        other = next((file for file in others if file not in files and file.exists()), None)
        if other is not None and is_hdf5_name(target) != is_hdf5_name(other):
            raise FileError(
                target, f"its {files[-1].name} is there, that of {other.name}", "another name", field="output"
            )
    return files


def write_samples(stack: FingerprintStack, path: Path, watch: Watch = UNWATCHED) -> None:
    """Write the samples of a stack as NIfTI or HDF5 where nothing is yet: part by part, where they are not in memory.

    Parameters
    ----------
    stack : FingerprintStack
    path : Path
    watch : Watch
        Counts slices, or kilobytes.

    Raises
    ------
    Cancelled
    """
    if is_hdf5_name(path) or (is_lazy(stack.data) and path.name.lower().endswith(".nii")):
        _fill(stack, path, watch)
    elif is_lazy(stack.data):
        # packed, all voxels of a time point come before those of the next
        unpacked = path.with_name("unpacked.nii")
        _fill(stack, unpacked, watch)
        write_nifti(read_nifti(unpacked)[0], stack.geometry, path, watch=watch)
        unpacked.unlink()
    else:
        write_nifti(stack.data, stack.geometry, path, watch=watch)


def _fill(stack: FingerprintStack, path: Path, watch: Watch) -> None:
    pulses = len(stack.data)
    dtype = stored_type(stack.data.dtype) if is_hdf5_name(path) else nifti_type(stack.data.dtype)
    # what lies outside the mask is written, too
    whole = np.ones(stack.shape[1:], bool)
    draft = FileDraft(path, whole, stack.geometry, pulses, dtype)
    for part in stack_parts(whole, pulses, dtype):
        watch.check(f"writing {path.name}")
        watch.report(part.z, len(whole), f"writing {path.name}")
        draft.write(part, np.asarray(stack.data[:, part.z, part.rows]).reshape(pulses, -1).T)


def _runs(inside: AnyArray) -> list[slice]:
    """Return which of some increasing numbers follow one another."""
    ends = [0, *(np.flatnonzero(np.diff(inside) > 1) + 1).tolist(), len(inside)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def open_draft(
    path: Path, mask: BoolArray, geometry: Geometry, pulses: int, dtype: np.dtype[Any]
) -> StackDraft | FileDraft:
    """Return a draft of what a name says; see `StackDraft`."""
    kind = StackDraft if is_zarr_name(path) else FileDraft
    return kind(path, mask, geometry, pulses, dtype)
