"""What every estimator is: something that turns fingerprints into tissue parameters."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.one_thread_blas import one_thread_blas
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.estimators.estimates import Block, Conditions, Estimates
from napari_blochnet.fingerprints.freedom import check_samples, fewest_samples
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.physics.train_signal import check_train_signal
from napari_blochnet.sampling.scans import Scan
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["SETTINGS", "Block", "Conditions", "Estimates", "Estimator", "check_saturation", "check_signal"]

#: What estimators may be set by: fields of the settings of a mapping, of which each declares those it takes.
SETTINGS = ("t1_range", "t2_range", "step", "saturation", "other_schedule")
# Fingerprints that are checked at a time.
_CHECKED = 1024


class Estimator(ABC):
    """Fingerprints in, tissue parameters out.

    A subclass says in attributes what it is and what it takes, which is asked before one is used or even made, and
    implements `estimate`: what it makes of one block of fingerprints. What all blocks of a schedule share it may do
    once in `make_ready`. Checks, blocks and the joining of their answers are the same for all.
    """

    #: What it is called in tables, settings and records.
    name: str = ""
    #: What it is, for people who choose.
    about: str = ""
    #: Those of `SETTINGS` that it takes as keyword arguments when it is made.
    settings: tuple[str, ...] = ()
    #: The schedule it was made for; None: any.
    schedule: Schedule | None = None
    #: Whether it takes fingerprints of other schedules all the same.
    other_schedule: bool = False
    #: Where it computes, by torch's name, and whether it can be moved elsewhere.
    device: Any = "cpu"
    is_movable: bool = False
    #: Whether its answer is the best among all tissues: no fit from there need be compared with one from elsewhere.
    is_global: bool = False
    #: Whether it was trained: the same name may stand for other answers after another training.
    is_trained: bool = False
    #: Whether it takes magnitudes, and signals that RF phases make complex in every frame.
    takes_magnitude: bool = True
    takes_phases: bool = True
    #: Whether it takes frames of undersampled k-space for what they are.
    takes_aliasing: bool = True
    #: The scan whose aliasing it was trained with.
    trained_scan: Scan | None = None
    #: Whether it takes a map of the transmit field, and whether it fits that field itself.
    takes_b1: bool = False
    fit_b1: bool = False
    #: Smallest and largest B1 of which it has signals; beyond them it takes the nearest. None: any.
    b1_range: tuple[float, float] | None = None
    #: Whether it takes coordinates in a subspace in place of fingerprints.
    takes_subspace: bool = False
    #: Whether it simulates, and so needs the schedule of what it maps.
    needs_schedule: bool = True
    #: Which of "t1", "t2" and "b1" it estimates where no B1 is given.
    estimated: tuple[str, ...] = ("t1", "t2")
    #: Names and units of further parameters that it estimates.
    others: tuple[tuple[str, str], ...] = ()
    #: Settings of a mapping that make it again, where its name does not.
    made_by: Mapping[str, Any] = MappingProxyType({})
    #: Name or file that it was loaded from, which makes it again.
    source: str | None = None
    #: Fingerprints estimated together; None: as many as are given.
    block: int | None = 4096
    #: Of how many schedules what `make_ready` returns is kept.
    kept: int = 1
    #: Whether it makes something else ready for fingerprints whose B1 is known.
    apart_with_b1: bool = False

    @abstractmethod
    def estimate(self, block: Block) -> Estimates:
        """Estimate one block of fingerprints."""

    def make_ready(self, schedule: Schedule, kind: SignalKind, watch: Watch) -> Any:
        """Return what all blocks share (a dictionary, a decoder), as they find it in `Block.ready`."""
        return None

    def make_ready_for(self, given: Conditions) -> Any:
        """Return the same of estimators that take coordinates in a subspace, or have something else for a known B1."""
        return self.make_ready(given.schedule, given.kind, given.watch)

    @classmethod
    def memory(
        cls, pulses: int, kind: SignalKind, parts: int, batch: float, settings: Any
    ) -> tuple[float, float, float]:
        """Return the bytes that it takes while it is made ready, that it keeps, and that a batch takes on top.

        Parameters
        ----------
        pulses : int
        kind : {"complex", "real", "magnitude"}
        parts : int
            Real numbers that a simulated sample has: 1 or 2.
        batch : float
            Bytes of the fingerprints of a batch.
        settings : object
            Its settings, as attributes.
        """
        return 0.0, 0.0, 2.2 * batch

    @property
    def description(self) -> str:
        """One line for records."""
        return self.name

    @property
    def understood(self) -> tuple[str, ...]:
        """What was understood of the file that it comes from, in sentences for records."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.description}>"

    def to(self, device: str) -> Self:
        """Compute on another device from now on, where it can be moved."""
        return self

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        subspace: Subspace | None = None,
        with_b1: bool = False,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Do once what all batches of a schedule share (simulate a dictionary, load weights), with B1 or without.

        Raises
        ------
        InputError
            A schedule, a kind of signal or a subspace that it does not take.
        Cancelled
            Once ``cancelled`` is set.
        """
        self.check(schedule, kind)
        if subspace is not None:
            self.check_subspace(subspace, schedule, kind)
        self._ready(Conditions(schedule, kind, Watch(progress, cancelled), subspace, with_b1))

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        b1: AnyArray | None = None,
        subspace: Subspace | None = None,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate a batch.

        Parameters
        ----------
        fingerprints : array of shape (voxel, time), or (voxel, K) with a subspace
            In the receiver's frame; complex, or real for real and magnitude data.
        schedule : Schedule
            What made them; None, with a subspace, for an estimator that needs none.
        kind : {"complex", "real", "magnitude"}, optional
            What they are; None: complex or real by type.
        b1 : array of shape (voxel,), optional
            Relative transmit field where it is known, 1 being nominal, for estimators that take it.
        subspace : Subspace, optional
            Where the fingerprints are given by their coordinates in one, for estimators that take it.
        cancelled : optional
            Looked at between blocks, and within them where they take long.

        Returns
        -------
        Estimates

        Raises
        ------
        InputError
            Fingerprints that are not (voxel, time), of another length than the schedule, of a type that the kind
            cannot be, or not finite; a schedule, a kind of signal or a subspace that the estimator does not take; B1
            that it does not take, both given and to be fitted, of another shape, or not above 0.
        Cancelled
            Once ``cancelled`` is set.
        """
        if fingerprints.ndim != 2:
            raise InputError(
                f"The fingerprints have shape {fingerprints.shape}; expected (voxel, time).", field="fingerprints"
            )
        if subspace is None and schedule is None:
            raise self._without_schedule()
        if fingerprints.shape[1] != (len(schedule) if subspace is None else subspace.rank):
            raise InputError(
                f"The fingerprints have {fingerprints.shape[1]} time points, but the schedule "
                f"{schedule.name or 'given'} has {len(schedule)} pulses; expected the same number."
                if subspace is None
                else f"The fingerprints have {fingerprints.shape[1]} coordinates in a subspace of {subspace.rank}; "
                "expected as many.",
                field="schedule",
            )
        is_complex = bool(np.iscomplexobj(fingerprints))
        kind = kind or ("complex" if is_complex else "real")
        self.check(schedule, kind)
        if subspace is not None:
            self.check_subspace(subspace, schedule, kind)
        if is_complex != (kind == "complex"):
            raise InputError(
                f"The fingerprints are {fingerprints.dtype}, but their kind is {kind}; expected "
                f"{'complex' if is_complex else 'real or magnitude'}.",
                field="kind",
            )
        # in parts: what a check takes must not grow with a batch
        parts = (fingerprints[start : start + _CHECKED] for start in range(0, len(fingerprints), _CHECKED))
        if not all(np.isfinite(part).all() for part in parts):
            raise InputError("The fingerprints hold NaN or infinity; expected finite samples.", field="fingerprints")
        field = None if b1 is None else self._checked_b1(b1, len(fingerprints))
        watch = Watch(cancelled=cancelled)
        return self.estimate_blocks(Block(fingerprints, schedule, kind, None, field, watch, subspace))

    def check(self, schedule: Schedule, kind: SignalKind) -> None:
        """Raise `InputError` where it does not take data of a kind made under a schedule."""
        if schedule is None:
            raise self._without_schedule()
        check_signal(self.name, schedule, kind, self)
        if self.schedule is not None and not self.other_schedule and not self.is_for(schedule):
            raise InputError(
                f"The estimator {self.name} was made for [{self.schedule.describe()}], but the data's schedule is "
                f"[{schedule.describe()}]; expected the same schedule.",
                field="estimator",
            )

    def _without_schedule(self) -> InputError:
        if not self.needs_schedule:
            return InputError("The fingerprints come with neither a schedule nor a subspace", "one of them",
                              field="schedule")  # fmt: skip
        return InputError(
            f"The stack comes without a schedule, and {self.name} simulates one",
            "the schedule that made it, or the dictionary that came with the data",
            field="schedule",
        )

    def check_subspace(self, subspace: Subspace, schedule: Schedule, kind: SignalKind) -> None:
        """Raise `InputError` where it does not take coordinates in a subspace of a schedule's signals."""
        if not self.takes_subspace:
            raise InputError(
                f"The stack holds {subspace.rank} coefficients for each voxel, and the estimator {self.name} needs "
                "whole fingerprints (dictionary, universal and networks take coefficients).",
                field="estimator",
            )
        if getattr(self, "saturation", None) is not None:
            raise InputError(
                "saturation is given, but coefficients have no samples that could be saturated",
                "none",
                field="saturation",
            )
        check_samples(schedule, kind, fit_b1=self.fit_b1, components=subspace.rank)

    def check_stack(self, stack: FingerprintStack, inside: BoolArray) -> None:  # noqa: B027
        """Raise `InputError` where the numbers of a stack say that it is no such data; of what is mapped of it."""

    def has_errors(self, schedule: Schedule, kind: SignalKind, subspace: Subspace | None = None) -> bool:
        """Whether its answers for such data come with standard errors."""
        return False

    def step_errors(self, found: Estimates) -> tuple[FloatArray, FloatArray] | None:
        """Return standard deviations (ms) that the steps between possible answers add to T1 and T2; None without."""
        return None

    def is_for(self, schedule: Schedule) -> bool:
        """Whether a schedule is one it was made for."""
        return self.schedule == schedule

    @one_thread_blas.throughout
    def estimate_blocks(self, whole: Block) -> Estimates:
        """Estimate fingerprints that were checked, one block after the other."""
        whole = replace(whole, ready=self._ready(whole.conditions))
        size = self.block or max(1, len(whole))
        parts = []
        for start in range(0, max(1, len(whole)), size):
            whole.watch.check("mapping")
            parts.append(self.estimate(whole.part(slice(start, start + size))))
        found = parts[0] if len(parts) == 1 else Estimates.joined(parts)
        saturation = getattr(self, "saturation", None)
        if saturation is None or whole.subspace is not None:
            return found
        # what is left of a voxel may be too little to tell its parameters by
        fewest = fewest_samples(whole.schedule, whole.kind, fit_b1=self.fit_b1)
        cuts = (whole.data[start : start + _CHECKED] for start in range(0, max(1, len(whole)), _CHECKED))
        lost = np.concatenate([(np.abs(cut) < saturation).sum(axis=1) < fewest for cut in cuts])
        return found.without(lost) if lost.any() else found

    @one_thread_blas.throughout
    def _ready(self, given: Conditions) -> Any:
        """Return what was made ready for some conditions, now or before."""
        if not self.apart_with_b1:
            given = replace(given, with_b1=False)
        key = given.key
        with _lock:
            if key in self._shared:
                self._shared.move_to_end(key)
                return self._shared[key]
        if self.needs_schedule:
            check_train_signal(given.schedule)
        made = self.make_ready_for(given)
        with _lock:
            self._shared[key] = made
            while len(self._shared) > self.kept:
                self._shared.popitem(last=False)
        return made

    @cached_property
    def _shared(self) -> OrderedDict[tuple[str | None, str, str | None, bool], Any]:
        """What was made ready, by `Conditions.key`, the latest used last."""
        return OrderedDict()

    def _checked_b1(self, b1: AnyArray, voxels: int) -> FloatArray:
        if not self.takes_b1:
            raise InputError(
                f"b1 is given, but {self.name} takes B1 as nominal; expected refine with it, or no b1.", field="b1"
            )
        if self.fit_b1:
            raise InputError("B1 is given and to be fitted; expected one of the two.", field="fit_b1")
        if np.shape(b1) != (voxels,):
            raise InputError(
                f"b1 has shape {np.shape(b1)}; expected one number for each of {voxels} voxels.", field="b1"
            )
        field = np.asarray(b1, np.float64)
        wrong = ~(np.isfinite(field) & (field > 0))
        if wrong.any():
            raise InputError(
                f"b1 is {field[wrong][0]:g}; expected finite numbers above 0, 1 being nominal.", field="b1"
            )
        return field


# Of what estimators keep; held for as long as it takes to look.
_lock = threading.Lock()


def check_signal(name: str, schedule: Schedule, kind: SignalKind, estimator: Estimator | type[Estimator]) -> None:
    """Raise `InputError` where an estimator cannot take such data: magnitudes, a schedule of complex signals, or one of
    fewer samples than unknowns.
    """
    check_samples(schedule, kind)
    if kind == "magnitude" and not estimator.takes_magnitude:
        raise InputError(
            f"The stack holds magnitudes, whose sign is lost; the estimator {name} needs complex or real data "
            "(dictionary takes magnitudes).",
            field="estimator",
        )
    if not schedule.is_real and not estimator.takes_phases:
        raise InputError(
            f"The RF phases of [{schedule.describe()}] make signals that no rotation turns real; the estimator {name} "
            "needs phases that are equal or linear (dictionary takes any).",
            field="estimator",
        )


def check_saturation(saturation: float | None) -> None:
    """Raise `InputError` where samples to be left out have no magnitude above 0."""
    if saturation is not None and not saturation > 0:
        raise InputError(f"saturation is {saturation!r}; expected a magnitude above 0, or none.", field="saturation")
