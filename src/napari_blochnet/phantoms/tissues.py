"""Tissue tables: T1, T2 and proton density by tissue, and the names files use for tissues."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.text_tables import Numbers, open_table

__all__ = ["BACKGROUND", "TISSUE_TABLES", "Tissue", "find_tissue", "load_tissues", "tissue_key"]

BACKGROUND = "background"

_LARGEST_TABLE = 2**20
_COLUMNS = "tissue,t1_ms,t2_ms,pd"


@dataclass(frozen=True)
class Tissue:
    """One tissue's values.

    Parameters
    ----------
    name : str
    t1, t2 : float
        ms; both 0 for what gives no signal.
    pd : float
        Proton density, relative.
    """

    name: str
    t1: float
    t2: float
    pd: float

    @property
    def has_signal(self) -> bool:
        """Whether T1, T2 and PD are all above 0."""
        return self.t1 > 0 and self.t2 > 0 and self.pd > 0


# BrainWeb's values at 1.5 T: Kwan, Evans, Pike, IEEE Trans Med Imaging 18:1085 (1999), and the BrainWeb site.
_BRAINWEB = {
    "CSF": (2569.0, 329.0, 1.00),
    "grey matter": (833.0, 83.0, 0.86),
    "white matter": (500.0, 70.0, 0.77),
    "fat": (350.0, 70.0, 1.00),
    "muscle": (900.0, 47.0, 1.00),
    "muscle/skin": (900.0, 47.0, 1.00),
    "skin": (2569.0, 329.0, 1.00),
    "glial matter": (833.0, 83.0, 0.86),
    "connective tissue": (500.0, 70.0, 0.77),
    "around fat": (500.0, 70.0, 0.77),
    "dura": (2569.0, 329.0, 1.00),
    "marrow": (500.0, 70.0, 0.77),
    "skull": (0.0, 0.0, 0.0),
    "vessels": (0.0, 0.0, 0.0),
    BACKGROUND: (0.0, 0.0, 0.0),
}
# What the BlochNet paper's phantom uses instead; it states no value for the other tissues.
_PAPER = {
    "CSF": (5012.0, 512.0, 1.00),
    "grey matter": (1545.0, 83.0, 1.00),
    "white matter": (811.0, 77.0, 0.80),
    "fat": (530.0, 77.0, 0.80),
    "muscle": (1425.0, 41.0, 0.80),
    "muscle/skin": (1425.0, 41.0, 0.80),
}

#: The tables known by name: "paper" and "brainweb-1.5T".
TISSUE_TABLES: Mapping[str, Mapping[str, Tissue]] = {
    "paper": {name: Tissue(name, *values) for name, values in (_BRAINWEB | _PAPER).items()},
    "brainweb-1.5T": {name: Tissue(name, *values) for name, values in _BRAINWEB.items()},
}

_ALIASES = {
    BACKGROUND: ("background", "bck", "bg"),
    "CSF": ("csf", "cerebrospinalfluid"),
    "grey matter": ("gm", "gry", "grey", "gray", "greymatter", "graymatter"),
    "white matter": ("wm", "wht", "white", "whitematter"),
    "fat": ("fat", "adipose"),
    "muscle": ("muscle", "muscles", "mus"),
    # "m+s" loses its sign where names are compared by their letters
    "muscle/skin": ("muscleskin", "musclesskin", "ms"),
    "skin": ("skin", "skn"),
    "skull": ("skull", "skl", "bone"),
    "vessels": ("vessels", "vessel", "ves"),
    "glial matter": ("glial", "gli", "glialmatter"),
    "connective tissue": ("connective", "mit", "connectivetissue"),
    "around fat": ("aroundfat", "fat2"),
    "dura": ("dura",),
    "marrow": ("marrow", "bonemarrow", "mrw"),
}
_BY_ALIAS = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def tissue_key(name: str) -> str:
    """Return a name as it is compared: its letters and digits only, lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_tissue(name: str, table: Mapping[str, Tissue]) -> Tissue | None:
    """Return the tissue that a name such as ``gry``, ``m+s`` or ``Grey Matter`` means in a table, or None."""
    key = tissue_key(name)
    own = next((tissue for known, tissue in table.items() if tissue_key(known) == key), None)
    return own if own is not None else table.get(_BY_ALIAS.get(key, ""))


