"""Preparations of a Pulseq sequence: which pulses belong together, what they are, and what they do to the tissue."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.physics.pulse_simulation import AffineMap, coarsened, free_map, phase_map, pulse_map
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.pulseq.timeline import Pulse, Timeline

__all__ = ["PlayedPreparation", "as_preparation", "groups_of", "recognised"]

#: What a preparation is, in the words of the field.
Sort = Literal["inversion", "saturation", "fat saturation", "T2 preparation", "spin lock", "preparation"]

# Cycles of dephasing between two pulses: what counts as none, and what crushers and spoilers have at least.
_NO_GRADIENT, _SPOILER = 0.01, 0.9
# Positions that sample one cycle of a crusher.
_POSITIONS = 16
# Where responses are known, ms and relative: a cubic spline between them is right to 1e-4 (tested).
_T1 = np.geomspace(10.0, 10_000.0, 17)
_T2 = np.geomspace(1.0, 5000.0, 25)
_B1 = np.linspace(0.5, 1.5, 21)
_NO_RELAXATION = 1e12
# What they are interpolated in.
_SCALES: tuple[Callable[[FloatArray], FloatArray], ...] = (np.log, np.log, np.asarray)
# What leaving out every other point may cost.
_THINNED = 2e-5
# Decimals that a response is kept with.
_DECIMALS = 8


@dataclass(frozen=True, eq=False)
class PlayedPreparation:
    """Pulses between two spoilers, which act together.

    Parameters
    ----------
    pulses : tuple of Pulse
    moments : tuple of float
        Cycles of dephasing between one and the next, as multiples of one crusher.
    sort : str
    name : str
        What it is, more closely: "adiabatic T2 preparation".
    kept : float
        What it leaves of longitudinal magnetisation without relaxation, at the nominal B1.
    transverse : float
        What is transverse after it, of the same.
    echo_time : float
        For how long it is transverse, ms.
    """

    pulses: tuple[Pulse, ...] = field(repr=False)
    moments: tuple[float, ...] = field(repr=False)
    sort: Sort = "preparation"
    name: str = ""
    kept: float = 1.0
    transverse: float = 0.0
    echo_time: float = 0.0

    @property
    def start(self) -> float:
        """Of its first waveform, s."""
        return self.pulses[0].start

    @property
    def end(self) -> float:
        """Of its last waveform, s."""
        return self.pulses[-1].end

    @property
    def center(self) -> float:
        """When a lone pulse is taken to act, s; of several the middle."""
        return self.pulses[0].center if len(self.pulses) == 1 else 0.5 * (self.start + self.end)

    @property
    def key(self) -> tuple[object, ...]:
        """What its response depends on."""
        first = self.pulses[0]
        pulses = tuple(
            (p.shape, p.amplitude, p.frequency, p.is_selective, round(p.phase - first.phase, 9), round(since, 9))
            for p, since in ((p, p.start - first.start) for p in self.pulses)
        )
        return pulses, self.moments

    def maps(self, t1: FloatArray, t2: FloatArray, b1: FloatArray) -> list[AffineMap]:
        """Return what it does, first waveform's start to last one's end, at each place in a cycle of its crushers."""
        places = _POSITIONS if any(self.moments) else 1
        known: dict[tuple[object, ...], AffineMap] = {}
        steps: list[AffineMap] = []
        for n, pulse in enumerate(self.pulses):
            if n:
                steps.append(free_map(1e3 * (pulse.start - self.pulses[n - 1].end), t1, t2))
            own = (pulse.shape, pulse.amplitude, pulse.frequency, pulse.is_selective)
            if own not in known:
                signal, step = coarsened(pulse.signal, pulse.step)
                known[own] = pulse_map(signal, step, t1, t2, b1, 0.0 if pulse.is_selective else -pulse.frequency)
            turned = 0.0 if pulse.is_selective else 2.0 * math.pi * pulse.frequency * (pulse.end - pulse.start)
            steps.append(
                phase_map(-pulse.phase, len(t1)).then(known[own]).then(phase_map(pulse.phase + turned, len(t1)))
            )
        whole = []
        for place in range(places):
            result = steps[0]
            for n, moment in enumerate(self.moments):
                if moment:
                    result = result.then(phase_map(2.0 * math.pi * moment * place / places, len(t1)))
                result = result.then(steps[2 * n + 1]).then(steps[2 * n + 2])
            whole.append(result)
        return whole

    def response(self, t1: FloatArray, t2: FloatArray, b1: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return a and b of Z ↦ a·Z + b for V voxels; T1 and T2 in ms."""
        maps = self.maps(t1, t2, b1)
        a = np.mean([each.matrix[:, 2, 2] for each in maps], axis=0)
        return np.asarray(a), np.asarray(np.mean([each.offset[:, 2] for each in maps], axis=0))


