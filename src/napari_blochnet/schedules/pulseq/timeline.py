"""What a Pulseq sequence plays, in time: pulses with their waveforms, samples, and gradient moments."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import ComplexArray, FloatArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.schedules.pulseq.seq_file import read_sequence

__all__ = ["Acquisition", "Pulse", "Timeline", "read_timeline"]

_AXES = ("gx", "gy", "gz")
# No scanner has a larger field of view, m.
_LARGEST_FIELD = 2.0


@dataclass(frozen=True, eq=False)
class Pulse:
    """One RF pulse.

    Parameters
    ----------
    start, center : float
        Of its waveform, and the instant at which it is taken to act, s.
    signal : ndarray of shape (S,)
        Hz, complex, constant over each of S steps, without the offsets of frequency and phase.
    step : float
        s.
    frequency : float
        Offset, Hz.
    phase : float
        Offset at the start of the waveform, radians.
    shape : tuple of int
        Which waveform it is in the file: of magnitude, phase and time.
    amplitude : float
        Hz.
    gradient : ndarray of shape (3,)
        Mean gradient while it is played, Hz/m.
    """

    start: float
    center: float
    signal: ComplexArray = field(repr=False)
    step: float
    frequency: float
    phase: float
    shape: tuple[int, int, int]
    amplitude: float
    gradient: FloatArray

    @property
    def end(self) -> float:
        """Of its waveform, s."""
        return self.start + self.step * len(self.signal)

    @property
    def is_selective(self) -> bool:
        """Whether a gradient selects a slice, or a slab."""
        return bool(np.abs(self.gradient).max() > 0.0)

    @property
    def rotation(self) -> complex:
        """Flip angle and phase where it is on resonance, degrees: the waveform's integral.

        Without a gradient there is one resonance, and an offset of frequency is off it.
        """
        signal = self.signal
        times = self.step * (np.arange(len(signal)) + 0.5)
        turned = self.frequency * (self.center - self.start)
        if not self.is_selective:
            signal, turned = signal * np.exp(2j * math.pi * self.frequency * times), 0.0
        return complex(360.0 * self.step * signal.sum() * np.exp(1j * (self.phase + 2.0 * math.pi * turned)))


@dataclass(frozen=True, eq=False)
class Acquisition:
    """Samples, as one ADC event takes them.

    Parameters
    ----------
    times : ndarray of shape (S,)
        s.
    moments : ndarray of shape (S, 3)
        Gradient moment at them since the sequence's start, cycles/m.
    phase : float
        Offset of the receiver, radians.
    is_noise : bool
        Whether its label says so.
    """

    times: FloatArray = field(repr=False)
    moments: FloatArray = field(repr=False)
    phase: float
    is_noise: bool


@dataclass(frozen=True, eq=False)
class Timeline:
    """A sequence in time.

    Parameters
    ----------
    pulses, acquisitions : list
        In order.
    starts : ndarray of shape (B + 1,)
        Of each block, and the end of the last, s.
    moments : ndarray of shape (B + 1, 3)
        Gradient moment there, cycles/m.
    lines : list of tuple
        Each block's gradients.
    name : str
    field_of_view : tuple of float
        m; empty where the file does not say.
    waits : bool
        Whether it waits for a trigger, or has delays that an operator changes.
    """

    pulses: list[Pulse]
    acquisitions: list[Acquisition]
    starts: FloatArray = field(repr=False)
    moments: FloatArray = field(repr=False)
    lines: list[tuple[_Line | None, ...]] = field(repr=False)
    name: str
    field_of_view: tuple[float, ...]
    waits: bool

    @property
    def end(self) -> float:
        """When it ends, s."""
        return float(self.starts[-1])

    def moment(self, time: float) -> FloatArray:
        """Return the gradient moment up to a time, cycles/m along x, y, z."""
        block = min(max(int(np.searchsorted(self.starts, time, "right")) - 1, 0), len(self.lines) - 1)
        since = np.array([time - self.starts[block]])
        return np.asarray(self.moments[block] + _integrals(self.lines[block], since)[0])

    def block_start(self, time: float) -> float:
        """Return when the block began that is played at a time, s."""
        return float(self.starts[max(int(np.searchsorted(self.starts, time, "right")) - 1, 0)])


@dataclass(frozen=True, eq=False)
class _Line:
    """A gradient, linear between its points."""

    times: FloatArray
    values: FloatArray
    areas: FloatArray

    @classmethod
    def through(cls, times: FloatArray, values: FloatArray) -> _Line:
        steps = 0.5 * (values[1:] + values[:-1]) * np.diff(times)
        return cls(times, values, np.concatenate([[0.0], np.cumsum(steps)]))

    def integral(self, time: FloatArray) -> FloatArray:
        """Return its integral up to times, s from its block's start."""
        inside = np.clip(time, self.times[0], self.times[-1])
        n = np.clip(np.searchsorted(self.times, inside, "right") - 1, 0, len(self.times) - 2)
        since, width = inside - self.times[n], self.times[n + 1] - self.times[n]
        slope = np.divide(self.values[n + 1] - self.values[n], width, out=np.zeros_like(width), where=width > 0.0)
        return np.asarray(self.areas[n] + since * (self.values[n] + 0.5 * since * slope))


