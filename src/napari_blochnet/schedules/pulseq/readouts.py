"""The train of a Pulseq sequence: its excitations, their echo times, and whether its gradients are those of a FISP."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.physics.pulse_simulation import pulse_angles
from napari_blochnet.schedules.pulseq.timeline import Acquisition, Pulse, Timeline

__all__ = ["Dephasing", "Train", "dephasing_of", "find_train", "slice_profile_of", "slice_width"]

# Cycles across a voxel that two TRs may differ by and count as one, and what a spoiler has at least.
_SAME, _SPOILED = 0.05, 0.95
# Below it, a TR counts as balanced.
_BALANCED = 0.05
# Of the way to the edge of k-space: as near counts as its centre.
_CENTER = 1e-3
# The profile is kept where the flip angle is more than this of the nominal one.
_PROFILE_EDGE = 0.01


@dataclass(frozen=True, eq=False)
class Train:
    """Excitations with what is played between them.

    Parameters
    ----------
    excitations : list of Pulse
    echoes : list of float or None
        When the centre of k-space is sampled after each, s; None after a dummy.
    receivers : list of float or None
        Phase of the receiver, radians.
    between : list of list of Pulse
        Other pulses before each excitation.
    noise : int
        Acquisitions before the first pulse, or labelled as noise.
    more : int
        Further echoes after an excitation, which are left out.
    samples : list of Acquisition
        Those that the echoes lie in.
    """

    excitations: list[Pulse]
    echoes: list[float | None]
    receivers: list[float | None]
    between: list[list[Pulse]] = field(repr=False)
    noise: int
    more: int
    samples: list[Acquisition] = field(repr=False)


def find_train(path: Path, timeline: Timeline) -> Train:
    """Tell excitations from preparations: a readout is an excitation followed by samples, whatever its declared use.

    A pulse without samples whose waveform and gradient are those of a readout's is a dummy.

    Raises
    ------
    InputError
        No pulses, no samples, samples before all pulses only; slices at several places.
    """
    if not timeline.pulses:
        raise FileError(path, "has no RF pulses", "pulses followed by samples")
    if not timeline.acquisitions:
        raise FileError(path, "has no samples", "pulses followed by samples")
    starts = np.array([pulse.start for pulse in timeline.pulses])
    by_pulse: dict[int, list[Acquisition]] = {}
    noise = 0
    for acquisition in timeline.acquisitions:
        last = int(np.searchsorted(starts, acquisition.times[0], "right")) - 1 if len(acquisition.times) else -1
        if last < 0 or acquisition.is_noise:
            noise += 1
        else:
            by_pulse.setdefault(last, []).append(acquisition)
    if not by_pulse:
        raise FileError(path, "has no samples after a pulse", "pulses followed by samples")
    alike = {_likeness(timeline.pulses[n]) for n in by_pulse}
    train = Train([], [], [], [[]], noise, 0, [])
    more = 0
    for n, pulse in enumerate(timeline.pulses):
        if n not in by_pulse and _likeness(pulse) not in alike:
            train.between[-1].append(pulse)
            continue
        train.excitations.append(pulse)
        train.between.append([])
        taken = by_pulse.get(n, [])
        train.echoes.append(_echo(taken[0], timeline.moment(pulse.center)) if taken else None)
        train.receivers.append(taken[0].phase if taken else None)
        train.samples.extend(taken[:1])
        more += max(len(taken) - 1, 0)
    train.between.pop()
    _check_slices(path, train.excitations)
    return Train(train.excitations, train.echoes, train.receivers, train.between, noise, more, train.samples)


def _likeness(pulse: Pulse) -> tuple[object, ...]:
    return pulse.shape, *(round(float(g), 3) for g in pulse.gradient)


def _echo(acquisition: Acquisition, origin: FloatArray) -> float:
    """Return when the centre of k-space is passed, s: the sample nearest to it, or the place between two of them.

    Phase encoding moves all samples of a readout alike, and the nearest one stays the nearest along it.
    """
    k, times = acquisition.moments - origin, acquisition.times
    distance = np.einsum("ij,ij->i", k, k)
    reach = float(np.linalg.norm(np.ptp(k, axis=0)))
    # a spiral that returns passes the centre twice: the first counts
    nearest = int(np.argmax(distance <= distance.min() + (_CENTER * reach) ** 2))
    best = (float(distance[nearest]), float(times[nearest]))
    for n in (nearest - 1, nearest):
        if 0 <= n < len(times) - 1:
            step = k[n + 1] - k[n]
            length = float(step @ step)
            if length > 0.0:
                share = min(max(-float(k[n] @ step) / length, 0.0), 1.0)
                passed = k[n] + share * step
                best = min(best, (float(passed @ passed), float(times[n] + share * (times[n + 1] - times[n]))))
    return best[1]


def _check_slices(path: Path, excitations: list[Pulse]) -> None:
    selective = [pulse for pulse in excitations if pulse.is_selective]
    places = {round(1e6 * pulse.frequency / float(np.linalg.norm(pulse.gradient))) for pulse in selective}
    if len(places) > 1 and max(places) - min(places) > 10:
        raise FileError(path, f"excites slices at {len(places)} places", "one slice or slab, whose train is a schedule")


@dataclass(frozen=True, eq=False)
class Dephasing:
    """What gradients do from pulse to pulse.

    Parameters
    ----------
    extent : ndarray of shape (3,)
        Of a voxel, m; 0 where the file does not show it.
    usual : float
        Cycles across a voxel in a TR.
    is_spoiled : list of bool
        Whether more than the usual ends all transverse states before each excitation.
    """

    extent: FloatArray
    usual: float
    is_spoiled: list[bool]

    def cycles(self, moment: FloatArray) -> float:
        """Return the cycles across a voxel of a gradient moment, cycles/m."""
        return float(np.linalg.norm(moment * self.extent))


def dephasing_of(path: Path, timeline: Timeline, train: Train, width: float | None) -> Dephasing:
    """Measure the dephasing of each TR.

    Parameters
    ----------
    path : Path
    timeline : Timeline
    train : Train
    width : float or None
        Of the slice, m.

    Raises
    ------
    InputError
        A balanced train; less than a cycle; TRs that differ by a part of one: EPG's shift by one order does not hold.
    """
    extent = _voxel(timeline, train, width)
    at = np.array([timeline.moment(pulse.center) for pulse in train.excitations])
    moments = np.diff(at, axis=0) * extent
    plain = [n for n, pulses in enumerate(train.between[1:]) if not pulses]
    if not plain:
        return Dephasing(extent, 1.0, [False] * len(train.excitations))
    middle = np.median(moments[plain], axis=0)
    usual = float(np.linalg.norm(middle))
    advice = "a gradient-spoiled train whose TRs all dephase alike, by at least one cycle"
    if usual < _BALANCED:
        found = f"is a balanced train (bSSFP): its TRs dephase by {usual:.2g} cycles across a voxel"
        raise FileError(path, found, advice)
    if usual < _SPOILED:
        found = f"leaves states half refocused: its TRs dephase by {usual:.2g} cycles across a voxel"
        raise FileError(path, found, advice)
    is_spoiled = [False] * len(train.excitations)
    for n in plain:
        differs = float(np.linalg.norm(moments[n] - middle))
        if differs >= _SPOILED:
            is_spoiled[n + 1] = True
        elif differs > _SAME:
            found = (
                f"leaves states half refocused: between excitations {n + 1} and {n + 2} gradients dephase by "
                f"{differs:.2g} cycles across a voxel more or less than in the other TRs"
            )
            raise FileError(path, found, advice)
    return Dephasing(extent, usual, is_spoiled)


def _voxel(timeline: Timeline, train: Train, width: float | None) -> FloatArray:
    """Return a voxel's size along x, y and z from the k-space that samples reach, and the slice's width."""
    reach = np.zeros(3)
    by_start = np.array([pulse.center for pulse in train.excitations])
    for acquisition in train.samples:
        n = max(int(np.searchsorted(by_start, acquisition.times[0], "right")) - 1, 0)
        k = acquisition.moments - timeline.moment(train.excitations[n].center)
        reach = np.maximum(reach, 0.5 * np.ptp(k, axis=0))
    extent = np.divide(0.5, reach, out=np.zeros(3), where=reach > 1.0)
    if width is not None:
        slope = np.abs(next(pulse.gradient for pulse in train.excitations if pulse.is_selective))
        extent[int(np.argmax(slope))] = width
    elif not extent[2] and len(timeline.field_of_view) == 3:
        extent[2] = timeline.field_of_view[2]
    return extent


def slice_width(pulse: Pulse) -> float | None:
    """Return the full width at half maximum of what a pulse selects, m; None where nothing does."""
    gradient = float(np.linalg.norm(pulse.gradient))
    if not gradient:
        return None
    place, angles = _across(pulse, 1.0, 4001)
    inside = np.abs(angles) >= 0.5 * np.abs(angles).max()
    return float(np.ptp(place[inside]))


def slice_profile_of(pulses: list[Pulse], flips: FloatArray, count: int) -> tuple[FloatArray, float, float]:
    """Return relative flip angles across the slice, and by how much those of other flip angles differ.

    Parameters
    ----------
    pulses : list of Pulse
        All excitations; of the train's waveform.
    flips : ndarray of shape (N,)
        Their nominal flip angles, degrees.
    count : int
        P, the number of positions.

    Returns
    -------
    profile : ndarray of shape (P,)
        Of the flip angle whose square is the train's mean square.
    error : float
        Largest difference from that of another of its flip angles, of the nominal one.
    extent : float
        What the positions cover, m.
    """
    typical = float(np.sqrt(np.mean(flips**2)))
    pulse = pulses[int(np.argmax(flips))]
    largest = float(flips.max())
    place, angles = _across(pulse, typical / largest, 4001)
    relative = np.degrees(angles) / typical
    far = float(np.abs(place[np.abs(relative) > _PROFILE_EDGE]).max())
    is_even = bool(np.abs(relative - relative[::-1]).max() < 1e-3)
    parts = (np.arange(count) + 0.5) / count
    chosen = far * parts if is_even else far * (2.0 * parts - 1.0)
    profile = np.interp(chosen, place, relative)
    error = 0.0
    for flip in (max(float(flips.min()), 1.0), largest):
        other = np.degrees(_across(pulse, flip / largest, 4001)[1]) / flip
        error = max(error, float(np.abs(np.interp(chosen, place, other) - profile).max()))
    return profile, error, 2.0 * far


def _across(pulse: Pulse, scale: float, count: int) -> tuple[FloatArray, FloatArray]:
    """Return places around the slice's centre, m, and the angles turned there, radians."""
    gradient = float(np.linalg.norm(pulse.gradient))
    spectrum = np.abs(np.fft.fft(pulse.signal, 16 * len(pulse.signal)))
    bandwidth = (spectrum >= 0.5 * spectrum.max()).sum() / (16 * len(pulse.signal) * pulse.step)
    place = np.linspace(-2.5, 2.5, count) * bandwidth / gradient
    together = max(1, len(pulse.signal) // 400)
    padded = np.pad(pulse.signal, (0, -len(pulse.signal) % together))
    signal = padded.reshape(-1, together).mean(axis=1)
    return place, pulse_angles(signal, pulse.step * together, gradient * place, scale)
