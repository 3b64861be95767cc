"""What a schedule file leaves open and a person is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from napari_blochnet.common.errors import FileError

__all__ = ["MissingHintError"]


class MissingHintError(FileError):
    """Something the file does not say; the sentence ends in the hint to give.

    Parameters
    ----------
    source : path or str
        The file, or the place in it.
    found : str
        What is missing, as the beginning of the sentence.
    field : str
        The hint.
    how : str
        What it is, behind its name: ", in ms", " as 'deg' or 'rad'".
    examples : tuple of str
        Values of it, as a command line takes them.

    Attributes
    ----------
    asked : dict of str to MissingHintError
        All that the file leaves open, by hint: this, or those that were joined.
    """

    def __init__(self, source: os.PathLike[str] | str, found: str, field: str, how: str, *examples: str) -> None:
        super().__init__(source, f"{found}; give {field}{how}.", field=field)
        self.without_hint = f"{str(self).partition(found)[0]}{found}"
        self.found, self.how, self.examples = found, how, examples
        self.asked = {field: self}

    @classmethod
    def joined(cls, source: str, errors: Sequence[MissingHintError]) -> MissingHintError:
        """Return all that a file leaves open as one sentence, each hint asked for once."""
        asked: dict[str, MissingHintError] = {}
        for error in errors:
            asked.setdefault(str(error.field), error)
        first, *others = asked.values()
        if not others:
            return first
        *parts, end = [error.found for error in asked.values()]
        *more, last = [f", {error.field}{error.how}" for error in others]
        how = f"{first.how}{''.join(more)}, and {last.removeprefix(', ')}"
        made = cls(source, f"{', '.join(parts)} and {end}", str(first.field), how, *first.examples)
        made.asked = asked
        return made
