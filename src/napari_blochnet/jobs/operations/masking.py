"""Which voxels of a stack are mapped: its mask, files, thresholds, slices."""

from __future__ import annotations

import warnings

import numpy as np

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.masks import read_mask
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.thresholds import OTSU, otsu_threshold, threshold_mask
from napari_blochnet.jobs.settings import ReconstructSettings, check_slices

__all__ = ["above_threshold", "mapped_voxels"]


def above_threshold(stack: FingerprintStack, settings: ReconstructSettings, watch: Watch = UNWATCHED) -> BoolArray:
    """Return the voxels of a stack's mask whose signal lies above the thresholds of the settings."""
    inside = stack.mask.copy()
    thresholds = [settings.threshold] if settings.threshold is not None else []
    if settings.mask == OTSU:
        thresholds.append(otsu_threshold(stack, watch=watch))
    for threshold in thresholds:
        inside &= threshold_mask(stack, threshold, watch=watch)
    return inside


def mapped_voxels(
    stack: FingerprintStack, mask: BoolArray | None, settings: ReconstructSettings, watch: Watch
) -> BoolArray:
    """Return which voxels settings and a mask beside them ask for.

    Raises
    ------
    InputError
        None of them; a mask of another shape; slices that the stack has not.
    """
    inside, slices = above_threshold(stack, settings, watch), settings.slices
    if settings.mask is not None and settings.mask != OTSU:
        _, *shape = stack.shape
        wanted, note = read_mask(
            settings.mask, (shape[0], shape[1], shape[2]), stack.geometry, f"the stack {stack.name}"
        )
        if note:
            warnings.warn(note, DataWarning, stacklevel=3)
        inside &= wanted
    if mask is not None:
        if np.shape(mask) != stack.shape[1:]:
            raise InputError(
                f"The mask has shape {np.shape(mask)}; expected that of the stack, {stack.shape[1:]}.", field="mask"
            )
        inside &= np.asarray(mask, dtype=bool)
    if slices is not None:
        check_slices(slices, stack.shape[1], f"the stack {stack.name}")
        inside[: slices[0]] = False
        inside[slices[1] :] = False
    if not inside.any():
        raise InputError(
            f"No voxel to map: what was chosen and the mask of {stack.name} have none in common.", field="mask"
        )
    return inside
