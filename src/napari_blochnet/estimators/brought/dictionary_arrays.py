"""Which arrays of a dictionary's file are its atoms, its look-up table, its basis and its norms."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.brought.table_columns import meaning_of
from napari_blochnet.io.containers.numpy_archives import list_archived_arrays
from napari_blochnet.io.matlab_array import plain_name
from napari_blochnet.io.matlab_files import list_arrays
from napari_blochnet.io.plain_files import plain_file
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["ENDINGS", "DictionaryFile", "Found", "find_dictionary", "holds_dictionary", "open_dictionary_file"]

#: Of dictionaries' files.
ENDINGS = (".mat", ".npz", ".h5", ".hdf5")

# What arrays are called, in small letters and without signs; the last part of their path.
_ATOMS = {
    "magnetization", "magnetisation", "atoms", "atom", "dict", "dictionary", "dico", "sig", "signal", "signals",
    "fingerprints", "curves", "coefficients", "coeff", "coeffs", "dictcompressed", "dictionarycompressed", "compressed",
    "dictsvd", "svddict", "evolutions", "d", "mdict", "mrfdict", "simulation",
}  # fmt: skip
_TABLE = {
    "lookuptable", "lookup", "lut", "table", "parameters", "params", "param", "par", "pars", "entries", "r",
    "dictparams", "dictionaryparameters", "tissues", "combinations", "combos", "labels", "values", "dictlut", "t12dict",
}  # fmt: skip
_BASIS = {"u", "basis", "v", "ur", "uk", "vr", "vk", "phi", "svdbasis", "subspace", "projection", "us", "compression",
          "dictphi", "dictu", "dictv"}  # fmt: skip
_NORMS = {"normalization", "normalisation", "norm", "norms", "dictnorm", "dictionarynorm", "normfactor", "atomnorm",
          "normd", "dnorm", "normdict"}  # fmt: skip
_NAMES = {
    "parameter", "parameters", "parameternames", "paramnames", "names", "columns", "columnnames", "header", "labels",
    "lookupnames", "lutnames", "lookuptablenames", "dictionaryparameternames",
}  # fmt: skip
_UNITS = {"unit", "units", "parameterunits", "columnunits"}
# Parameters of a look-up table, at most.
_MOST_COLUMNS = 12
# Atoms in a dictionary, at least.
_FEWEST = 2

Shape = tuple[int, ...]


@dataclass(frozen=True)
class DictionaryFile:
    """What a file holds: arrays, not read yet, and text.

    Parameters
    ----------
    path : Path
    shapes : dict of str to tuple of int
        Axes of 1 are left out.
    read : callable
        Returns an array by its name, axes of 1 left out.
    texts : dict of str to str
    """

    path: Path
    shapes: dict[str, Shape]
    read: Callable[[str], AnyArray]
    texts: dict[str, str]

    def text(self, key: str, beside: str) -> str:
        """Return the text of a name, beside an array or else wherever it is in the file; empty: there is none."""
        found = [name for name in self.texts if own_name(name) == key]
        found.sort(key=lambda name: parent(name) != parent(beside))
        return self.texts[found[0]] if found else ""

    def listed(self, role: set[str], beside: str) -> list[str]:
        """Return lines of text by a role of their name, of a cell or array of them, those beside an array first."""
        groups: dict[str, dict[int, str]] = {}
        for name, text in self.texts.items():
            matched = re.match(r"^(.*?)(?:\{(\d+)\})?$", name)
            assert matched is not None
            if leaf(matched[1]) in role:
                groups.setdefault(matched[1], {})[int(matched[2] or 1)] = text
        order = sorted(groups, key=lambda name: parent(name) != parent(beside))
        found = [groups[order[0]][i] for i in sorted(groups[order[0]])] if order else []
        return [part.strip() for part in found[0].split(",")] if len(found) == 1 else found


@dataclass(frozen=True)
class Found:
    """The arrays of a dictionary, by name.

    Parameters
    ----------
    atoms : str
    count_axis : int
        Along which the atoms lie.
    columns : tuple of str
        One array with a column for each parameter, or one array for each.
    basis, norms : str
        Empty: there is none.
    """

    atoms: str
    count_axis: int
    columns: tuple[str, ...]
    basis: str = ""
    norms: str = ""


def leaf(name: str) -> str:
    """Return the last part of an array's path as names are compared."""
    return re.sub(r"[\s_\-]", "", own_name(name)).lower()


