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
import threading
from collections import OrderedDict

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, raise_if_cancelled, report
from napari_blochnet.estimators.base import Estimates, check_schedule
from napari_blochnet.estimators.fitting.density import explain, of_form
from napari_blochnet.estimators.matching.atoms import atom_form
from napari_blochnet.estimators.universal.anchors import STEP, Anchors
from napari_blochnet.estimators.universal.hill import hill_top
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Universal"]

# Voxels at a time: the interpolated profiles of so many take 40 MB.
_BLOCK = 4096
# Anchors of this many schedules are kept in memory, 2 to 5 MB each.
_KEPT = 8
# An answer farther than this from its patch's centre, in lattice steps, is read again from a patch around it.
_OFF_CENTRE = 0.75
_READINGS = 3
# Left-out samples are filled in from the last answer and read again until nothing moves by more than this part, and
# so many times at most.
_STILL = 1e-4
_FILLINGS = 60


class Universal:
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

    name = "universal"
    #: Any schedule will do.
    schedule: Schedule | None = None

    def __init__(
        self,
        *,
        saturation: float | None = None,
        tolerance: float = 1e-5,
        device: str = "cpu",
    ) -> None:
        if saturation is not None and not saturation > 0:
            raise InputError(f"saturation is {saturation!r}; expected a magnitude above 0, or none.",
                             field="saturation")  # fmt: skip
        self.saturation, self.tolerance, self.device = saturation, tolerance, device
        self._held: OrderedDict[tuple[str, str], tuple[Anchors, EPGDecoder]] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Universal {self.description}>"

    @property
    def description(self) -> str:
        """One line for records."""
        return f"universal: between anchors in steps of {100 * (STEP - 1):.0f} %"

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Simulate the anchors under a schedule, unless that was done before."""
        self.anchors(schedule, kind, progress=progress, cancelled=cancelled)

    def anchors(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> Anchors:
        """Return the anchors for a schedule and a kind of signal; the last few are kept."""
        return self._prepared(schedule, kind, progress, cancelled)[0]

    def _prepared(
        self,
        schedule: Schedule,
        kind: SignalKind,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> tuple[Anchors, EPGDecoder]:
        form = atom_form(schedule, kind)
        key = (schedule.digest, form)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        decoder = EPGDecoder(schedule, tolerance=self.tolerance)
        done = 0

        def signals(t1: FloatArray, t2: FloatArray) -> AnyArray:
            nonlocal done
            raise_if_cancelled(cancelled, "simulating anchor tissues")
            report(progress, done, done + len(t1), "simulating anchor tissues")
            done += len(t1)
            return of_form(decoder.signal(t1, t2, cancelled=cancelled), form)

        made = Anchors.simulate(signals), decoder
        with self._lock:
            self._held[key] = made
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        return made

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate a batch.

        Parameters
        ----------
        fingerprints : array of shape (voxel, time)
            In the receiver's frame, complex or real.
        schedule : Schedule
            What made them.
        kind : {"complex", "real", "magnitude"}, optional
            None: complex or real by type.
        cancelled : optional
            Looked at once per 4096 fingerprints.

        Raises
        ------
        InputError
            Fingerprints that are not (voxel, time), not finite, of another length than the schedule, or of a type
            that the kind cannot be; a schedule under which nothing has a signal.
        """
        if fingerprints.ndim != 2:
            raise InputError(f"The fingerprints have shape {fingerprints.shape}; expected (voxel, time).",
                             field="fingerprints")  # fmt: skip
        check_schedule(self.name, self.schedule, schedule, fingerprints.shape[1])
        is_complex = bool(np.iscomplexobj(fingerprints))
        kind = kind or ("complex" if is_complex else "real")
        if is_complex != (kind == "complex"):
            raise InputError(f"The fingerprints are {fingerprints.dtype}, but their kind is {kind}; expected "
                             f"{'complex' if is_complex else 'real or magnitude'}.", field="kind")  # fmt: skip
        if not np.isfinite(np.sum(fingerprints, dtype=np.complex128 if is_complex else np.float64)):
            raise InputError("The fingerprints hold NaN or infinity; expected finite samples.", field="fingerprints")
        anchors, decoder = self._prepared(schedule, kind, cancelled=cancelled)
        parts = []
        for start in range(0, max(1, len(fingerprints)), _BLOCK):
            raise_if_cancelled(cancelled, "estimating")
            parts.append(self._estimate(fingerprints[start : start + _BLOCK], anchors, decoder, kind))
        return Estimates(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _estimate(
        self, data: AnyArray, anchors: Anchors, decoder: EPGDecoder, kind: SignalKind
    ) -> tuple[FloatArray, FloatArray, AnyArray, FloatArray, BoolArray]:
        t1, t2 = self._read(anchors, decoder, data)
        used = None
        if self.saturation is not None and (np.abs(data) >= self.saturation).any():
            used = np.abs(data) < self.saturation
            self._fill(anchors, decoder, data, used, kind, t1, t2)
        pd, residual = explain(decoder, data, t1, t2, kind, used)
        good = np.abs(pd) > 0
        return (
            np.where(good, t1, 0).astype(np.float32),
            np.where(good, t2, 0).astype(np.float32),
            pd.astype(np.complex64 if kind == "complex" else np.float32),
            np.where(good, np.minimum(residual, 1.0), 0).astype(np.float32),
            ~good,
        )

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
        short = 2.0 * float(decoder.schedule.repetition_time.max())
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
