"""How fast and how exact the decoder is, beside plain PyTorch and a published code, in one run on one machine."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_blochnet.benchmarks.measuring import peak_growth, timed
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.reference.epg import epg_signal
from napari_blochnet.physics.truncation import all_states
from napari_blochnet.schedules.generators import fisp_schedule
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["BenchmarkRow", "benchmark_decoder", "format_rows"]

# Slow methods are repeated no more than this; their medians settle early.
_SLOW_REPEATS = 3
# Fingerprints that are compared with all states in float64, which takes a hundred times as long.
_COMPARED = 1000
# Plain PyTorch takes 15 kB for each fingerprint at 64 states; peers are left out beyond this many.
_MOST_FOR_PEERS = 20_000
_PLAIN, _PEER = "plain PyTorch", "blochsim"


@dataclass(frozen=True)
class BenchmarkRow:
    """One line of the table.

    Attributes
    ----------
    method, work : str
        What ran, and what it was asked for.
    states : str
        Orders kept.
    milliseconds : float
        Median over repeats.
    repeats : int
    nrmse_median, nrmse_worst : float or None
        Over the first 1000 fingerprints, against all states in float64; None where no signal was compared.
    peak_mib : float or None
        Most memory beyond what was there before the call, MiB, results included; None where the system does not tell.
    times_faster : dict of str to float
        How many times faster than each other method that did the same work, by its name.
    """

    method: str
    work: str
    states: str
    milliseconds: float
    repeats: int
    nrmse_median: float | None
    nrmse_worst: float | None
    peak_mib: float | None
    times_faster: dict[str, float]


@dataclass(frozen=True)
class _Case:
    method: str
    work: str
    states: str
    call: Callable[[], Any]
    exact: np.ndarray | None
    slow: bool = False

    @property
    def name(self) -> str:
        return f"{self.method}, {self.work}"


def benchmark_decoder(
    fingerprints: int = 1000,
    repeats: int = 15,
    *,
    states: Sequence[int] = (20, 64),
    peers: bool = True,
    threads: int | None = None,
    seed: int = 0,
    watch: Watch = UNWATCHED,
) -> list[BenchmarkRow]:
    """Time the decoder on the published FISP schedule: 1000 TRs, inversion, TE 10 ms, float32.

    Parameters
    ----------
    fingerprints : int
        How many tissues: T1 100–5000 ms, T2 10–2000 ms, log-uniform, T2 ≤ T1; brain tissues T2 20–120 ms.
    repeats : int
        Runs of each method after a warm-up, taken in turns, so that a disturbance hits all; slow methods at most 3.
    states : sequence of int
        Fixed numbers of orders to compare at.
    peers : bool
        Whether to run plain PyTorch and, where it is installed, blochsim; up to 20,000 fingerprints only.
    threads : int, optional
        CPU threads of the decoder. None: all.
    seed : int
        Of the tissues.
    watch : Watch
        Told, and looked at, between runs.

    Returns
    -------
    list of BenchmarkRow

    Raises
    ------
    InputError
        Counts below 1.
    Cancelled
        Once nobody wants it any more.
    """
    for key, value in (("fingerprints", fingerprints), ("repeats", repeats), ("states", min(states, default=0))):
        if value < 1:
            raise InputError(f"{key} is {value}; expected at least 1.", field=key)
    cases = _cases(fingerprints, states, peers, threads, seed)
    watch.check("the benchmark")
    errors: list[tuple[float | None, float | None]] = []
    peaks: list[float | None] = []
    for number, case in enumerate(cases):
        watch.check("the benchmark")
        watch.report(number, len(cases), f"{case.name}, memory")
        case.call()
        found, peak = peak_growth(case.call)
        errors.append(_errors(found, case.exact))
        peaks.append(peak)
        # whole results, which the next peak must not count as its own
        del found
    calls = [(case.name, case.call, min(repeats, _SLOW_REPEATS) if case.slow else repeats) for case in cases]
    times = timed(calls, watch=watch)
    medians = [timing.milliseconds for timing in times]
    return [
        BenchmarkRow(case.method, case.work, case.states, timing.milliseconds, timing.repeats, *error, peak,
                     _compare(case, timing.milliseconds, cases, medians))
        for case, timing, error, peak in zip(cases, times, errors, peaks, strict=True)
    ]  # fmt: skip


def format_rows(rows: Sequence[BenchmarkRow]) -> str:
    """Return the rows as a table of plain text."""
    head = ("method", "work", "states", "ms", "NRMSE median", "worst", "peak MiB", "times faster than")
    lines = [head]
    for row in rows:
        lines.append(
            (
                row.method,
                row.work,
                row.states,
                f"{row.milliseconds:.1f}",
                _number(row.nrmse_median, ".1e"),
                _number(row.nrmse_worst, ".1e"),
                _number(row.peak_mib, ".0f"),
                ", ".join(f"{name} {factor:.1f}×" for name, factor in row.times_faster.items()),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 2 < column < 7 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cases(fingerprints: int, states: Sequence[int], peers: bool, threads: int | None, seed: int) -> list[_Case]:
    rng = np.random.default_rng(seed)
    t2 = np.exp(rng.uniform(np.log(10.0), np.log(2000.0), fingerprints))
    t1 = np.exp(rng.uniform(np.log(np.maximum(100.0, t2)), np.log(5000.0)))
    brain_t2 = np.exp(rng.uniform(np.log(20.0), np.log(120.0), fingerprints))
    brain_t1 = np.exp(rng.uniform(np.log(400.0), np.log(2000.0), fingerprints))
    tissue = tuple(torch.from_numpy(values.astype(np.float32)) for values in (t1, t2))
    brain = tuple(torch.from_numpy(values.astype(np.float32)) for values in (brain_t1, brain_t2))
    schedule = fisp_schedule()
    n = np.arange(len(schedule))
    spoiled = schedule.replace(rf_phase=(n * (n - 1) / 2 * 117.0) % 360.0)
    profiled = schedule.replace(slice_profile=np.cos(np.linspace(0.0, 1.4, 11)))
    prepared = schedule.replace(preparations=[Preparation(pulse, "inversion") for pulse in range(110, 990, 110)])
    repeated = schedule.replace(trains="steady", recovery_time=1000.0)
    weights = torch.from_numpy(rng.standard_normal((fingerprints, len(schedule))).astype(np.float32))
    exact = _exact(schedule, tissue)

    def ours(
        name: str, train: Schedule, kept: int | None, tissues: tuple[Tensor, ...], truth: np.ndarray | None = None
    ) -> _Case:
        decoder = EPGDecoder(train, states=kept, threads=threads)
        return _Case(name, "signal", str(kept or "1e-6"), partial(decoder, *tissues), truth)

    cases = []
    spoiled_exact, profiled_exact = _exact(spoiled, tissue), _exact(profiled, tissue)
    for kept in states:
        fixed = EPGDecoder(schedule, states=kept, threads=threads)
        cases += [
            ours("decoder", schedule, kept, tissue, exact),
            _Case("decoder", "signal, tangents", str(kept), partial(_with_tangents, fixed, tissue), exact),
            _Case("decoder", "gradient", str(kept), partial(_gradient, fixed, tissue, weights), None),
            ours("decoder, RF spoiling", spoiled, kept, tissue, spoiled_exact),
            ours("decoder, 11 positions", profiled, kept, tissue, profiled_exact),
            ours("decoder, 8 preparations", prepared, kept, tissue),
            ours("decoder, steady state", repeated, kept, tissue),
        ]
        if peers and fingerprints <= _MOST_FOR_PEERS:
            plain = partial(_plain, schedule, tissue, kept)
            cases.append(_Case(_PLAIN, "signal", str(kept), plain, exact, slow=True))
            if importlib.util.find_spec("blochsim") is not None:
                peer = _blochsim(schedule, kept)
                back = partial(_gradient, peer, tissue, weights)
                cases.append(_Case(_PEER, "signal", str(kept), partial(peer, *tissue), exact, slow=True))
                cases.append(_Case(_PEER, "gradient", str(kept), back, None, slow=True))
    cases.append(ours("decoder", schedule, None, tissue, exact))
    brain_exact = _exact(schedule, brain)
    cases += [ours("decoder, brain tissues", schedule, kept, brain, brain_exact) for kept in (None, states[0])]
    return cases


def _exact(schedule: Schedule, tissue: tuple[Tensor, ...]) -> np.ndarray:
    every = EPGDecoder(schedule, states=all_states(schedule))
    return every.signal(*(value[:_COMPARED].numpy() for value in tissue), dtype=np.float64)


def _with_tangents(decoder: EPGDecoder, tissue: tuple[Tensor, ...]) -> Tensor:
    return decoder.jacobian(*tissue)[0]


def _plain(schedule: Schedule, tissue: tuple[Tensor, ...], states: int) -> Tensor:
    # Subnormal numbers in the orders that a short T2 leaves empty would cost it a factor of five more.
    torch.set_flush_denormal(True)
    try:
        return epg_signal(schedule, tissue[0], tissue[1], states=states, dtype=torch.float32).real
    finally:
        torch.set_flush_denormal(False)


def _gradient(simulate: Callable[..., Tensor], tissue: tuple[Tensor, ...], weights: Tensor) -> None:
    """Forward and backward through a loss that is linear in the signal."""
    leaves = [value.clone().requires_grad_() for value in tissue]
    torch.autograd.grad((simulate(*leaves) * weights).sum(), leaves)


def _blochsim(schedule: Schedule, states: int) -> Callable[..., Tensor]:
    """Return blochsim's fingerprinting train with an echo time, added as its extension interface has it."""
    from blochsim import Delay
    from blochsim.simulators import MRFSimulator

    class WithEchoTime(MRFSimulator):  # type: ignore[misc, unused-ignore]
        def layout(self, *, flip: Tensor, TR: Tensor, TE: Tensor, TI: float = 0.0) -> list[Any]:
            parts = [self.operators.inversion(duration_s=TI * 1e-3)]
            for angle, after, echo in zip(torch.deg2rad(flip), TR * 1e-3, TE * 1e-3, strict=True):
                parts += [self.operators.excitation(angle, 0.0), Delay(echo)]
                parts.append(self.operators.readout(0.0, duration_s=after - echo))
            return parts

    columns = (schedule.flip_angle, schedule.repetition_time, schedule.echo_time)
    flip, tr, te = (torch.from_numpy(column.astype(np.float32)) for column in columns)
    simulator = WithEchoTime(flip=flip, TR=tr, TE=te, states=states)

    def simulate(t1: Tensor, t2: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signal: Tensor = simulator.simulate(T1=t1, T2=t2).real
        return signal

    return simulate


def _errors(found: Any, exact: np.ndarray | None) -> tuple[float | None, float | None]:
    if exact is None:
        return None, None
    nrmse = np.linalg.norm(found.numpy()[: len(exact)] - exact, axis=1) / np.linalg.norm(exact, axis=1)
    return float(np.median(nrmse)), float(nrmse.max())


def _compare(case: _Case, median: float, cases: list[_Case], medians: list[float]) -> dict[str, float]:
    if case.method != "decoder":
        return {}
    return {
        other.method: slower / median
        for other, slower in zip(cases, medians, strict=True)
        if other.method in (_PLAIN, _PEER) and (other.work, other.states) == (case.work, case.states)
    }


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