def own_name(name: str) -> str:
    """Return the last part of an array's path."""
    return re.split(r"[./]", name)[-1]


def parent(name: str) -> str:
    """Return where in a file's structures an array lies."""
    return re.split(r"[./]", name[::-1], maxsplit=1)[-1][::-1] if re.search(r"[./]", name) else ""


def open_dictionary_file(path: Path, watch: Watch) -> DictionaryFile:
    """List what a dictionary's file holds, by its ending.

    Raises
    ------
    InputError
        Another format, or a damaged file.
    """
    found, texts = plain_file(path, "a dictionary's file"), {}  # type: tuple[Path, dict[str, str]]
    name = found.name.lower()
    if name.endswith(".npz"):
        archived = list_archived_arrays(found)
        for key, each in archived.items():
            if each.dtype.kind == "U":
                lines = np.ravel(each.read(watch)).tolist()
                texts |= {key: lines[0]} if each.shape == () else {f"{key}{{{i + 1}}}": s for i, s in enumerate(lines)}
        arrays = {key: each for key, each in archived.items() if each.dtype.kind in "iufc" and each.nbytes}
        whole = {key: each.shape for key, each in arrays.items()}

        def read(key: str) -> AnyArray:
            return np.squeeze(arrays[key].read(watch))
    elif name.endswith(ENDINGS):
        listed = list_arrays(found, texts)
        usable = {key: each for key, each in listed.items() if not each.trouble and each.nbytes and not each.is_flag}
        # MATLAB shows the axes of HDF5 in the other order; plain HDF5 files have those of NumPy
        turned = not name.endswith(".mat")
        whole = {key: each.shape[::-1] if turned else each.shape for key, each in usable.items()}

        def read(key: str) -> AnyArray:
            refuse_beyond_memory(found, usable[key].nbytes)
            values = usable[key].read(watch)
            return np.squeeze(values.T if turned else values)
    else:
        raise FileError(found, "cannot tell the format from its ending", ", ".join(ENDINGS), field="dictionary")
    shapes = {key: tuple(n for n in shape if n > 1) for key, shape in whole.items()}
    return DictionaryFile(found, shapes, read, texts)


def find_dictionary(file: DictionaryFile, variable: str | None = None) -> Found:
    """Return which arrays are the atoms, their look-up table, their basis and their norms.

    Parameters
    ----------
    file : DictionaryFile
    variable : str, optional
        Of several dictionaries: the name of one's atoms, or of the structure that they lie in.

    Raises
    ------
    InputError
        No atoms, atoms without a look-up table, several dictionaries, or none of a name.
    """
    rated: dict[Found, tuple[int, ...]] = {}
    for name, shape in file.shapes.items():
        if len(shape) != 2:
            continue
        for axis, count in enumerate(shape):
            columns = _table(file, name, count) if count >= _FEWEST else ()
            if columns:
                same = sum(parent(each) == parent(name) for each in columns)
                is_named = leaf(columns[0]) in _TABLE or len(columns) > 1 or bool(meaning_of(own_name(columns[0])))
                # a long and narrow table has as many rows as there are atoms, which are wider
                is_wider = shape[1 - axis] > _parameters(file, columns)
                rated[Found(name, axis, columns)] = (leaf(name) in _ATOMS, is_named, same > 0, is_wider, count)
    named = {found: rating for found, rating in rated.items() if rating[0] or rating[1]}
    if not named:
        raise _without_table(file)
    if variable is not None:
        wanted = plain_name(variable)
        meant = {
            each: rating for each, rating in named.items() if wanted in (name := plain_name(each.atoms), parent(name))
        }
        if not meant:
            known = ", ".join(dict.fromkeys(each.atoms for each in named))
            raise FileError(file.path, f"has no dictionary {variable!r}", f"one of {known}",
                            field="dictionary_variable")  # fmt: skip
        named = meant
    best = max(named.values())
    chosen = [found for found, rating in named.items() if rating[:4] == best[:4]]
    if len({found.atoms for found in chosen}) > 1:
        listed = ", ".join(f"{found.atoms} ({dimensions(file.shapes[found.atoms])})" for found in chosen)
        raise FileError(file.path, f"holds several dictionaries: {listed}", "dictionary_variable, the name of one",
                        field="dictionary_variable")  # fmt: skip
    found = max(chosen, key=lambda each: named[each])
    return _with_basis(file, found)


