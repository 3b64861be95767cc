"""Masks inside records: a painted region is part of how a map was made."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import InputError

if TYPE_CHECKING:
    from napari_blochnet.evaluation.result_tables import Region

__all__ = ["pack_mask", "pack_regions", "unpack_mask", "unpack_regions", "whole_slices"]


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
        raise InputError("A list of regions in the recipe is damaged; expected names, masks and known values.",
                         field="regions") from None  # fmt: skip


def whole_slices(inside: BoolArray, everything: BoolArray) -> tuple[int, int] | None:
    """Return (first, end) if ``inside`` is exactly what ``everything`` holds in these slices along z, else None."""
    chosen = np.flatnonzero(inside.any(axis=(1, 2)))
    if not len(chosen):
        return None
    first, end = int(chosen[0]), int(chosen[-1]) + 1
    same = np.array_equal(inside[first:end], everything[first:end])
    return (first, end) if same else None
