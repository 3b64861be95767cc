"""Adapting a trained encoder to another schedule by a stack measured under it, without labels.

The decoder of the stack's schedule explains its fingerprints by T1 and T2 (`napari_blochnet.estimators.fitting.fit`,
from the encoder's answer or, where that is poor, a coarse dictionary's), and the encoder learns these explanations.
Going down the decoder's misfit step by step would lead to the same place more slowly: a Gauss–Newton fit is that
descent in the metric of the Fisher information, carried to its end once for each voxel instead of once for each epoch.
Simulated neighbours of the tissues found, with noise as large as the data's, keep a few fingerprints from being learnt
by heart. They are drawn more often from tissues that the stack has few voxels of, which the network would otherwise
give up for those it has many of.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.base import check_signal
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.memory import Allowance
from napari_blochnet.estimators.networks.inputs import Inputs
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
from napari_blochnet.estimators.training.data import stream
from napari_blochnet.estimators.training.state import LossPoint
from napari_blochnet.estimators.training.steps import Steps
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.train_signal import check_train_signal
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["AdaptationOptions", "adapt_estimator"]

# Fingerprints explained at a time.
_BLOCK = 2048
# Error in log10 at which the loss goes from quadratic to linear; standard error of a label at which its weight halves.
_SOFT = 0.01
# Simulated neighbours lie around the tissues found with this standard deviation of ln T1 and ln T2.
_SPREAD = 0.1
# Neighbours are drawn from cells of this many decades of T1 and T2, and from a cell with n voxels n to the power of
# 1 − this times as often as from one with one: at 0 like the voxels, at 1 from all cells alike.
_CELL = 0.1
_EVENNESS = 0.7
# A fit that leaves more than this share of a fingerprint unexplained is no label.
_UNEXPLAINED = 0.95


@dataclass(frozen=True)
class AdaptationOptions:
    """Settings of an adaptation.

    Parameters
    ----------
    epochs, batch : int
        Passes over the fingerprints; fingerprints per step.
    learning_rate : float
        Of Adam, at the start; it falls to 0 along half a cosine.
    voxels : int
        Fingerprints that are used at most, a random choice.
    seed : int
    precision : {"auto", "float32", "half"}
        Of the network's products. "auto": half where the processor has instructions for matrices of bfloat16.
    """

    epochs: int = 40
    batch: int = 256
    learning_rate: float = 5e-4
    voxels: int = 20_000
    seed: int = 0
    precision: Literal["auto", "float32", "half"] = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "voxels"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1.", field=name)
        if not 0 < self.learning_rate < 1:
            raise InputError(
                f"learning_rate is {self.learning_rate:g}; expected a number between 0 and 1.", field="learning_rate"
            )


def adapt_estimator(
    estimator: NetworkEstimator,
    fingerprints: AnyArray,
    schedule: Schedule,
    kind: SignalKind,
    options: AdaptationOptions | None = None,
    *,
    watch: Watch = UNWATCHED,
    on_loss: Callable[[LossPoint], None] | None = None,
) -> NetworkEstimator:
    """Fine-tune a network on fingerprints without labels.

    Parameters
    ----------
    estimator : NetworkEstimator
        Trained, for any schedule of the same length. It is not changed.
    fingerprints : array of shape (voxel, time)
        Measured under ``schedule``, complex or real.
    schedule : Schedule
    kind : {"complex", "real"}
    options : AdaptationOptions, optional
    watch : Watch
        Told, and looked at, between blocks of fits and between steps.
    on_loss : callable, optional
        Called with a `LossPoint` after each epoch.

    Returns
    -------
    NetworkEstimator
        For ``schedule``.

    Raises
    ------
    InputError
        Magnitudes, a schedule of another length or of complex signals, no fingerprint that physics explains.
    Cancelled
        Its ``partial`` is the network so far, None before the first epoch's end.
    """
    options = options or AdaptationOptions()
    check_signal(estimator.name, schedule, kind, estimator)
    check_train_signal(schedule)
    started = time.perf_counter()
    if len(schedule) != estimator.model.length:
        raise InputError(f"The network takes {estimator.model.length} time points, but the stack's schedule has "
                         f"{len(schedule)} pulses; expected the same number.", field="stack")  # fmt: skip
    random = np.random.default_rng(options.seed)
    if len(fingerprints) > options.voxels:
        fingerprints = fingerprints[np.sort(random.permutation(len(fingerprints))[: options.voxels])]
    start = NetworkEstimator(
        copy.deepcopy(estimator.model), estimator.schedules, name=estimator.name, device=str(estimator.device),
        other_schedule=True,
    )  # fmt: skip
    data = _explained(start, fingerprints, schedule, kind, watch)
    model = start.model.train()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    taken = Steps(model, optimizer, 2 * options.batch, start.device, f"adapting {estimator.name}")
    taken.place()
    steps = -(-len(data.inputs) // options.batch)
    schedule_rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs * steps)
    decoder = EPGDecoder(schedule, tolerance=1e-3)
    half = options.precision == "half" or (options.precision == "auto" and _multiplies_half(start.device))
    for epoch in range(options.epochs):
        inputs, labels, weights = data.epoch(decoder, options.seed, epoch)
        order = torch.randperm(len(inputs), generator=stream(options.seed, 1, epoch))
        total = 0.0
        for number in range(steps):
            chosen = order[2 * options.batch * number : 2 * options.batch * (number + 1)]
            done = epoch * steps + number
            if watch.cancelled is not None and watch.cancelled.is_set():
                so_far = _finished(estimator, model, schedule, options, epoch, started) if epoch else None
                raise Cancelled(
                    f"Cancelled: adapting {estimator.name} after {counted(epoch, 'epoch')}.", partial=so_far
                )
            watch.report(done, options.epochs * steps, f"adapting {estimator.name}")
            batch = inputs[chosen], labels[chosen], weights[chosen]
            total += taken.take(len(chosen), partial(_losses, model, half, batch))[0]
            schedule_rate.step()
        if on_loss is not None:
            point = total / steps
            on_loss(LossPoint(epoch + 1, (epoch + 1) * steps, point, point, 0.0, None, time.perf_counter() - started))
    watch.report(1, 1, f"adapting {estimator.name}")
    return _finished(estimator, model, schedule, options, options.epochs, started)


def _losses(model: LabelNetwork, half: bool, batch: tuple[Tensor, Tensor, Tensor], part: slice) -> list[Tensor]:
    """Return the weighted loss of some rows of inputs, labels and weights, on the network's device."""
    device = next(model.parameters()).device
    inputs, labels, weights = (values[part].to(device) for values in batch)
    answer = model.labels(inputs if model.subspace is None else inputs @ model.basis, half=half)
    return [(nn.functional.smooth_l1_loss(answer, labels, beta=_SOFT, reduction="none") * weights).mean()]


