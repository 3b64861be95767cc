"""The last step of long work: what cannot be written where it was to be is written elsewhere, and that told."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from napari_blochnet.common.errors import InputError

__all__ = ["write_or_keep"]

_T = TypeVar("_T")


def write_or_keep(write: Callable[[Path], _T], path: Path) -> _T:
    """Write a result; where the disk or the place does not take it, write it into a new folder elsewhere.

    Parameters
    ----------
    write : callable
        Called with the path.
    path : Path

    Raises
    ------
    InputError
        It was written elsewhere: in the home folder, or where temporary files are; the sentence says where.
    OSError
        It could not be written anywhere.
    """
    try:
        return write(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        for parent in (Path.home(), Path(tempfile.gettempdir())):
            kept = parent / f"napari-blochnet-{secrets.token_hex(3)}" / path.name
            try:
                write(kept)
            except (OSError, ValueError):
                continue
            raise InputError(
                f"{path}: {reason.rstrip('.')}; so that it is not lost, the result was written to {kept}",
                "another name or folder",
                field="output",
            ) from None
        raise
