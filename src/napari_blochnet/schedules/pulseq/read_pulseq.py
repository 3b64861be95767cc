"""A Pulseq sequence as a schedule, and what was understood of it, in words."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import ComplexArray, FloatArray
from napari_blochnet.common.errors import FileError, in_file
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.pulseq.played_preparations import (
    PlayedPreparation,
    as_preparation,
    groups_of,
    recognised,
)
from napari_blochnet.schedules.pulseq.pulseq_hints import PreparationModel, SpinLock
from napari_blochnet.schedules.pulseq.readouts import (
    Dephasing,
    Train,
    dephasing_of,
    find_train,
    slice_profile_of,
    slice_width,
)
from napari_blochnet.schedules.pulseq.timeline import Timeline, read_timeline
from napari_blochnet.schedules.schedule import ReceiverPhase, Schedule

__all__ = ["PlayedSequence", "pulseq_schedule", "read_pulseq"]

# Positions across the slice, or across one half of it where both are alike: with 10, a stack of FISP fingerprints is
# within 0.4 % of one of 100.
_POSITIONS = 10
# Degrees: of a phase of some hundred radians in six digits.
_PHASE_ROUNDING = 0.005
# What may be transverse after a preparation without a spoiler.
_TRANSVERSE = 0.02
_NOT_MODELLED = "Not modelled: diffusion, chemical shift and off-resonance, magnetisation transfer, flow."


@dataclass(frozen=True, eq=False)
class PlayedSequence:
    """What a Pulseq file plays, as a schedule.

    Parameters
    ----------
    schedule : Schedule
        Its record holds ``sentences`` as ``understood``.
    sentences : tuple of str
        What was understood, and what is not modelled, for people.
    preparations : tuple of (float, str, int)
        When each preparation starts, ms from the file's beginning; what it is; before which excitation, from 0.
    noise : int
        Acquisitions passed over: before the first pulse, or labelled as noise.
    """

    schedule: Schedule
    sentences: tuple[str, ...]
    preparations: tuple[tuple[float, str, int], ...]
    noise: int


def read_pulseq(
    path: Path | str,
    *,
    preparation_model: PreparationModel | None = None,
    spin_lock: SpinLock | None = None,
    slice_positions: int | None = None,
    watch: Watch = UNWATCHED,
) -> PlayedSequence:
    """Read a Pulseq file, version 1.2 to 1.5, as the schedule that it plays.

    Parameters
    ----------
    path : path
        Ending in ``.seq``.
    preparation_model : {"simulated", "ideal"}, optional
        Simulated, the default: what preparations do comes from the Bloch equations for their waveforms, for each T1, T2
        and B1. Ideal: inversions and saturations at an instant, T2 preparations by their echo time.
    spin_lock : {"t2"}, optional
        Takes relaxation during spin locks, T1ρ, as T2; without it, a file with spin locks is refused.
    slice_positions : int, optional
        Positions across the slice, or across one half of it where both are alike, at which the flip angle is simulated;
        10 by default. 0: no slice profile.
    watch : Watch

    Returns
    -------
    PlayedSequence

    Raises
    ------
    InputError
        Damage, other versions, no pulses or samples, gradients that leave states half refocused, balanced trains,
        several slices, a preparation without a spoiler.

    Notes
    -----
    TR is from the centre of one excitation to that of the next; the last one until the file's end, with the lead of the
    first excitation's block, as if the train went on. TE is from the centre to the sample at the centre of k-space.
    """
    file = existing_file(Path(path))
    model = "simulated" if preparation_model is None else preparation_model
    timeline = read_timeline(file)
    train = find_train(file, timeline)
    first = next((pulse for pulse in train.excitations if pulse.is_selective), None)
    width = None if first is None else slice_width(first)
    dephasing = dephasing_of(file, timeline, train, width)
    groups = _groups(file, timeline, train, dephasing)
    locks = sum(group.sort == "spin lock" for of_gap in groups for group in of_gap)
    if locks and spin_lock is None:
        found = f"has {_count(locks, 'spin lock')}, whose relaxation T1ρ is not modelled"
        raise MissingHintError(file, found, "spin_lock", " as 't2' to take it as T2", "t2")
    known: dict[tuple[object, ...], PreparationResponse] = {}
    preparations: list[Preparation] = []
    centers = [pulse.center for pulse in train.excitations]
    for n, of_gap in enumerate(groups):
        if not of_gap and dephasing.is_spoiled[n]:
            preparations.append(Preparation(n, "delay", name="spoiler"))
        for group, after in zip_longest(of_gap, of_gap[1:]):
            following = centers[n] if after is None else after.start
            if model == "ideal" and after is not None and after.sort in ("inversion", "saturation"):
                following = after.center
            preparations.append(as_preparation(group, n, following, model == "ideal", known, watch))
    rotations = np.array([pulse.rotation for pulse in train.excitations])
    flips = np.abs(rotations)
    phases = _phases(rotations)
    profile, profile_words = _profile(train, flips, _POSITIONS if slice_positions is None else slice_positions, width)
    receiver, receiver_words = _receiver(train, phases)
    lead = centers[0] - timeline.block_start(train.excitations[0].start)
    repetition = 1e3 * np.diff([*centers, timeline.end + lead])
    echo = _echo_times(train)
    own, inversion = _first_inversion(preparations)
    with in_file(file):
        schedule = Schedule(
            flips,
            repetition.round(9),
            echo.round(9),
            phases,
            inversion_time=inversion.delay if inversion else None,
            inversion_efficiency=inversion.efficiency if inversion else 1.0,
            slice_profile=profile,
            receiver_phase=receiver,
            name=timeline.name,
            preparations=own,
        )
    sentences = _sentences(schedule, timeline, train, dephasing, groups, model, [profile_words, receiver_words])
    table = tuple((1e3 * group.start, group.name, n) for n, of_gap in enumerate(groups) for group in of_gap)
    record: dict[str, Any] = {"understood": list(sentences)}
    return PlayedSequence(schedule.replace(record=record), sentences, table, train.noise)


def pulseq_schedule(file: Path, others: dict[str, Any], hints: dict[str, Any], watch: Watch = UNWATCHED) -> Schedule:
    """Return the schedule of a Pulseq file, which takes no hints of `read_schedule` but its own."""
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise FileError(file, f"states the whole schedule itself; leave {' and '.join(given)} out.", field=given[0])
    return read_pulseq(file, **hints, watch=watch).schedule


def _groups(file: Path, timeline: Timeline, train: Train, dephasing: Dephasing) -> list[list[PlayedPreparation]]:
    """Return the recognised preparations before each excitation; refuse what leaves transverse states."""
    result: list[list[PlayedPreparation]] = []
    known: dict[tuple[object, ...], PlayedPreparation] = {}
    for n, pulses in enumerate(train.between):
        if not pulses:
            result.append([])
            continue
        found, doubtful = groups_of(pulses, timeline, dephasing.cycles)
        named = []
        for group in found:
            if group.key not in known:
                known[group.key] = recognised(group)
            # the same, at another time
            named.append(replace(known[group.key], pulses=group.pulses, moments=group.moments))
        last = named[-1]
        spoiler = timeline.moment(train.excitations[n].center) - timeline.moment(last.pulses[-1].center)
        strength = dephasing.cycles(spoiler)
        if doubtful is not None or (last.transverse > _TRANSVERSE and strength < 0.9):
            cycles = strength if doubtful is None else doubtful
            found_words = (
                f"leaves states half refocused: what is played before excitation {n + 1}, the {last.name}, is followed "
                f"by gradients of {cycles:.2g} cycles across a voxel"
            )
            raise FileError(file, found_words, "a spoiler of at least one cycle, or refocused gradients")
        result.append(named)
    return result


def _first_inversion(preparations: list[Preparation]) -> tuple[tuple[Preparation, ...], Preparation | None]:
    """Take an ideal inversion right before the first pulse for that of `Schedule.inversion_time`."""
    ahead = [item for item in preparations if item.before == 0]
    if ahead and ahead[-1].kind == "inversion":
        return tuple(item for item in preparations if item is not ahead[-1]), ahead[-1]
    return tuple(preparations), None


def _echo_times(train: Train) -> FloatArray:
    """Return TE of each excitation, ms; a dummy's is that of the readout after it, where it is within its TR."""
    times = [
        None if echo is None else 1e3 * (echo - pulse.center)
        for echo, pulse in zip(train.echoes, train.excitations, strict=True)
    ]
    usual = float(np.median([time for time in times if time is not None]))
    return np.array([usual if time is None else time for time in times])


