"""Training a network for one or several schedules."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_blochnet.common.arrays import AnyArray, IntArray
from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import UNWATCHED, CancelEvent, Watch, ctrl_c_waits
from napari_blochnet.estimators.base import check_signal
from napari_blochnet.estimators.declared import DeclaredNetwork
from napari_blochnet.estimators.networks.architectures import ARCHITECTURES
from napari_blochnet.estimators.networks.inputs import signal_space
from napari_blochnet.estimators.networks.label_network import LabelNetwork, initialise, torch_device
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
from napari_blochnet.estimators.training.aliasing import Aliasing, disturbed
from napari_blochnet.estimators.training.card import make_card
from napari_blochnet.estimators.training.data import TrainingSet, stream
from napari_blochnet.estimators.training.decoders import TrainingDecoder
from napari_blochnet.estimators.training.losses import SignalWeight, label_loss, signal_squares, weight_of_signal
from napari_blochnet.estimators.training.options import TrainingOptions, options_from
from napari_blochnet.estimators.training.state import LossPoint, TrainingState, read_state, told_apart, write_state
from napari_blochnet.estimators.training.steps import Steps
from napari_blochnet.physics.train_signal import check_train_signal
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Training", "train_estimator"]

# Seconds between two checkpoints, and between two points of the live loss curve.
_CHECKPOINT_EVERY = 60.0
_SHOWN_EVERY = 0.5
# Loss, relative to the first step's, beyond which a training is given up.
_DIVERGED = 1e4
# Streams of random numbers, apart from each other.
_WEIGHTS, _ORDER, _NOISE, _HELD_OUT = range(4)


def train_estimator(
    architecture: str,
    schedules: Schedule | Sequence[Schedule],
    preset: str = "paper",
    *,
    device: str = "cpu",
    checkpoint: str | os.PathLike[str] | None = None,
    about: dict[str, Any] | None = None,
    measured: Mapping[str, AnyArray] | None = None,
    watch: Watch = UNWATCHED,
    on_loss: Callable[[LossPoint], None] | None = None,
    **changes: Any,
) -> NetworkEstimator:
    """Train a network on fingerprints that the decoder makes.

    Parameters
    ----------
    architecture : str
        "fc", "rnn", "hydra", "autoencoder-fc", "autoencoder-rnn" or "blochnet".
    schedules : Schedule or sequence of Schedule
        All of one length; each fingerprint of a batch is of one of them.
    preset : {"paper", "quick", "reduced", "aliased"}
        See `napari_blochnet.estimators.training.options.PRESETS`.
    device : str
        "cpu", "auto" or a torch device.
    checkpoint : path, optional
        Where the training is saved about once a minute, as far as the disk takes it: a `DataWarning` says where it
        does not, and the training goes on all the same. If the file is there already, the training goes on from it
        and ends as if it had not been interrupted, to the last bit on the same machine. It stays until the network's
        ``save`` has written it elsewhere: a training that has ended is gone on from, too.
    about : dict, optional
        JSON that is kept in the checkpoint, for who goes on with it.
    measured : mapping of str to array (voxel, N), optional
        Aliasing by digest of a schedule; see `napari_blochnet.estimators.training.aliasing.Aliasing`.
    watch : Watch
        Told, and looked at, at every step.
    on_loss : callable, optional
        Called with a `LossPoint` about twice a second and after every epoch, from the thread that trains.
    **changes
        Fields of `TrainingOptions`.

    Returns
    -------
    NetworkEstimator
        With the last weights, or, where some tissues are held out, with the best by these.

    Raises
    ------
    InputError
        An option out of range, schedules that differ in length or make complex signals, a checkpoint of another
        training, a training that diverges; a checkpoint file keeps what was reached.
    Cancelled
        Its ``partial`` is the estimator with the best weights so far, None before the first step.
    KeyboardInterrupt
        Ctrl-C: after the step that was being taken, where there is a checkpoint, and once that is saved.
    """
    several = (schedules,) if isinstance(schedules, Schedule) else tuple(schedules)
    if preset == "quick" and architecture in ARCHITECTURES and ARCHITECTURES[architecture][0] != "fc":
        raise InputError("The preset quick shapes fully connected encoders (fc, autoencoder-fc, blochnet), which "
                         f"{architecture} is not; expected paper, reduced or aliased.", field="preset")  # fmt: skip
    options = options_from(preset, architecture, **changes)
    training = Training(architecture, several, preset, options, device)
    training.about, training.measured = about or {}, measured or {}
    return training.run(checkpoint, watch, on_loss)


@dataclass(frozen=True, eq=False)
class _Batch:
    """What a step learns from: inputs with and without noise, labels, and the number of each one's schedule."""

    inputs: Tensor
    clean: Tensor
    labels: Tensor
    which: IntArray

    def part(self, rows: slice) -> _Batch:
        """Return some of it."""
        return _Batch(self.inputs[rows], self.clean[rows], self.labels[rows], self.which[rows])


