"""Arrays inside records: a painted region, or a B1 map given as an array, is part of how a map was made."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.evaluation.result_tables import Region

__all__ = [
    "GIVEN",
    "pack_b1",
    "pack_mask",
    "pack_regions",
    "unpack_b1",
    "unpack_mask",
    "unpack_regions",
    "whole_slices",
]


# What a recipe may hold: volumes of up to 512³ voxels, and what NumPy's arrays can have of axes.
_MOST_VOXELS, _MOST_AXES = 2**27, 32


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def _unpacked(packed: str, size: int) -> bytes:
    """Return ``size`` bytes that `_packed` packed; no more than that size is ever unpacked."""
    # deflate packs at most 1032 bytes into one, and base64 makes four letters of three
    if size > 1032 * len(packed):
        raise ValueError
    content = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), size + 1)
    if len(content) != size:
        raise ValueError
    return content


def _shape(content: dict[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(length) for length in content["shape"])
    if min(shape, default=0) < 1 or len(shape) > _MOST_AXES or math.prod(shape) > _MOST_VOXELS:
        raise ValueError
    return shape


# what content that was tampered with raises
_DAMAGE = (KeyError, TypeError, ValueError, OverflowError, MemoryError, binascii.Error, zlib.error)


def pack_mask(mask: BoolArray) -> dict[str, Any]:
    """Return a mask as JSON: its shape, and its bits, compressed, in base64."""
    bits = np.packbits(np.asarray(mask, dtype=bool).reshape(-1))
    return {"shape": list(mask.shape), "bits": _packed(bits.tobytes())}


def unpack_mask(content: dict[str, Any]) -> BoolArray:
    """Return the mask that `pack_mask` packed.

    Raises
    ------
    InputError
        Content of another size than its shape says; no more than that size is ever unpacked.
    """
    try:
        shape = _shape(content)
        voxels = math.prod(shape)
        bits = _unpacked(content["bits"], (voxels + 7) // 8)
    except _DAMAGE:
        raise InputError(
            "A mask in the recipe is damaged; expected its shape and as many bits.", field="mask"
        ) from None
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=voxels).astype(bool).reshape(shape)


def pack_b1(field: FloatArray) -> dict[str, Any]:
    """Return a B1 map as JSON: its shape, and its float32 values, compressed, in base64."""
    return {"shape": list(field.shape), "values": _packed(np.ascontiguousarray(field, "<f4").tobytes())}


def unpack_b1(content: dict[str, Any]) -> FloatArray:
    """Return the map that `pack_b1` packed.

    Raises
    ------
    InputError
        Content of another size than its shape says; no more than that size is ever unpacked.
    """
    try:
        z, y, x = _shape(content)
        values = _unpacked(content["values"], 4 * z * y * x)
    except _DAMAGE:
        raise InputError(
            "A B1 map in the recipe is damaged; expected its shape and as many values.", field="b1"
        ) from None
    return np.frombuffer(values, "<f4").astype(np.float32).reshape(z, y, x)


def pack_regions(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Return regions as JSON: name, voxels as by `pack_mask`, and known values."""
    return [
        {
            "name": region.name,
            "mask": pack_mask(region.mask),
            "references": {origin: dict(known) for origin, known in region.references.items()},
        }
        for region in regions
    ]


def unpack_regions(content: list[dict[str, Any]]) -> tuple[Region, ...]:
    """Return the regions that `pack_regions` packed.

    Raises
    ------
    InputError
        Content that is not a list of names, masks and known values.
    """
    from napari_blochnet.evaluation.result_tables import Region

    try:
        return tuple(
            Region(
                str(item["name"]),
                unpack_mask(item["mask"]),
                {str(origin): {str(key): float(value) for key, value in known.items()}
                 for origin, known in item["references"].items()},
            )
            for item in content
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            "A list of regions in the recipe is damaged; expected names, masks and known values.", field="regions"
        ) from None


def whole_slices(inside: BoolArray, everything: BoolArray) -> tuple[int, int] | None:
    """Return (first, end) if ``inside`` is exactly what ``everything`` holds in these slices along z, else None."""
    chosen = np.flatnonzero(inside.any(axis=(1, 2)))
    if not len(chosen):
        return None
    first, end = int(chosen[0]), int(chosen[-1]) + 1
    same = np.array_equal(inside[first:end], everything[first:end])
    return (first, end) if same else None


#: What a step of a history may hold itself, and how it becomes an input again.
GIVEN: dict[str, Callable[[Any], Any]] = {
    "schedule": Schedule.from_dict,
    "mask": unpack_mask,
    "b1": unpack_b1,
    "regions": unpack_regions,
}
