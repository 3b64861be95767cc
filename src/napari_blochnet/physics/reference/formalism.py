"""The formalism of the paper's appendix as functions one can read and run.

Two pictures of the same spins. In the first (A.1), a voxel is a row of *isochromats*, each with a magnetisation
(Mx, My, Mz) in the rotating frame; pulses and gradients rotate it, relaxation shrinks and regrows it, and a whole
train of them is one affine map M ↦ A·M + B. In the second (A.2), the same magnetisation is expanded into a Fourier
series across the voxel; its coefficients are the columns of the configuration state matrix Q, and the operators become
those of the extended phase graph: the RF pulse mixes F⁺, F⁻ and Z within a column, the gradient moves the F by one.
`configuration_states` and `voxel_magnetisation` lead from one picture to the other. `train_maps` has whole trains in
both of them.

Everything here is NumPy float64, for understanding and for tests; the fast decoder is `EPGDecoder`.

Conventions
-----------
Rotations are right-handed (counter-clockwise seen from the tip of the axis), so that a pulse of 90° and phase 0 turns
Mz into −My, F⁺ = −i, and a gradient multiplies Mxy = Mx + i·My by exp(+iθ), F⁺ moving to higher orders. This is Weigel,
J Magn Reson Imaging 41:266 (2015), and the package's convention everywhere. The appendix prints the left-handed
rotations that follow from dM/dt = γ M × B for positive γ: its Rx(α), Ry(α) and Rz(θ) are those of −α and −θ here, and
its product Rz(−φ)·Ry(−θ)·Rz(α)·Ry(θ)·Rz(φ) is the one in `rf_rotation` with all signs turned. As printed it also has
three slips: the entry −r·By of the Bloch matrix is −γ·By; the first row of Ry reads (cos α, −sin α, 0) and should read
(cos α, 0, −sin α); and M0 stands for the equilibrium magnetisation as well as for the magnetisation before the train.
Here the equilibrium is 1, times are in ms, angles in degrees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import ComplexArray, FloatArray
from napari_blochnet.common.errors import InputError

__all__ = [
    "AffineMap",
    "configuration_states",
    "epg_gradient",
    "epg_relaxation",
    "epg_rf",
    "epg_rf_matrix",
    "gradient_rotation",
    "inversion",
    "relaxation",
    "rf_pulse",
    "rf_rotation",
    "rotation_y",
    "rotation_z",
    "voxel_magnetisation",
]


class AffineMap(NamedTuple):
    """What happens to a magnetisation: M ↦ A·M + B (appendix A.1).

    Parameters
    ----------
    A : ndarray of shape (..., 3, 3)
        The linear part, acting on (Mx, My, Mz).
    B : ndarray of shape (..., 3)
        The constant part: what regrows towards equilibrium.

    Notes
    -----
    ``later @ earlier`` is the map that applies ``earlier`` first. Leading axes broadcast; usually they run over the
    isochromats of a voxel.
    """

    A: FloatArray
    B: FloatArray

    def __call__(self, magnetisation: ArrayLike) -> FloatArray:
        """Apply the map to magnetisations of shape (..., 3)."""
        return _apply(self.A, np.asarray(magnetisation, dtype=np.float64)) + self.B

    def __matmul__(self, earlier: AffineMap) -> AffineMap:
        """Compose two maps: A = A₂·A₁, B = A₂·B₁ + B₂."""
        return AffineMap(self.A @ earlier.A, _apply(self.A, earlier.B) + self.B)


def _apply(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("...ij,...j->...i", matrix, vector))


# ---------------------------------------------------------------------------------------------------- A.1, isochromats


def rotation_z(angle: ArrayLike) -> FloatArray:
    """Return the right-handed rotation about z, of shape (..., 3, 3), for angles in degrees."""
    c, s, zero, one = _cos_sin(angle)
    return _matrix([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def rotation_y(angle: ArrayLike) -> FloatArray:
    """Return the right-handed rotation about y, of shape (..., 3, 3), for angles in degrees."""
    c, s, zero, one = _cos_sin(angle)
    return _matrix([[c, zero, s], [zero, one, zero], [-s, zero, c]])


def rf_rotation(flip_angle: ArrayLike, rf_phase: ArrayLike = 0.0, tilt: ArrayLike = 90.0) -> FloatArray:
    """Return the rotation of an RF pulse, Rz(φ)·Ry(θ)·Rz(α)·Ry(−θ)·Rz(−φ).

    Read from the right: turn the effective field into the xz plane, then onto z, turn by the flip angle about it, and
    go back.

    Parameters
    ----------
    flip_angle : array_like
        α, the angle turned about the effective field, degrees.
    rf_phase : array_like
        φ = arctan(By/Bx), the azimuth of the pulse's field, degrees.
    tilt : array_like
        θ = arctan(|Bxy|/Bz), between the effective field and z, degrees: 90 on resonance, smaller off resonance.

    Returns
    -------
    ndarray of shape (..., 3, 3)
    """
    there = rotation_z(rf_phase) @ rotation_y(tilt)
    back = rotation_y(-np.asarray(tilt)) @ rotation_z(-np.asarray(rf_phase))
    return there @ rotation_z(flip_angle) @ back


def rf_pulse(flip_angle: ArrayLike, rf_phase: ArrayLike = 0.0, tilt: ArrayLike = 90.0) -> AffineMap:
    """Return an instantaneous RF pulse as a map; arguments as in `rf_rotation`."""
    A = rf_rotation(flip_angle, rf_phase, tilt)
    return AffineMap(A, np.zeros(A.shape[:-1]))


def gradient_rotation(angle: ArrayLike) -> AffineMap:
    """Return what a gradient and off-resonance do: a rotation about z by θ = γ(G·r + ΔB0)τ, in degrees."""
    A = rotation_z(angle)
    return AffineMap(A, np.zeros(A.shape[:-1]))


def relaxation(duration: ArrayLike, t1: ArrayLike, t2: ArrayLike) -> AffineMap:
    """Return relaxation over a time: A = diag(E2, E2, E1), B = (0, 0, 1 − E1).

    Parameters
    ----------
    duration, t1, t2 : array_like
        ms; they broadcast.
    """
    duration, t1, t2 = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (duration, t1, t2)))
    E1, E2, zero = np.exp(-duration / t1), np.exp(-duration / t2), np.zeros(duration.shape)
    A = _matrix([[E2, zero, zero], [zero, E2, zero], [zero, zero, E1]])
    return AffineMap(A, np.stack([zero, zero, -np.expm1(-duration / t1)], axis=-1))


def inversion(efficiency: float = 1.0) -> AffineMap:
    """Return the inversion pulse of a schedule: equilibrium 1 becomes −η, transverse magnetisation is spoiled."""
    return AffineMap(np.diag([0.0, 0.0, -efficiency]), np.zeros(3))


# ------------------------------------------------------------------------------------------ A.2, configuration states


def configuration_states(magnetisation: ArrayLike, order: int | None = None) -> ComplexArray:
    """Transform the magnetisation across a voxel into the configuration state matrix Q.

    F_n⁺ = ∫ Mxy(z) e^{−2πinz} dz, F_n⁻ = ∫ Mxy*(z) e^{−2πinz} dz, Z_n = ∫ Mz(z) e^{−2πinz} dz over 0 ≤ z < 1
    (appendix A.2), as sums over the given positions. They are exact when no order beyond (J − 1)/2 is present.

    Parameters
    ----------
    magnetisation : array_like of shape (J, 3)
        (Mx, My, Mz) at the positions z = 0, 1/J, …, (J − 1)/J.
    order : int, optional
        Highest order to return; (J − 1)//2, the highest that J positions can tell, by default.

    Returns
    -------
    ndarray of shape (3, order + 1), complex
        Rows F⁺, F⁻, Z; columns are the orders 0, 1, ….

    Raises
    ------
    InputError
        A shape other than (J, 3), or an order that J positions cannot tell.
    """
    M = np.asarray(magnetisation, dtype=np.float64)
    if M.ndim != 2 or M.shape[0] == 0 or M.shape[1] != 3:
        raise InputError(f"magnetisation has shape {M.shape}", "(positions, 3)", field="magnetisation")
    highest = (M.shape[0] - 1) // 2
    order = highest if order is None else order
    if not 0 <= order <= highest:
        raise InputError(
            f"order is {order}; {M.shape[0]} positions across the voxel tell orders 0 to {highest}.", field="order"
        )
    M_xy = M[:, 0] + 1j * M[:, 1]
    rows = np.stack([M_xy, M_xy.conj(), M[:, 2].astype(complex)])
    return np.asarray(np.fft.fft(rows, axis=1, norm="forward")[:, : order + 1])


def voxel_magnetisation(Q: ArrayLike, position: ArrayLike) -> FloatArray:
    """Transform configuration states back into the magnetisation across the voxel.

    Mxy(z) = F₀⁺ + Σₙ [Fₙ⁺ e^{2πinz} + (Fₙ⁻)* e^{−2πinz}], Mz(z) = Re{Z₀ + 2 Σₙ Zₙ e^{2πinz}} (appendix A.2).

    Parameters
    ----------
    Q : array_like of shape (3, K)
        Rows F⁺, F⁻, Z; columns are the orders 0, 1, …, K − 1.
    position : array_like of shape (...)
        z, in units of the length over which one TR's gradient dephases by 360°.

    Returns
    -------
    ndarray of shape (..., 3)
        (Mx, My, Mz).
    """
    states = _states(Q)
    z = np.asarray(position, dtype=np.float64)
    wave = np.exp(2j * np.pi * z[..., None] * np.arange(states.shape[1]))
    up, down, longitudinal = states
    M_xy = wave @ up + wave[..., 1:].conj() @ down[1:].conj()
    M_z = (2.0 * (wave @ longitudinal) - longitudinal[0]).real
    return np.stack([M_xy.real, M_xy.imag, M_z], axis=-1)


def epg_rf_matrix(flip_angle: float, rf_phase: float = 0.0) -> ComplexArray:
    """Return the RF pulse acting on a column (F⁺, F⁻, Z) of Q (Weigel 2015).

    Parameters
    ----------
    flip_angle, rf_phase : float
        α and φ, degrees.

    Returns
    -------
    ndarray of shape (3, 3), complex
    """
    alpha, phase = np.deg2rad(flip_angle), np.exp(1j * np.deg2rad(rf_phase))
    c2, s2, sine = np.cos(alpha / 2) ** 2, np.sin(alpha / 2) ** 2, np.sin(alpha)
    return np.array(
        [
            [c2, phase**2 * s2, -1j * phase * sine],
            [phase**-2 * s2, c2, 1j * phase**-1 * sine],
            [-0.5j * phase**-1 * sine, 0.5j * phase * sine, np.cos(alpha)],
        ]
    )


def epg_rf(Q: ArrayLike, flip_angle: float, rf_phase: float = 0.0) -> ComplexArray:
    """Apply an RF pulse (degrees) to a state matrix Q of shape (3, K)."""
    return np.asarray(epg_rf_matrix(flip_angle, rf_phase) @ _states(Q))


def epg_relaxation(Q: ArrayLike, duration: float, t1: float, t2: float) -> ComplexArray:
    """Apply relaxation over ``duration`` (ms) to a state matrix Q of shape (3, K): F·E2, Z·E1, Z₀ + 1 − E1."""
    E1, E2 = np.exp(-duration / t1), np.exp(-duration / t2)
    relaxed: ComplexArray = _states(Q) * np.array([[E2], [E2], [E1]])
    relaxed[2, 0] += -np.expm1(-duration / t1)
    return relaxed


def epg_gradient(Q: ArrayLike) -> ComplexArray:
    """Apply the gradient of one TR to Q of shape (3, K): F⁺ one order up, F⁻ one down; shape (3, K + 1).

    The new F₀⁺ is the conjugate of the new F₀⁻: both are the same, undephased transverse magnetisation.
    """
    before = _states(Q)
    after = np.zeros((3, before.shape[1] + 1), dtype=complex)
    after[0, 1:] = before[0]
    after[1, :-2] = before[1, 1:]
    after[2, :-1] = before[2]
    after[0, 0] = after[1, 0].conjugate()
    return after


# -------------------------------------------------------------------------------------------------------------- pieces


def _cos_sin(angle: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    radians = np.deg2rad(np.asarray(angle, dtype=np.float64))
    return np.cos(radians), np.sin(radians), np.zeros(radians.shape), np.ones(radians.shape)


def _matrix(rows: list[list[FloatArray]]) -> FloatArray:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _states(Q: ArrayLike) -> ComplexArray:
    states: ComplexArray = np.asarray(Q, dtype=np.complex128)
    if states.ndim != 2 or states.shape[0] != 3 or states.shape[1] == 0:
        raise InputError(f"Q has shape {states.shape}", "(3, orders)", field="Q")
    return states
