"""Masks inside records: a painted region is part of how a map was made."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from typing import Any

import numpy as np

from napari_blochnet.arrays import BoolArray
from napari_blochnet.errors import InputError

__all__ = ["pack_mask", "unpack_mask", "whole_slices"]


def pack_mask(mask: BoolArray) -> dict[str, Any]:
    """Return a mask as JSON: its shape, and its bits, compressed, in base64."""
    bits = np.packbits(np.asarray(mask, dtype=bool).reshape(-1))
    return {"shape": list(mask.shape), "bits": base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode("ascii")}


def unpack_mask(content: dict[str, Any]) -> BoolArray:
    """Return the mask that `pack_mask` packed.

    Raises
    ------
    InputError
        Content of another size than its shape says; no more than that size is ever unpacked.
    """
    try:
        shape = tuple(int(length) for length in content["shape"])
        voxels = math.prod(shape)
        unpacking = zlib.decompressobj()
        packed = base64.b64decode(content["bits"], validate=True)
        bits = unpacking.decompress(packed, (voxels + 7) // 8 + 1)
        if min(shape, default=0) < 1 or len(bits) != (voxels + 7) // 8:
            raise ValueError
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error):
        raise InputError(
            "A mask in the recipe is damaged; expected its shape and as many bits.", field="mask"
        ) from None
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=voxels).astype(bool).reshape(shape)


def whole_slices(inside: BoolArray, everything: BoolArray) -> tuple[int, int] | None:
    """Return (first, end) if ``inside`` is exactly what ``everything`` holds in these slices along z, else None."""
    chosen = np.flatnonzero(inside.any(axis=(1, 2)))
    if not len(chosen):
        return None
    first, end = int(chosen[0]), int(chosen[-1]) + 1
    same = np.array_equal(inside[first:end], everything[first:end])
    return (first, end) if same else None
