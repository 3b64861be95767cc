"""The one door for paths: a plain file or a folder, or a sentence; nothing is opened that could wait or never end.

Sets of files are whole behind it: see `napari_blochnet.io.sets`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.io.sets.reading_whole import note_read
from napari_blochnet.io.sets.switching import settle

__all__ = ["existing_file", "plain_file"]

# What stores of large files leave in place of a file that was not fetched yet, by how it begins.
_POINTERS = {b"version https://git-lfs.github.com/spec/": "Git LFS", b"/annex/objects/": "git-annex"}
_FETCH = {
    "Git LFS": "; fetch it with: git lfs pull",
    "git-annex": "; fetch it with: git annex get, or datalad get",
}
# What waits for a writer, never ends, or does something once it is read.
_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Return the path if a plain file or a folder is there, and not the note that large-file stores leave for it.

    What a process that was ended left half written there is finished first.

    Raises
    ------
    InputError
        Nothing there; a pipe, a socket or a device, behind a link too; what nobody may read; a name that cannot be.
    """
    try:
        found = Path(path).expanduser()
        settle(found.parent, [found.name])
        settle(found)
        note_read(found)
        mode = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        annexed = found.is_symlink() and ".git/annex" in os.readlink(found).replace(os.sep, "/")
        why = "there is no such file or folder"
        raise FileError(str(found), f"{why}{_FETCH['git-annex'] if annexed else ''}.") from None
    except InputError:  # what was broken off there cannot be finished
        raise
    except (OSError, RuntimeError, ValueError) as error:  # too long, links in a circle, no home, a byte of 0
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FileError(os.fspath(path), f"cannot be opened ({reason})", "the name of a file or folder") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(mode)), "no plain file")
        raise FileError(found, f"is {kind}", "a plain file or a folder")
    if not os.access(found, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise FileError(found, "may not be read by you", "a file or folder with permission to read it")
    if stat.S_ISREG(mode):
        try:
            with found.open("rb") as file:
                head = file.read(64)
        except OSError as error:  # a bad disk, a share that is gone, what the system shows of a process
            raise FileError(found, f"cannot be read ({error.strerror or error})", "a file that can be read") from None
        for beginning, store in _POINTERS.items():
            if head.startswith(beginning):
                raise FileError(found, f"holds only a pointer of {store}, not the file itself{_FETCH[store]}.")
    return found


def plain_file(path: str | os.PathLike[str], expected: str = "a file") -> Path:
    """Return the path of a plain file; see `existing_file`. Folders are refused, too.

    Parameters
    ----------
    path : path
    expected : str
        What is expected in place of a folder.
    """
    found = existing_file(path)
    if found.is_dir():
        raise FileError(found, "is a folder", expected)
    return found