def _phases(rotations: ComplexArray) -> FloatArray:
    """Return RF phases, degrees from 0 to 360; whole halves of a degree where the file's six digits round them."""
    phases = np.where(np.abs(rotations) > 0.0, np.degrees(np.angle(rotations)), 0.0)
    whole = np.round(2.0 * phases) / 2.0
    return np.where(np.abs(phases - whole) < _PHASE_ROUNDING, whole, phases) % 360.0


def _profile(train: Train, flips: FloatArray, count: int, width: float | None) -> tuple[FloatArray | None, str]:
    if width is None:
        return None, "Its excitations are not selective: no slice profile."
    if count < 1:
        return None, f"The slice of {1e3 * width:.3g} mm is taken without its profile."
    profile, error, extent = slice_profile_of(train.excitations, flips, count)
    words = (
        f"Slice profile by Bloch simulation of the waveform at {len(profile)} positions: {1e3 * width:.3g} mm wide at "
        f"half the flip angle, {1e3 * extent:.3g} mm in all; that of a root-mean-square flip angle serves all pulses, "
        f"whose own differ from it by at most {100 * error:.1f} % of the nominal angle."
    )
    return profile, words


def _receiver(train: Train, phases: FloatArray) -> tuple[ReceiverPhase, str]:
    """Return whether the receiver's phase follows the pulses'."""
    taken = [n for n, phase in enumerate(train.receivers) if phase is not None]
    receiver = np.array([train.receivers[n] for n in taken], dtype=np.float64)
    follows = np.exp(1j * (receiver - np.radians(phases[taken])))
    if np.abs(follows - follows[0]).max() < 1e-3:
        return "follows", ""
    if np.abs(np.exp(1j * receiver) - np.exp(1j * receiver[0])).max() < 1e-3:
        return "fixed", "The receiver's phase stays where the pulses' varies: data holds the RF phase."
    return "follows", "The receiver's phase neither follows the pulses' nor stays: complex data needs a look."


