"""Tensors in files: safetensors, with the header looked at before anything is allocated."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.common.plain_text import plain_line
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.plain_files import plain_file
from napari_blochnet.io.sets.reading_whole import reads_whole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_header", "read_tensors", "write_tensors"]

# The card of a model with five schedules of 1000 pulses takes 0.5 MB.
_LARGEST_HEADER = 64 * 2**20
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and text to a safetensors file, under a temporary name first."""
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain, metadata=metadata))


def read_header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors that a safetensors file announces, and its text; no tensor is read.

    Returns
    -------
    tensors : dict
        Name to ``{"dtype", "shape", "data_offsets"}``.
    metadata : dict of str to str

    Raises
    ------
    InputError
        No such file; a file that is not safetensors, that is cut short, or whose header contradicts itself.
    """
    found = plain_file(path, "a model file (.safetensors)")
    name = found.name
    size = found.stat().st_size
    with found.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= _LARGEST_HEADER:
            raise InputError(f"{name}: is not a safetensors file (its header would be {length:,} bytes); expected a "
                             "model file.", field="path")  # fmt: skip
        if 8 + length > size:
            raise InputError(f"{name}: is cut short: found {size:,} bytes, the header alone takes {8 + length:,}; "
                             "expected the whole file.", field="path")  # fmt: skip
        text = file.read(length)
    try:
        header = parse_json(text)
        metadata = dict(header.pop("__metadata__", {}))
        end = 0
        for entry in sorted(header.values(), key=lambda entry: tuple(entry["data_offsets"])):
            first, last = entry["data_offsets"]
            shape = entry["shape"]
            fits = first == end and all(isinstance(n, int) and n >= 0 for n in shape)
            if not fits or last - first != math.prod(shape) * _BYTES[entry["dtype"]]:
                raise ValueError
            end = last
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError(f"{name}: its safetensors header is damaged; expected a model file.", field="path") from None
    if size != 8 + length + end:
        word = "is cut short" if size < 8 + length + end else "goes on after its end"
        raise InputError(f"{name}: {word}: found {size:,} bytes, expected {8 + length + end:,}.", field="path")
    return header, {str(key): str(value) for key, value in metadata.items()}


@reads_whole
def read_tensors(
    path: str | os.PathLike[str], *, expected: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file that holds at least the tensors expected, of those shapes.

    Raises
    ------
    InputError
        As `read_header`; a tensor that is missing or of another shape (of another network).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header, metadata = read_header(path)
    name = Path(path).name
    for tensor, shape in expected.items():
        if tensor not in header:
            raise InputError(f"{name}: holds no tensor {tensor}, so that it is of another network; expected "
                             f"{len(expected)} tensors.", field="path")  # fmt: skip
        if tuple(header[tensor]["shape"]) != tuple(shape):
            raise InputError(
                f"{name}: its tensor {tensor} has shape {tuple(header[tensor]['shape'])} and is of another network; "
                f"expected {tuple(shape)}.",
                field="path",
            )
    try:
        return load_file(str(path)), metadata
    except SafetensorError as error:  # its own parser takes less than Python's
        reason = plain_line(str(error), 100)
        raise InputError(
            f"{name}: its safetensors header is damaged ({reason})", "a model file", field="path"
        ) from None
