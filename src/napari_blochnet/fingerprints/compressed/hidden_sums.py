"""Frames that were made from coefficients: how few of them are independent."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from napari_blochnet.fingerprints.stack import FingerprintStack

__all__ = ["hidden_components"]

# Voxels looked at, of a slice.
_VOXELS = 256
# Beyond the components, singular values are what rounding leaves: this share of the largest, and of the one before.
_ROUNDING, _DROP = 3e-6, 0.05
# What was found: whoever looks at voxel after voxel asks again.
_known: WeakKeyDictionary[FingerprintStack, int | None] = WeakKeyDictionary()


def hidden_components(stack: FingerprintStack) -> int | None:
    """Return of how few time courses a stack's frames are sums; None where they have noise, or nothing, of their own.

    Noise gives every frame something of its own: only sums end at the rounding of single precision, and at once.
    """
    if stack.is_compressed or stack.noise_sigma is not None:
        return None
    if stack not in _known:
        _known[stack] = _components(stack)
    return _known[stack]


def _components(stack: FingerprintStack) -> int | None:
    slices = stack.mask.sum(axis=(1, 2))
    z = int(np.argmax(slices))
    inside = np.flatnonzero(stack.mask[z])
    few = np.zeros_like(stack.mask)
    few[z].reshape(-1)[inside[np.linspace(0, len(inside) - 1, min(_VOXELS, len(inside))).astype(np.intp)]] = True
    rows = stack.fingerprints(few)
    rows = rows.astype(np.result_type(rows, np.float64))
    wide = rows if len(rows) <= rows.shape[1] else rows.T
    # singular values by the smaller of the products: a tenth of the time, and exact to 1e-8 of the largest
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(wide @ wide.conj().T)[::-1], 0.0))
    tiny = np.flatnonzero(values <= _ROUNDING * values[:1])
    if not tiny.size or tiny[0] == 0:
        return None
    count = int(tiny[0])
    is_sudden = values[count] <= _DROP * values[count - 1]
    return count if is_sudden and 2 * count <= min(rows.shape) else None