def holds_dictionary(path: Path) -> bool:
    """Whether a file holds atoms, by their name, with a look-up table, and no images; of several, whichever.

    Raises
    ------
    InputError
        A file that cannot be read, or holds no dictionary.
    """
    file = open_dictionary_file(path, Watch())
    if any(len(shape) > 2 for shape in file.shapes.values()):
        return False
    try:
        return leaf(find_dictionary(file).atoms) in _ATOMS
    except FileError as error:
        if error.field == "dictionary_variable":
            return True
        raise


def _table(file: DictionaryFile, atoms: str, count: int) -> tuple[str, ...]:
    """Return the array with a row or column for each of so many atoms, or the arrays of single parameters."""
    tables = [
        name
        for name, shape in file.shapes.items()
        if name != atoms and len(shape) == 2 and count in shape
        and min(shape) <= _MOST_COLUMNS and (leaf(name) in _TABLE or leaf(name) not in _ATOMS | _BASIS | _NORMS)
    ]  # fmt: skip
    tables.sort(key=lambda name: (leaf(name) not in _TABLE, parent(name) != parent(atoms)))
    if tables and leaf(tables[0]) in _TABLE:
        return (tables[0],)
    vectors = [name for name, shape in file.shapes.items() if shape == (count,) and leaf(name) not in _NORMS]
    known = [name for name in vectors if meaning_of(own_name(name))]
    known.sort(key=lambda name: parent(name) != parent(atoms))
    if known:
        return tuple(name for name in vectors if parent(name) == parent(known[0]))
    alone = [name for name in vectors if leaf(name) in _TABLE]
    return (*tables[:1],) or (*alone[:1],)


def _parameters(file: DictionaryFile, columns: tuple[str, ...]) -> int:
    shape = file.shapes[columns[0]]
    return len(columns) if len(columns) > 1 or len(shape) < 2 else min(shape)


def _with_basis(file: DictionaryFile, found: Found) -> Found:
    shape = file.shapes[found.atoms]
    count, size = shape[found.count_axis], shape[1 - found.count_axis]
    others = [
        name for name, each in file.shapes.items()
        if len(each) == 2 and size in each and each != (size, size)
        and name != found.atoms and name not in found.columns
    ]  # fmt: skip
    named = [name for name in others if leaf(name) in _BASIS]
    named.sort(key=lambda name: parent(name) != parent(found.atoms))
    norms = [name for name, each in file.shapes.items() if each == (count,) and leaf(name) in _NORMS]
    norms.sort(key=lambda name: parent(name) != parent(found.atoms))
    return Found(found.atoms, found.count_axis, found.columns, (*named, "")[0], (*norms, "")[0])


def _without_table(file: DictionaryFile) -> FileError:
    several = {name: shape for name, shape in file.shapes.items() if len(shape) == 2}
    if not several:
        held = ", ".join(list(file.shapes)[:8]) or "no arrays of numbers"
        return FileError(file.path, f"holds no atoms of a dictionary; it has {held}", "atoms along two axes",
                         field="dictionary")  # fmt: skip
    atoms = max(several, key=lambda name: (leaf(name) in _ATOMS, np.prod(several[name])))
    count = max(several[atoms])
    return FileError(
        file.path,
        f"holds atoms ({atoms}, {dimensions(several[atoms])}) without a look-up table of what each was simulated with",
        f"a table with {count:,} rows, such as lookup_table, or vectors T1, T2… as long",
        field="dictionary",
    )


def numbers_of_columns(file: DictionaryFile, found: Found, count: int) -> tuple[list[AnyArray], list[str]]:
    """Return the columns of the look-up table, and their names; none where the file has none for them."""
    if len(found.columns) > 1 or len(file.shapes[found.columns[0]]) == 1:
        is_known = all(meaning_of(own_name(name)) or len(found.columns) > 1 for name in found.columns)
        names = [own_name(name) for name in found.columns]
        listed = file.listed(_NAMES, found.atoms)
        return [file.read(name) for name in found.columns], names if is_known else listed[:1]
    table = file.read(found.columns[0])
    table = table if table.shape[0] == count else table.T
    names = file.listed(_NAMES, found.columns[0])
    return list(table.T), names if len(names) == table.shape[1] else []


def units_of_columns(file: DictionaryFile, found: Found) -> list[str]:
    """Return the units that the file lists."""
    return file.listed(_UNITS, found.columns[0])
