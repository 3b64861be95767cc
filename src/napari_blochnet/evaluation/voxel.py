"""What the models say of one voxel: re-simulated fingerprints, residuals, and how well the tissue could be known.

A voxel costs one call of the decoder, with
derivatives, for all its explanations together: about as much as one call without.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.signal_scale import SignalScale
from napari_blochnet.fingerprints.freedom import spare_numbers, tell_noise
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.sampling.aliased import why_no_errors

if TYPE_CHECKING:
    from napari_blochnet.physics.decoder import EPGDecoder
    from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Bound", "Decoders", "Explanation", "Explanations", "Voxel", "explain_voxel", "explanation_of"]

# The curves of a plot are told apart to a fraction of a line's width.
_TOLERANCE = 1e-4
# A decoder is small, but there is no need to keep those of every schedule ever looked at.
_KEPT = 4


@dataclass(frozen=True)
class Voxel:
    """One voxel of a stack.

    Parameters
    ----------
    stack : FingerprintStack
    index : tuple of int
        (z, y, x) in the stack.
    """

    stack: FingerprintStack = field(repr=False)
    index: tuple[int, int, int]


@dataclass(frozen=True)
class Explanation:
    """What one model, or the truth, says of a voxel.

    Parameters
    ----------
    name : str
    t1, t2 : float
        ms.
    pd : float
        In units of the fingerprint.
    phase : float
        Of PD, degrees.
    b1 : float
        Relative transmit field.
    t1_se, t2_se : float, optional
        Standard errors, ms.
    slot : int
        Of the model's colour; -1 for the truth.
    has_own_scale : bool
        Whether PD is in units of its own, or not known (NaN): the fingerprint then tells size and phase. So it is of
        maps without PD, and of a truth where nothing tells the scale between the two.
    has_own_phase : bool
        Whether the phase is not that of the fingerprint, which then tells it: of a truth, but not of what the stack
        was simulated from in this session.
    """

    name: str
    t1: float
    t2: float
    pd: float
    phase: float = 0.0
    b1: float = 1.0
    t1_se: float | None = None
    t2_se: float | None = None
    slot: int = 0
    has_own_scale: bool = False
    has_own_phase: bool = False

    @property
    def is_truth(self) -> bool:
        """Whether this is the truth and no model."""
        return self.slot < 0


@dataclass(frozen=True, eq=False)
class Bound:
    """The Cramér–Rao bound of a voxel, proton density eliminated.

    Parameters
    ----------
    t1, t2 : float
        Where it was computed, ms: the truth, or the explanation with the smallest residual.
    covariance : array of shape (2, 2)
        Of (T1, T2), ms².
    sigma : float
        Standard deviation of the noise in each real channel, in units of the fingerprint.
    at_truth : bool
        Whether (T1, T2) is the truth.
    is_sigma_known : bool
        From the stack's record; otherwise from the smallest residual, in which whatever is not explained counts.
    """

    t1: float
    t2: float
    covariance: FloatArray
    sigma: float
    at_truth: bool
    is_sigma_known: bool

    def ellipse(self, points: int = 121, level: float = 0.95) -> FloatArray:
        """Return a closed curve that holds a share ``level`` of an efficient estimator's answers.

        Errors are taken as normal in log T1 and log T2, as intervals are everywhere in this package, so that the
        curve never leaves T > 0.

        Returns
        -------
        array of shape (points, 2)
            T1 and T2, ms.
        """
        centre = np.array([self.t1, self.t2])
        values, vectors = np.linalg.eigh(self.covariance / np.outer(centre, centre))
        # of two parameters: the quantile of χ² with two degrees of freedom has a closed form
        radius = np.sqrt(-2.0 * np.log1p(-level) * np.maximum(values, 0.0))
        angle = np.linspace(0.0, 2.0 * np.pi, points)
        circle = np.stack([np.cos(angle), np.sin(angle)])
        curve: FloatArray = centre * np.exp((vectors @ (radius[:, None] * circle)).T)
        return curve


@dataclass(frozen=True, eq=False)
class Explanations:
    """A voxel's fingerprint and its explanations, as they are drawn.

    Parameters
    ----------
    voxel : Voxel
    quantity : str
        What is drawn: the magnitude, or the real part in the frame of the voxel's phase.
    measured : array of shape (time,)
    curves : array of shape (explanation, time)
        The signal of each explanation.
    residual : array of shape (explanation,)
        ‖x − ŝ‖/‖x‖ of the whole fingerprint.
    items : tuple of Explanation
    bound : Bound, optional
        None where nothing explains the voxel, where there is no noise, or where the data do not tell T1 or T2.
    coefficients : array of shape (K,), optional
        As they are stored, where the stack holds coefficients; `measured` is then the curve that they stand for, and
        `residual` that of their subspace.
    """

    voxel: Voxel
    quantity: str
    measured: FloatArray
    curves: FloatArray
    residual: FloatArray
    items: tuple[Explanation, ...]
    bound: Bound | None = None
    coefficients: AnyArray | None = None

    @property
    def truth(self) -> Explanation | None:
        """What is true of the voxel, where that is known."""
        return next((item for item in self.items if item.is_truth), None)


class Decoders:
    """Decoders by schedule; the last few are kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, EPGDecoder] = OrderedDict()
        self._warm: set[str] = set()

    def is_warm(self, stack: FingerprintStack) -> bool:
        """Whether a voxel of this stack can be explained in a few milliseconds, on the main thread."""
        # a memory-mapped or chunked stack may have to fetch every sample from a disk
        is_ready = stack.schedule is None or stack.schedule.digest in self._warm
        return is_ready and type(stack.data) is np.ndarray

    def get(self, schedule: Schedule | None) -> EPGDecoder | None:
        """Return the decoder for a schedule; the first one of a process loads torch and compiled code."""
        if schedule is None:
            return None
        from napari_blochnet.physics.decoder import EPGDecoder

        decoder = self._known.get(schedule.digest)
        if decoder is None:
            decoder = EPGDecoder(schedule, tolerance=_TOLERANCE)
            decoder.jacobian([1000.0], [100.0])
        self._known[schedule.digest] = decoder
        self._known.move_to_end(schedule.digest)
        self._warm.add(schedule.digest)
        while len(self._known) > _KEPT:
            self._warm.discard(self._known.popitem(last=False)[0])
        return decoder


