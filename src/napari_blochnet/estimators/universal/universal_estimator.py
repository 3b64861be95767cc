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

import math

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.base import Block, Estimates, check_saturation
from napari_blochnet.estimators.declared import DeclaredUniversal
from napari_blochnet.estimators.fitting.density import explain
from napari_blochnet.estimators.matching.atoms import atom_form, of_form
from napari_blochnet.estimators.universal.anchors import STEP, Anchors
from napari_blochnet.estimators.universal.hill import hill_top
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.preparation_maps import gap_of_pulse
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Universal"]

# An answer farther than this from its patch's centre, in lattice steps, is read again from a patch around it.
_OFF_CENTRE = 0.75
_READINGS = 3
# Left-out samples are filled in from the last answer and read again until nothing moves by more than this part, and
# so many times at most.
_STILL = 1e-4
_FILLINGS = 60


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

    def make_ready(self, schedule: Schedule, kind: SignalKind, watch: Watch) -> tuple[Anchors, EPGDecoder]:
        """Simulate the anchors under a schedule."""
        form, decoder, done = atom_form(schedule, kind), EPGDecoder(schedule, tolerance=self.tolerance), 0

        def signals(t1: FloatArray, t2: FloatArray) -> AnyArray:
            nonlocal done
            watch.check("simulating anchor tissues")
            watch.report(done, done + len(t1), "simulating anchor tissues")
            done += len(t1)
            return of_form(decoder.signal(t1, t2, cancelled=watch.cancelled), form)

        return Anchors.simulate(signals), decoder

    def estimate(self, block: Block) -> Estimates:
        """Read a block of fingerprints between the anchors."""
        (anchors, decoder), data = block.ready, block.data
        t1, t2 = self._read(anchors, decoder, data)
        used = None
        if self.saturation is not None and (np.abs(data) >= self.saturation).any():
            used = np.abs(data) < self.saturation
            self._fill(anchors, decoder, data, used, block.kind, t1, t2)
        pd, residual = explain(decoder, data, t1, t2, block.kind, used)
        return Estimates.where(np.abs(pd) > 0, t1, t2, pd, residual, block.kind)

    def _fill(
        self,
        anchors: Anchors,
        decoder: EPGDecoder,
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
            found = self._read(anchors, decoder, filled)
            moved = np.maximum(np.abs(found[0] / t1[moving] - 1), np.abs(found[1] / t2[moving] - 1)) > _STILL
            t1[moving], t2[moving] = found
            moving = moving[moved]

    def _read(self, anchors: Anchors, decoder: EPGDecoder, data: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return T1 and T2, ms, of fingerprints."""
        coefficients = anchors.subspace.project(data)
        # A pause that a preparation fills lets nothing transverse through, whatever its T2.
        through = np.append(gap_of_pulse(decoder.schedule)[1:] < 0, True)
        short = 2.0 * float(decoder.schedule.repetition_time[through].max())
        centre, heights = anchors.settle(coefficients, anchors.search(coefficients), short)
        points = anchors.lattice
        place = np.zeros((len(data), 2))
        reading = np.arange(len(data))
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
        t1, t2 = np.exp(place * math.log(STEP)).T
        return t1, t2
