"""The universal estimator: T1 and T2 under any schedule, continuous and without training.

A fingerprint is placed among anchor tissues simulated under its own schedule. How much of it each of them explains is
a hill over the plane of log T1 and log T2. Its top, the least-squares answer with the proton density free, lies between
the anchors; the best of them and the polynomials through the heights around it lead there. Nothing is learnt: what is
computed reaches the Cramér–Rao bound, so that there is nothing left that a network could learn from random schedules.

References
----------
Interpolation between a dictionary's atoms: van Valenberg et al., An efficient method for multi-parameter mapping in
quantitative MRI using B-spline interpolation. IEEE Trans Med Imaging 39:1681 (2020).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.estimators.base import Block, Conditions, Estimates, check_saturation
from napari_blochnet.estimators.declared import DeclaredUniversal
from napari_blochnet.estimators.fitting.density import explain
from napari_blochnet.estimators.fitting.known_b1 import best_tissues, between_b1
from napari_blochnet.estimators.kept import Kept
from napari_blochnet.estimators.matching.atoms import atom_form, of_form
from napari_blochnet.estimators.projected import Simulator, simulator
from napari_blochnet.estimators.universal.anchors import STEP, WIDE_STEP, Anchors
from napari_blochnet.estimators.universal.hill import hill_top
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.preparation_maps import gap_of_pulse

__all__ = ["Universal"]

# An answer farther than this from its patch's centre, in lattice steps, is read again from a patch around it.
_OFF_CENTRE = 0.75
_READINGS = 3
# Left-out samples are filled in from the last answer and read again until nothing moves by more than this part, and
# so many times at most.
_STILL = 1e-4
_FILLINGS = 60
# Values of B1 of which anchors are kept, 0.5 to 1.5 MB each; a field of ±30 % takes four.
_NEAR = 8
# Schedules of which they are kept.
_KEPT = 2


@dataclass(frozen=True, eq=False)
class _Ready:
    """What all blocks of a schedule share.

    Parameters
    ----------
    anchors : Anchors
        Under the nominal field.
    decoder : EPGDecoder
    under : callable
        The anchors under another field, made as they are asked for.
    """

    anchors: Anchors
    decoder: Simulator
    under: Callable[[float], Anchors]


_ready: Kept[_Ready] = Kept(_KEPT)


class Universal(DeclaredUniversal):
    """Estimates T1 and T2 under any schedule, from any kind of signal.

    Parameters
    ----------
    saturation : float, optional
        Samples of this magnitude or more are left out.
    tolerance : float
        NRMSE of anchors by leaving out EPG states.
    device : str
        Taken as the other estimators take it; the work is done on the CPU, faster than data could be moved.

    Notes
    -----
    Where B1 is known, anchors under a B1 near it lead to a start, and least squares from there to the answer under
    each voxel's own one.

    T1 from 5 to 9000 ms and T2 from 1 to 4500 ms. A fingerprint without a sample other than 0 has failed, and so has
    a real or magnitude one that no positive PD explains.
    """

    def __init__(self, *, saturation: float | None = None, tolerance: float = 1e-5, device: str = "cpu") -> None:
        check_saturation(saturation)
        self.saturation, self.tolerance = saturation, tolerance

    @property
    def description(self) -> str:
        """One line for records."""
        return f"universal: between anchors in steps of {100 * (STEP - 1):.0f} %"

    def make_ready_for(self, given: Conditions) -> _Ready:
        """Simulate the anchors, or their coordinates in a subspace; the last few of a process are kept.

        With B1 known they lead to a start only, under the nominal field and others: a quarter as many do.
        """
        step = WIDE_STEP if given.with_b1 else STEP
        return _ready.get((*given.key, self.tolerance), lambda: self._simulated(given, step), given.watch)

    def _simulated(self, given: Conditions, step: float) -> _Ready:
        decoder, watch = simulator(given.schedule, self.tolerance, given.subspace), given.watch
        form, done = atom_form(given.schedule, given.kind), 0

        def signals(t1: FloatArray, t2: FloatArray) -> AnyArray:
            nonlocal done
            watch.check("simulating anchor tissues")
            watch.report(done, done + len(t1), "simulating anchor tissues")
            done += len(t1)
            return of_form(decoder.signal(t1, t2, cancelled=watch.cancelled), form)

        anchors = Anchors.simulate(signals, step)

        def under(b1: float) -> Anchors:
            if b1 == 1:
                return anchors
            return anchors.under(lambda t1, t2: of_form(decoder.signal(t1, t2, np.full(len(t1), b1)), form))

        return _Ready(anchors, decoder, functools.lru_cache(_NEAR)(under))

    def estimate(self, block: Block) -> Estimates:
        """Read a block of fingerprints between the anchors."""
        if block.b1 is not None:
            return self._under_own_b1(block, block.b1)
        anchors, decoder, data = block.ready.anchors, block.ready.decoder, block.data
        t1, t2 = self._read(anchors, decoder, anchors.subspace.project(data))
        used = None
        if self.saturation is not None and (np.abs(data) >= self.saturation).any():
            used = np.abs(data) < self.saturation
            self._fill(anchors, decoder, data, used, block.kind, t1, t2)
        pd, residual = explain(decoder, data, t1, t2, block.kind, used)
        return Estimates.where(np.abs(pd) > 0, t1, t2, pd, residual, block.kind)

    def _under_own_b1(self, block: Block, b1: FloatArray) -> Estimates:
        """Read fingerprints under a B1 near their own, and fit them from there."""
        decoder: Simulator = block.ready.decoder
        used = None if self.saturation is None else np.abs(block.data) < self.saturation
        size = np.abs(block.data).max(axis=1, initial=0.0, where=True if used is None else used)

        coefficients = block.ready.anchors.subspace.project(block.data)

        def read(near: float, which: IntArray) -> FloatArray:
            block.watch.check("mapping")
            found: FloatArray = np.log(
                np.column_stack(self._read(block.ready.under(near), decoder, coefficients[which]))
            )
            return found

        theta, other, differ = between_b1(b1, read)
        pd, residual = self._fitted(block, theta, np.flatnonzero(size > 0), used)
        again = np.flatnonzero(differ & (size > 0))
        if again.size:
            second = other.copy()
            other_pd, left = self._fitted(block, second, again, used)
            better = differ & (left < residual)
            theta[better], pd[better], residual[better] = second[better], other_pd[better], left[better]
        t1, t2 = np.exp(theta).T
        return Estimates.where(np.abs(pd) > 0, t1, t2, pd, residual, block.kind)

    def _fitted(
        self, block: Block, theta: FloatArray, which: IntArray, used: BoolArray | None
    ) -> tuple[AnyArray, FloatArray]:
        """Fit some voxels from ln T1 and ln T2 on, in place; return PD and residual of all, 1 of those not fitted."""
        decoder: Simulator = block.ready.decoder
        pd = np.zeros(len(block), np.complex128 if block.kind == "complex" else np.float64)
        residual = np.ones(len(block))
        if which.size:
            some = block.part(which)
            theta[which], _ = best_tissues(some, decoder, theta[which], self.saturation)
            t1, t2 = np.exp(theta[which]).T
            pd[which], residual[which] = explain(decoder, some.data, t1, t2, block.kind,
                                                 None if used is None else used[which], some.b1)  # fmt: skip
        return pd, residual

    def _fill(
        self,
        anchors: Anchors,
        decoder: Simulator,
        data: AnyArray,
        used: BoolArray,
        kind: SignalKind,
        t1: FloatArray,
        t2: FloatArray,
    ) -> None:
        """Correct T1 and T2, in place, of voxels with left-out samples: fill these in by the answer, and read again."""
        moving = np.flatnonzero(~used.all(axis=1))
        form = atom_form(decoder.schedule, kind)
        for _ in range(_FILLINGS):
            if not moving.size:
                break
            model = of_form(decoder.signal(t1[moving], t2[moving]), form)
            pd, _ = explain(decoder, data[moving], t1[moving], t2[moving], kind, used[moving])
            filled = np.where(used[moving], data[moving], pd[:, None] * model)
            found = self._read(anchors, decoder, anchors.subspace.project(filled))
            moved = np.maximum(np.abs(found[0] / t1[moving] - 1), np.abs(found[1] / t2[moving] - 1)) > _STILL
            t1[moving], t2[moving] = found
            moving = moving[moved]

    def _read(self, anchors: Anchors, decoder: Simulator, coefficients: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return T1 and T2, ms, of fingerprints given by their coefficients in the anchors' subspace."""
        # A pause that a preparation fills lets nothing transverse through, whatever its T2.
        through = np.append(gap_of_pulse(decoder.schedule)[1:] < 0, True)
        short = 2.0 * float(decoder.schedule.repetition_time[through].max())
        centre, heights = anchors.settle(coefficients, anchors.search(coefficients), short)
        points = anchors.lattice
        place = np.zeros((len(coefficients), 2))
        reading = np.arange(len(coefficients))
        for _ in range(_READINGS):
            if not reading.size:
                break
            offset = hill_top(heights[reading])
            middle = points.candidates[centre[reading]]
            place[reading] = np.stack([points.i[middle], points.j[middle]], axis=1) + offset
            far = (np.abs(offset) > _OFF_CENTRE).any(axis=1)
            to = points.nearest(place[reading, 0], place[reading, 1])
            far &= to != centre[reading]
            reading = reading[far]
            centre[reading] = to[far]
            heights[reading] = anchors.heights(coefficients[reading], centre[reading])
        t1, t2 = np.exp(place * math.log(points.step)).T
        return t1, t2
