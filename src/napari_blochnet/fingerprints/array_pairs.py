"""Which array of a file is meant, and which two hold the parts of complex samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from napari_blochnet.common.arrays import dimensions
from napari_blochnet.common.errors import FileError

__all__ = ["ArrayChoiceError", "choose_array", "pair_among", "partner_names"]

Shape = tuple[int, ...]

# What arrays are called, by what they hold; the last part of a path, or its end behind "_".
_NAMES = {
    "real": ("real", "re", "r"),
    "imag": ("imag", "imaginary", "im", "i"),
    "mag": ("mag", "magnitude", "abs"),
    "phase": ("phase", "phs", "ph", "angle", "arg"),
}
_SECOND = {"real": "imag", "mag": "phase"}
_ROLE_OF = {name: role for role, names in _NAMES.items() for name in names}


class ArrayChoiceError(FileError):
    """No array, or none of several, is the one that was asked for.

    Parameters
    ----------
    path : Path
    message : str
    shapes : mapping of str to tuple of int
        What the file holds.
    field : str
        As in `InputError`.
    """

    def __init__(self, path: Path, message: str, shapes: Mapping[str, Shape], *, field: str = "variable") -> None:
        super().__init__(path, message, field=field)
        self.shapes = dict(shapes)


def choose_array(path: Path, shapes: Mapping[str, Shape], variable: str | None) -> str:
    """Return the name of the array that is meant: the one that was asked for, or the only one with several axes.

    Raises
    ------
    ArrayChoiceError
        No array of that name; several, or none, and no name.
    """
    if variable is not None:
        if variable not in shapes:
            raise ArrayChoiceError(path, f"has no array {variable!r}; it holds {', '.join(shapes) or 'none'}.", shapes)
        return variable
    several = [name for name, shape in shapes.items() if sum(n > 1 for n in shape) > 1] or list(shapes)
    if len(several) != 1:
        found = ", ".join(f"{name} ({dimensions(shapes[name])})" for name in several)
        raise ArrayChoiceError(
            path,
            f"holds {len(several)} arrays{': ' + found if found else ''}; "
            f"{'give variable, the name of one' if several else 'expected fingerprints'}.",
            shapes,
            field="variable" if several else "path",
        )
    return several[0]


def pair_among(shapes: Mapping[str, Shape], variable: str | None) -> tuple[str, str, str] | None:
    """Return the names of two arrays that are one, and "real" or "mag" for what the first is; None where none are.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        What a file holds.
    variable : str, optional
        The group that holds both, or what their names have in common. None: they have to be all there is.
    """
    found: dict[tuple[str, Shape], dict[str, str]] = {}
    for name, shape in shapes.items():
        common, role = _role(name)
        if role and sum(n > 1 for n in shape) > 1 and variable in (None, common, common.rstrip("/._")):
            found.setdefault((common, shape), {})[role] = name
    pairs = [
        (names[first], names[second], first)
        for names in found.values()
        for first, second in _SECOND.items()
        if {first, second} <= names.keys()
    ]
    others = [name for name, shape in shapes.items() if sum(n > 1 for n in shape) > 1]
    if len(pairs) != 1 or (variable is None and set(others) != {*pairs[0][:2]}):
        return None
    return pairs[0]


def partner_names(name: str) -> tuple[str, list[str]]:
    """Return what an array holds by its name, empty where that says nothing, and how the array of the rest may be
    called.
    """
    common, role = _role(name)
    if not role:
        return "", []
    other = _SECOND.get(role) or next(first for first, second in _SECOND.items() if second == role)
    written = name[len(common) :]
    cased = [*_NAMES[other], *(word.upper() for word in _NAMES[other]), *(word.title() for word in _NAMES[other])]
    return role, [common + word for word in cased if word.isupper() == written.isupper()]


def _role(name: str) -> tuple[str, str]:
    """Return what an array's name has in common with that of the other part, and what it holds; empty: nothing says."""
    leaf = re.split(r"[/.]", name)[-1]
    word = re.split(r"[_-]", leaf)[-1]
    role = _ROLE_OF.get(word.lower(), "")
    # a single letter is a part only where it is the whole name
    if len(word) == 1 and word != leaf:
        role = ""
    return name[: len(name) - len(word)], role
