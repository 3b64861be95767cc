"""What a schedule file leaves open and a person is asked for."""

from __future__ import annotations

import os

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
    """

    def __init__(self, source: os.PathLike[str] | str, found: str, field: str, how: str, *examples: str) -> None:
        super().__init__(source, f"{found}; give {field}{how}.", field=field)
        self.without_hint = f"{str(self).partition(found)[0]}{found}"
        self.examples = examples