class Training:
    """One training: its network, data and state; `train_estimator` runs it."""

    def __init__(
        self, architecture: str, schedules: tuple[Schedule, ...], preset: str, options: TrainingOptions, device: str
    ) -> None:
        lengths = sorted({len(schedule) for schedule in schedules})
        if len(lengths) != 1:
            raise InputError(
                f"The schedules have {' and '.join(str(length) for length in lengths) or 'no'} pulses; expected one or "
                "more schedules of one length.",
                field="schedules",
            )
        for schedule in schedules:
            check_signal(architecture, schedule, "real", DeclaredNetwork)
            check_train_signal(schedule)
        self.architecture, self.schedules, self.preset = architecture, schedules, preset
        asked = torch_device(device)
        self.asked = str(asked)
        self.model = LabelNetwork(architecture, lengths[0], options.widths, options.subspace, options.activation)
        self.decoder = TrainingDecoder(ARCHITECTURES[architecture][1], schedules, options.tolerance)
        self.options = options
        self.modules = nn.ModuleDict({"model": self.model, "decoder": self.decoder})
        initialise(self.modules, stream(options.seed, _WEIGHTS))
        optimizer = torch.optim.Adam(self.modules.parameters(), lr=options.learning_rate)
        self.steps = Steps(self.modules, optimizer, options.batch, asked, f"training {architecture}")
        self.data = TrainingSet(schedules, options)
        self._weight = SignalWeight(options.decoder_weight)
        self.aliasing: Aliasing | None = None
        self._spaces: list[Tensor] | None = None
        self.state = TrainingState()
        self.about: dict[str, Any] = {}
        self.measured: Mapping[str, AnyArray] = {}
        self._is_told_unsaved = False

    @property
    def key(self) -> dict[str, Any]:
        """What makes two trainings the same."""
        return {
            "estimator": self.architecture,
            "schedules": [schedule.digest for schedule in self.schedules],
            "threads": torch.get_num_threads(),
            "device": self.asked,
            **self._told_apart,
        }

    @cached_property
    def _told_apart(self) -> dict[str, Any]:
        return told_apart(self.options, self.measured)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every training fingerprint is seen once."""
        return math.ceil(len(self.data.training) / self.options.batch)

    def run(
        self,
        checkpoint: str | os.PathLike[str] | None = None,
        watch: Watch = UNWATCHED,
        on_loss: Callable[[LossPoint], None] | None = None,
    ) -> NetworkEstimator:
        watch.report(0, 1, f"preparing to train {self.architecture}")
        try:
            self._set_input(watch)
            self.steps.place()
            if checkpoint is not None and Path(checkpoint).is_file():
                self.state = read_state(checkpoint, self.key, self.modules, self.steps.optimizer)
            self.data.prepare(self.state.step // self.steps_per_epoch, watch)
            self.weigh(watch)
        except Cancelled:
            raise Cancelled(f"Cancelled: training {self.architecture}; no step was taken.") from None
        if checkpoint is None:
            self._loop(checkpoint, watch, on_loss)
            return self.estimator()
        with ctrl_c_waits() as interrupted:
            self._loop(checkpoint, watch, on_loss, interrupted)
            # what comes after can be killed, too: the network's `save` removes it
            self._save(checkpoint)
        trained = self.estimator()
        trained.checkpoint = Path(checkpoint)
        return trained

    def _set_input(self, watch: Watch = UNWATCHED) -> None:
        """Give the network the subspace of its input and the scale of its labels, where it has them."""
        model, options = self.model, self.options
        if options.subspace is None or model.subspace is None:
            return
        subspace = self.data.find_subspace(options.subspace)
        self.data.prepare(0, watch)
        some = np.arange(0, len(self.data.training), max(1, len(self.data.training) // 8192))
        coefficients, labels, _ = self.data.batch(self.data.training[some])
        unit = nn.functional.normalize(coefficients, dim=1)
        # noise of SNR 50 bounds the gain of coefficients that hardly vary
        floor = 1.0 / (50.0 * math.sqrt(model.length))
        model.basis.copy_(torch.from_numpy(subspace.basis.astype(np.float32)))
        model.gain.copy_(1.0 / torch.sqrt(unit.var(dim=0) + floor**2))
        model.centre.copy_(labels.mean(dim=0))
        model.spread.copy_(labels.std(dim=0))

    def weigh(self, watch: Watch = UNWATCHED) -> None:
        """Measure what is drawn beside the fingerprints, and what the decoder's loss is worth."""
        if self.model.subspace is None and (self.options.snr_range or self.options.aliasing_range):
            self._spaces = [torch.from_numpy(signal_space(schedule, watch)) for schedule in self.schedules]
        if self.options.aliasing_range is not None:
            basis = None if self.data.subspace is None else self.data.subspace.basis
            self.aliasing = Aliasing(self.schedules, basis, watch, scan=self.options.scan, measured=self.measured)
        if self.decoder.kind is not None:
            self._weight = weight_of_signal(self.data, self.options)

    def _loop(
        self,
        checkpoint: str | os.PathLike[str] | None,
        watch: Watch,
        on_loss: Callable[[LossPoint], None] | None,
        interrupted: CancelEvent | None = None,
    ) -> None:
        state, options = self.state, self.options
        per_epoch, total = self.steps_per_epoch, self.steps_per_epoch * options.epochs
        started = time.perf_counter() - state.seconds
        saved = shown = time.perf_counter()
        first_loss = state.history[0].loss if state.history else None
        while state.step < total and not self._patience_is_over():
            epoch, step = divmod(state.step, per_epoch)
            if step == 0:
                try:
                    self.data.prepare(epoch, Watch(cancelled=watch.cancelled))
                except Cancelled:
                    raise self._stopped(total, checkpoint) from None
                state.sums = [0.0, 0.0, 0.0]
            order = self._order(epoch)
            for number in range(step, per_epoch):
                if watch.cancelled is not None and watch.cancelled.is_set():
                    raise self._stopped(total, checkpoint)
                if interrupted is not None and interrupted.is_set():
                    raise KeyboardInterrupt from self._stopped(total, checkpoint)
                losses = self._step(order[number * options.batch : (number + 1) * options.batch], total)
                first_loss = losses[0] if first_loss is None else first_loss
                if not math.isfinite(losses[0]) or losses[0] > _DIVERGED * max(first_loss, 1e-3):
                    raise self._diverged(losses[0], checkpoint)
                state.step += 1
                state.sums = [total_ + loss for total_, loss in zip(state.sums, losses, strict=True)]
                now = time.perf_counter()
                state.seconds = now - started
                watch.report(state.step, total, f"training {self.architecture}")
                if number + 1 == per_epoch:
                    self._end_epoch(epoch + 1)
                    if on_loss is not None:
                        on_loss(state.history[-1])
                elif on_loss is not None and now - shown > _SHOWN_EVERY:
                    shown = now
                    on_loss(self._point(epoch, number + 1, None))
                if checkpoint is not None and now - saved > _CHECKPOINT_EVERY:
                    self._save(checkpoint)
                    saved = now

    def _save(self, checkpoint: str | os.PathLike[str]) -> None:
        """Write the checkpoint; what was trained outlives a disk that does not take it."""
        about = {**self.about, "total": self.steps_per_epoch * self.options.epochs}
        try:
            write_state(checkpoint, self.key, self.state, self.modules, self.steps.optimizer, about)
        except (OSError, InputError) as error:
            if not self._is_told_unsaved:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".")
                warnings.warn(f"{Path(checkpoint)}: the training cannot be saved here ({reason}); it goes on, but once "
                              "stopped it has to begin anew.", DataWarning, stacklevel=2)  # fmt: skip
            self._is_told_unsaved = True

    def _stopped(self, total: int, checkpoint: str | os.PathLike[str] | None) -> Cancelled:
        if checkpoint is not None and self.state.step:
            self._save(checkpoint)
        words = f"Cancelled: training {self.architecture} after {self.state.step} of {total} steps."
        return Cancelled(words, partial=self.estimator() if self.state.step else None)

    def _patience_is_over(self) -> bool:
        patience, epochs = self.options.patience, len(self.state.history)
        return patience is not None and epochs - self.state.best_epoch >= patience

    def _order(self, epoch: int) -> IntArray:
        permutation = torch.randperm(len(self.data.training), generator=stream(self.options.seed, _ORDER, epoch))
        order: IntArray = self.data.training[permutation.numpy()]
        return order

    def _step(self, index: IntArray, total: int) -> list[float]:
        options, step = self.options, self.state.step
        if options.cosine:
            for group in self.steps.optimizer.param_groups:
                group["lr"] = options.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / total))
        self.modules.train()
        drawn = self._drawn(index, stream(options.seed, _NOISE, step))
        return self.steps.take(len(index), partial(self._losses, drawn))

    def try_step(self, index: IntArray, *, learn: bool) -> list[float]:
        """Take a step on an index, or look at it, outside of any training: for its time."""
        self.modules.train(learn)
        drawn = self._drawn(index, stream(self.options.seed, _NOISE, 0))
        return (self.steps.take if learn else self.steps.look)(len(index), partial(self._losses, drawn))

    def _drawn(self, index: IntArray, noise: torch.Generator) -> _Batch:
        """Return the fingerprints of an index, with noise where options ask for it."""
        clean, labels, which = self.data.batch(index)
        inputs = disturbed(clean, which, self.options, self.model.length, self.aliasing, noise, self._spaces)
        return _Batch(inputs, clean, labels, which)

    def _losses(self, whole: _Batch, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        options, device, batch = self.options, self.steps.device, whole.part(rows)
        inputs, labels = batch.inputs.to(device), batch.labels.to(device)
        predicted = self.model.labels(inputs, half=options.precision == "half")
        of_labels = label_loss(predicted, labels, options)
        if self.decoder.kind is None:
            return of_labels, of_labels, torch.zeros(())
        # the first of the batch, whose order is random
        decoded = len(whole.labels) if options.decoded is None else min(options.decoded, len(whole.labels))
        seen = slice(0, max(0, min(decoded - rows.start, len(labels))))
        if not seen.stop:
            return of_labels, of_labels, torch.zeros(())
        basis = None if self.model.subspace is None else self.model.basis
        target, which = batch.clean[seen].to(device), batch.which[seen]
        squares = signal_squares(self.decoder, predicted[seen], target, which, basis)
        # means over parts add up to that over the batch
        share = seen.stop * len(whole.labels) / (decoded * len(labels))
        of_signal = self._weight(squares)
        of_signal = of_signal if share == 1.0 else share * of_signal
        return of_labels + of_signal, of_labels, share * squares.mean()

    def _point(self, epoch: int, steps: int, held_out: float | None) -> LossPoint:
        loss, label_loss, decoder_loss = (value / steps for value in self.state.sums)
        return LossPoint(epoch, self.state.step, loss, label_loss, decoder_loss, held_out, self.state.seconds)

    def _end_epoch(self, epoch: int) -> None:
        state, held_out = self.state, None
        if len(self.data.held_out):
            self.modules.eval()
            parts = []
            for number, index in enumerate(_cut(self.data.held_out, self.options.batch)):
                drawn = self._drawn(index, stream(self.options.seed, _HELD_OUT, number))
                losses = self.steps.look(len(index), partial(self._losses, drawn))
                parts.append(losses[1] * len(index))
            held_out = math.fsum(parts) / len(self.data.held_out)
            if held_out < state.best_loss:
                state.best_loss, state.best_epoch = held_out, epoch
                state.best = {name: value.detach().clone() for name, value in self.modules.state_dict().items()}
        state.history.append(self._point(epoch, self.steps_per_epoch, held_out))

    def _diverged(self, loss: float, checkpoint: str | os.PathLike[str] | None) -> InputError:
        kept = "" if checkpoint is None or not Path(checkpoint).is_file() else (
            f" {Path(checkpoint).name} keeps what was reached before.")  # fmt: skip
        return InputError(
            f"The training of {self.architecture} diverged at step {self.state.step + 1} (loss {loss:g}); expected a "
            f"learning rate smaller than {self.options.learning_rate:g}.{kept}",
            field="learning_rate",
        )

    def estimator(self) -> NetworkEstimator:
        """Return the estimator with the best weights so far."""
        model = LabelNetwork(
            self.architecture, self.model.length, self.options.widths, self.options.subspace, self.options.activation
        )
        weights = self.state.best or self.modules.state_dict()
        model.load_state_dict(
            {key.removeprefix("model."): value for key, value in weights.items() if key.startswith("model.")}
        )
        card = make_card(
            self.architecture, self.schedules, self.preset, self.options, self.state, str(self.steps.device)
        )
        card["notes"] += self.steps.allowance.notes
        schedules = [replace(schedule, record={}) for schedule in self.schedules]
        return NetworkEstimator(model, schedules, card, device=str(self.steps.device))


def _cut(index: IntArray, size: int) -> list[IntArray]:
    return [index[start : start + size] for start in range(0, len(index), size)]
