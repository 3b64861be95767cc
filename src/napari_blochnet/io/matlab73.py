"""Numeric arrays of MATLAB 7.3 files and other HDF5 files, in structures and cells."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import Cancelled, FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.hdf5_arrays import map_hdf5_array, numbers_of, unpack_hdf5_array
from napari_blochnet.io.matlab_array import MatlabArray, TooManyError, Walk, check_packing, warn_of_rest
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["list_matlab_73_arrays"]

# What h5py raises of damaged files.
_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError)
_CLASSES = {"f8": "double", "f4": "single"}
_MAPPED = 2**20
# Characters of one text that are read, at most.
_LONGEST_TEXT = 2**18


def list_matlab_73_arrays(path: Path, texts: dict[str, str] | None = None) -> dict[str, MatlabArray]:
    """List the numeric arrays of a MATLAB 7.3 file by path, axes as MATLAB shows them.

    MATLAB's own ``#refs#`` is not listed, but what cells and structures take from it. Groups of other HDF5 files are
    structures. What lies in another file is listed with what is the matter, and never read. ``texts`` takes what text
    there is, by its path.

    Raises
    ------
    InputError
        A file that HDF5 cannot open.
    """
    import h5py

    reader = _Reader(path, Walk(path.stat().st_size), {}, [], texts)
    try:
        with h5py.File(path, "r") as file:
            reader.group(file, "")
    except TooManyError as error:
        warn_of_rest(path, error)
    except _DAMAGE as error:
        if not reader.found:
            raise _sentence(path, error) from None
    return reader.found


@dataclass(frozen=True)
class _Reader:
    path: Path
    walk: Walk
    found: dict[str, MatlabArray]
    # where in the file the structures lie that are looked into
    inside: list[int]
    texts: dict[str, str] | None = None

    def group(self, group: Any, prefix: str) -> None:
        """Note the arrays of a structure, or of the whole file."""
        import h5py

        place = h5py.h5o.get_info(group.id).addr
        if place in self.inside:  # linked to itself
            return
        self.inside.append(place)
        for key in group:
            if not prefix and key.startswith("#"):
                continue
            name = f"{prefix}.{key}" if prefix else key
            link = group.get(key, getlink=True)
            if isinstance(link, (h5py.ExternalLink, h5py.SoftLink)):
                self._elsewhere(name)
                continue
            # what h5py does not understand is no array of numbers
            with self.walk.into(), suppress(*_DAMAGE):
                self.item(group[key], name, in_struct=bool(prefix))
        self.inside.pop()

    def item(self, item: Any, name: str, in_struct: bool = False) -> None:
        """Note an array, or those of a cell or structure."""
        import h5py

        attributes = item.attrs
        matlab_class = attributes.get("MATLAB_class", b"")
        matlab_class = matlab_class.decode("latin-1") if isinstance(matlab_class, bytes) else str(matlab_class)
        if isinstance(item, h5py.Group):
            if matlab_class in ("", "struct") and "MATLAB_sparse" not in attributes:
                self.group(item, name)
            return
        if not isinstance(item, h5py.Dataset) or "MATLAB_empty" in attributes or "MATLAB_object_decode" in attributes:
            return
        if item.is_virtual or item.external:
            self._elsewhere(name)
        elif h5py.check_ref_dtype(item.dtype) is h5py.Reference:
            self._references(item, name, is_struct=in_struct and matlab_class != "cell")
        elif self.texts is not None and (matlab_class == "char" or h5py.check_string_dtype(item.dtype) is not None):
            self._text(item, name)
        elif matlab_class != "char" and item.shape is not None:
            self._numbers(item, name, matlab_class)

    def _references(self, item: Any, name: str, is_struct: bool) -> None:
        """Note what a cell holds, or a field of a structure that has several elements."""
        if item.size > self.walk.size:
            return
        parent, _, field = name.rpartition(".")
        for i, reference in enumerate(np.ravel(item[()])):
            inner = f"{parent}({i + 1}).{field}" if is_struct and item.size > 1 else f"{name}{{{i + 1}}}"
            inner = name if is_struct and item.size == 1 else inner
            if reference:
                with self.walk.into():
                    self.item(item.file[reference], inner)

    def _text(self, item: Any, name: str) -> None:
        """Note text: one line as MATLAB writes it, in 16 bits a letter, or strings of HDF5's own."""
        assert self.texts is not None
        if item.size is None or item.size > _LONGEST_TEXT:
            return
        if item.dtype.kind == "u":
            letters = np.ravel(item[()]).astype("<u2")
            self.texts[name] = letters.tobytes().decode("utf-16-le", "replace")
            return
        lines = [line.decode("utf-8", "replace") for line in np.ravel(item[()]).tolist()]
        numbered = {f"{name}{{{i + 1}}}": line for i, line in enumerate(lines)}
        self.texts.update({name: lines[0]} if item.shape == () else numbered)

    def _elsewhere(self, name: str) -> None:
        trouble = "lies in another file than the one that was named, or behind a link"

        def read(watch: Watch = UNWATCHED) -> AnyArray:
            raise FileError(self.path, f"{name} {trouble}, and is not read", "the numbers themselves in this file")

        self.found[name] = MatlabArray(name, (0, 0), np.dtype("f8"), "double", read, trouble)

    def _numbers(self, item: Any, name: str, matlab_class: str) -> None:
        dtype = numbers_of(item.dtype)
        if dtype.kind not in "biufc" or item.name is None:
            return
        shape = item.shape[::-1]
        is_flag = matlab_class == "logical" or dtype.kind == "b"
        matlab_class = matlab_class or _CLASSES.get(f"{dtype.kind}{dtype.itemsize}", dtype.name)
        shape = (1,) * (2 - len(shape)) + shape if len(shape) < 2 else shape
        numbers = _Numbers(self.path, name, item.name, shape)
        self.found[name] = MatlabArray(name, shape, dtype, "logical" if is_flag else matlab_class, numbers.read)


@dataclass(frozen=True)
class _Numbers:
    """A dataset to be read."""

    path: Path
    name: str
    place: str
    shape: tuple[int, ...]

    def read(self, watch: Watch = UNWATCHED) -> AnyArray:
        """Return the array; see `MatlabArray`."""
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                return self._read(file[self.place], watch).T.reshape(self.shape, order="F")
        except (InputError, Cancelled):
            raise
        except _DAMAGE as error:
            raise _sentence(self.path, error) from None

    def _read(self, dataset: Any, watch: Watch) -> AnyArray:
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        mapped = self._mapped(dataset) if size > _MAPPED else None
        if mapped is not None:
            return mapped
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        check_packing(self.path, self.name, max(size, chunk), dataset.id.get_storage_size())
        refuse_beyond_memory(self.path, dataset.size * numbers_of(dataset.dtype).itemsize)
        return unpack_hdf5_array(dataset, f"reading {self.path.name}", watch)

    def _mapped(self, dataset: Any) -> AnyArray | None:
        try:
            return map_hdf5_array(self.path, dataset, "c")
        except OSError:  # the system counts what may be written to, and has no memory for so much
            return map_hdf5_array(self.path, dataset)


def _sentence(path: Path, error: BaseException) -> InputError:
    reason = str(error).split("\n")[0]
    return FileError(path, f"cannot be read as a MATLAB 7.3 file ({reason}).")
