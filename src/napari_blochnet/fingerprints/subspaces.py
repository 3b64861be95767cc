"""The subspace that coefficient images lie in: coordinates of an orthonormal basis, in place of whole time courses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import InputError

__all__ = ["Subspace", "checked_basis", "is_as_real", "is_identity"]

# Columns of unit length of which one is told by the others to this share are no basis in single precision.
_DEPENDENT = 1e-5


@dataclass(frozen=True, eq=False)
class Subspace:
    """Orthonormal coordinates of a basis U = q·r.

    Time courses s = U·c are the same as coordinates d = r·c: ‖d‖ = ‖s‖, and inner products are the same, too. Rows of
    arrays are voxels. Noise that is white in time courses, and was projected (c = r⁻¹·qᴴ·s), is white in d.

    Parameters
    ----------
    q : array of shape (time, K)
        Orthonormal columns; float64 or complex128.
    r : array of shape (K, K)
        Upper triangular, with a diagonal above 0: the coordinates of an orthonormal basis are its coefficients.
    colour : array of shape (K, K), optional
        Lower triangular L of a noise of known covariance, L·Lᴴ times its mean variance, of the coordinates before: they
        were divided by it, d = L⁻¹·r·c, and columns of q are no longer orthonormal. Least squares of such coordinates
        are generalised least squares. None: of white noise.
    noise : float, optional
        Standard deviation of that noise in each real channel, now equal in all coordinates.

    References
    ----------
    McGivney et al., SVD compression for magnetic resonance fingerprinting in the time domain. IEEE Trans Med Imaging
    33:2311 (2014). Assländer et al., Low rank alternating direction method of multipliers reconstruction for MR
    fingerprinting. Magn Reson Med 79:83 (2018).
    """

    q: AnyArray
    r: AnyArray
    colour: AnyArray | None = None
    noise: float | None = None

    @classmethod
    def of(cls, basis: AnyArray) -> Subspace:
        """Return the coordinates of a basis, shape (time, K), by its QR decomposition."""
        precise = np.asarray(basis, np.complex128 if np.iscomplexobj(basis) else np.float64)
        q, r = np.linalg.qr(precise)
        turn = np.diagonal(r) / np.abs(np.diagonal(r))
        return cls(np.ascontiguousarray(q * turn), np.ascontiguousarray(r / turn[:, None]))

    def whitened(self, covariance: AnyArray) -> Subspace:
        """Return coordinates in which noise of a known covariance is white.

        Parameters
        ----------
        covariance : array of shape (K, K)
            Of the coefficients' noise in each real channel: half of E[n·nᴴ] where they are complex. Hermitian, positive
            definite.
        """
        of_coordinates = self.r @ covariance @ self.r.conj().T
        variance = float(np.trace(of_coordinates).real) / self.rank
        colour = np.linalg.cholesky(of_coordinates / variance)
        inverse = np.linalg.inv(colour)
        return Subspace(np.ascontiguousarray(self.q @ inverse.conj().T), np.ascontiguousarray(inverse @ self.r),
                        colour, float(np.sqrt(variance)))  # fmt: skip

    @cached_property
    def curves(self) -> AnyArray:
        """What coordinates are multiplied with: time courses, shape (time, K)."""
        if self.colour is None:
            return self.q
        return np.asarray(self.q @ self.colour.conj().T @ self.colour)

    @cached_property
    def is_whole(self) -> bool:
        """Whether the basis is the identity: coefficients are the samples of whole signals."""
        return self.colour is None and is_identity(self.q) and is_identity(self.r)

    @cached_property
    def digest(self) -> str:
        """Of `q`: what is computed for one subspace holds for another of the same digest."""
        return hashlib.sha256(self.q.tobytes()).hexdigest()

    @property
    def pulses(self) -> int:
        """Length of the time courses."""
        return int(self.q.shape[0])

    @property
    def rank(self) -> int:
        """Number of coordinates, K."""
        return int(self.q.shape[1])

    @property
    def is_complex(self) -> bool:
        """Whether the time courses of the basis are complex."""
        return bool(np.iscomplexobj(self.q))

    def coordinates(self, coefficients: AnyArray) -> AnyArray:
        """Return the coordinates of coefficients, both of shape (voxel, K), in single precision."""
        return _single(coefficients if self.is_whole else coefficients @ self.r.T)

    def coefficients(self, coordinates: AnyArray) -> AnyArray:
        """Return the coefficients of coordinates, both of shape (voxel, K), in single precision."""
        return _single(np.linalg.solve(self.r, coordinates.T).T)

    def noise_of(self, sigma: float) -> float:
        """Return the standard deviation of white noise in each real channel of coordinates.

        Parameters
        ----------
        sigma : float
            That of the coefficients, root mean square over the components: their covariance is (rᴴ·r)⁻¹ times the
            variance of coordinates. The same of an orthonormal basis.
        """
        if self.colour is not None:
            raise ValueError("these coordinates know their noise")
        return float(sigma * np.sqrt(self.rank) / np.linalg.norm(np.linalg.inv(self.r)))

    def project(self, rows: AnyArray) -> AnyArray:
        """Return coordinates, shape (voxel, K), nearest to time courses, shape (voxel, time), in double precision.

        Of real time courses in a complex basis, as of complex ones, they are complex.
        """
        if np.iscomplexobj(rows) and not self.is_complex:
            found = np.empty((len(rows), self.rank), np.complex128)
            found.real = rows.real.astype(np.float64) @ self.q
            found.imag = rows.imag.astype(np.float64) @ self.q
            return found
        nearest: AnyArray = rows.astype(np.result_type(rows, np.float64), copy=False) @ self.q.conj()
        return nearest

    def expand(self, coordinates: AnyArray) -> AnyArray:
        """Return the time courses, shape (voxel, time), of coordinates of shape (voxel, K), in single precision."""
        return _single(coordinates @ self.curves.T)


def _single(rows: AnyArray) -> AnyArray:
    return np.asarray(rows, np.complex64 if np.iscomplexobj(rows) else np.float32)


def is_identity(basis: AnyArray) -> bool:
    """Whether a basis is the identity, of which samples themselves are the coefficients."""
    length, count = basis.shape
    return length == count and not np.count_nonzero(basis - np.eye(count))


def is_as_real(basis: AnyArray) -> bool:
    """Whether a basis holds real time courses, however they are stored."""
    return not np.iscomplexobj(basis) or not np.asarray(basis).imag.any()


def checked_basis(basis: AnyArray, components: int, pulses: int | None, name: str) -> AnyArray:
    """Return a basis in single precision; it is real where none of its imaginary parts is other than 0.

    Parameters
    ----------
    basis : array of shape (time, K)
    components : int
        How many coefficients a voxel has, K.
    pulses : int, optional
        Of the schedule, where there is one.
    name : str
        Of what it belongs to, for messages.

    Raises
    ------
    InputError
        No two axes, another length than the schedule's, another number of components than coefficients, more of them
        than time points, no finite numbers, or components that depend on each other.
    """
    given = np.asarray(basis)
    if given.ndim != 2 or given.dtype.kind not in "biufc" or 0 in given.shape:
        raise InputError(
            f"The basis of {name} is {dimensions(given.shape) or 'one number'} of {given.dtype}",
            "numbers along two axes, time × components",
            field="basis",
        )
    size = f"The basis of {name} is {dimensions(given.shape)} (time × components)"
    length, count = given.shape
    if count != components and length == components:
        raise InputError(
            size, f"{components} columns, as many as the stack has coefficients: it lies transposed", field="basis"
        )
    if count != components:
        raise InputError(size, f"{components} columns, as many as the stack has coefficients", field="basis")
    if count > length:
        raise InputError(size, f"no more components than its {length} time points", field="basis")
    if pulses is not None and length != pulses:
        raise InputError(size, f"{pulses} rows, as many as the schedule has pulses", field="basis")
    if not np.isfinite(given).all():
        raise InputError(f"The basis of {name} holds NaN or infinity", "finite numbers", field="basis")
    precise = given.real.astype(np.float64) if is_as_real(given) else given.astype(np.complex128)
    lengths = np.linalg.norm(precise, axis=0)
    if not lengths.all() or np.linalg.svd(precise / lengths, compute_uv=False)[-1] < _DEPENDENT:
        raise InputError(
            f"The {count} components of the basis of {name} are not independent of each other",
            "components of which none is a sum of the others",
            field="basis",
        )
    return _single(precise)
