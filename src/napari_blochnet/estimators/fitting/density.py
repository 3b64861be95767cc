"""What a tissue explains of a fingerprint: its proton density, and what remains."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.estimators.fitting.sums import threaded_sums
from napari_blochnet.estimators.matching.atoms import atom_form, of_form
from napari_blochnet.estimators.projected import Simulator
from napari_blochnet.fingerprints.stack import SignalKind

__all__ = ["explain"]

# Samples simulated at a time; 16 MB in single precision.
_AT_ONCE = 4_000_000


def explain(
    decoder: Simulator,
    fingerprints: AnyArray,
    t1: FloatArray,
    t2: FloatArray,
    kind: SignalKind,
    used: BoolArray | None = None,
    b1: FloatArray | None = None,
) -> tuple[AnyArray, FloatArray]:
    """Return the proton density that fits best, and ‖x − ŝ‖/‖x‖, for tissues given.

    Parameters
    ----------
    decoder : Simulator
    fingerprints : array of shape (voxel, time), or (voxel, K) with a decoder of coordinates
    t1, t2 : array of shape (voxel,)
        ms, above 0.
    kind : {"complex", "real", "magnitude"}
        PD is complex for complex data; otherwise it is real, and 0 where it would have to be negative.
    used : bool array of shape (voxel, time), optional
        Samples that count. None: all.
    b1 : array of shape (voxel,), optional
        Transmit field. None: nominal.

    Returns
    -------
    pd : array of shape (voxel,)
    residual : array of shape (voxel,)
        0 where there is no signal.
    """
    form = atom_form(decoder.schedule, kind)
    pd = np.zeros(len(t1), np.complex128 if kind == "complex" else np.float64)
    residual = np.zeros(len(t1))
    block = max(1, _AT_ONCE // len(decoder.schedule))
    for start in range(0, len(t1), block):
        part = slice(start, start + block)
        signal = of_form(decoder.signal(t1[part], t2[part], None if b1 is None else b1[part]), form)
        data = fingerprints[part]
        sums = threaded_sums(data, signal, used=None if used is None else used[part])
        energy, power = sums[:, 0], np.where(sums[:, 1] > 0, sums[:, 1], 1.0)
        scale = (sums[:, 2] + 1j * sums[:, 3]) / power
        if kind != "complex":
            scale = np.maximum(scale.real, 0.0)
        left = np.maximum(energy - np.abs(scale) ** 2 * power, 0.0)
        pd[part] = scale
        residual[part] = np.sqrt(left / np.where(energy > 0, energy, 1.0))
    return pd, residual
