"""What undersampling adds to the fingerprints of a person's own scan: what lies beside the object in its frames."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.component_bases import signal_basis
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.thresholds import otsu_level
from napari_blochnet.sampling.residuals import KEPT, of_unit_size

__all__ = ["measured_residuals"]

_FIELD = "aliasing_from"
# Voxels next to the object that are left out: what resolution and masks leave of its signal reaches as far.
_MARGIN = 2
# Aliasing changes with the distance from the object: that of voxels within so much of the image's width is taken for
# what lies inside it, or of the nearest that are enough.
_NEAR = 0.1
# Voxels that tell white noise from aliasing, by the coefficients of signals.
_FEWEST = 500
# Time courses that hold the signals, by which the object is found; and those in which noise is looked at.
_SIGNALS, _LOOKED_AT = 6, 24
# White noise has the same variance along all of them, but for what few voxels make of it.
_EVEN = 2.0


def measured_residuals(stack: FingerprintStack, seed: int = 0, watch: Watch = UNWATCHED) -> AnyArray:
    """Return what a scan adds to fingerprints, as voxels beside the object hold it: aliasing, and noise, alone.

    What a fit leaves inside the object is no measure of it: the fit takes most of what aliases into the signal's own
    subspace, the only part that moves T1 and T2. Beside the object that part is there.

    Parameters
    ----------
    stack : FingerprintStack
        Complex frames with a schedule. Its mask need not be the object's: voxels that hold signals belong to it.
    seed : int
        Of the choice of voxels.
    watch : Watch

    Returns
    -------
    complex64 array of shape (voxel, N)
        At most 2048 of them, of mean square 1 each.

    Raises
    ------
    InputError
        Coefficients; magnitudes or real samples; too few voxels beside the object that hold anything; white noise in
        them, so that nothing aliases.
    Cancelled
    """
    if stack.is_compressed:
        raise _error(f"{stack.name} holds {stack.shape[0]} coefficients for each voxel",
                     "the aliased frames themselves, one for each TR")  # fmt: skip
    if stack.kind != "complex":
        raise _error(f"{stack.name} holds {stack.kind} samples, and aliasing is complex", "complex frames")
    count = min(_LOOKED_AT, stack.pulses)
    basis = signal_basis(stack.schedule, "signal", count, watch=watch)
    outside = _outside(stack, basis[:, :_SIGNALS], watch)
    chosen = np.sort(np.random.default_rng(seed).permutation(np.flatnonzero(outside))[:KEPT])
    mask = np.zeros(outside.size, bool)
    mask[chosen] = True
    residuals = of_unit_size(stack.fingerprints(mask.reshape(outside.shape)))
    along = residuals @ basis.conj().astype(np.complex64)
    variances = np.linalg.eigvalsh(along.T @ along.conj() / len(along))
    if variances[0] > 1.0 / _EVEN and variances[-1] < _EVEN:
        raise _error(f"What lies beside the object in {stack.name} is white noise: nothing aliases",
                     "frames of undersampled k-space; snr_range adds noise")  # fmt: skip
    return residuals


def _outside(stack: FingerprintStack, basis: AnyArray, watch: Watch) -> BoolArray:
    """Return which voxels beside the object, and near it, hold something."""
    energy, signal = _energies(stack, basis, watch)
    # aliasing may be as strong as the signal; what of it lies along signals is not
    level = otsu_level(np.sqrt(signal))
    holds_signal = signal > (np.inf if level is None else level**2)
    found = 0
    # a mask that leaves nothing out says nothing of the object
    for inside in (stack.mask | holds_signal, holds_signal):
        spread = scipy.ndimage.binary_dilation(inside, np.ones((1, 3, 3), bool), iterations=_MARGIN)
        outside = (energy > 0) & ~spread & inside.any(axis=(1, 2), keepdims=True)
        found = int(outside.sum())
        if found >= _FEWEST:
            away = np.stack([scipy.ndimage.distance_transform_edt(~plane) for plane in spread])
            near = max(_NEAR * max(stack.shape[2:]), np.partition(away[outside], _FEWEST - 1)[_FEWEST - 1])
            chosen: BoolArray = outside & (away <= near)
            return chosen
    raise _error(f"{found} voxels of {stack.name} lie {_MARGIN} voxels or more beside the object and hold anything",
                 f"at least {_FEWEST}, which aliasing fills: frames that were not masked")  # fmt: skip


def _energies(stack: FingerprintStack, basis: AnyArray, watch: Watch) -> tuple[FloatArray, FloatArray]:
    """Return the energy of each voxel, and that along a basis, 0 where samples are not finite; slice by slice."""
    whole, along = np.zeros(stack.mask.shape), np.zeros(stack.mask.shape)
    across = basis.conj().T.astype(np.complex64)
    for z in range(len(whole)):
        watch.check("looking for aliasing")
        watch.report(z, len(whole), "looking for aliasing")
        frames = np.asarray(stack.data[:, z])
        frames = np.where(np.isfinite(frames).all(axis=0), frames, np.complex64(0))
        whole[z] = np.square(np.abs(frames), dtype=np.float64).sum(axis=0)
        along[z] = np.square(np.abs(np.tensordot(across, frames, 1)), dtype=np.float64).sum(axis=0)
    return whole, along


def _error(found: str, expected: str) -> InputError:
    return InputError(found, expected, field=_FIELD)
