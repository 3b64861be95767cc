"""Writing so that a crash leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from napari_blochnet.common.errors import FileError
from napari_blochnet.io.origin import check_outputs

__all__ = ["existing_file", "replacing"]

# What stores of large files leave in place of a file that was not fetched yet, by how it begins.
_POINTERS = {b"version https://git-lfs.github.com/spec/": "Git LFS", b"/annex/objects/": "git-annex"}
_FETCH = {
    "Git LFS": "; fetch it with: git lfs pull",
    "git-annex": "; fetch it with: git annex get, or datalad get",
}


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; rename it to ``path`` if the block ends well.

    The temporary name keeps every suffix of ``path`` (``.nii.gz``), because writers choose the format by it.

    Raises
    ------
    InputError
        A file is there that this package did not write; see `napari_blochnet.io.origin`.
    """
    target = Path(path)
    check_outputs([target])
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(target.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=f".{target.name.split('.')[0]}-", suffix=suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        # mkstemp makes files only the owner can read; a result is as readable as any file its user makes
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Return the path if a file is there, and the file itself, not the note that large-file stores leave for it."""
    found = Path(path).expanduser()
    if not found.exists():
        annexed = found.is_symlink() and ".git/annex" in os.readlink(found).replace(os.sep, "/")
        raise FileError(str(found), f"there is no such file or folder{_FETCH['git-annex'] if annexed else ''}.")
    if found.is_file():
        head = b""
        # who may not read it is told so by what reads it
        with contextlib.suppress(OSError), found.open("rb") as file:
            head = file.read(64)
        for beginning, store in _POINTERS.items():
            if head.startswith(beginning):
                raise FileError(found, f"holds only a pointer of {store}, not the file itself{_FETCH[store]}.")
    return found
