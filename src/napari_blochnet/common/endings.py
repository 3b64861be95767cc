"""What a file is written as is decided by how its name ends, and by nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from napari_blochnet.common.errors import FileError

__all__ = ["check_ending"]


def check_ending(path: os.PathLike[str] | str, endings: Iterable[str], what: str, *, field: str | None = "path") -> str:
    """Return which of the endings a name has; case does not matter.

    Parameters
    ----------
    path : path
        Of a file that is to be written.
    endings : iterable of str
        Those that there is a format for, lower case, such as ".csv".
    what : str
        What is to be written, in the plural: "curves".
    field : str, optional
        Of the setting at fault.

    Raises
    ------
    FileError
        Any other ending: a table in a file that is called a picture is found out by whoever opens it.
    """
    target = Path(path)
    known = list(endings)
    for ending in known:
        if target.name.lower().endswith(ending) and len(target.name) > len(ending):
            return ending
    found = f"as {target.suffix}" if target.suffix else "without an ending"
    *others, last = known
    expected = f"{', '.join(others)} or {last}" if others else last
    raise FileError(target, f"{what} are not written {found}", f"a name ending in {expected}", field=field)