def explanation_of(
    name: str,
    source: Phantom | ParameterMaps,
    index: tuple[int, int, int],
    slot: int,
    *,
    scale: SignalScale | None = None,
) -> Explanation | None:
    """Return what maps, or a truth, say of a voxel; None where they have no value.

    ``scale`` is between a truth and the fingerprints; None for what is in their units, with their phase.
    """
    if not source.mask[index] or source.t1 is None or source.t2 is None:
        return None
    if not (0 < source.t1[index] < np.inf and 0 < source.t2[index] < np.inf):
        return None
    more: dict[str, Any] = {}
    for key in ("phase", "b1", "t1_se", "t2_se"):
        values = getattr(source, key, None)
        if values is not None and np.isfinite(values[index]) and (key == "phase" or values[index] > 0):
            more[key] = float(values[index])
    t1, t2 = float(source.t1[index]), float(source.t2[index])
    # maps without PD have none that could explain the signal's size
    is_known = source.pd is not None and not (scale and scale.unknown)
    pd = float(source.pd[index]) if source.pd is not None and is_known else float("nan")
    pd *= 1.0 if scale is None else scale.signal_per_pd
    own = {"has_own_scale": not is_known, "has_own_phase": scale is not None}
    return Explanation(name, t1, t2, pd, slot=slot, **own, **more)


