"""Merging: maps of one stack, made piece by piece, as if they had been made at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.batches import slabs
from napari_blochnet.jobs.operations.reconstruct import record_of
from napari_blochnet.jobs.records import software_versions
from napari_blochnet.jobs.settings import ReconstructSettings

__all__ = ["OlderSlabs", "can_merge", "merge_maps"]


def can_merge(old: ParameterMaps, new: ParameterMaps) -> bool:
    """Whether two maps are pieces of one mapping, and so can be merged; see `merge_maps`."""
    return _why_not(old, new) is None


class OlderSlabs:
    """Slices of older maps of the same stack and settings, which a new mapping need not compute again.

    See `napari_blochnet.jobs.operations.batches.KeptSlabs`. Only whole slices are taken, of the same estimator and
    software on the same device, and of no B1 map: their bits are those that would come out. Where they cover all
    that is asked for, somebody wants it computed again, and none is taken.
    """

    seconds = 0.0
    #: how many were taken
    taken = 0

    def __init__(self, older: ParameterMaps) -> None:
        self._older = older
        self._inside: BoolArray | None = None

    def begin(self, estimator: Any, device: str, inside: BoolArray, field: FloatArray | None) -> None:
        """Be told what maps."""
        record = self._older.record
        made_so = (record.get("estimator"), record.get("device"), record.get("software"))
        fits = made_so == (estimator.description, device, software_versions()) and "memory" not in record
        is_all = not (inside & ~self._older.mask).any()
        self._inside = inside if fits and not is_all and field is None and _b1(self._older) is None else None

    def take(self, slab: slice, maps: ParameterMaps) -> bool:
        """Enter a slab of the older maps, where they cover the voxels that are asked for and no others."""
        if self._inside is None or not np.array_equal(self._older.mask[slab], self._inside[slab]):
            return False
        before, now = self._older.volumes(), maps.volumes()
        if before.keys() != now.keys():
            return False
        for name, values in now.items():
            values[slab] = before[name][slab]
        self.taken += 1
        return True

    def put(self, slab: slice, maps: ParameterMaps, seconds: float) -> None:
        """Keep nothing: it is merged with the others at the end."""


def merge_maps(old: ParameterMaps, new: ParameterMaps, stack: FingerprintStack) -> ParameterMaps:
    """Return maps of all voxels that either of two mappings of a stack covers.

    The result and its record are those of one mapping of all these voxels. Which voxels are computed together moves
    the last bit of a result, and only voxels of one slice are (`napari_blochnet.jobs.operations.batches`). Each slice
    is therefore taken whole from one of the two, from the newer where they cover the same.

    Parameters
    ----------
    old, new : ParameterMaps
        Made by `reconstruct`, with the same estimator, settings and software, on the same device.
    stack : FingerprintStack
        What both were made from.

    Returns
    -------
    ParameterMaps

    Raises
    ------
    InputError
        Maps of another stack, by another estimator, with other settings or on another device; a slice of which each
        covers voxels that the other lacks.
    """
    why = _why_not(old, new)
    if why is None and old.shape != stack.shape[1:]:
        why = f"the maps have shape {old.shape} and the stack {stack.name} {stack.shape[1:]}"
    if why is not None:
        raise InputError(f"The maps cannot be merged: {why}; expected pieces of one mapping.", field="maps")
    arrays, newer = {name: values.copy() for name, values in old.volumes().items()}, new.volumes()
    for name, values in arrays.items():
        for slab in slabs(old.shape):
            if _covers(new.mask[slab], old.mask[slab]):
                values[slab] = newer[name][slab]
    merged = old.with_volumes(arrays)
    settings = ReconstructSettings.model_validate(_plain(new.record["settings"]))
    seconds = float(old.record.get("seconds", 0.0)) + float(new.record.get("seconds", 0.0))
    record = record_of(stack, settings, merged, in_part=True, estimator=new.record["estimator"],
                       device=new.record["device"], seconds=seconds,
                       made_by=new.record["inputs"].get("estimator"), b1=_b1(new),
                       understood=new.record.get("understood", ()))  # fmt: skip
    return merged.replace(record=record)


def _b1(maps: ParameterMaps) -> Any:
    """Return the B1 map that a mapping was given as an array, packed; None where there was none."""
    return maps.record["inputs"].get("b1", {}).get("b1")


def _covers(some: BoolArray, other: BoolArray) -> bool:
    """Whether ``some`` holds whatever ``other`` does."""
    return not (other & ~some).any()


def _why_not(old: ParameterMaps, new: ParameterMaps) -> str | None:
    """Return what keeps two maps from being pieces of one mapping."""
    for maps in (old, new):
        if maps.record.get("operation") != "reconstruct":
            return "one of them has no record of how it was made"
    mine, other = old.geometry, new.geometry
    if (old.shape, mine.voxel_size) != (new.shape, other.voxel_size) or not np.array_equal(mine.affine, other.affine):
        return "they lie on different grids"
    before, after = _plain(old.record["settings"]), _plain(new.record["settings"])
    differing = [name for name in before if before[name] != after.get(name)]
    if differing:
        return f"they differ in {', '.join(differing)}"
    for key, what in (("estimator", "estimators"), ("device", "devices"), ("software", "versions of the software")):
        if old.record.get(key) != new.record.get(key):
            return f"they were made by different {what}"
    if old.record["inputs"].get("estimator") != new.record["inputs"].get("estimator"):
        return "they were made by different estimators"
    if _b1(old) != _b1(new):
        return "they were made with different B1 maps"
    if "memory" in old.record or "memory" in new.record:
        return "one of them was made in smaller batches, for want of memory"
    if _made_from(old) != _made_from(new):
        return "they were made from different stacks or networks"
    if old.volumes().keys() != new.volumes().keys():
        return "they are maps of different parameters"
    for slab in slabs(old.shape):
        if not _covers(new.mask[slab], old.mask[slab]) and not _covers(old.mask[slab], new.mask[slab]):
            return f"each covers voxels of slice {slab.start} that the other lacks"
    return None


def _made_from(maps: ParameterMaps) -> dict[str, Any]:
    return {name: value for name, value in maps.record["inputs"].items() if name != "mask"}


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "slices": None}