def load_tissues(tissues: str | os.PathLike[str]) -> Mapping[str, Tissue]:
    """Return a tissue table by name, or read one.

    Parameters
    ----------
    tissues : {"paper", "brainweb-1.5T"} or path
        The name of a table, or a CSV file with the header ``tissue,t1_ms,t2_ms,pd`` and one row for each tissue;
        T1 = T2 = 0 stands for no signal. Usual names and abbreviations (``gm``, ``grey matter``, ``wht``) mean the
        tissues known here, others are tissues of the user's own.

    Returns
    -------
    mapping of str to Tissue

    Raises
    ------
    InputError
        No such table or file; a row that is malformed, repeats a tissue, or has T2 > T1 (names the line).
    """
    if str(tissues) in TISSUE_TABLES:
        return TISSUE_TABLES[str(tissues)]
    path = Path(tissues).expanduser()
    if not os.path.exists(path) and path.suffix.lower() != ".csv":
        raise InputError(
            f"tissues is {str(tissues)!r}",
            f"{' or '.join(map(repr, TISSUE_TABLES))}, or the name of a CSV file",
            field="tissues",
        )
    return _read_table(existing_file(path))


def _read_table(path: Path) -> dict[str, Tissue]:
    if path.is_file() and not path.read_bytes()[:1]:
        raise FileError(path, "holds no tissue with signal", _COLUMNS, field="tissues")
    rows = open_table(path, _LARGEST_TABLE, f"a CSV file {_COLUMNS}", "tissues", marks=("#",))
    header = [cell.lower() for cell in rows.header]
    if sorted(header) != ["pd", "t1_ms", "t2_ms", "tissue"]:
        found = f"the header is {','.join(rows.header)!r}"
        raise FileError(f"{path.name}, line {rows.header_line}", found, _COLUMNS, field="tissues")
    table: dict[str, Tissue] = {}
    read = rows.numbers()
    for number, cells in rows.rows:
        where = f"{path.name}, line {number}"
        if len(cells) > len(header):
            raise FileError(where, f"has {len(cells)} cells", "4, as in the header", field="tissues")
        tissue = _tissue_from(dict(itertools.zip_longest(header, cells, fillvalue="")), read, where)
        if tissue.name in table:
            raise FileError(where, f"repeats the tissue {tissue.name}", "each once", field="tissues")
        table[tissue.name] = tissue
    read.check("tissues")
    if not any(tissue.has_signal for tissue in table.values()):
        raise FileError(
            path, "holds no tissue with signal", "at least one row with T1, T2 and PD above 0", field="tissues"
        )
    return table


def _tissue_from(cells: dict[str, str], read: Numbers, where: str) -> Tissue:
    values = []
    for key in ("t1_ms", "t2_ms", "pd"):
        try:
            value = read(cells[key], where)
        except InputError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise FileError(where, f"{key} is {cells[key]!r}", "a number of at least 0", field="tissues")
        values.append(value)
    t1, t2, pd = values
    if t2 > t1:
        raise FileError(where, f"T2 is {t2:g} ms where T1 is {t1:g} ms", "T2 ≤ T1", field="tissues")
    if (t1 > 0) != (t2 > 0):
        raise FileError(where, "one of T1 and T2 is 0", "both above 0, or both 0 for no signal", field="tissues")
    name = cells["tissue"]
    if not tissue_key(name):
        raise FileError(where, "has no tissue name", "one", field="tissues")
    return Tissue(_BY_ALIAS.get(tissue_key(name), name), t1, t2, pd)
