"""Zarr stores on disk, versions 2 and 3: their arrays, and groups written by renaming.

Only plain numbers are taken, packed by codecs that zarr-python brings itself and that run nothing of the file's:
bytes, transpose, crc32c, gzip (zlib), zstd, blosc. What chunks claim is checked before they are unpacked.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import Cancelled, FileError, InputError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.atomic import replacing_set
from napari_blochnet.io.containers.chunked_arrays import ChunkedArray
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.io.reading import blocks, read_in_blocks, refuse_beyond_memory

__all__ = ["ZarrArray", "is_zarr", "list_zarr_arrays", "write_zarr_group", "zarr_attributes"]

_TYPES = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|[<>|][biufc]\d{1,2}")
_PACKERS = {"gzip", "zlib", "zstd", "blosc"}
_PLAIN = {"bytes", "transpose", "crc32c"}
_META_BYTES = 64 * 2**20
_MOST_CHUNKS, _MOST_ARRAYS, _DEEPEST = 5_000_000, 200, 3
# deflate packs no tighter (RFC 1951); a chunk is unpacked a first time only where it could hold far more than it says
_DEFLATE_LIMIT, _HARMLESS = 1032, 16 * 2**20
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class ZarrArray:
    """One array of a store, not read yet.

    Parameters
    ----------
    shape, chunks : tuple of int
    dtype : dtype
    names : tuple of str
        Of its axes; empty where the store gives none.
    read : callable
        Returns the array; takes a `Watch`. Raises `InputError` where chunks are damaged or claim too much.
    lazily : callable
        Returns a dask array whose chunks are unpacked where they are looked at, the same ones refused; takes a `Watch`.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    names: tuple[str, ...]
    read: Callable[[Watch], AnyArray]
    lazily: Callable[[Watch], AnyArray]

    @property
    def nbytes(self) -> int:
        """How large it is in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a Zarr store: a folder with Zarr's metadata."""
    return any(Path(path, name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def zarr_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the attributes of the store's outermost group or array; empty where it has none."""
    folder = Path(path)
    if (folder / "zarr.json").is_file():
        found = _metadata(folder / "zarr.json").get("attributes")
    else:
        found = _metadata(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
    return found if isinstance(found, dict) else {}


def _metadata(file: Path) -> dict[str, Any]:
    try:
        if file.is_symlink() or file.stat().st_size > _META_BYTES:
            raise ValueError("it is a link, or larger than metadata are")
        content = parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError(
            f"{file.parent.name}/{file.name}", f"cannot be read ({error})", "Zarr's metadata, in JSON"
        ) from None
    return content if isinstance(content, dict) else {}


def list_zarr_arrays(path: str | os.PathLike[str]) -> dict[str, ZarrArray]:
    """List the arrays of numbers of a store by their path in it.

    Parameters
    ----------
    path : path
        Of a group, or of an array, whose name then is its folder's.

    Returns
    -------
    dict of str to ZarrArray

    Raises
    ------
    InputError
        Metadata that are damaged; a codec that is not taken here.
    """
    root = Path(path)
    found: dict[str, ZarrArray] = {}
    for folder in _folders(root, 0):
        name = root.name if folder == root else folder.relative_to(root).as_posix()
        array = _array(folder, name)
        if array is not None:
            found[name] = array
        if len(found) > _MOST_ARRAYS:
            raise FileError(root, f"holds more than {_MOST_ARRAYS} arrays", "one array, or a few", field="path")
    return found


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the groups and arrays of a store; chunks of arrays are not gone through."""
    yield folder
    is_array = (folder / ".zarray").is_file()
    if (folder / "zarr.json").is_file():
        is_array = _metadata(folder / "zarr.json").get("node_type") == "array"
    if not is_array and depth < _DEEPEST:
        for below in sorted(folder.iterdir()):
            if below.is_dir() and not below.is_symlink() and is_zarr(below):
                yield from _folders(below, depth + 1)


def _array(folder: Path, name: str) -> ZarrArray | None:
    three = (folder / "zarr.json").is_file()
    if not three and not (folder / ".zarray").is_file():
        return None
    said = _metadata(folder / ("zarr.json" if three else ".zarray"))
    if three and said.get("node_type") != "array":
        return None
    kind = str(said.get("data_type" if three else "dtype"))
    if not _TYPES.fullmatch(kind):
        return None
    try:
        packer = _packer_3(said) if three else _packer_2(said)
        grid = said["chunk_grid"]["configuration"]["chunk_shape"] if three else said["chunks"]
        shape, chunks = tuple(map(int, said["shape"])), tuple(map(int, grid))
        dtype = np.dtype(kind)
        if len(shape) != len(chunks) or min(shape, default=0) < 0 or min(chunks, default=0) < 1:
            raise ValueError(f"the shape {shape} in chunks of {chunks}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileError(
            folder.name, f"cannot be read as a Zarr array ({error})", "plain numbers, packed by gzip, zstd or blosc"
        ) from None
    names = said.get("dimension_names") or ()
    axes = tuple(map(str, names)) if isinstance(names, (list, tuple)) and len(names) == len(shape) else ()
    stored = _Stored(folder, name, shape, chunks, dtype, packer)
    return ZarrArray(shape, chunks, dtype, axes, partial(_read, stored), partial(_lazily, stored))


@dataclass(frozen=True)
class _Stored:
    """An array on disk: its folder, what people call it, and how it is cut and packed."""

    folder: Path
    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    packer: str


def _packer_3(said: dict[str, Any]) -> str:
    """Return what packs the chunks of an array, refusing what is not known."""
    if said.get("storage_transformers"):
        raise ValueError("it has storage transformers")
    if said["chunk_grid"]["name"] != "regular":
        raise ValueError(f"its chunk grid is {said['chunk_grid']['name']!r}")
    return _one_packer([str(codec["name"] if isinstance(codec, dict) else codec) for codec in said["codecs"]])


def _packer_2(said: dict[str, Any]) -> str:
    if said.get("filters"):
        raise ValueError("it has filters")
    return _one_packer([] if said.get("compressor") is None else [str(said["compressor"]["id"])])


def _one_packer(names: list[str]) -> str:
    strange = [name for name in names if name not in _PLAIN | _PACKERS]
    if strange:
        raise ValueError(f"it is packed by {', '.join(strange)}")
    packers = [name for name in names if name in _PACKERS]
    if len(packers) > 1:
        raise ValueError(f"it is packed more than once, by {', '.join(packers)}")
    return packers[0] if packers else ""


def _read(stored: _Stored, watch: Watch) -> AnyArray:
    refuse_beyond_memory(stored.folder, math.prod(stored.shape) * stored.dtype.itemsize)
    _check_grid(stored, watch)
    with _whole_chunks(stored.name):
        array = _opened(stored.folder)
        return read_in_blocks(
            lambda selection: np.asarray(array[selection]), stored.shape, stored.dtype, chunks=stored.chunks,
            what=f"reading {stored.name}", watch=watch,
        )  # fmt: skip


def _lazily(stored: _Stored, watch: Watch) -> AnyArray:
    _check_grid(stored, watch)
    folder, dtype = stored.folder, stored.dtype.newbyteorder("=")
    with _whole_chunks(stored.name):
        array = _opened(folder)
    described = folder / "zarr.json" if (folder / "zarr.json").is_file() else folder / ".zarray"
    opened = described.stat()

    def unpack(selection: tuple[slice, ...]) -> AnyArray:
        with _whole_chunks(stored.name):
            try:
                is_same = os.path.samestat(described.stat(), opened)
            except OSError:
                is_same = False
            if not is_same:
                raise FileError(folder.parent, "was replaced or removed since it was opened", "it to be opened again")
            return np.asarray(array[selection], dtype)

    return ChunkedArray(stored.shape, stored.chunks, dtype, unpack).lazily()


def _opened(folder: Path) -> Any:
    import zarr

    return zarr.open_array(zarr.storage.LocalStore(folder, read_only=True), mode="r")


@contextlib.contextmanager
def _whole_chunks(name: str) -> Iterator[None]:
    """Say of damaged chunks, for which the codecs raise what they like, that they are damaged."""
    try:
        yield
    except (InputError, Cancelled):
        raise
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise FileError(name, f"cannot be read as a Zarr array ({reason})", "whole chunks") from None


def _check_grid(stored: _Stored, watch: Watch) -> None:
    """Refuse chunks that no machine could unpack, before any is."""
    chunk_bytes = math.prod(stored.chunks) * stored.dtype.itemsize
    refuse_beyond_memory(stored.folder, chunk_bytes)
    counts = (-(-n // chunk) for n, chunk in zip(stored.shape, stored.chunks, strict=True))
    if math.prod(counts) > _MOST_CHUNKS:
        raise FileError(stored.name, f"lies in more than {_MOST_CHUNKS:,} chunks", "fewer and larger ones")
    _check_chunks(stored.folder, stored.name, chunk_bytes, stored.packer, watch)


def _check_chunks(folder: Path, name: str, chunk_bytes: int, packer: str, watch: Watch) -> None:
    """Refuse links among the chunks, and chunks that hold more than the array's shape says."""
    for parent, _, files in os.walk(folder):
        for file in (Path(parent, each) for each in files):
            watch.check(f"reading {name}")
            is_told = file.parent == folder and (file.name.startswith(".z") or file.name == "zarr.json")
            if file.is_symlink() or not file.is_file():
                what = "metadata" if is_told else "chunk"
                raise FileError(name, f"its {what} {file.name} is a link or no plain file", f"{what} in plain files")
            if is_told:
                continue
            if _unpacked(file, packer, chunk_bytes) > chunk_bytes + 4:  # a checksum
                raise FileError(name, f"its chunk {file.name} holds more than {chunk_bytes:,} bytes", "whole chunks")


def _unpacked(file: Path, packer: str, limit: int) -> int:
    """Return how many bytes a chunk unpacks to, as far as that is told without unpacking; or more than ``limit``."""
    size = file.stat().st_size
    if not packer:
        return size
    if packer in ("gzip", "zlib"):
        return _inflated(file, limit) if size * _DEFLATE_LIMIT > limit + _HARMLESS else 0
    with file.open("rb") as stream:
        head = stream.read(18)
    if packer == "blosc":
        return int.from_bytes(head[4:8], "little")
    if len(head) < 6 or head[:4] != _ZSTD:
        return 0  # the codec says what is wrong
    flag, single = head[4] >> 6, head[4] >> 5 & 1
    at = 6 - single + (0, 1, 2, 4)[head[4] & 3]
    width = (single, 2, 4, 8)[flag]
    if not width:
        return limit * 2 + 8  # a stream whose length is not told could be anything
    return int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)


def _inflated(file: Path, limit: int) -> int:
    stream, total = zlib.decompressobj(47), 0
    try:
        with file.open("rb") as packed:
            while total <= limit + 4 and (piece := packed.read(2**16)):
                while piece and total <= limit + 4:
                    total += len(stream.decompress(piece, 2**22))
                    piece = stream.unconsumed_tail
                if stream.unused_data:
                    stream = zlib.decompressobj(47)
    except zlib.error:
        return total  # the codec says what is wrong
    return total


def write_zarr_group(
    path: str | os.PathLike[str],
    arrays: Mapping[str, tuple[AnyArray, np.dtype[Any], tuple[int, ...], tuple[str, ...]]],
    attributes: dict[str, Any],
    *,
    watch: Watch = UNWATCHED,
) -> None:
    """Write a group of Zarr version 3, by renaming; chunks of zeros are not written.

    Parameters
    ----------
    path : path
    arrays : mapping of str to (array, type to store, chunks, names of axes)
    attributes : dict
        Of the group.
    watch : Watch
        Counts megabytes.

    Raises
    ------
    InputError
        Something lies there already that this package did not write.
    Cancelled
        There is the old store, or none.
    """
    import zarr

    target = Path(path)
    check_outputs([target])
    with replacing_set([target]) as draft:
        group = zarr.create_group(zarr.storage.LocalStore(draft / target.name), zarr_format=3, attributes=attributes)
        for name, (values, dtype, chunks, axes) in arrays.items():
            stored = group.create_array(
                name, shape=values.shape, dtype=dtype, chunks=chunks, dimension_names=axes, fill_value=0,
                config={"write_empty_chunks": False},
            )  # fmt: skip
            done = 0
            for selection in blocks(values.shape, values.dtype.itemsize, chunks):
                watch.check(f"writing {target.name}")
                watch.report(done >> 20, values.nbytes >> 20, f"writing {target.name}")
                inside = tuple(
                    slice(part.start, min(part.stop, n)) for part, n in zip(selection, values.shape, strict=True)
                )
                block = np.asarray(values[inside], dtype)
                stored[inside] = block
                done += block.nbytes
