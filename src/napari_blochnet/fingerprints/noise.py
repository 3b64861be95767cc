"""Receiver noise: white, Gaussian, equal in both channels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind

__all__ = ["add_noise", "noise_in", "sigma_for_snr", "with_noise"]

# Of an exponential distribution of mean 1, the value below which a quarter lies: powers of white noise have it.
_QUARTER = math.log(4 / 3)
# Median of the square of a normal variable of variance 1.
_MIDDLE = 0.4549
# What the least of three estimates from one fingerprint is short of, at most.
_MARGIN = 1.6
# Principal components that hold all but a small part of signals, and how many fingerprints tell them.
_SHARED, _ENOUGH = 8, 64


def sigma_for_snr(samples: AnyArray, mask: BoolArray, snr: float) -> float:
    """Return the noise standard deviation per real channel that gives noise-free samples an SNR.

    Parameters
    ----------
    samples : array of shape (Z, Y, X, time)
        Noise-free.
    mask : bool array of shape (Z, Y, X)
    snr : float
        Root mean square of ``|samples|`` over the mask and all time points, over the standard deviation; above 0.

    Returns
    -------
    float
        In units of `samples`.

    Raises
    ------
    InputError
        An SNR that is not above 0; a mask that is empty or holds no signal.
    """
    if not (math.isfinite(snr) and snr > 0):
        raise InputError(f"snr is {snr:g}", "a number above 0, or none for no noise", field="snr")
    energy, count = 0.0, 0
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        inside = samples[z][mask[z]]
        energy += float(np.sum(np.square(inside.real, dtype=np.float64)))
        if inside.dtype.kind == "c":
            energy += float(np.sum(np.square(inside.imag, dtype=np.float64)))
        count += inside.size
    if energy == 0.0:
        raise InputError("The stack holds no signal inside the mask, so no SNR can be given to it.", field="snr")
    return math.sqrt(energy / count) / snr


def add_noise(samples: AnyArray, mask: BoolArray, snr: float, seed: int = 0, *, watch: Watch = UNWATCHED) -> float:
    """Add noise to noise-free samples inside a mask, in place.

    Parameters
    ----------
    samples : array of shape (Z, Y, X, time)
        complex64 gets independent noise in both channels, float32 in its one. The magnitude of complex samples with
        noise is Rician; that of real ones is not, so make a magnitude stack from complex samples.
    mask : bool array of shape (Z, Y, X)
        Samples outside are left as they are.
    snr : float
        See `sigma_for_snr`.
    seed : int
        Equal seeds give equal noise.
    watch : Watch
        Counts slices.

    Returns
    -------
    float
        The standard deviation per real channel, in units of `samples`.

    Raises
    ------
    InputError
        See `sigma_for_snr`.
    """
    sigma = sigma_for_snr(samples, mask, snr)
    random = np.random.default_rng(seed)
    is_complex = samples.dtype.kind == "c"
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    for done, z in enumerate(slices):
        watch.check("adding noise")
        watch.report(done, len(slices), "adding noise")
        shape = (int(mask[z].sum()), samples.shape[3])
        noise = random.standard_normal((*shape, 2) if is_complex else shape, dtype=np.float32)
        noise *= np.float32(sigma)
        samples[z][mask[z]] += noise.view(np.complex64)[..., 0] if is_complex else noise
    return sigma


def noise_in(samples: AnyArray) -> FloatArray:
    """Return the energy that noise and aliasing have in fingerprints of which nothing else is known.

    Of many fingerprints, what they do not share: all that lies off their first principal components, and no less than
    white noise of the median eigenvalue. Signals of one schedule share a few components, those of a wrong one as well.
    Of a few fingerprints, what makes each unsteady: from most samples to the next, and at most frequencies.

    Parameters
    ----------
    samples : array of shape (voxel, time)

    Returns
    -------
    float64 array of shape (voxel,)
        Of all samples of a fingerprint and all their channels.
    """
    voxels, times = samples.shape
    kept = min(_SHARED, times // 4)
    if voxels < _ENOUGH or kept == 0:
        return _noise_of_each(samples)
    data = samples.astype(np.result_type(samples, np.float64))
    _, values, rows = np.linalg.svd(data, full_matrices=False)
    energy = np.square(np.abs(data)).sum(axis=1)
    off: FloatArray = np.maximum(energy - np.square(np.abs(data @ rows[:kept].conj().T)).sum(axis=1), 0.0)
    few, many = sorted((voxels, times))
    # the median of the eigenvalues of noise alone (Marchenko and Pastur), over their mean
    white = float(np.median(values)) ** 2 / many / (1.0 - few / many / 3.0)
    return np.asarray(np.maximum(off * (times / (times - kept)), white * times))


def _noise_of_each(samples: AnyArray) -> FloatArray:
    """Return the energy that white noise may have in each fingerprint by itself: the least of three estimates."""
    times = samples.shape[1]
    power = np.square(np.abs(np.fft.fft(samples, axis=1, norm="ortho")), dtype=np.float64)
    found = [np.quantile(power, 0.25, axis=1) / _QUARTER]
    if times > 2:
        middle = math.log(2.0) if np.iscomplexobj(samples) else _MIDDLE
        # signals that change their sign from pulse to pulse are steady but for that
        for signs in (1.0, (-1.0) ** np.arange(times)):
            bends = np.square(np.abs(np.diff(samples * signs, 2, axis=1)), dtype=np.float64)
            found.append(np.median(bends, axis=1) / (6.0 * middle))
    return np.asarray(_MARGIN * np.min(found, axis=0) * times)


def with_noise(stack: FingerprintStack, snr: float, seed: int = 0, kind: SignalKind | None = None) -> FingerprintStack:
    """Return a noisy copy of a noise-free stack.

    Parameters
    ----------
    stack : FingerprintStack
        Complex or real, noise-free.
    snr : float
        See `sigma_for_snr`.
    seed : int
        Equal seeds give equal noise.
    kind : {"complex", "real", "magnitude"}, optional
        What the copy holds; None: as `stack`. Complex and magnitude get noise in both channels.

    Returns
    -------
    FingerprintStack
        With `snr`, `noise_sigma`, and the seed in its record.

    Raises
    ------
    InputError
        A stack that is a magnitude already; a complex one asked to be real.
    """
    wanted = kind or stack.kind
    if stack.kind == "magnitude":
        raise InputError(
            f"The stack {stack.name} is a magnitude, to which noise cannot be added",
            "a complex or real one",
            field="kind",
        )
    if stack.kind == "complex" and wanted == "real":
        raise InputError(f"The stack {stack.name} is complex", "kind complex or magnitude", field="kind")
    dtype = np.float32 if wanted == "real" else np.complex64
    samples = np.ascontiguousarray(np.moveaxis(np.asarray(stack.data), 0, -1), dtype=dtype)
    if np.shares_memory(samples, stack.data):
        samples = samples.copy()
    sigma = add_noise(samples, stack.mask, snr, seed)
    data = np.moveaxis(np.abs(samples) if wanted == "magnitude" else samples, -1, 0)
    # no operation makes this of the stack again: its history alone would make it without the noise
    noise = {"snr": snr, "seed": seed, "sigma": sigma}
    record = {"operation": "given", "stack": stack.name, "noise": noise, "noise_free": stack.record}
    return replace(stack, data=data, kind=wanted, snr=snr, noise_sigma=sigma, record=record)
