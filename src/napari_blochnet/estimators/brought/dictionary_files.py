"""Dictionaries in files: MATLAB of all versions, NumPy archives, HDF5; with their look-up table and their basis."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError, InputError, in_file
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.estimators.brought.atom_table import AtomTable
from napari_blochnet.estimators.brought.dictionary_arrays import (
    DictionaryFile,
    Found,
    find_dictionary,
    numbers_of_columns,
    open_dictionary_file,
    units_of_columns,
)
from napari_blochnet.estimators.brought.table_columns import (
    missing_names,
    parse_names,
    recognised_columns,
    refuse_unknown_units,
)
from napari_blochnet.fingerprints.subspaces import checked_basis
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["bases_for_stack", "basis_beside", "read_atom_table"]

# Keys of text in what this package writes.
_SCHEDULE, _RECORD, _KIND = "schedule", "record", "kind"


def read_atom_table(
    path: str | os.PathLike[str],
    parameters: str | None = None,
    variable: str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> AtomTable:
    """Read a dictionary's atoms with their look-up table.

    Parameters
    ----------
    path : path
        ``.mat`` (5 and 7.3), ``.npz``, ``.h5``: atoms, time points or components × atoms in either order; a look-up
        table, or a vector for each parameter; where atoms are coefficients, the basis of these. They are told by their
        sizes and names, in structures too.
    parameters : str, optional
        Names of the look-up table's columns in their order, with units: "T1 ms, T2 ms, B1". None: as the file says.
    variable : str, optional
        Of several dictionaries: the name of one's atoms, or of the structure that they lie in.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    AtomTable

    Raises
    ------
    InputError
        No atoms, no look-up table, several dictionaries (field "dictionary_variable"), names or units that are missing
        (field "parameters"), numbers that are not finite,
        coefficients without a basis that fits.
    Cancelled
    """
    found = Path(path).expanduser()
    file = open_dictionary_file(found, Watch(progress, cancelled))
    arrays = find_dictionary(file, variable)
    notes: list[str] = []
    atoms = file.read(arrays.atoms)
    # with an atom in each row
    atoms = atoms.T if arrays.count_axis == 1 else atoms
    numbers, names = numbers_of_columns(file, arrays, len(atoms))
    if parameters is not None:
        given = parse_names(parameters)
        refuse_unknown_units(given)
        if len(given) != len(numbers):
            raise FileError(found, f"has {counted(len(numbers), 'parameter')} in its look-up table, and "
                                   "parameters names "
                            f"{len(given)}", f"{len(numbers)} names", field="parameters")  # fmt: skip
    elif not names:
        raise missing_names(found, numbers)
    else:
        units = units_of_columns(file, arrays)
        given = [parse_names(name.replace(",", ";"))[0] for name in names]
        if len(units) == len(given):
            given = [(name, own or unit) for (name, own), unit in zip(given, units, strict=True)]
    columns = recognised_columns(found, numbers, given, notes)
    basis, is_compressed = _basis(file, arrays, atoms)
    norms = np.asarray(file.read(arrays.norms), np.float64) if arrays.norms else None
    if norms is not None and not (np.isfinite(norms).all() and (norms > 0).all()):
        raise FileError(found, f"{arrays.norms} holds norms that are not above 0", "finite numbers above 0")
    table = AtomTable(
        atoms,
        columns,
        basis,
        is_compressed,
        norms,
        _schedule(file, arrays),
        file.text(_KIND, arrays.atoms) == "magnitude",
        found.name,
        (*notes, _understood(file, arrays, is_compressed)),
        _record(file, arrays),
    )
    _check(table, found, arrays.atoms)
    return table


def basis_beside(path: str | os.PathLike[str], variable: str | None = None) -> str | None:
    """Return the name of the basis of a dictionary in a file, of several that of a name; None where it has none."""
    file = open_dictionary_file(Path(path).expanduser(), Watch())
    return find_dictionary(file, variable).basis or None


def bases_for_stack(path: str | os.PathLike[str], variable: str | None = None) -> list[dict[str, Any]]:
    """Return what a stack without a schedule is opened with that came with a dictionary: settings, the likeliest first.

    Parameters
    ----------
    path : path
        Of the dictionary.
    variable : str, optional
        Of several dictionaries: which.

    Returns
    -------
    list of dict
        The file's basis, of coefficients; of a dictionary of whole signals also, or only, their number of time points.
    """
    file = open_dictionary_file(Path(path).expanduser(), Watch())
    arrays = find_dictionary(file, variable)
    size = file.shapes[arrays.atoms][1 - arrays.count_axis]
    found: list[dict[str, Any]] = []
    if arrays.basis:
        found.append({"basis": str(path), "basis_variable": arrays.basis})
    if not arrays.basis or not _is_compressed(file.shapes[arrays.basis], size):
        found.append({"basis": str(size)})
    return found


def _is_compressed(basis: tuple[int, ...], size: int) -> bool:
    """Whether atoms of so many numbers are coefficients of a basis; a square one has been cut by nobody."""
    return size in basis and max(basis) > size


def _basis(file: DictionaryFile, arrays: Found, atoms: AnyArray) -> tuple[AnyArray | None, bool]:
    """Return the basis (time, K), and whether the atoms are its coefficients."""
    if not arrays.basis:
        return None, False
    basis, size = file.read(arrays.basis), atoms.shape[1]
    if basis.shape[1] == size and basis.shape[0] > size:
        return basis, True
    if basis.shape[0] == size and basis.shape[1] > size:
        return basis.T, True
    # a basis of fewer components than the atoms have time points: the atoms are whole signals
    if basis.shape[0] == size:
        return basis, False
    return basis.T, False


def _understood(file: DictionaryFile, arrays: Found, is_compressed: bool) -> str:
    parts = [f"atoms are {arrays.atoms} ({dimensions(file.shapes[arrays.atoms])})"]
    if arrays.basis:
        what = "their basis" if is_compressed else "a basis"
        parts.append(f"{what} is {arrays.basis} ({dimensions(file.shapes[arrays.basis])})")
    parts.append(f"the look-up table is {', '.join(arrays.columns)}")
    return f"{file.path.name}: {'; '.join(parts)}."


def _schedule(file: DictionaryFile, arrays: Found) -> Schedule | None:
    """Return the schedule that the file holds as this package writes it."""
    text = file.text(_SCHEDULE, arrays.atoms)
    if not text.startswith("{"):
        return None
    with in_file(file.path):
        try:
            return Schedule.from_dict(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"its schedule is no such ({error})", "as blochnet dictionary writes it") from None


def _record(file: DictionaryFile, arrays: Found) -> dict[str, Any]:
    try:
        record = json.loads(file.text(_RECORD, arrays.atoms) or "{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _check(table: AtomTable, path: Path, name: str) -> None:
    """Refuse atoms that are not finite, all zero, or too many or few for a schedule."""
    if table.schedule is not None and len(table.schedule) != table.pulses:
        found = f"its atoms have {table.pulses} time points and its schedule {len(table.schedule)} pulses"
        raise FileError(path, found, "the same number")
    energy = 0.0
    for _, atoms in table.blocks():
        if not np.isfinite(atoms).all():
            raise FileError(path, f"{name} holds NaN or infinity", "finite atoms")
        energy = max(energy, float(np.abs(atoms).max()))
    if not energy:
        raise FileError(path, f"{name} holds zeros only", "atoms with a signal")
    if table.basis is not None and table.is_compressed:
        with in_file(path):
            checked_basis(table.basis, table.atoms.shape[1], None, name)
    elif table.basis is not None and not np.isfinite(table.basis).all():
        raise FileError(path, "its basis holds NaN or infinity", "finite numbers")
