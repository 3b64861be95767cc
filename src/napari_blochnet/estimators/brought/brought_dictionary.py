"""Matching among atoms that somebody else simulated: as they are, whatever they were simulated with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.base import Block, Conditions, Estimates, Estimator
from napari_blochnet.estimators.brought.atom_table import AtomTable
from napari_blochnet.estimators.brought.conventions import refuse_other_convention
from napari_blochnet.estimators.brought.dictionary_files import read_atom_table
from napari_blochnet.estimators.brought.matched_atoms import MatchedAtoms, atoms_of_signals, atoms_within
from napari_blochnet.estimators.matching.grid import step_errors
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["BroughtDictionary", "read_dictionary"]

# Voxels among which those of most signal tell how coefficients lie.
_LOOKED_AT = 512


class BroughtDictionary(Estimator):
    """A dictionary with its look-up table as an estimator.

    The estimate is the atom of largest correlation with the fingerprint, by the rules of
    `napari_blochnet.estimators.matching.dictionary.DictionaryMatching`; correlations are in double precision, since
    atoms may lie more closely than single precision tells apart. Of coefficients, both are compared inside the stack's
    subspace, whichever basis the atoms have. Where B1 is known and a parameter of the dictionary, each voxel is
    compared with the atoms of the nearest B1.

    Parameters
    ----------
    table : AtomTable
    source : path, optional
        Its file.
    parameters : str, optional
        What was said of its columns.
    variable : str, optional
        Which of several in the file it is.
    """

    about = "Looks for the most similar among the atoms of a dictionary from a file."
    is_global = True
    takes_subspace = True
    needs_schedule = False
    kept = 2

    def __init__(
        self,
        table: AtomTable,
        source: str | os.PathLike[str] | None = None,
        parameters: str | None = None,
        variable: str | None = None,
    ) -> None:
        self.table = table
        self.schedule = table.schedule
        self.name = Path(table.name).stem
        varied = {column.key or column.name: column for column in table.columns if np.ptp(column.values) > 0}
        #: columns that differ between atoms and so are estimated, by key or name
        self.varied = varied
        self.takes_b1 = "b1" in varied
        if self.takes_b1:
            self.b1_range = float(varied["b1"].values.min()), float(varied["b1"].values.max())
        self.estimated = tuple(key for key in ("t1", "t2", "b1") if key in varied)
        self.others = tuple((column.name, column.unit) for key, column in varied.items() if key == column.name)
        self._mark = "" if source is None else f" [{digest(Path(source).expanduser())[:8]}]"
        if source is not None:
            given = {"parameters": parameters, "dictionary_variable": variable}
            self.made_by = {"dictionary": str(Path(source).expanduser())} | {
                name: value for name, value in given.items() if value is not None
            }

    def describe(self) -> str:
        """Return one line for people."""
        return self.table.describe()

    @property
    def record(self) -> dict[str, Any]:
        """How it was made, where that is known."""
        return self.table.record

    @property
    def description(self) -> str:
        """One line for records, with the digest of its file."""
        return f"{self.table.describe()}{self._mark}"

    @property
    def understood(self) -> tuple[str, ...]:
        """What was understood of the file, and what its maps mean, in sentences."""
        constant = [column for column in self.table.columns if (column.key or column.name) not in self.varied]
        said = [f"All atoms have {' and '.join(column.describe() for column in constant)}."] if constant else []
        if not self.table.knows_pd:
            said.append("The dictionary's atoms are normalised and it keeps no norms: PD is the norm of the signal.")
        return (*self.table.notes, *said)

    def check(self, schedule: Schedule, kind: SignalKind) -> None:
        """Raise `InputError` where data of a kind, or made under a schedule, cannot be compared with its atoms."""
        if schedule is not None:
            if len(schedule) != self.table.pulses:
                raise InputError(
                    f"The dictionary {self.table.name} has signals of {self.table.pulses} time points, but the "
                    f"schedule {schedule.name or 'given'} has {len(schedule)} pulses; expected the same number.",
                    field="dictionary",
                )
            if self.schedule is not None and not self.is_for(schedule):
                raise InputError(
                    f"The dictionary {self.table.name} was made for [{self.schedule.describe()}], but the data's "
                    f"schedule is [{schedule.describe()}]; expected the same schedule.",
                    field="dictionary",
                )
        if self.table.magnitude and kind != "magnitude":
            raise InputError(f"The dictionary {self.table.name} holds magnitudes; expected magnitude data, and not "
                             f"{kind}.", field="dictionary")  # fmt: skip
        if kind == "real" and self.table.is_complex:
            found = f"The atoms of {self.table.name} are complex, the data real"
            raise InputError(found, "complex data, or real atoms", field="dictionary")

    def check_subspace(self, subspace: Subspace, schedule: Schedule, kind: SignalKind) -> None:
        """Raise `InputError` where coefficients are of signals of another length."""
        if subspace.pulses != self.table.pulses:
            raise InputError(
                f"The stack's basis has {subspace.pulses} time points, the signals of {self.table.name} "
                f"{self.table.pulses}; expected the dictionary that the basis came with.",
                field="dictionary",
            )
        if kind == "real" and subspace.is_complex:
            raise InputError("The stack's basis is complex and its coefficients are real; expected complex "
                             "coefficients.", field="basis")  # fmt: skip

    def check_stack(self, stack: FingerprintStack, inside: BoolArray) -> None:
        """Raise `InputError` where coefficients fit the atoms far better in another order, or conjugated."""
        if stack.basis is None or stack.kind == "magnitude":
            return
        # of the slice with most voxels, spread over it
        slice_ = np.zeros_like(inside)
        middle = int(np.argmax(inside.sum(axis=(1, 2))))
        index = np.flatnonzero(inside[middle])
        slice_[middle].reshape(-1)[index[:: max(1, len(index) // _LOOKED_AT)]] = True
        refuse_other_convention(self.table, stack.fingerprints(slice_), stack.basis, stack.name)

    def make_ready_for(self, given: Conditions) -> MatchedAtoms:
        """Return the atoms as signals, or coordinates in a subspace, are compared with them."""
        if given.subspace is None or given.subspace.is_whole:
            return atoms_of_signals(self.table, given.kind, given.watch)
        return atoms_within(self.table, given.subspace, given.watch)

    def estimate(self, block: Block) -> Estimates:
        """Match a block of fingerprints, or of coordinates."""
        ready: MatchedAtoms = block.ready
        index, scale, residual = ready.match(block.data, self._nearest_b1(block.b1), block.kind, block.watch)
        good = residual >= 0
        empty = np.zeros(len(block))

        def values(key: str) -> FloatArray:
            return self.varied[key].values[index] if key in self.varied else empty

        found = Estimates.where(good, values("t1"), values("t2"), scale, np.abs(residual), block.kind)
        others = {name: np.where(good, values(name), 0).astype(np.float32) for name, _ in self.others}
        b1 = np.where(good, values("b1"), 0).astype(np.float32) if "b1" in self.varied else None
        return Estimates(found.t1, found.t2, found.pd, found.residual, found.failed, b1=b1, others=others)

    def step_errors(self, found: Estimates) -> tuple[FloatArray, FloatArray]:
        """Return what the steps of the table leave open."""
        values = (np.unique(self.varied[key].values) if key in self.varied else np.zeros(1) for key in ("t1", "t2"))
        t1, t2 = (step_errors(each, of) for each, of in zip(values, (found.t1, found.t2), strict=True))
        return t1, t2

    def _nearest_b1(self, b1: FloatArray | None) -> FloatArray | None:
        """Return the dictionary's B1 nearest to each voxel's."""
        if b1 is None:
            return None
        there = np.unique(self.varied["b1"].values)
        nearest: FloatArray = there[np.abs(b1[:, None] - there).argmin(axis=1)]
        return nearest

    @classmethod
    def memory(
        cls, pulses: int, kind: SignalKind, parts: int, batch: float, settings: Any
    ) -> tuple[float, float, float]:
        return 0.0, 0.0, 4.0 * batch


def read_dictionary(
    path: str | os.PathLike[str],
    parameters: str | None = None,
    variable: str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> BroughtDictionary:
    """Read a dictionary that somebody else made, as an estimator.

    Parameters
    ----------
    path : path
        ``.mat`` (5 and 7.3, in structures too), ``.npz``, ``.h5``: atoms, whole signals or coefficients of a basis; a
        look-up table of what each was simulated with; the basis.
    parameters : str, optional
        Names of the look-up table's columns in their order, with units: "T1 ms, T2 ms, B1". None: as the file says.
    variable : str, optional
        Where the file holds several dictionaries: the name of one's atoms, or of the structure that they lie in.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    BroughtDictionary
        Its ``table`` holds what was read; ``understood`` says how.

    Raises
    ------
    InputError
        What `napari_blochnet.estimators.brought.dictionary_files.read_atom_table` refuses.
    Cancelled
    """
    table = read_atom_table(path, parameters, variable, progress=progress, cancelled=cancelled)
    return BroughtDictionary(table, path, parameters, variable)
