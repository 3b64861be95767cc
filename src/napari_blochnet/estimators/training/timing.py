"""How long a training will take, measured on a small one of its kind before it is begun."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.training.data import holds_fingerprints
from napari_blochnet.estimators.training.loop import Training
from napari_blochnet.estimators.training.options import TrainingOptions, options_from
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["TrainingPace", "count_tissues", "measure_training"]

# Tissues of the small training, where its batches need no more: enough to simulate for a rate.
_TISSUES = 4096
# Whole steps are taken until they have lasted this long, s, and so many at most.
_LONG_ENOUGH, _MOST_STEPS = 0.5, 20
# Parts of a batch, each so many times the one before, are timed until the next might last longer than this, s; two,
# unless the first does.
_PART, _GROWTH, _TOO_LONG = 8, 4, 4.0


@dataclass(frozen=True)
class TrainingPace:
    """What a training was measured to take; by options, how long a whole one will.

    Parameters
    ----------
    once : float
        Seconds before anything is simulated: the subspace of the inputs, loading.
    per_tissue : float
        Seconds to simulate a tissue under all schedules.
    per_step : float
        Seconds of a step of a whole batch.
    per_look : float
        Seconds to look at a whole batch of held-out tissues.
    schedules : int
    """

    once: float
    per_tissue: float
    per_step: float
    per_look: float
    schedules: int

    def seconds(self, options: TrainingOptions) -> float:
        """Return how long a training with these options takes, where no patience ends it before."""
        tissues = count_tissues(options)
        held_out = round(options.held_out * tissues)
        steps = math.ceil((tissues - held_out) * self.schedules / options.batch)
        looks = math.ceil(held_out * self.schedules / options.batch)
        simulated = options.epochs if options.fresh else 1
        epoch = steps * self.per_step + looks * self.per_look
        return self.once + simulated * tissues * self.per_tissue + options.epochs * epoch


def count_tissues(options: TrainingOptions) -> int:
    """Return how many tissues a training has for each schedule; the grid is not made for it."""
    if options.grid_step is None:
        return options.fingerprints or 0
    t1, t2 = (
        np.arange(low, high + 1e-9 * high, options.grid_step) for low, high in (options.t1_range, options.t2_range)
    )
    grid = int(np.searchsorted(t2, t1, side="right").sum())
    return grid if options.fingerprints is None else min(grid, options.fingerprints)


def measure_training(
    architecture: str,
    schedules: Schedule | Sequence[Schedule],
    preset: str = "paper",
    *,
    device: str = "cpu",
    watch: Watch = UNWATCHED,
    **changes: Any,
) -> TrainingPace:
    """Measure a small training: some simulated tissues, some steps; a few seconds.

    Parameters
    ----------
    architecture, schedules, preset, device, **changes
        As of `napari_blochnet.estimators.training.loop.train_estimator`.
    watch : Watch
        Looked at between steps.

    Raises
    ------
    InputError
        What the training itself would refuse.
    Cancelled
    """
    several = (schedules,) if isinstance(schedules, Schedule) else tuple(schedules)
    options = options_from(preset, architecture, **changes)
    whole = count_tissues(options)
    started = time.perf_counter()
    training = Training(architecture, several, preset, _small(options, whole), device)
    if options.aliasing_from is not None:
        # what is drawn takes as long, whatever it is
        some = np.random.default_rng(0).standard_normal((_TISSUES // 2, 2 * len(several[0])), dtype=np.float32)
        training.measured = {schedule.digest: some.view(np.complex64) for schedule in several}
    watch.check("timing a training")
    data = training.data
    if options.subspace is not None:
        data.find_subspace(options.subspace)
    # kernels are loaded, or compiled, before anything is timed
    data.decoders[0].signal([1000.0], [100.0])
    training.weigh(watch.quiet)
    training.steps.place()
    once = time.perf_counter() - started
    started = time.perf_counter()
    data.prepare(0, watch.quiet)
    per_tissue = (time.perf_counter() - started) / len(data.t1)
    if not holds_fingerprints(data.width, whole, len(several)):
        # such a training simulates each batch when it is looked at
        data.drop_held()
        per_tissue = 0.0
    per_step = _seconds_of(training, options.batch, watch, learn=True)
    per_look = _seconds_of(training, options.batch, watch, learn=False) if options.held_out else 0.0
    return TrainingPace(once, per_tissue, per_step, per_look, len(several))


def _small(options: TrainingOptions, whole: int) -> TrainingOptions:
    """Return options of a training of a few of the same tissues, whose steps are those of the whole one."""
    wanted = min(whole, max(_TISSUES, 2 * _PART))
    if options.grid_step is None:
        return replace(options, fingerprints=wanted)
    # as evenly spread: how long a tissue takes to simulate depends on its T2
    coarser = options.grid_step * max(1.0, math.sqrt(whole / wanted))
    return replace(options, grid_step=coarser, fingerprints=None)


def _seconds_of(training: Training, batch: int, watch: Watch, *, learn: bool) -> float:
    """Return the seconds that a step of a whole batch takes, or a look at one."""
    sizes = [min(batch, _PART)]
    # the first loads what it needs
    _take(training, sizes[0], watch, learn)
    times = [_least(training, sizes[0], watch, learn)]
    while sizes[-1] < batch:
        size = min(batch, _GROWTH * sizes[-1])
        if _at(size, sizes, times) > _TOO_LONG:
            return _at(batch, sizes, times)
        sizes.append(size)
        times.append(_least(training, size, watch, learn))
    whole: list[float] = []
    while len(whole) < _MOST_STEPS and sum(whole) < _LONG_ENOUGH:
        whole.append(_take(training, batch, watch, learn))
    return float(np.median(whole))


def _at(size: int, sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return what a step on so many fingerprints takes, by those on fewer: a part of it for each, and one at all."""
    if len(sizes) < 2:
        return times[-1] * (1.0 if times[-1] <= _TOO_LONG else size / sizes[-1])
    each = max(0.0, times[-1] - times[-2]) / (sizes[-1] - sizes[-2])
    return times[-1] + each * (size - sizes[-1])


def _least(training: Training, size: int, watch: Watch, learn: bool) -> float:
    """Return the least time of some steps: what is told of larger ones must not hang on a hiccup."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < _LONG_ENOUGH:
        times.append(_take(training, size, watch, learn))
    return min(times)


def _take(training: Training, size: int, watch: Watch, learn: bool) -> float:
    watch.check("timing a training")
    # with repetitions, where the batch is larger than the small training
    index = np.resize(training.data.training, size)
    started = time.perf_counter()
    training.try_step(index, learn=learn)
    return time.perf_counter() - started