def groups_of(
    pulses: list[Pulse], timeline: Timeline, cycles: Callable[[FloatArray], float]
) -> tuple[list[PlayedPreparation], float | None]:
    """Part the pulses between two readouts where a spoiler lies between them.

    Parameters
    ----------
    pulses : list of Pulse
    timeline : Timeline
    cycles : callable
        How many a gradient moment, cycles/m, dephases across the voxel.

    Returns
    -------
    groups : list of PlayedPreparation
    doubtful : float or None
        Cycles between two pulses that are neither none nor a spoiler, where there are such.
    """
    at = [timeline.moment(pulse.center) for pulse in pulses]
    between = [after - before for before, after in pairwise(at)]
    groups: list[PlayedPreparation] = []
    members: list[Pulse] = [pulses[0]]
    moments: list[float] = []
    doubtful: float | None = None
    crusher: FloatArray | None = None
    for n, moment in enumerate(between):
        strength = cycles(moment)
        if crusher is not None and cycles(moment - crusher) < _NO_GRADIENT:
            share, crusher = 1.0, None
        elif strength < _NO_GRADIENT:
            share = 0.0
        elif n + 1 < len(between) and cycles(between[n + 1] - moment) < _NO_GRADIENT:
            share, crusher = 1.0, moment
        else:
            if strength < _SPOILER:
                doubtful = strength
            groups.append(PlayedPreparation(tuple(members), tuple(moments)))
            members, moments = [pulses[n + 1]], []
            continue
        members.append(pulses[n + 1])
        moments.append(share)
    groups.append(PlayedPreparation(tuple(members), tuple(moments)))
    return groups, doubtful


def recognised(group: PlayedPreparation) -> PlayedPreparation:
    """Return a preparation with what it is, told by what it does rather than by what its pulses are declared to be."""
    none = np.full(4, _NO_RELAXATION)
    b1 = np.array([1.0, 0.8, 1.2, 1.0])
    t2 = np.array([_NO_RELAXATION] * 3 + [1000.0])
    maps = group.maps(none, t2, b1)
    kept = np.mean([each.matrix[:, 2, 2] for each in maps], axis=0)
    transverse = float(np.abs(np.mean([each.matrix[0, :2, 2] for each in maps], axis=0)).max())
    is_adiabatic = bool(np.abs(kept[1:3] - kept[0]).max() < 0.1)
    ratio = kept[3] / kept[0] if abs(kept[0]) > 0.5 else 1.0
    echo_time = -1000.0 * math.log(ratio) if 0.0 < ratio < 1.0 else 0.0
    sort, name = _name(group, float(kept[0]), is_adiabatic)
    return replace(group, sort=sort, name=name, kept=float(kept[0]), transverse=transverse, echo_time=float(echo_time))


def _name(group: PlayedPreparation, kept: float, is_adiabatic: bool) -> tuple[Sort, str]:
    adiabatic = "adiabatic " if is_adiabatic else ""
    pulses = group.pulses
    if len(pulses) == 1:
        if kept > 0.9 and pulses[0].frequency and not pulses[0].is_selective:
            return "fat saturation", "fat saturation"
        if kept < -0.5:
            return "inversion", f"{adiabatic}inversion"
        if abs(kept) < 0.35:
            return "saturation", "adiabatic half passage (saturation)" if is_adiabatic else "saturation"
        return "preparation", f"pulse of {math.degrees(math.acos(max(-1.0, min(1.0, kept)))):.0f}°"
    if kept < 0.5:
        return "preparation", f"preparation of {len(pulses)} pulses"
    if any(map(_is_lock, pulses[1:-1])):
        return "spin lock", "spin lock"
    if all(_leaves(pulse) < -0.7 for pulse in pulses):
        return "spin lock", f"adiabatic spin lock, a train of {len(pulses)} full passages"
    inner = len(pulses) - 2
    if inner >= 4:
        return "T2 preparation", f"T2 preparation of {inner} refocusing pulses (MLEV)"
    return "T2 preparation", f"{'adiabatic ' if abs(_leaves(pulses[0], 0.8)) < 0.1 else ''}T2 preparation"


