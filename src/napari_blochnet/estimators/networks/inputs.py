"""What a network is fed: fingerprints in the space of their schedule's signals, real in the receiver's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.component_bases import signal_basis
from napari_blochnet.estimators.threads import threaded
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Inputs", "in_parts", "normalised_real", "signal_space", "unit_mean_atom"]

# Singular vectors of a schedule's signals: what they leave out of a fingerprint is noise, and most of what aliases.
_RANK = 24


@dataclass(frozen=True, eq=False)
class Inputs:
    """From fingerprints of a schedule to what its networks are fed.

    Parameters
    ----------
    basis : float32 array of shape (time, K)
        Orthonormal time courses of the schedule's signals. What aliases lies outside them for the most part, and would
        turn fingerprints by its own angle.
    mean : float32 array of shape (K,)
        Coefficients of the schedule's mean atom; see `unit_mean_atom`.
    """

    basis: FloatArray
    mean: FloatArray

    @classmethod
    def of(cls, schedule: Schedule, basis: FloatArray) -> Inputs:
        """Return that of a schedule on a basis."""
        return cls(basis, np.ascontiguousarray(unit_mean_atom(schedule) @ basis))

    def coefficients(self, fingerprints: AnyArray, kind: SignalKind) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return coefficients (voxel, K) of unit norm, the fingerprints' norms, and which hold no signal.

        See `normalised_real`.
        """
        samples = in_parts(fingerprints)
        flat = samples.reshape(len(samples), samples.shape[1] * samples.shape[2])
        norms = np.sqrt(np.einsum("ij,ij->i", flat, flat, dtype=np.float64))
        found: AnyArray
        if samples.shape[2] == 2:
            found = flat.view(np.complex64) @ self.basis.astype(np.complex64)
        else:
            found = flat @ self.basis
        real, _, empty = normalised_real(found, kind, self.mean)
        return real, norms, empty

    def samples(self, coefficients: FloatArray) -> FloatArray:
        """Return the time points (voxel, time) that coefficients stand for."""
        found: FloatArray = coefficients @ self.basis.T
        return found


def signal_space(schedule: Schedule, watch: Watch = UNWATCHED) -> FloatArray:
    """Return the basis of networks that take time points: of a schedule's own signals, float32 of shape (time, K)."""
    return signal_basis(schedule, "real part", _RANK, watch=watch).astype(np.float32)


def unit_mean_atom(schedule: Schedule) -> FloatArray:
    """Return the mean of normalised fingerprints over tissues of usual T1 and T2, shape (N,), float32.

    It decides which of two opposite real fingerprints a complex one is rotated to. T1 is 100 to 5000 ms, T2 a fiftieth
    to a third of it, both evenly spaced in their logarithm.
    """
    from napari_blochnet.physics.decoder import EPGDecoder

    t1, ratio = (axis.ravel() for axis in np.meshgrid(np.geomspace(100, 5000, 18), np.geomspace(0.02, 0.34, 9)))
    atoms = EPGDecoder(schedule, tolerance=1e-3).signal(t1, t1 * ratio).astype(np.float64)
    norms = np.linalg.norm(atoms, axis=1)
    if not (norms > 0).all():
        raise InputError("The schedule makes no signal; expected flip angles above 0.", field="schedule")
    mean: FloatArray = (atoms / norms[:, None]).mean(axis=0).astype(np.float32)
    return mean


def normalised_real(
    fingerprints: AnyArray, kind: SignalKind, mean_atom: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return what an encoder is fed.

    Complex fingerprints are each rotated by half the angle of Σs², which puts most of the signal into the real part;
    of the two angles this leaves, the one whose real part correlates positively with the schedule's mean atom.

    Parameters
    ----------
    fingerprints : array of shape (voxel, time)
        Finite.
    kind : {"complex", "real"}
    mean_atom : array of shape (time,)
        From `unit_mean_atom`.

    Returns
    -------
    real : float32 array of shape (voxel, time)
        L2-normalised; rows of zeros where there is no signal.
    norms : float64 array of shape (voxel,)
        L2 norms before.
    empty : bool array of shape (voxel,)
        Voxels without a signal.
    """
    if kind == "complex":
        from napari_blochnet.estimators.networks.passes import rotate_rows

        real = np.empty(fingerprints.shape, np.float32)
        norms = np.empty(len(fingerprints))
        threaded(rotate_rows, len(real), in_parts(fingerprints), mean_atom, real, norms)
    else:
        norms = np.sqrt(np.einsum("ij,ij->i", fingerprints, fingerprints, dtype=np.float64))
        scale = np.where(norms > 0, 1.0 / np.where(norms > 0, norms, 1.0), 0.0)
        real = fingerprints * scale.astype(np.float32)[:, None]
    return real.astype(np.float32, copy=False), norms, ~(norms > 0)


def in_parts(fingerprints: AnyArray) -> FloatArray:
    """Return float32 samples of shape (voxel, time, parts): real and imaginary part, or the one there is."""
    if np.iscomplexobj(fingerprints):
        whole = np.ascontiguousarray(fingerprints, dtype=np.complex64)
        return whole.view(np.float32).reshape(*whole.shape, 2)
    return np.ascontiguousarray(fingerprints, dtype=np.float32)[..., None]
