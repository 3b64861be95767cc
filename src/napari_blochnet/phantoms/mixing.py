"""T1, T2 and PD out of tissue memberships or labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.phantoms.tissues import Tissue

__all__ = ["MEMBERSHIP_SUM", "Membership", "label_values", "mix"]

#: Sum of memberships (of tissues with signal) from which on a voxel counts as valid.
MEMBERSHIP_SUM = 0.5

# Slices are mixed in slabs of about this many voxels.
_SLAB_VOXELS = 2**21
# Volumes with more voxels keep their fractions in half precision: 2 bytes instead of 4 for each voxel and tissue, and
# within 0.00025 of the membership, where files have steps of 0.004.
_HALF_PRECISION_FROM = 2**24


class Membership(Protocol):
    """The share of one tissue in each voxel, 0 to 1, slice by slice."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""

    def slab(self, start: int, stop: int) -> FloatArray:
        """Return slices ``start`` to ``stop``, float32."""


def mix(
    memberships: Mapping[str, Membership], table: Mapping[str, Tissue], *, watch: Watch = UNWATCHED
) -> dict[str, Any]:
    """Mix tissues by their memberships.

    With memberships f over the tissues with signal, T = Σf·T/Σf for T1 and T2, and PD = Σf·PD. A voxel is valid where
    Σf ≥ 0.5; its label is the tissue with the largest f.

    Parameters
    ----------
    memberships : mapping of str to Membership
        By tissue; all of one shape (Z, Y, X). Each must be in `table` and have signal.
    table : mapping of str to Tissue
        T1, T2 in ms, PD.
    watch : Watch
        Counts slices.

    Returns
    -------
    dict
        ``t1, t2, pd, mask, labels, fractions, tissues``: the arguments of `Phantom`.

    Notes
    -----
    Peak memory beyond the memberships is that of the result and of one slab.
    """
    tissues = tuple(memberships)
    shape = next(iter(memberships.values())).shape
    voxels = int(np.prod(shape))
    small = np.float16 if voxels > _HALF_PRECISION_FROM else np.float32
    t1, t2, pd = (np.zeros(shape, np.float32) for _ in range(3))
    mask = np.zeros(shape, bool)
    labels = np.zeros(shape, np.uint8)
    fractions: dict[str, FloatArray] = {tissue: np.empty(shape, small) for tissue in tissues}
    step = max(1, _SLAB_VOXELS // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        watch.check("mixing tissues")
        watch.report(start, shape[0], "mixing tissues")
        part = slice(start, min(start + step, shape[0]))
        total = np.zeros((part.stop - start, *shape[1:]), np.float32)
        largest = np.zeros_like(total)
        for number, tissue in enumerate(tissues, start=1):
            # scaled bytes can leave [0, 1] by a rounding error
            share = np.clip(memberships[tissue].slab(start, part.stop), 0.0, 1.0)
            fractions[tissue][part] = share
            total += share
            t1[part] += share * np.float32(table[tissue].t1)
            t2[part] += share * np.float32(table[tissue].t2)
            pd[part] += share * np.float32(table[tissue].pd)
            labels[part][share > largest] = number
            np.maximum(largest, share, out=largest)
        valid = total >= MEMBERSHIP_SUM
        mask[part] = valid
        for values in (t1, t2):
            np.divide(values[part], total, out=values[part], where=valid)
        for values in (t1, t2, pd):
            values[part][~valid] = 0
        labels[part][~valid] = 0
    watch.report(shape[0], shape[0], "mixing tissues")
    return {"t1": t1, "t2": t2, "pd": pd, "mask": mask, "labels": labels, "fractions": fractions, "tissues": tissues}


def label_values(labels: IntArray, tissues: Mapping[int, Tissue]) -> dict[str, Any]:
    """Give every voxel the values of its tissue.

    Parameters
    ----------
    labels : array of shape (Z, Y, X)
        Labels as the file has them, 0 to 255.
    tissues : mapping of int to Tissue
        By label; labels that are not in it, and tissues without signal, are background.

    Returns
    -------
    dict
        ``t1, t2, pd, mask, labels, tissues``: the arguments of `Phantom`; labels are numbered anew, 1 for the first
        tissue with signal that occurs.
    """
    present = np.flatnonzero(np.bincount(labels.reshape(-1), minlength=256))
    used = [
        (int(label), tissues[int(label)]) for label in present if label in tissues and tissues[int(label)].has_signal
    ]
    # several labels may be of one tissue: of both hemispheres
    names = tuple(dict.fromkeys(tissue.name for _, tissue in used))
    lookup = np.zeros((4, 256), np.float32)
    for label, tissue in used:
        lookup[:, label] = (tissue.t1, tissue.t2, tissue.pd, names.index(tissue.name) + 1)
    return {
        "t1": lookup[0][labels],
        "t2": lookup[1][labels],
        "pd": lookup[2][labels],
        "mask": lookup[3][labels] > 0,
        "labels": lookup[3].astype(np.uint8)[labels],
        "tissues": names,
    }
