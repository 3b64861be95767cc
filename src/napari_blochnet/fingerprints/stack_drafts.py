"""A stack that is written part by part, as a Zarr store of which no more than a part is in memory.

A part is what lies in one row of chunks of one slice: its chunks are its own, so that it is written, and written again,
without any other. Voxels outside the mask take no room: chunks without a voxel inside are not written, and zeros pack
to nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.fingerprints.zarr_stacks import AXES, chunks_of
from napari_blochnet.physics.kernels.launch import available_threads

__all__ = ["StackDraft", "StackPart", "stack_parts"]


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
    pulses : int
    dtype : dtype
        Of the samples.
    """

    def __init__(self, path: Path, mask: BoolArray, pulses: int, dtype: np.dtype[Any]) -> None:
        import zarr
        from zarr.codecs import BloscCodec

        self.path, self._mask = path, mask
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

    def finish(self, sidecar: dict[str, Any], geometry: Geometry) -> None:
        """Write what is said of the stack, by which it is one; see `zarr_stacks`."""
        said = {**sidecar, "voxel_size": list(geometry.voxel_size), "affine": np.asarray(geometry.affine).tolist()}
        self._group.update_attributes(said)
