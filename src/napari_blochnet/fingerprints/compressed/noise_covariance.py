"""The covariance of the noise of coefficient images: of a file, of a repeated scan, or of where there is no signal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from napari_blochnet.common.arrays import AnyArray, BoolArray, dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.compressed.repeated_scans import of_difference, read_repeat
from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.subspaces import is_as_real
from napari_blochnet.io.atomic import existing_file

__all__ = ["BACKGROUND", "NoiseCovariance", "noise_covariance"]

#: What stands for voxels outside the mask where a file may stand.
BACKGROUND = "background"
_FIELD = "noise_covariance"
# Voxels next to the object that are left out: what resolution and masks leave of its signal reaches as far.
_MARGIN = 2
# Voxels of so many times the median energy of those outside hold signal that the mask left out.
_STRONG = 8.0
# How many voxels tell a covariance, for each of its rows and at least.
_FOR_EACH, _FEWEST = 20, 100
# Smallest variance of a mixture of coefficients, relative to the largest: noise that has none was taken away.
_LEAST = 1e-8


@dataclass(frozen=True, eq=False)
class NoiseCovariance:
    """The noise of coefficients.

    Parameters
    ----------
    values : array of shape (K, K)
        Covariance in each real channel, in units of the data squared: half of E[n·nᴴ] of complex coefficients.
    said : str
        Where it comes from, in a sentence.
    repeat : dict, optional
        The record of the repeated scan that it comes from.
    """

    values: AnyArray
    said: str
    repeat: Mapping[str, Any] | None = None


def noise_covariance(
    stack: FingerprintStack,
    given: str | os.PathLike[str],
    inside: BoolArray | None = None,
    watch: Watch = UNWATCHED,
    hints: Mapping[str, Any] | None = None,
) -> NoiseCovariance:
    """Return the noise covariance of a stack's coefficients.

    Parameters
    ----------
    stack : FingerprintStack
        Of coefficients.
    given : "background" or path
        Measured in the voxels outside the object that hold something, some way off; or a file: with K × K numbers, or
        with a second scan of the same object under the same schedule, coefficients of the same basis, of whose
        difference they are measured (`napari_blochnet.fingerprints.compressed.repeated_scans.of_difference`).
    inside : bool array of shape (Z, Y, X), optional
        The object. None: the stack's mask.
    watch : Watch
    hints : dict, optional
        How the file of a second scan is understood: options of `napari_blochnet.read_fingerprints`.

    Raises
    ------
    InputError
        Whole fingerprints; too few voxels outside the mask, or none that hold anything; a file that has no such
        numbers; a second scan that is the first, of something else, or of what moved; no covariance.
    """
    rank, repeat = stack.shape[0], None
    if stack.basis is None:
        raise InputError(
            f"noise_covariance is given, but the stack {stack.name} holds whole fingerprints",
            "coefficients: compress it first",
            field=_FIELD,
        )
    object_ = stack.mask if inside is None else inside
    if os.fspath(given) == BACKGROUND:
        values, count = _of_background(stack, object_, watch)
        said = f"The noise covariance of the {rank} coefficients was measured in {count:,} voxels outside the object."
    elif (numbers := _read(given, rank, watch)) is not None:
        values = numbers
        said = f"The noise covariance of the {rank} coefficients was given."
    else:
        again = read_repeat(given, stack, hints or {}, watch)
        values, count, left_out = of_difference(stack, again, object_, watch)
        _check_count(count, rank, f"{count} voxels hold signal in both {stack.name} and the repeated scan {again.name}",
                     "a larger mask of the object")  # fmt: skip
        said = (
            f"The noise covariance of the {rank} coefficients was measured in {count:,} voxels of the object, by the "
            f"difference from the repeated scan {again.name} without each voxel's own phase and scale"
            f"{f'; {left_out:,} that differ by more than noise were left out' if left_out else ''}."
        )
        repeat = again.record
    # of signals that are real but for one phase, only the noise in phase with them matters, whose covariance is real
    if stack.kind != "complex" or (is_as_real(stack.basis) and (stack.schedule is None or stack.schedule.is_real)):
        values = values.real
    _check(values, f"The noise covariance of {stack.name}")
    return NoiseCovariance(values, said, repeat)


def _of_background(stack: FingerprintStack, inside: BoolArray, watch: Watch) -> tuple[AnyArray, int]:
    """Return the covariance (K, K) of what voxels outside the object hold, and how many they are."""
    rank = stack.shape[0]
    outside = ~scipy.ndimage.binary_dilation(inside, np.ones((1, 3, 3), bool), iterations=_MARGIN)
    rows = []
    for z in np.flatnonzero(outside.any(axis=(1, 2))):
        watch.check("noise covariance")
        found = np.asarray(stack.data[:, z])[:, outside[z]].T
        rows.append(found[np.isfinite(found).all(axis=1) & (found != 0).any(axis=1)])
    held = np.concatenate(rows) if rows else np.zeros((0, rank))
    energy = np.square(np.abs(held), dtype=np.float64).sum(axis=1)
    kept = held[energy <= _STRONG * np.median(energy)] if len(held) else held
    _check_count(
        len(kept),
        rank,
        f"{len(kept)} voxels of {stack.name} hold noise alone, outside its mask and {_MARGIN} voxels away from it",
        "images that were not masked, and a mask of the object (otsu)",
    )
    precise = kept.astype(np.result_type(kept, np.float64))
    channels = 2.0 if np.iscomplexobj(precise) else 1.0
    return precise.T @ precise.conj() / (channels * len(kept)), len(kept)


def _check_count(count: int, rank: int, found: str, expected: str) -> None:
    """Raise `InputError` where too few voxels tell a covariance."""
    needed = max(_FEWEST, _FOR_EACH * rank)
    if count < needed:
        raise InputError(found, f"at least {needed}: {expected}", field=_FIELD)


def _read(given: str | os.PathLike[str], rank: int, watch: Watch) -> AnyArray | None:
    """Return the numbers of a file; None where it has more axes, or several arrays: a stack."""
    try:
        file = existing_file(given)
    except InputError as error:
        raise InputError(str(error), field=_FIELD) from None
    try:
        found = np.squeeze(open_array(file, watch=watch).data)
    except InputError:
        return None
    if found.ndim > 2:
        return None
    if found.shape != (rank, rank) or found.dtype.kind not in "iufc":
        raise InputError(f"The noise covariance is {dimensions(found.shape) or 'one number'} of {found.dtype}",
                         f"{rank} × {rank} numbers, as many as there are coefficients", field=_FIELD)  # fmt: skip
    return np.asarray(found, np.result_type(found, np.float64))


def _check(values: AnyArray, what: str) -> None:
    """Raise `InputError` where a matrix is the covariance of no noise."""
    size = float(np.abs(values).max(initial=0.0))
    if not np.isfinite(values).all() or not np.allclose(values, values.conj().T, atol=1e-5 * size, rtol=0):
        raise InputError(f"{what} is not finite or not Hermitian", "a covariance", field=_FIELD)
    spread = np.sqrt(np.maximum(np.diagonal(values).real, 0.0))
    if not spread.all():
        raise InputError(f"{what} has no variance in {int((spread == 0).sum())} of {len(spread)} coefficients",
                         "noise in each", field=_FIELD)  # fmt: skip
    of_unit = np.linalg.eigvalsh(values / np.outer(spread, spread))
    if of_unit[0] < _LEAST * of_unit[-1]:
        raise InputError(f"{what} has no variance in some mixtures of coefficients: a reconstruction took it away",
                         "noise in each", field=_FIELD)  # fmt: skip
