"""Matching with some samples of each voxel left out: clipped detectors, 8-bit data.

Every voxel leaves out its own samples, which changes the norm of each atom: with b an atom's coefficients, U the basis
and U_S its rows at the samples left out, ‖a‖² over the used samples is 1 − bᴴ(U_Sᴴ U_S)b. One small matrix per voxel
thus gives the misfit over the used samples exactly, for every atom inside the subspace. It is looked at on a thinned
grid first, and from the best atom there downhill on the full one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.atoms import Dictionary

__all__ = ["MaskedFit", "match_used_samples"]

# Atoms of the thinned grid: every eighth T1 and T2 of the default grid, steps of 17 %.
_THINNED = 1200
# Voxels at a time: a rank × rank matrix each, 5 MB at rank 70.
_BLOCK = 256
# More than any path through the grid; ends a walk between atoms that score the same to rounding.
_MOVES = 100


@dataclass(frozen=True)
class MaskedFit:
    """Best atoms over the used samples.

    Parameters
    ----------
    index : int array of shape (voxel,)
    scale : array of shape (voxel,)
        What the unit atom is multiplied with, by least squares over the used samples.
    distance, energy : float64 array of shape (voxel,)
        Squared norm, over the used samples, of the misfit and of the fingerprint.
    """

    index: IntArray
    scale: AnyArray
    distance: FloatArray
    energy: FloatArray


def match_used_samples(
    signals: AnyArray, used: BoolArray, dictionary: Dictionary, watch: Watch = UNWATCHED
) -> MaskedFit:
    """Find the atom that fits the used samples best, its scale free (real signals: positive).

    Parameters
    ----------
    signals : array of shape (voxel, time)
    used : bool array of shape (voxel, time)
    dictionary : Dictionary
    watch : Watch
        Looked at once per 256 voxels.

    Returns
    -------
    MaskedFit
    """
    stride = max(1, round(float(np.sqrt(len(dictionary) / _THINNED))))
    middle = stride // 2
    thinned = np.flatnonzero((dictionary.t1_index % stride == middle) & (dictionary.t2_index % stride == middle))
    if not thinned.size:
        thinned, stride = np.arange(len(dictionary)), 1
    atoms = dictionary.coefficients(thinned)
    basis = dictionary.subspace.basis.astype(atoms.dtype)
    powers = _squared(atoms @ basis.T).T
    pairs = (basis.conj()[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    parts = []
    for start in range(0, len(signals), _BLOCK):
        watch.check("matching")
        block = slice(start, start + _BLOCK)
        x = np.where(used[block], signals[block], 0)
        left_out = (~used[block]).astype(np.float32)
        inside = dictionary.subspace.project(x)
        missing = (left_out @ pairs).reshape(len(x), basis.shape[1], basis.shape[1])
        index = thinned[_score(inside @ atoms.conj().T, 1.0 - left_out @ powers).argmax(axis=1)]
        single = inside.astype(np.complex64 if np.iscomplexobj(inside) else np.float32)
        index = _descend(single, missing, index, stride, dictionary)
        parts.append((index, *_fit(x, used[block], index, dictionary)))
    return MaskedFit(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _descend(inside: AnyArray, missing: AnyArray, index: IntArray, stride: int, dictionary: Dictionary) -> IntArray:
    """Move each voxel to the best of its 24 neighbours until none is better, then halve the distance to them.

    Two steps each way: the valley of low misfit runs aslant, and can be missed by the nearest neighbours alone.
    """
    while stride >= 1:
        moving = np.arange(len(index))
        for _ in range(_MOVES):
            candidates = _neighbours(dictionary, index[moving], stride)
            atoms = dictionary.coefficients(candidates.reshape(-1)).reshape(*candidates.shape, -1)
            product = np.matmul(atoms.conj(), inside[moving][:, :, None])[..., 0]
            power = 1.0 - np.sum(np.matmul(atoms.conj(), missing[moving]) * atoms, axis=-1).real
            best = candidates[np.arange(len(moving)), _score(product, power).argmax(axis=1)]
            moved = best != index[moving]
            index[moving] = best
            moving = moving[moved]
            if not moving.size:
                break
        stride //= 2
    return index


def _neighbours(dictionary: Dictionary, index: IntArray, stride: int) -> IntArray:
    """Return each atom and its neighbours, shape (voxel, 25); the atom itself comes first and where there is none."""
    table = dictionary.places
    near = range(-2 * stride, 2 * stride + 1, stride)
    steps = [(0, 0), *((i, j) for i in near for j in near if i or j)]
    rows = dictionary.t1_index[index][:, None] + np.array([i for i, _ in steps])
    columns = dictionary.t2_index[index][:, None] + np.array([j for _, j in steps])
    inside = (rows >= 0) & (rows < table.shape[0]) & (columns >= 0) & (columns < table.shape[1])
    found = np.where(inside, table[np.where(inside, rows, 0), np.where(inside, columns, 0)], -1)
    return np.where(found >= 0, found, index[:, None])


def _fit(
    x: AnyArray, used: BoolArray, index: IntArray, dictionary: Dictionary
) -> tuple[AnyArray, FloatArray, FloatArray]:
    """Return the scale of the atoms, the squared misfit and the squared norm over the used samples."""
    atoms = np.where(used, dictionary.coefficients(index) @ dictionary.subspace.basis.T, 0)
    power = _squared(atoms).sum(axis=1)
    scale = np.einsum("ij,ij->i", atoms.conj(), x) / np.where(power > 0, power, 1.0)
    return scale, _squared(x - scale[:, None] * atoms).sum(axis=1), _squared(x).sum(axis=1)


def _score(product: AnyArray, power: FloatArray) -> FloatArray:
    size = np.abs(product) if np.iscomplexobj(product) else product
    # an atom that lies in the left-out samples alone is known to rounding only
    score: FloatArray = size / np.sqrt(np.maximum(power, 1e-4))
    return score


def _squared(values: AnyArray) -> FloatArray:
    squared: FloatArray = values.real**2 + values.imag**2 if np.iscomplexobj(values) else values**2
    return squared
