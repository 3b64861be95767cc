"""How fast and how accurate dictionary matching is, beside the plain searches, in one run on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from napari_blochnet.benchmarks.measuring import markdown_table, peak_growth, timed
from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.atoms import Dictionary
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.matching.search import best_match, best_match_torch, channels, on_device
from napari_blochnet.estimators.matching.subspace import unit_rows
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.generators import fisp_schedule

__all__ = ["MatchingBenchmark", "MatchingRow", "benchmark_matching"]

# Slow searches are repeated no more than this.
_SLOW_REPEATS = 3
# The memory is looked at here and at so many times as many voxels.
_MORE = 10
_BLOCK = 1000


@dataclass(frozen=True)
class MatchingRow:
    """One search.

    Attributes
    ----------
    method : str
    milliseconds, cpu_milliseconds : float
        Of the search after compression: wall and processor time, medians over repeats.
    repeats : int
    t1_error, t2_error : float
        Mean of |estimate/truth − 1|.
    times_faster : float
        How many times faster than this one the search of the first row is.
    """

    method: str
    milliseconds: float
    cpu_milliseconds: float
    repeats: int
    t1_error: float
    t2_error: float
    times_faster: float


@dataclass(frozen=True)
class MatchingBenchmark:
    """A benchmark of matching.

    Attributes
    ----------
    rows : list of MatchingRow
        The search of this package first.
    dictionary : str
        What was searched.
    voxels, pulses : int
    noise : float
        Standard deviation in each channel over the root mean square of the fingerprint.
    simulated_seconds : float
        Simulating and compressing the dictionary.
    projected_milliseconds : float
        Compressing the fingerprints.
    peak_mib : dict of int to float or None
        Most memory that matching fingerprints takes beyond them, by the number of voxels; None where the system does
        not tell.
    """

    rows: list[MatchingRow]
    dictionary: str
    voxels: int
    pulses: int
    noise: float
    simulated_seconds: float
    projected_milliseconds: float
    peak_mib: dict[int, float | None]

    def to_text(self) -> str:
        """Return a Markdown table with what is needed to read it."""
        exact = self.rows[-1]
        lines = [
            (
                row.method,
                f"{row.milliseconds:.1f}",
                f"{row.cpu_milliseconds:.1f}",
                f"{100 * row.t1_error:.3f}",
                f"{100 * row.t2_error:.3f}",
                f"{row.t1_error / exact.t1_error:.3f}",
                f"{row.t2_error / exact.t2_error:.3f}",
                f"{row.times_faster:.1f}",
            )
            for row in self.rows
        ]
        head = ("search", "ms", "CPU ms", "T1 error / %", "T2 error / %", "T1 / uncompressed", "T2 / uncompressed",
                "times as long as the first")  # fmt: skip
        peaks = "; ".join(
            f"{voxels:,} voxels {'unknown' if peak is None else f'{peak:.0f} MiB'}"
            for voxels, peak in self.peak_mib.items()
        )
        return "\n".join([
            f"{self.voxels:,} complex fingerprints of {self.pulses} samples with {100 * self.noise:g} % of noise "
            f"against {self.dictionary}.",
            f"Dictionary simulated and compressed in {self.simulated_seconds:.2f} s, fingerprints compressed in "
            f"{self.projected_milliseconds:.0f} ms; times below are those of the search after that, medians.",
            "",
            markdown_table(head, lines),
            "",
            f"Peak memory of matching beyond the fingerprints, compression and residual included: {peaks}.",
        ])  # fmt: skip


def benchmark_matching(
    voxels: int = 10_000,
    step: float = 0.05,
    *,
    noise: float = 0.05,
    repeats: int = 15,
    threads: int | None = None,
    seed: int = 0,
    watch: Watch = UNWATCHED,
) -> MatchingBenchmark:
    """Time matching under the FISP schedule, 1000 samples, beside a plain blocked search and the uncompressed one.

    Parameters
    ----------
    voxels : int
        Complex fingerprints, T1 100–5000 ms and T2 10–1000 ms, log-uniform, T2 ≤ T1, each with a phase of its own.
    step : float
        Of the dictionary: 0.05 makes 12,462 atoms.
    noise : float
        Standard deviation in each channel over the root mean square of the fingerprint.
    repeats : int
        Of each search after a warm-up, in turns; slow ones at most 3.
    threads : int, optional
        Of this package's search. None: one for each core.
    seed : int
    watch : Watch
        Told, and looked at, between searches.

    Returns
    -------
    MatchingBenchmark

    Raises
    ------
    InputError
        Counts below 1, a negative noise, a step out of range.
    Cancelled
        Once nobody wants it any more.
    """
    for key, value in (("voxels", voxels), ("repeats", repeats)):
        if value < 1:
            raise InputError(f"{key} is {value}; expected at least 1.", field=key)
    if not noise >= 0:
        raise InputError(f"noise is {noise}; expected at least 0.", field="noise")
    schedule = fisp_schedule()
    t1, t2, fingerprints = _tissues(voxels, noise, seed)
    matching = DictionaryMatching(step=step, threads=threads)
    start = time.perf_counter()
    dictionary = matching.dictionary(schedule, "complex", watch)
    simulated = time.perf_counter() - start
    inside = channels(dictionary.subspace.project(fingerprints), dictionary.is_complex)
    plain = on_device(dictionary.tiles, "cpu")
    searches: list[tuple[str, Callable[[], IntArray], bool]] = [
        ("tiles, subspace", lambda: best_match(dictionary.tiles, inside, threads=threads), False),
        ("plain, subspace", lambda: best_match_torch(plain, inside), True),
    ]
    if torch.cuda.is_available():
        there = on_device(dictionary.tiles, "cuda")
        name = f"plain, subspace, {torch.cuda.get_device_name()}"
        searches.append((name, lambda: best_match_torch(there, inside), False))
    atoms = _uncompressed(dictionary, matching.tolerance, watch)
    whole = channels(fingerprints, complex_atoms=False)
    searches.append(("plain, uncompressed", lambda: best_match_torch(atoms, whole), True))
    found: list[IntArray] = []
    for name, search, _ in searches:
        watch.check("the benchmark")
        watch.report(len(found), len(searches), f"warming up: {name}")
        found.append(search())
    calls = [(name, search, min(repeats, _SLOW_REPEATS) if slow else repeats) for name, search, slow in searches]
    calls.append(("compressing", lambda: dictionary.subspace.project(fingerprints), min(repeats, _SLOW_REPEATS)))
    *times, projected = timed(calls, watch=watch)
    rows = [
        MatchingRow(
            name,
            timing.milliseconds,
            timing.cpu_milliseconds,
            timing.repeats,
            float(np.mean(np.abs(dictionary.t1[index] / t1 - 1.0))),
            float(np.mean(np.abs(dictionary.t2[index] / t2 - 1.0))),
            timing.milliseconds / times[0].milliseconds,
        )
        for (name, _, _), timing, index in zip(searches, times, found, strict=True)
    ]
    return MatchingBenchmark(rows, dictionary.describe(), voxels, len(schedule), noise, simulated,
                             projected.milliseconds, _peaks(matching, fingerprints, watch))  # fmt: skip


def _peaks(matching: DictionaryMatching, fingerprints: AnyArray, watch: Watch) -> dict[int, float | None]:
    """Return the most memory that matching takes beyond so many fingerprints, and beyond ten times as many."""
    peaks: dict[int, float | None] = {}
    voxels, schedule = len(fingerprints), fisp_schedule()
    for count in (voxels, _MORE * voxels):
        many = np.tile(fingerprints, (count // voxels, 1))
        match = partial(matching.predict, many, schedule, "complex", cancelled=watch.cancelled)
        _, peaks[count] = peak_growth(match)
    return peaks


def _tissues(voxels: int, noise: float, seed: int) -> tuple[FloatArray, FloatArray, AnyArray]:
    """Return T1, T2 and noisy fingerprints."""
    rng = np.random.default_rng(seed)
    t2 = np.exp(rng.uniform(np.log(10.0), np.log(1000.0), voxels))
    t1 = np.exp(rng.uniform(np.log(np.maximum(100.0, t2)), np.log(5000.0)))
    signal = EPGDecoder(fisp_schedule()).signal(t1, t2)
    fingerprints = (signal * np.exp(2j * np.pi * rng.random((voxels, 1)))).astype(np.complex64)
    sigma = noise * np.sqrt(np.mean(signal**2, axis=1, keepdims=True))
    for channel in (fingerprints.real, fingerprints.imag):
        channel += sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return t1, t2, fingerprints


def _uncompressed(dictionary: Dictionary, tolerance: float, watch: Watch) -> torch.Tensor:
    """Return the normalised atoms themselves, shape (time, atom)."""
    decoder = EPGDecoder(fisp_schedule(), tolerance=tolerance)
    atoms = torch.empty(len(fisp_schedule()), len(dictionary))
    for start in range(0, len(dictionary), _BLOCK):
        part = slice(start, start + _BLOCK)
        signal = decoder.signal(dictionary.t1[part], dictionary.t2[part], cancelled=watch.cancelled)
        atoms[:, part] = torch.from_numpy(unit_rows(signal)[0].T.copy())
    return atoms
