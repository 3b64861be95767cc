"""The noise of coefficient images, from what differs between two scans of the same object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import carries_schedule, read_fingerprints
from napari_blochnet.fingerprints.subspaces import Subspace

__all__ = ["of_difference", "read_repeat"]

_FIELD = "noise_covariance"
# Voxels that tell the covariance: more change nothing in its third digit.
_VOXELS = 10_000
# Voxels that differ by so many times the median, which no noise does, are left out: vessels, edges that moved a little.
_STRONG = 8.0
# Where more than this share of them do, something moved: a slice of a head by half a voxel at an SNR of 50, or by 0.1
# at 300; of noise alone none does.
_MOVED = 0.10
# What is left of a scan and a multiple of itself in single precision, relative to its energy.
_ROUNDING = 1e-11
_ROUNDS, _STEPS, _STILL = 4, 200, 1e-4
# Smallest share of voxels that tells a direction.
_KNOWN = 1e-3


def read_repeat(
    path: str | os.PathLike[str], stack: FingerprintStack, hints: Mapping[str, Any], watch: Watch
) -> FingerprintStack:
    """Return another scan of a stack's object, read as the stack was, of the same schedule, basis and grid.

    Parameters
    ----------
    path : path
    stack : FingerprintStack
        Of coefficients.
    hints : dict
        Options of `napari_blochnet.fingerprints.stack_files.read_fingerprints`.
    watch : Watch

    Raises
    ------
    InputError
        What cannot be read, or is of something else.
    """
    try:
        schedule = None if carries_schedule(path) else stack.schedule
        found = read_fingerprints(path, schedule, **hints, progress=watch.progress, cancelled=watch.cancelled)
    except InputError as error:
        raise InputError(str(error), field=_FIELD) from None
    what, expected = f"The repeated scan {found.name}", f"as {stack.name} has"
    assert stack.basis is not None
    if found.basis is None:
        raise InputError(f"{what} holds whole fingerprints", "coefficients of the same basis: compress it as "
                         f"{stack.name} was", field=_FIELD)  # fmt: skip
    if found.shape != stack.shape:
        raise InputError(f"{what} is {dimensions(found.shape)} (coefficients, z, y, x)",
                         f"{dimensions(stack.shape)}, {expected}", field=_FIELD)  # fmt: skip
    if not np.allclose(found.affine, stack.affine, rtol=0, atol=0.1 * min(stack.voxel_size)):
        raise InputError(f"{what} lies elsewhere in the scanner", f"the affine that {stack.name} has", field=_FIELD)
    if found.kind != stack.kind:
        raise InputError(f"{what} is {found.kind}", f"{stack.kind}, {expected}", field=_FIELD)
    if found.schedule is not None and stack.schedule is not None and found.schedule != stack.schedule:
        raise InputError(f"{what} was made with [{found.schedule.describe()}]",
                         f"[{stack.schedule.describe()}], {expected}", field=_FIELD)  # fmt: skip
    limit = 1e-4 * float(np.abs(stack.basis).max())
    if found.basis.shape != stack.basis.shape or not np.allclose(found.basis, stack.basis, rtol=0, atol=limit):
        raise InputError(f"{what} has another basis", f"the one {expected}", field=_FIELD)
    return found


def of_difference(
    stack: FingerprintStack, repeat: FingerprintStack, inside: BoolArray, watch: Watch
) -> tuple[AnyArray, int, int]:
    """Return the covariance (K, K) of half the difference of two scans, how many voxels tell it, and were left out.

    The signal c of a voxel returns as g·c, with a phase and a scale g of its own (drift of field and receiver, another
    shim). Both scans have independent noise of the same covariance C = E[n·nᴴ], that of the second times |g|². What is
    left of their difference when g is taken out, (c₂/g − c₁)/√2, is noise off the direction u of the signal,
    P·n with P = 1 − u·uᴴ; along u any noise looks like another g. Directions differ from tissue to tissue, so that C
    is known from all voxels together: it is the one of largest likelihood (expectation and maximisation, noise along u
    being what is missing). Where all directions are the same, C along u stays unknown: PD being free, T1 and T2 do not
    depend on it.

    Aliasing of scans that were undersampled at the same angles is the same in both, and not in C.

    Parameters
    ----------
    stack, repeat : FingerprintStack
        Of the same basis, on the same grid; see `read_repeat`.
    inside : bool array of shape (Z, Y, X)
        The object.
    watch : Watch

    Raises
    ------
    InputError
        Scans that are one and the same, or of an object that moved.

    References
    ----------
    Noise from the difference of two images: NEMA MS 1; Dietrich et al., J Magn Reson Imaging 26:375 (2007).
    Missing data: Dempster, Laird, Rubin, J R Stat Soc B 39:1 (1977).
    """
    assert stack.basis is not None
    subspace = Subspace.of(stack.basis)
    chosen = np.flatnonzero(inside & stack.mask & repeat.mask)
    chosen = chosen[:: -(-len(chosen) // _VOXELS)] if len(chosen) else chosen
    here = np.zeros(inside.shape, bool)
    here.reshape(-1)[chosen] = True
    first, second = (subspace.coordinates(each.fingerprints(here)).astype(np.complex128) for each in (stack, repeat))
    product = np.einsum("vk,vk->v", first.conj(), second)
    sizes = [np.linalg.norm(each, axis=1) for each in (first, second)]
    held = (sizes[0] > 0) & (sizes[1] > 0) & (product != 0)
    if not held.any():
        return np.eye(subspace.rank), 0, 0
    first, second, product = first[held], second[held], product[held]
    gain = product / np.abs(product) * (sizes[1][held] / sizes[0][held])
    second = second / gain[:, None]
    along = first + second
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    off = (second - first) / np.sqrt(2.0)
    off -= along * np.einsum("vk,vk->v", along.conj(), off)[:, None]
    energy = np.square(np.abs(off)).sum(axis=1)
    if energy.sum() <= _ROUNDING * np.square(sizes[0][held]).sum():
        raise InputError(
            f"The repeated scan {repeat.name} differs from {stack.name} by no more than a phase and a scale: it is the "
            "same scan, or has the same noise or none",
            "another scan of the same object", field=_FIELD,
        )  # fmt: skip
    # that of the half that differ least, found in a few steps, tells which differ by more than noise of it
    usual, distance = energy <= np.median(energy), energy
    for _ in range(_ROUNDS):
        watch.check("noise covariance")
        distance = _distances(off, along, _by_moments(off[usual], along[usual]))
        usual = distance <= np.median(distance)
    usual = distance <= _STRONG * np.median(distance)
    left_out = len(usual) - int(usual.sum())
    if left_out > _MOVED * len(usual):
        raise InputError(
            f"The repeated scan {repeat.name} differs from {stack.name} by more than noise in {left_out:,} of "
            f"{len(usual):,} voxels",
            "the same object, which did not move in between, under the same schedule", field=_FIELD,
        )  # fmt: skip
    values = _likeliest(off[usual], along[usual], watch)
    channels = 2.0 if stack.kind == "complex" else 1.0
    back = np.linalg.inv(subspace.r)
    found = back @ values @ back.conj().T / channels
    return (found if stack.kind == "complex" else found.real), int(usual.sum()), left_out


def _by_moments(off: AnyArray, along: AnyArray) -> AnyArray:
    """Return a covariance C whose mean P·C·P over voxels, P = 1 − u·uᴴ, is that of rows ``off``; see `_likeliest`."""
    count, rank = off.shape
    seen, taken = off.T @ off.conj() / count, along.T @ along.conj() / count
    pairs = np.einsum("vk,vl->vkl", along, along.conj()).reshape(count, rank * rank)
    one = np.eye(rank)
    means = np.kron(one, one) - np.kron(taken, one) - np.kron(one, taken.conj()) + pairs.T @ pairs.conj() / count
    found = np.linalg.lstsq(means, seen.reshape(-1), rcond=_KNOWN)[0].reshape(rank, rank)
    sizes, axes = np.linalg.eigh((found + found.conj().T) / 2)
    covariance: AnyArray = (axes * np.maximum(sizes, sizes.mean() / 2)) @ axes.conj().T
    return covariance


def _likeliest(off: AnyArray, along: AnyArray, watch: Watch) -> AnyArray:
    """Return E[n·nᴴ] of noise n of which rows ``off`` are what is not along unit vectors ``along``."""
    values = _by_moments(off, along)
    for _ in range(_STEPS):
        watch.check("noise covariance")
        weighed, size = _weighed(along, values)
        # what is missing along u, by what is seen off it, and how uncertain that is
        missing = -np.einsum("vk,vk->v", weighed.conj(), off) / size
        whole = off + along * missing[:, None]
        before = values
        values = (whole.T @ whole.conj() + (along / size[:, None]).T @ along.conj()) / len(off)
        if np.abs(values - before).max() <= _STILL * np.trace(values).real / len(values):
            break
    return values


def _weighed(along: AnyArray, values: AnyArray) -> tuple[AnyArray, FloatArray]:
    """Return C⁻¹·u and uᴴ·C⁻¹·u of unit vectors u."""
    weighed = np.linalg.solve(values, along.T).T
    size: FloatArray = np.einsum("vk,vk->v", along.conj(), weighed).real
    return weighed, size


def _distances(off: AnyArray, along: AnyArray, values: AnyArray) -> FloatArray:
    """Return the squared Mahalanobis lengths of rows off unit vectors."""
    weighed, size = _weighed(along, values)
    whole: FloatArray = np.einsum("vk,vk->v", off.conj(), np.linalg.solve(values, off.T).T).real
    lengths: FloatArray = whole - np.square(np.abs(np.einsum("vk,vk->v", weighed.conj(), off))) / size
    return lengths
