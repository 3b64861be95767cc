"""The covariance of the noise of coefficient images: given in a file, or measured where there is no signal."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from napari_blochnet.common.arrays import AnyArray, BoolArray, dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
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
    """

    values: AnyArray
    said: str


def noise_covariance(
    stack: FingerprintStack,
    given: str | os.PathLike[str],
    inside: BoolArray | None = None,
    watch: Watch = UNWATCHED,
) -> NoiseCovariance:
    """Return the noise covariance of a stack's coefficients.

    Parameters
    ----------
    stack : FingerprintStack
        Of coefficients.
    given : "background" or path
        Measured in the voxels outside the object that hold something, some way off; or a file with K × K numbers.
    inside : bool array of shape (Z, Y, X), optional
        The object. None: the stack's mask.
    watch : Watch

    Raises
    ------
    InputError
        Whole fingerprints; too few voxels outside the mask, or none that hold anything; a file that has no such
        numbers; no covariance.
    """
    rank = stack.shape[0]
    if stack.basis is None:
        raise InputError(
            f"noise_covariance is given, but the stack {stack.name} holds whole fingerprints",
            "coefficients: compress it first",
            field=_FIELD,
        )
    if os.fspath(given) == BACKGROUND:
        values, count = _of_background(stack, stack.mask if inside is None else inside, watch)
        said = f"The noise covariance of the {rank} coefficients was measured in {count:,} voxels outside the object."
    else:
        values = _read(given, rank, watch)
        said = f"The noise covariance of the {rank} coefficients was given."
    # of signals that are real but for one phase, only the noise in phase with them matters, whose covariance is real
    if stack.kind != "complex" or (is_as_real(stack.basis) and (stack.schedule is None or stack.schedule.is_real)):
        values = values.real
    _check(values, f"The noise covariance of {stack.name}")
    return NoiseCovariance(values, said)


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
    needed = max(_FEWEST, _FOR_EACH * rank)
    if len(kept) < needed:
        raise InputError(
            f"{len(kept)} voxels of {stack.name} hold noise alone, outside its mask and {_MARGIN} voxels away from it",
            f"at least {needed}: images that were not masked, and a mask of the object (otsu)",
            field=_FIELD,
        )
    precise = kept.astype(np.result_type(kept, np.float64))
    channels = 2.0 if np.iscomplexobj(precise) else 1.0
    return precise.T @ precise.conj() / (channels * len(kept)), len(kept)


def _read(given: str | os.PathLike[str], rank: int, watch: Watch) -> AnyArray:
    try:
        found = np.squeeze(np.asarray(open_array(existing_file(given), watch=watch).data))
    except InputError as error:
        raise InputError(str(error), field=_FIELD) from None
    if found.shape != (rank, rank) or found.dtype.kind not in "iufc":
        raise InputError(f"The noise covariance is {dimensions(found.shape) or 'one number'} of {found.dtype}",
                         f"{rank} × {rank} numbers, as many as there are coefficients", field=_FIELD)  # fmt: skip
    return found.astype(np.result_type(found, np.float64))


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
