"""Training the universal network: a schedule nobody has seen, at every step.

The schedules are drawn to differ as much as schedules can: flip angles along splines of 4 to 12 control points, with
and without noise, constant, or independent from pulse to pulse; TR constant, smooth or random; with inversion or
without; of any length from 60 to 1000. None of them is made of the lobes of the published FISP train, so that what the
network does under that train is what it does under a schedule it does not know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_blochnet.arrays import AnyArray, FloatArray
from napari_blochnet.estimators.universal import UniversalNetwork
from napari_blochnet.estimators.universal_anchors import REACH, STEP, Anchors
from napari_blochnet.estimators.universal_features import hill_features
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.progress import CancelEvent, ProgressCallback, raise_if_cancelled, report
from napari_blochnet.schedules.generators import perlin_repetition_time
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["TrainingState", "random_schedule", "train_universal", "training_batch"]

# Tissues are drawn log-uniformly from these ranges, ms, with T2 ≤ T1.
_T1 = (8.0, 8000.0)
_T2 = (1.2, 4000.0)
# Half the width, in lattice steps, of the part of the loss that is a parabola.
_SOFT = 0.01


@dataclass
class TrainingState:
    """A training that can go on: the network, its optimizer's state, the steps done and the loss of each."""

    network: UniversalNetwork
    optimizer: torch.optim.Optimizer
    step: int
    losses: list[float]


def random_schedule(seed: int) -> Schedule:
    """Return the schedule of one training step."""
    random = np.random.default_rng((seed, 0))
    length = int(np.exp(random.uniform(math.log(60), math.log(1000))))
    form = random.choice(["spline", "noisy spline", "constant", "independent"], p=[0.45, 0.25, 0.12, 0.18])
    largest = random.uniform(15.0, 150.0)
    if form == "constant":
        flip_angle = np.full(length, random.uniform(4.0, 90.0))
    elif form == "independent":
        flip_angle = random.uniform(0.0, largest, length)
    else:
        flip_angle = _spline(random, length, largest)
        if form == "noisy spline":
            flip_angle = flip_angle + random.normal(0.0, random.uniform(0.5, 6.0), length)
    shortest = random.uniform(4.0, 20.0)
    longest = shortest * random.uniform(1.05, 1.6)
    timing = random.choice(["constant", "smooth", "independent"])
    if timing == "constant":
        repetition_time = np.full(length, shortest)
    elif timing == "smooth":
        repetition_time = perlin_repetition_time(length, seed, shortest, longest)
    else:
        repetition_time = random.uniform(shortest, longest, length)
    echo_time: float | FloatArray = shortest * random.uniform(0.1, 0.9)
    if random.random() < 0.2:
        echo_time = random.uniform(0.1, 0.9, length) * shortest
    inverted = random.random() < (0.95 if form == "constant" else 0.75)
    inversion_time = float(random.choice([0.0, random.uniform(0.0, 60.0)])) if inverted else None
    return Schedule(
        np.clip(flip_angle, 0.0, 180.0),
        repetition_time,
        echo_time,
        inversion_time=inversion_time,
        inversion_efficiency=random.uniform(0.9, 1.0),
        name=f"{form}, seed {seed}",
    )


def _spline(random: np.random.Generator, length: int, largest: float) -> FloatArray:
    from scipy.interpolate import CubicSpline

    control = random.uniform(0.0, largest, int(random.integers(4, 13)))
    curve = CubicSpline(np.linspace(0.0, 1.0, len(control)), control)
    return np.asarray(curve(np.linspace(0.0, 1.0, length)), dtype=np.float64)


class _Simulator:
    """Signals with orders enough for derivatives right to a per mille, made for one use of each schedule.

    The decoder's own rule checks each schedule against all orders, which takes longer than a training step.
    """

    def __init__(self, schedule: Schedule, magnitude: bool) -> None:
        self._shortest = float(schedule.repetition_time.min())
        self._most = (len(schedule) + 1) // 2
        self._decoders = [(k, EPGDecoder(schedule, states=k)) for k in (4, 8, 16, 32, 64, 128, 256)]
        self._magnitude = magnitude

    def __call__(self, t1: AnyArray, t2: AnyArray) -> AnyArray:
        needed = np.minimum(np.asarray(t2) * (math.log(100.0) / (2.0 * self._shortest)) + 2.0, self._most)
        signals = np.empty((len(t1), len(self._decoders[0][1].schedule)), np.float32)
        fewer = 0
        for kept, decoder in self._decoders:
            last = kept == self._decoders[-1][0]
            here = (needed > fewer) & ((needed <= kept) | last)
            if here.any():
                signals[here] = decoder.signal(t1[here], t2[here])
            fewer = kept
        return np.abs(signals) if self._magnitude else signals