def explain_voxel(decoder: EPGDecoder | None, voxel: Voxel, items: Sequence[Explanation]) -> Explanations:
    """Simulate what the explanations of a voxel predict, and bound how well the tissue could be known.

    Parameters
    ----------
    decoder : EPGDecoder, optional
        For the stack's schedule; None where it has none: nothing is predicted then.
    voxel : Voxel
    items : sequence of Explanation
        With T1 and T2 above 0.

    Returns
    -------
    Explanations
    """
    z, y, x = voxel.index
    kind = voxel.stack.kind
    stored = np.asarray(voxel.stack.data[:, z, y, x])
    stored = stored.astype(np.complex128 if kind == "complex" else np.float64)
    basis, subspace = voxel.stack.basis, voxel.stack.subspace
    measured = stored if basis is None else basis @ stored
    items = items if decoder is not None else ()
    unit = np.empty((0, len(measured)))
    derivatives: AnyArray = np.empty((0, len(measured), 2))
    if decoder is not None and items:
        t1, t2, b1 = np.array([(item.t1, item.t2, item.b1) for item in items]).T
        # a field of 1 everywhere needs no derivative in it; where there is another, the bound takes it as known
        tensors = decoder.jacobian(t1, t2, b1 if (b1 != 1.0).any() else None)
        unit, derivatives = (tensor.numpy() for tensor in tensors)
        derivatives = derivatives[..., :2]
    # coefficients are compared in their subspace, as they are mapped
    project = np.asarray if subspace is None else subspace.project
    forms: dict[str, Callable[[AnyArray], AnyArray]] = {"magnitude": np.abs, "real": np.real}
    form = forms.get(kind, np.asarray)
    compared = project(measured[None])[0]
    inside = project(form(unit))
    pds = np.array([_density(item, signal, compared) for item, signal in zip(items, inside, strict=True)])
    signals = form(unit * pds[:, None]) if items else unit
    norm = float(np.linalg.norm(compared))
    left = compared - project(signals) if items else np.empty((0, len(compared)))
    residual = np.linalg.norm(left, axis=1) / norm if norm > 0 else np.full(len(items), np.nan)
    tangents = derivatives
    if subspace is not None:
        of_both = project(np.moveaxis(derivatives, -1, 1).reshape(-1, len(measured)))
        tangents = np.moveaxis(of_both.reshape(len(derivatives), 2, subspace.rank), 1, -1)
    bound = _bound(voxel.stack, items, project(unit), tangents, pds, residual * norm) if norm > 0 else None
    if subspace is not None:
        # what the subspace leaves out of a curve, it leaves out of the measured one, too
        signals = subspace.expand(project(signals))
    quantity, drawn, curves = _drawn(voxel.stack, measured, signals)
    return Explanations(
        voxel, quantity, drawn, curves, residual, tuple(items), bound, None if basis is None else stored
    )


def _density(item: Explanation, signal: AnyArray, measured: AnyArray) -> complex:
    if not (item.has_own_scale or item.has_own_phase):
        return complex(item.pd * np.exp(1j * np.radians(item.phase)))
    power = float(np.vdot(signal, signal).real)
    found = complex(np.vdot(signal, measured) / power) if power > 0 else 0.0
    return found if item.has_own_scale or found == 0 else found / abs(found) * item.pd


def _bound(
    stack: FingerprintStack,
    items: Sequence[Explanation],
    unit: AnyArray,
    derivatives: AnyArray,
    pds: AnyArray,
    left: FloatArray,
) -> Bound | None:
    """Return the bound at the truth, or else at the explanation that leaves least."""
    from napari_blochnet.physics.bounds import bound_from_jacobian

    if not items or stack.noise_sigma == 0:
        return None
    models = [index for index, item in enumerate(items) if not item.is_truth]
    best = min(models or range(len(items)), key=lambda index: left[index])
    at = next((index for index, item in enumerate(items) if item.is_truth), best)
    sigma = stack.noise_of_coordinates
    if sigma is None:
        numbers = unit.shape[1]
        if why_no_errors(stack, None) is not None or not tell_noise(numbers, stack.kind, stack.is_compressed):
            return None
        sigma = float(left[best]) / np.sqrt(spare_numbers(numbers, stack.kind))
    if not sigma > 0 or pds[at] == 0:
        return None
    signal = unit[[at]].astype(np.result_type(unit, np.float64))
    covariance, _ = bound_from_jacobian(signal, derivatives[[at]], np.abs(pds[[at]]), np.array([sigma]), stack.kind)
    if not np.isfinite(covariance).all():
        return None
    found, is_known = items[at], stack.noise_sigma is not None
    return Bound(found.t1, found.t2, covariance[0], float(sigma), found.is_truth, is_known)


def _lies_on_a_line(measured: AnyArray) -> bool:
    """Whether complex samples are real ones turned by one phase, but for noise."""
    return bool(np.abs(np.sum(measured**2)) > 0.9 * np.sum(np.abs(measured) ** 2))


def _drawn(stack: FingerprintStack, measured: AnyArray, signals: AnyArray) -> tuple[str, FloatArray, FloatArray]:
    """Return what can be drawn as one line: complex signals as the real part in the voxel's own frame."""
    if stack.kind != "complex":
        return "magnitude" if stack.kind == "magnitude" else "real samples", np.real(measured), np.real(signals)
    if not (_lies_on_a_line(measured) if stack.schedule is None else stack.schedule.is_real):
        return "magnitude", np.abs(measured), np.abs(signals)
    # on the real path all samples lie on one line through 0: half the angle of Σs² is its direction
    turn = np.exp(-0.5j * np.angle(np.sum(measured**2)))
    likely = signals[0] if len(signals) else measured
    if np.real(np.sum(likely * turn)) < 0:
        turn = -turn
    return "real part, phase removed", np.real(measured * turn), np.real(signals * turn)