def read_timeline(path: Path) -> Timeline:
    """Read what a Pulseq file plays.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Timeline

    Raises
    ------
    InputError
        As `read_sequence`; events that a block names and the file lacks; frequencies in ppm of an unknown field.
    """
    sequence = read_sequence(path)
    try:
        # what is not finite is refused where it is met
        with np.errstate(all="ignore"):
            return _timeline(path, sequence)
    except (KeyError, IndexError, ValueError, AssertionError, TypeError, AttributeError, OverflowError) as error:
        if isinstance(error, FileError):
            raise
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__} {error}".strip()
        raise FileError(path, f"is damaged: {reason}", "blocks whose events the file has") from None


def _timeline(path: Path, sequence: Any) -> Timeline:
    pulses: list[Pulse] = []
    acquisitions: list[Acquisition] = []
    lines: list[tuple[_Line | None, ...]] = []
    shapes: dict[tuple[Any, ...], Any] = {}
    waveforms: dict[int, tuple[Any, ComplexArray, float]] = {}
    durations = np.fromiter((sequence.block_durations[n] for n in sequence.block_events), np.float64)
    starts = np.concatenate([[0.0], np.cumsum(durations)])
    moments = np.zeros((len(starts), 3))
    is_noise = waits = False
    for n, (number, events) in enumerate(sequence.block_events.items()):
        key = tuple(int(event) for event in events[2:6])
        has_more = len(events) > 6 and events[6] > 0
        if key not in shapes or has_more:
            block = sequence.get_block(number)
            sequence.block_cache.clear()
            shapes[key] = (tuple(_line(sequence, getattr(block, axis)) for axis in _AXES), block.adc)
            for label in (block.label or {}).values():
                if label.label == "NOISE":
                    is_noise = bool(label.value)
            triggers = getattr(block, "trigger", {}).values()
            waits = waits or block.soft_delay is not None or any(trigger.type == "trigger" for trigger in triggers)
        own, adc = shapes[key]
        lines.append(own)
        if events[1] > 0:
            found = int(events[1])
            if found not in waveforms:
                waveforms[found] = _waveform(path, sequence, found)
            pulses.append(_pulse(sequence, waveforms[found], float(starts[n]), own, found))
        if adc is not None:
            local = adc.delay + adc.dwell * (np.arange(adc.num_samples) + 0.5)
            at = moments[n] + _integrals(own, local)
            acquisitions.append(Acquisition(starts[n] + local, at, float(adc.phase_offset), is_noise))
        moments[n + 1] = moments[n] + _integrals(own, durations[n : n + 1])[0]
    if not np.isfinite(moments).all() or not all(np.isfinite(taken.times).all() for taken in acquisitions):
        raise ValueError("gradients or samples beyond all bounds")
    definitions = sequence.definitions
    extent = np.atleast_1d(definitions.get("FOV", ()))
    known = tuple(float(length) for length in extent) if np.issubdtype(extent.dtype, np.number) else ()
    if max(known, default=0.0) > _LARGEST_FIELD:  # files before 1.4 often state it in mm
        known = tuple(1e-3 * length for length in known)
    name = str(definitions.get("Name", "") or path.stem)
    return Timeline(pulses, acquisitions, starts, moments, lines, name, known, waits)


