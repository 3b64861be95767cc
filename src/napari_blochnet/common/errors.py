"""What can go wrong by a person's hand or by a person's wish, and how it is said."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_blochnet.common.plain_text import plain_line

__all__ = ["Cancelled", "DataWarning", "FileError", "InputError", "in_file"]

# Of each half of a sentence: what is longer no terminal and no field of a form shows.
_LONGEST = 700


class InputError(ValueError):
    """A mistake in what was given, as one sentence.

    The sentence names the file or the field, what was found and what was expected. Both faces show it as it is:
    the command line prints it and exits with 2, a panel writes it beside the field.

    Parameters
    ----------
    message : str
        The sentence, or what was found, as its beginning.
    expected : str, optional
        What was expected, as its end: "found; expected what was expected."
    field : str, optional
        Name of the settings field or argument at fault, so that a form can point at it.
    """

    def __init__(self, message: str, expected: str = "", *, field: str | None = None) -> None:
        # what was found may be anything that a stranger wrote, of any length
        what = plain_line(message, _LONGEST)
        super().__init__(f"{what}; expected {plain_line(expected, _LONGEST)}." if expected else what)
        self.field = field

    def __reduce__(self) -> tuple[Any, ...]:
        # on its way between processes it is the finished sentence
        return InputError, (str(self),), {"field": self.field}


class FileError(InputError):
    """A mistake in a file; the sentence begins with its name.

    Parameters
    ----------
    source : path or str
        The file; a string is taken as its name, or as the place in it.
    message, expected, field
        As in `InputError`.
    """

    def __init__(
        self, source: os.PathLike[str] | str, message: str, expected: str = "", *, field: str | None = "path"
    ) -> None:
        name = source if isinstance(source, str) else Path(source).name
        super().__init__(f"{name}: {message}", expected, field=field)


@contextlib.contextmanager
def in_file(source: os.PathLike[str] | str) -> Iterator[None]:
    """Let a mistake inside the block name the file it lies in."""
    try:
        yield
    except InputError as error:
        raise FileError(source, str(error), field=error.field) from None


class Cancelled(Exception):  # noqa: N818 - a wish, not an error
    """Raised inside a running operation once its ``cancelled`` event is set.

    Parameters
    ----------
    message : str
        What was stopped.
    partial : object, optional
        What was finished until then, in the operation's own result type.
    kept : str, optional
        What stays of it, in a sentence, where something does.
    """

    def __init__(self, message: str = "Cancelled.", *, partial: object = None, kept: str = "") -> None:
        super().__init__(message)
        self.partial = partial
        self.kept = kept


class DataWarning(UserWarning):
    """Data could be used, but something about it should be known (a damaged file, voxels left out)."""
