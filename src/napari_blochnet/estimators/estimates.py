"""What estimators are given of fingerprints, and what they say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray, SignalKind
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Block", "Conditions", "Estimates"]


@dataclass(frozen=True)
class Conditions:
    """What all blocks of a mapping have in common.

    Parameters
    ----------
    schedule : Schedule
        None where an estimator needs none.
    kind : {"complex", "real", "magnitude"}
    watch : Watch
        Told, and looked at, where it takes long to make something ready for them.
    subspace : Subspace, optional
        In which fingerprints are given by their coordinates.
    with_b1 : bool
        Whether B1 is known.
    """

    schedule: Schedule
    kind: SignalKind
    watch: Watch = UNWATCHED
    subspace: Subspace | None = None
    with_b1: bool = False

    @property
    def key(self) -> tuple[str | None, str, str | None, bool]:
        """By which what was made ready for them is found again."""
        schedule, subspace = self.schedule, self.subspace
        return schedule.digest if schedule else None, self.kind, subspace.digest if subspace else None, self.with_b1


@dataclass(frozen=True, eq=False)
class Block:
    """Fingerprints that are estimated together, checked.

    Parameters
    ----------
    data : array of shape (voxel, time), or (voxel, K)
        In the receiver's frame, finite; complex, or real for real and magnitude data. With a subspace: coordinates.
    schedule : Schedule
        What made them, of as many pulses.
    kind : {"complex", "real", "magnitude"}
    subspace : Subspace, optional
        In which fingerprints are given by their coordinates.
    ready : object
        What `Estimator.make_ready` returned for this schedule and kind.
    b1 : float64 array of shape (voxel,), optional
        Relative transmit field, above 0, where it is known.
    watch : Watch
        Looked at where a block takes long.
    """

    data: AnyArray
    schedule: Schedule
    kind: SignalKind
    ready: Any = None
    b1: FloatArray | None = None
    watch: Watch = UNWATCHED
    subspace: Subspace | None = None

    def __len__(self) -> int:
        return len(self.data)

    @property
    def conditions(self) -> Conditions:
        """What it has in common with others."""
        return Conditions(self.schedule, self.kind, self.watch, self.subspace, self.b1 is not None)

    def part(self, rows: slice | IntArray) -> Block:
        """Return some of its fingerprints."""
        return replace(self, data=self.data[rows], b1=None if self.b1 is None else self.b1[rows])


@dataclass(frozen=True)
class Estimates:
    """What an estimator says of a batch of fingerprints.

    Parameters
    ----------
    t1, t2 : array of shape (voxel,)
        ms; 0 where an estimator has no such parameter.
    pd : array of shape (voxel,)
        Proton density relative to a decoder signal of PD 1; complex (with the voxel's phase) for complex data.
    residual : array of shape (voxel,)
        ‖x − ŝ‖/‖x‖, from 0 (explained) to 1.
    failed : bool array of shape (voxel,)
        Voxels the estimator has no answer for (a fingerprint of zeros); their numbers are 0.
    t1_se, t2_se : array of shape (voxel,), optional
        Standard errors, ms, of estimators that have them.
    converged : bool array of shape (voxel,), optional
        Whether a fit reached a minimum; None of estimators that do not fit.
    b1 : array of shape (voxel,), optional
        Relative transmit field where it was fitted.
    others : mapping of str to array of shape (voxel,)
        Further parameters, by name.
    """

    t1: FloatArray
    t2: FloatArray
    pd: AnyArray
    residual: FloatArray
    failed: BoolArray
    t1_se: FloatArray | None = None
    t2_se: FloatArray | None = None
    converged: BoolArray | None = None
    b1: FloatArray | None = None
    others: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def where(
        cls, good: BoolArray, t1: FloatArray, t2: FloatArray, pd: AnyArray, residual: FloatArray, kind: SignalKind
    ) -> Self:
        """Return estimates in single precision of the voxels that are ``good``; the others have failed."""

        def single(values: AnyArray, number: type[Any] = np.float32) -> AnyArray:
            return np.where(good, values, 0).astype(number)

        density = single(pd, np.complex64 if kind == "complex" else np.float32)
        return cls(single(t1), single(t2), density, single(np.minimum(residual, 1.0)), ~good)

    @classmethod
    def joined(cls, parts: Sequence[Estimates]) -> Self:
        """Return the estimates of several batches as those of one."""
        known = [part.arrays() for part in parts]
        return cls._from({name: np.concatenate([each[name] for each in known]) for name in known[0]})

    def without(self, lost: BoolArray) -> Self:
        """Return the same estimates but of voxels that are lost: they have failed."""
        kept = {name: np.where(lost, values.dtype.type(0), values) for name, values in self.arrays().items()}
        return self._from({**kept, "failed": self.failed | lost})

    def some(self, chosen: AnyArray) -> Self:
        """Return the estimates of some voxels, by index or mask."""
        return self._from({name: values[chosen] for name, values in self.arrays().items()})

    def arrays(self) -> dict[str | tuple[str], AnyArray]:
        """Return what there is by its field, and of other parameters by a tuple of their name."""
        known = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "others"}
        present: dict[str | tuple[str], AnyArray] = {name: each for name, each in known.items() if each is not None}
        return present | {(name,): values for name, values in self.others.items()}

    @classmethod
    def _from(cls, arrays: Mapping[str | tuple[str], AnyArray]) -> Self:
        others = {name[0]: values for name, values in arrays.items() if isinstance(name, tuple)}
        return cls(**{name: each for name, each in arrays.items() if isinstance(name, str)}, others=others)