def _integrals(lines: tuple[_Line | None, ...], times: FloatArray) -> FloatArray:
    return np.stack([np.zeros(len(times)) if line is None else line.integral(times) for line in lines], axis=1)


def _line(sequence: Any, gradient: Any) -> _Line | None:
    if gradient is None:
        return None
    if gradient.type == "trap":
        steps = np.array([gradient.delay, gradient.rise_time, gradient.flat_time, gradient.fall_time])
        times, values = np.cumsum(steps), gradient.amplitude * np.array([0.0, 1.0, 1.0, 0.0])
    else:
        times, values = np.asarray(gradient.tt, np.float64), np.asarray(gradient.waveform, np.float64)
        if gradient.time_id <= 0:  # samples lie within their raster, and the ends beyond them
            step = sequence.grad_raster_time * (0.5 if gradient.time_id else 1.0)
            beyond = 0.5 * sequence.grad_raster_time
            times = np.concatenate([[times[0] - beyond], times, [times[-1] + (step if gradient.time_id else beyond)]])
            values = np.concatenate([[gradient.first], values, [gradient.last]])
        times = times + gradient.delay
    if len(times) < 2 or not np.isfinite(values.astype(np.float64)).all() or not (np.diff(times) >= 0.0).all():
        raise ValueError("a gradient whose times do not ascend, or whose values are not finite")
    return _Line.through(times.astype(np.float64), values.astype(np.float64))


def _waveform(path: Path, sequence: Any, number: int) -> tuple[Any, ComplexArray, float]:
    rf = sequence.rf_from_lib_data(sequence.rf_library.data[number], "u")
    if rf.freq_ppm or rf.phase_ppm:
        found = "has pulses whose frequency is in ppm of a field that the file does not state"
        raise FileError(path, found, "frequencies in Hz, as the sequence is played")
    signal, step = np.asarray(rf.signal, np.complex128), float(sequence.rf_raster_time)
    if int(sequence.rf_library.data[number][3]) > 0:
        count = max(round(rf.shape_dur / step), 1)
        if count > 4_000_000:
            raise ValueError("a pulse of more than 4000000 samples")
        signal = np.interp(step * (np.arange(count) + 0.5), rf.t, signal)
    timing = (rf.delay, rf.center, rf.freq_offset, rf.phase_offset)
    if not len(signal) or not np.isfinite(signal).all() or not np.isfinite(np.asarray(timing, np.float64)).all():
        raise ValueError("a pulse that is empty, or whose values are not finite")
    return rf, signal, step


def _pulse(
    sequence: Any, waveform: tuple[Any, ComplexArray, float], start: float, lines: tuple[_Line | None, ...], number: int
) -> Pulse:
    rf, signal, step = waveform
    span = np.array([rf.delay, rf.delay + step * len(signal)])
    integrals = _integrals(lines, span)
    data = sequence.rf_library.data[number]
    return Pulse(
        start=start + float(rf.delay),
        center=start + float(rf.delay) + float(rf.center),
        signal=signal,
        step=step,
        frequency=float(rf.freq_offset),
        phase=float(rf.phase_offset),
        shape=(int(data[1]), int(data[2]), int(data[3])),
        amplitude=float(data[0]),
        gradient=(integrals[1] - integrals[0]) / (span[1] - span[0]),
    )
