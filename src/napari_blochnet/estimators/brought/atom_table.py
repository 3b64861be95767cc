"""A dictionary as its file holds it: atoms, what each was simulated with, and the basis they are compressed to."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.plain_text import counted
from napari_blochnet.estimators.brought.table_columns import Column
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["AtomTable"]

# Norms that differ by no more than this share are those of atoms that were normalised.
_SAME_NORM = 0.02
# Atoms that are looked at together.
_BLOCK = 8192


@dataclass(frozen=True, eq=False)
class AtomTable:
    """Atoms with their look-up table.

    Parameters
    ----------
    atoms : array of shape (atom, time) or (atom, K)
        Signals; coefficients of them where ``is_compressed``.
    columns : tuple of Column
        What each atom was simulated with.
    basis : array of shape (time, K), optional
        Of the coefficients: signal = basis · coefficients.
    is_compressed : bool
        Whether the atoms are coefficients of the basis.
    norms : float64 array of shape (atom,), optional
        What each atom was divided by: norms of the signals at proton density 1.
    schedule : Schedule, optional
        What the atoms were simulated under, where the file says.
    magnitude : bool
        Whether the atoms are magnitudes.
    name : str
    notes : tuple of str
        What was understood while reading, in sentences.
    record : dict
        How it was made.
    """

    atoms: AnyArray
    columns: tuple[Column, ...]
    basis: AnyArray | None = None
    is_compressed: bool = False
    norms: FloatArray | None = None
    schedule: Schedule | None = None
    magnitude: bool = False
    name: str = "dictionary"
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def pulses(self) -> int:
        """Number of time points of a signal."""
        return int(self.basis.shape[0] if self.is_compressed and self.basis is not None else self.atoms.shape[1])

    @property
    def is_complex(self) -> bool:
        """Whether signals are complex."""
        basis_is = self.is_compressed and self.basis is not None and np.iscomplexobj(self.basis)
        return bool(np.iscomplexobj(self.atoms)) or basis_is

    def column(self, key: str) -> Column | None:
        """Return T1 ("t1"), T2 ("t2") or B1 ("b1"); None where there is no such column."""
        return next((column for column in self.columns if column.key == key), None)

    @functools.cached_property
    def pd_norms(self) -> FloatArray:
        """Norm of each atom's signal at proton density 1: its own, or of atoms that were normalised that before."""
        own = np.concatenate([np.linalg.norm(atoms, axis=1) for _, atoms in self.blocks()])
        is_normalised = float(own.max()) <= (1 + _SAME_NORM) * float(own.min())
        return own if self.norms is None or not is_normalised else own * self.norms

    @property
    def knows_pd(self) -> bool:
        """Whether norms tell the proton density; those of atoms that were normalised, and not kept, do not."""
        return float(self.pd_norms.max()) > (1 + _SAME_NORM) * float(self.pd_norms.min())

    def blocks(self) -> Iterator[tuple[slice, AnyArray]]:
        """Yield the atoms in double precision, some at a time, and which they are."""
        for start in range(0, len(self), _BLOCK):
            part = slice(start, start + _BLOCK)
            atoms = np.asarray(self.atoms[part])
            yield part, atoms.astype(np.complex128 if np.iscomplexobj(atoms) else np.float64, copy=False)

    def describe(self) -> str:
        """Return one line for people."""
        count, size = f"{len(self):,} atoms", counted(self.pulses, "time point")
        kept = f"{self.atoms.shape[1]} components of {size}" if self.is_compressed else size
        return f"{self.name}: {count} of {kept}; {', '.join(column.describe() for column in self.columns)}"