def _sentences(
    schedule: Schedule,
    timeline: Timeline,
    train: Train,
    dephasing: Dephasing,
    groups: list[list[PlayedPreparation]],
    model: str,
    more: list[str],
) -> tuple[str, ...]:
    """Say what was understood."""
    counts = Counter(group.name for of_gap in groups for group in of_gap)
    dummies = sum(echo is None for echo in train.echoes)
    listed = ", ".join(_count(number, name) for name, number in counts.items()) or "no preparations"
    noise = f"; {_count(train.noise, 'noise acquisition')} passed over" if train.noise else ""
    sentences = [
        f"Plays {_count(len(schedule), 'excitation')} in {timeline.end:.4g} s, flip angle "
        f"{schedule.flip_angle.min():.4g}° to {schedule.flip_angle.max():.4g}°; {listed}{noise}.",
        f"TR from centre to centre of the excitations, {schedule.repetition_time.min():.5g} to "
        f"{schedule.repetition_time.max():.5g} ms; TE {_span(schedule.echo_time)} ms, from there to the sample at the "
        f"centre of k-space; each TR dephases by {dephasing.usual:.3g} cycles across a voxel.",
    ]
    if model == "ideal" and schedule.inversion_time is not None:
        sentences.append(
            f"TI {schedule.inversion_time:.5g} ms, from the middle of the inversion pulse to that of the first "
            f"excitation; efficiency {schedule.inversion_efficiency:.4f}, without relaxation during the pulse."
        )
    elif groups[0]:
        last = groups[0][-1]
        since = 1e3 * (train.excitations[0].center - last.center)
        sentences.append(
            f"The first excitation follows {since:.5g} ms after the middle of the {last.name}, "
            f"{1e3 * (train.excitations[0].center - last.end):.5g} ms after its end; it leaves {last.kept:.4f} of "
            "longitudinal magnetisation, without relaxation."
        )
    if model == "simulated" and any(item.kind == "simulated" for item in schedule.preparations):
        sentences.append("What preparations do is simulated from their waveforms, for each T1, T2 and B1.")
    fat = next((group for of_gap in groups for group in of_gap if group.sort == "fat saturation"), None)
    if fat is not None:
        water = fat.response(np.array([np.inf]), np.array([50.0]), np.ones(1))[0][0]
        left = (
            "leaves water as it is: its time and its spoiler count"
            if model == "ideal"
            else f"is simulated for water, of which it leaves {100.0 * water:.1f} % at T2 = 50 ms"
        )
        sentences.append(f"Fat saturation is off resonance and {left}; fat is not modelled.")
    if any(group.sort == "spin lock" for of_gap in groups for group in of_gap):
        sentences.append("T1ρ is not modelled: relaxation during spin locks is taken as T2.")
    if dummies:
        sentences.append(f"{_count(dummies, 'excitation')} without samples (dummies) are pulses of the schedule, too.")
    if train.more:
        sentences.append(f"{_count(train.more, 'further echo')} after an excitation are left out: one is modelled.")
    if timeline.waits:
        sentences.append("The sequence waits for triggers or has delays to set: its times are those of the file.")
    since = 1e3 * _shortest_time_to_preparation(groups, train)
    if since:
        share = 100.0 * math.exp(-since / 100.0)
        sentences.append(
            "Transverse magnetisation is taken as spoiled when a preparation begins; the shortest time to one from the "
            f"excitation before it is {since:.4g} ms, which leaves {share:.2g} % of it at T2 = 100 ms."
        )
    return (*sentences, *filter(None, more), _NOT_MODELLED)


def _shortest_time_to_preparation(groups: list[list[PlayedPreparation]], train: Train) -> float:
    """Return the shortest time from an excitation to a preparation after it, s; 0 where there is none."""
    times = [of_gap[0].start - train.excitations[n - 1].center for n, of_gap in enumerate(groups) if n and of_gap]
    return min(times, default=0.0)


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    end = "es" if what.endswith(("echo", "s")) and not what.endswith("ss") else "s"
    first, comma, rest = what.partition(",")
    for mark in (" of ", " ("):
        if mark in first:
            head, _, tail = first.partition(mark)
            return f"{number} {head}s{mark}{tail}{comma}{rest}"
    return f"{number} {first}{end}{comma}{rest}"


def _span(values: FloatArray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.5g}" if high - low < 1e-6 else f"{low:.5g} to {high:.5g}"
