"""What a network learns from: tissues, and their fingerprints, made by the decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.subspace import Subspace, find_subspace, unit_rows
from napari_blochnet.estimators.training.options import TrainingOptions
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["TrainingSet", "draw_tissues", "holds_fingerprints", "stream"]

# Fingerprints of a training are held in memory up to this size and otherwise made batch by batch. Held, the published
# grid (320 MB a schedule) costs its simulation once; made anew it costs as much again in every epoch.
_HELD_BYTES = 2**30
_BLOCK = 8192
_SUBSPACE_TISSUES = 8192


def holds_fingerprints(width: int, tissues: int, schedules: int) -> bool:
    """Whether a training holds its fingerprints, of so many numbers each, in memory."""
    return width * tissues * schedules * 4 <= _HELD_BYTES


def stream(*key: int) -> torch.Generator:
    """Return a generator that depends on the numbers given alone: any step of a training can be taken again."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> 1))


def draw_tissues(options: TrainingOptions, epoch: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return T1 and T2, ms, of all tissues of an epoch; T2 ≤ T1 everywhere."""
    random = np.random.default_rng((options.seed, 101, epoch if options.fresh else 0))
    if options.grid_step is not None:
        axes = [
            np.arange(low, high + 1e-9 * high, options.grid_step) for low, high in (options.t1_range, options.t2_range)
        ]
        t1, t2 = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        t1, t2 = t1[t2 <= t1], t2[t2 <= t1]
        if len(t1) == 0:
            raise InputError("The grid has no pair with T2 ≤ T1; expected other ranges.", field="t1_range")
        if options.fingerprints is not None and options.fingerprints < len(t1):
            chosen = np.sort(random.permutation(len(t1))[: options.fingerprints])
            t1, t2 = t1[chosen], t2[chosen]
        return t1, t2
    wanted = options.fingerprints or 0
    low = np.log([options.t1_range[0], options.t2_range[0]])
    high = np.log([options.t1_range[1], options.t2_range[1]])
    drawn = np.empty((0, 2))
    while len(drawn) < wanted:
        more = random.uniform(low, high, (max(1024, 2 * wanted), 2))
        drawn = np.concatenate([drawn, more[more[:, 1] <= more[:, 0]]])
    t1, t2 = np.exp(drawn[:wanted]).T
    return t1, t2


class TrainingSet:
    """Tissues and normalised fingerprints of several schedules, by index.

    Index i stands for tissue i % n under schedule i // n, n tissues. The tissues of the last share are held out.

    Parameters
    ----------
    schedules : sequence of Schedule
        Of one length, with signals that are real in the receiver's frame.
    options : TrainingOptions
    """

    def __init__(self, schedules: Sequence[Schedule], options: TrainingOptions) -> None:
        self.schedules, self.options = tuple(schedules), options
        self.decoders = [EPGDecoder(schedule, tolerance=options.tolerance) for schedule in schedules]
        self.subspace: Subspace | None = None
        self._epoch = -1
        self._held: list[Tensor] | None = None
        self._set_tissues(0)

    def _set_tissues(self, epoch: int) -> None:
        self.t1, self.t2 = draw_tissues(self.options, epoch)
        self.labels = torch.from_numpy(np.log10(np.stack([self.t1, self.t2], axis=1)).astype(np.float32))
        order = np.random.default_rng((self.options.seed, 102)).permutation(len(self.t1))
        kept = round(self.options.held_out * len(order))
        offsets = len(order) * np.arange(len(self.schedules))[:, None]
        #: indices for validation and for training
        self.held_out: IntArray = (offsets + np.sort(order[:kept])).ravel()
        self.training: IntArray = (offsets + np.sort(order[kept:])).ravel()

    @property
    def width(self) -> int:
        """Numbers that stand for one fingerprint: time points or coefficients."""
        return len(self.schedules[0]) if self.subspace is None else self.subspace.rank

    def find_subspace(self, rank: int) -> Subspace:
        """Find the joint SVD subspace of the schedules, and hold coefficients from now on."""
        some = np.random.default_rng((self.options.seed, 103)).permutation(len(self.t1))[:_SUBSPACE_TISSUES]

        def atoms() -> Iterator[FloatArray]:
            for decoder in self.decoders:
                unit, norms = unit_rows(decoder.signal(self.t1[some], self.t2[some]).astype(np.float64))
                yield unit[norms > 0]

        self.subspace = find_subspace(atoms(), 0.5, rank)
        return self.subspace

    def prepare(self, epoch: int, watch: Watch = UNWATCHED) -> None:
        """Make ready the fingerprints of an epoch: once, or anew where tissues are drawn for each."""
        if self._epoch == epoch or (self._epoch >= 0 and not self.options.fresh):
            return
        if self.options.fresh:
            self._set_tissues(epoch)
        self._epoch = epoch
        count = len(self.t1)
        if not holds_fingerprints(self.width, count, len(self.schedules)):
            return
        self._held = []
        for decoder in self.decoders:
            if self.subspace is None:
                samples = decoder.signal(self.t1, self.t2, progress=watch.progress, cancelled=watch.cancelled)
                for start in range(0, count, _BLOCK):
                    samples[start : start + _BLOCK] = unit_rows(samples[start : start + _BLOCK])[0]
            else:
                samples = np.empty((count, self.width), np.float32)
                for start in range(0, count, _BLOCK):
                    part = slice(start, start + _BLOCK)
                    signal = decoder.signal(self.t1[part], self.t2[part], cancelled=watch.cancelled)
                    samples[part] = self._compressed(signal)
                    watch.report(min(start + _BLOCK, count), count, "fingerprints simulated")
            self._held.append(torch.from_numpy(samples))

    def drop_held(self) -> None:
        """Hold no fingerprints any more: each batch makes its own."""
        self._held = None

    def _compressed(self, signal: FloatArray) -> FloatArray:
        assert self.subspace is not None
        unit = unit_rows(signal)[0].astype(np.float32)
        coefficients: FloatArray = unit @ self.subspace.basis.astype(np.float32)
        return coefficients

    def batch(self, index: IntArray) -> tuple[Tensor, Tensor, IntArray]:
        """Return noise-free normalised inputs (batch, width), labels (batch, 2) and the number of each schedule."""
        tissue, schedule = index % len(self.t1), index // len(self.t1)
        labels = self.labels[torch.from_numpy(tissue)]
        inputs = torch.empty(len(index), self.width)
        for number, decoder in enumerate(self.decoders):
            rows = np.flatnonzero(schedule == number)
            if not rows.size:
                continue
            if self._held is not None:
                part = self._held[number][torch.from_numpy(tissue[rows])]
            else:
                signal = decoder.signal(self.t1[tissue[rows]], self.t2[tissue[rows]])
                part = torch.from_numpy(unit_rows(signal)[0] if self.subspace is None else self._compressed(signal))
            inputs[torch.from_numpy(rows)] = part
        return inputs, labels, schedule