def training_batch(seed: int, voxels: int, copies: int = 3) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Make the patches of one step.

    Parameters
    ----------
    seed : int
    voxels : int
        Tissues.
    copies : int
        Times each tissue appears, with other noise and sometimes a patch off its place.

    Returns
    -------
    features : float32 array of shape (patch, feature)
    top : float32 array of shape (patch, 2)
        What the network corrects.
    truth : float32 array of shape (patch, 2)
        Where the tissue is, log T1 and log T2 in lattice steps from the patch's centre.
    """
    schedule = random_schedule(seed)
    random = np.random.default_rng((seed, 1))
    simulator = _Simulator(schedule, magnitude=bool(random.random() < 0.25))
    anchors = Anchors.simulate(simulator)
    t2 = np.exp(random.uniform(math.log(_T2[0]), math.log(_T2[1]), voxels))
    t1 = np.exp(random.uniform(np.log(np.maximum(t2, _T1[0])), math.log(_T1[1])))
    clean = np.tile(anchors.subspace.project(simulator(t1, t2)), (copies, 1))
    # noise in the subspace is as white as outside, and what lies outside does not act on a hill's shape
    level = np.linalg.norm(clean, axis=1) / math.sqrt(len(schedule))
    snr = np.exp(random.uniform(math.log(3.0), math.log(3000.0), len(clean)))
    snr[random.random(len(clean)) < 0.3] = np.inf
    complex_data = bool(random.random() < 0.5)
    noise = random.standard_normal(clean.shape)
    if complex_data:
        noise = noise + 1j * random.standard_normal(clean.shape)
    noisy = clean + noise * (level / snr)[:, None]
    centre, heights = anchors.settle(noisy, anchors.search(noisy), short=2.0 * float(schedule.repetition_time.max()))
    points = anchors.lattice
    place = np.stack([np.log(t1), np.log(t2)], axis=1) / math.log(STEP)
    place = np.tile(place, (copies, 1))
    moved = random.random(len(centre)) < 0.25
    near = np.stack([points.i[points.candidates[centre]], points.j[points.candidates[centre]]], axis=1)[moved]
    near = near + random.integers(-1, 2, near.shape)
    centre[moved] = points.nearest(near[:, 0], near[:, 1])
    heights[moved] = anchors.heights(noisy[moved], centre[moved])
    features, top = hill_features(heights)
    truth = place - np.stack([points.i[points.candidates[centre]], points.j[points.candidates[centre]]], axis=1)
    inside = (np.abs(truth) <= REACH + 0.5).all(axis=1)
    return features[inside], top[inside], truth[inside].astype(np.float32)


def train_universal(
    steps: int,
    state: TrainingState | None = None,
    *,
    total: int | None = None,
    seed: int = 0,
    voxels: int = 2048,
    learning_rate: float = 2e-3,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> TrainingState:
    """Train the universal network, or go on training it.

    Parameters
    ----------
    steps : int
        Steps to do now, each on a schedule of its own.
    state : TrainingState, optional
        From where to go on.
    total : int, optional
        Steps of the whole training, over which the learning rate falls along half a cosine. None: ``steps``.
    seed : int
        Of weights, schedules, tissues and noise.
    voxels : int
        Tissues in a step.
    learning_rate : float
        At the start.
    progress, cancelled : optional
        Looked at once per step.

    Returns
    -------
    TrainingState
    """
    total = total or steps
    if state is None:
        torch.manual_seed(seed)
        network = UniversalNetwork()
        state = TrainingState(network, torch.optim.Adam(network.parameters(), lr=learning_rate), 0, [])
    network = state.network.train()
    first = state.step
    for done in range(steps):
        raise_if_cancelled(cancelled, "training", partial=state)
        report(progress, done, steps, "training the universal network")
        features, top, truth = training_batch(1_000_000 * (seed + 1) + state.step, voxels)
        for group in state.optimizer.param_groups:
            group["lr"] = 0.5 * learning_rate * (1.0 + math.cos(math.pi * min(1.0, state.step / total)))
        parts = np.array_split(np.random.default_rng((seed, first + done)).permutation(len(features)), 4)
        losses = []
        for part in parts:
            answer = network(torch.from_numpy(features[part])) + torch.from_numpy(top[part])
            error = answer - torch.from_numpy(truth[part])
            loss = (error.square() + _SOFT**2).sqrt().mean()
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            state.optimizer.step()
            losses.append(float(loss.detach()))
        state.step += 1
        state.losses.append(float(np.mean(losses)))
    network.eval()
    return state


def checkpoint(state: TrainingState) -> dict[str, Any]:
    """Return what `restore` needs, as plain tensors and numbers."""
    return {
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "losses": state.losses,
    }