def _is_lock(pulse: Pulse) -> bool:
    """Whether a pulse holds magnetisation that lies along it: the same field for more than a turn and a half."""
    strength = np.abs(pulse.signal)
    return bool(
        np.ptp(strength) < 0.01 * strength.max()
        and np.abs(pulse.signal - pulse.signal[0]).max() < 0.01 * strength.max()
        and strength.max() * (pulse.end - pulse.start) > 1.5
    )


def _leaves(pulse: Pulse, b1: float = 1.0) -> float:
    none = np.full(1, _NO_RELAXATION)
    return float(PlayedPreparation((pulse,), ()).response(none, none, np.full(1, b1))[0][0])


def as_preparation(
    group: PlayedPreparation,
    before: int,
    following: float,
    is_ideal: bool,
    known: dict[tuple[object, ...], PreparationResponse],
    watch: Watch = UNWATCHED,
) -> Preparation:
    """Return a recognised preparation as a schedule holds it.

    Parameters
    ----------
    group : PlayedPreparation
    before : int
        The pulse before which it is played, from 0.
    following : float
        When the next preparation starts, or the pulse acts, s.
    is_ideal : bool
        As the textbook's, instead of simulated: an instant at the middle of a lone pulse, or an echo time, with what it
        leaves of magnetisation; of a fat saturation nothing but its time.
    known : dict
        Responses that were simulated already, by `PlayedPreparation.key`.
    watch : Watch

    Returns
    -------
    Preparation
    """
    if is_ideal and group.sort == "fat saturation":
        return Preparation(before, "delay", delay=1e3 * (following - group.start), name=group.name)
    if is_ideal and group.sort == "inversion":
        delay = 1e3 * (following - group.center)
        return Preparation(before, "inversion", delay=delay, efficiency=min(-group.kept, 1.0), name=group.name)
    if is_ideal and group.sort == "saturation":
        delay, left = 1e3 * (following - group.center), min(1.0 - group.kept, 1.0)
        return Preparation(before, "saturation", delay=delay, efficiency=left, adiabatic=True, name=group.name)
    if is_ideal and group.sort in ("T2 preparation", "spin lock"):
        # without its pulses' own time, its middle stays where it is
        rest = 0.5 * (1e3 * (group.end - group.start) - group.echo_time)
        delay = 1e3 * (following - group.end) + max(rest, 0.0)
        efficiency = min(max(group.kept, 0.0), 1.0)
        return Preparation(before, "t2", duration=group.echo_time, delay=delay, efficiency=efficiency, name=group.name)
    if group.key not in known:
        watch.check("reading a Pulseq file")
        known[group.key] = _simulated(group)
    return Preparation(
        before,
        "simulated",
        duration=1e3 * (group.end - group.start),
        delay=1e3 * (following - group.end),
        response=known[group.key],
        name=group.name,
    )


def _simulated(group: PlayedPreparation) -> PreparationResponse:
    axes = [_T1, _T2, _B1]
    grid = np.meshgrid(*axes, indexing="ij")
    a, b = group.response(*(axis.ravel() for axis in grid))
    values = np.stack([a, b]).reshape(2, *grid[0].shape)
    for axis, scale in enumerate(_SCALES):
        # records and files hold these numbers: as few as say it
        while len(axes[axis]) % 4 == 1:
            kept = np.arange(0, len(axes[axis]), 2)
            fewer = np.take(values, kept, axis + 1)
            between = CubicSpline(scale(axes[axis][kept]), fewer, axis + 1)(scale(axes[axis]))
            if np.abs(between - values).max() > _THINNED:
                break
            axes[axis], values = axes[axis][kept], fewer
    return PreparationResponse(*axes, *values.round(_DECIMALS))