@dataclass(frozen=True, eq=False)
class _Explained:
    """Normalised fingerprints with the tissues that explain them.

    ``labels`` are log10 T1 and T2, ``weights`` what their precision makes of them, ``noise`` the standard deviation of
    what is left of the normalised fingerprints; ``fed`` is what fingerprints are turned into.
    """

    fed: Inputs
    inputs: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    noise: FloatArray

    def epoch(self, decoder: EPGDecoder, seed: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the fingerprints and as many simulated neighbours of theirs, new ones for each epoch."""
        random = np.random.default_rng((seed, 2, epoch))
        chosen = random.choice(len(self.labels), len(self.labels), p=self.chances)
        found = self.labels.numpy()[chosen]
        labels = (found + _SPREAD / np.log(10.0) * random.standard_normal(found.shape)).astype(np.float32)
        labels[:, 1] = np.minimum(labels[:, 1], np.maximum(labels[:, 0], found[:, 1]))
        times = 10.0 ** np.clip(labels, -1.0, 4.3)
        signal = decoder.signal(times[:, 0], times[:, 1])
        signal /= np.maximum(np.linalg.norm(signal, axis=1, keepdims=True), 1e-30)
        # fingerprints are rotated to correlate positively with the mean atom, simulated ones as well
        inside = signal @ self.fed.basis
        signal *= np.where(inside @ self.fed.mean < 0, -1.0, 1.0)[:, None].astype(np.float32)
        signal += self.noise[chosen, None] * random.standard_normal(signal.shape, dtype=np.float32)
        near = self.fed.samples(self.fed.coefficients(signal, "real")[0])
        return (
            torch.cat([self.inputs, torch.from_numpy(near)]),
            torch.cat([self.labels, torch.from_numpy(labels)]),
            torch.cat([self.weights, self.weights[chosen]]),
        )

    @cached_property
    def chances(self) -> FloatArray:
        """How likely a neighbour is one of each fingerprint's tissue."""
        cells = np.floor(self.labels.numpy() / _CELL).astype(np.int64)
        _, cell, voxels = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        chances = voxels[cell.ravel()].astype(np.float64) ** -_EVENNESS
        return np.asarray(chances / chances.sum())


def _multiplies_half(device: torch.device) -> bool:
    if device.type != "cpu":
        return True
    # older versions of PyTorch do not tell
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell is not None and bool(tell().get("amx_bf16", False))


def _explained(
    estimator: NetworkEstimator,
    fingerprints: AnyArray,
    schedule: Schedule,
    kind: SignalKind,
    watch: Watch,
) -> _Explained:
    refined = Refined(estimator, tolerance=1e-4)
    allowance = Allowance(_BLOCK, refined.device, "explaining the stack's fingerprints", "fingerprints")
    refined.prepare(schedule, kind, progress=watch.progress, cancelled=watch.cancelled)
    fed = estimator.inputs(schedule, watch)
    inputs, labels, weights, noise = [], [], [], []
    first = 0
    while first < len(fingerprints):
        watch.check("explaining fingerprints")
        watch.report(first, len(fingerprints), "explaining the stack's fingerprints")
        block = fingerprints[first : first + allowance.size]
        explain = partial(refined.predict, block, schedule, kind, cancelled=watch.cancelled)
        found = allowance.attempt(explain, len(block))
        if found is None:
            refined.to(allowance.device)
            continue
        first += len(block)
        real, _, empty = fed.coefficients(block, kind)
        good = ~found.failed & ~empty & (found.residual < _UNEXPLAINED)
        times = np.column_stack([found.t1, found.t2])[good].astype(np.float64)
        assert found.t1_se is not None
        assert found.t2_se is not None
        errors = np.column_stack([found.t1_se, found.t2_se])[good] / times / np.log(10.0)
        inputs.append(fed.samples(real[good]))
        labels.append(np.log10(times))
        weights.append(1.0 / (1.0 + (errors / _SOFT) ** 2))
        noise.append(found.residual[good] / np.sqrt(len(schedule) * (2.0 if kind == "complex" else 1.0)))
    if not sum(len(part) for part in inputs):
        raise InputError("No fingerprint of the stack is explained by any tissue under its schedule; expected data of "
                         "that schedule.", field="stack")  # fmt: skip
    return _Explained(
        fed,
        torch.from_numpy(np.concatenate(inputs).astype(np.float32)),
        torch.from_numpy(np.concatenate(labels).astype(np.float32)),
        torch.from_numpy(np.concatenate(weights).astype(np.float32)),
        np.concatenate(noise).astype(np.float32),
    )


def _finished(
    estimator: NetworkEstimator,
    model: LabelNetwork,
    schedule: Schedule,
    options: AdaptationOptions,
    epochs: int,
    started: float,
) -> NetworkEstimator:
    note = (f"Adapted to [{schedule.describe()}] by an unlabelled stack: {counted(epochs, 'epoch')}, seed "
            f"{options.seed}, "
            f"{time.perf_counter() - started:.0f} s.")  # fmt: skip
    card = copy.deepcopy(estimator.card)
    card["schedules"] = [{**schedule.to_dict(), "record": {}}]
    card["scores"] = {}
    card["notes"] = [*card.get("notes", []), note]
    adapted, device = copy.deepcopy(model), next(model.parameters()).device
    return NetworkEstimator(adapted, [replace(schedule, record={})], card, name=estimator.name, device=str(device))
