"""Writing so that a crash leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_blochnet.common.plain_files import existing_file
from napari_blochnet.io.origin import check_outputs

__all__ = ["existing_file", "named_by", "replacing", "replacing_set"]


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
    with named_by(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        suffix = "".join(target.suffixes[-2:])
        handle, name = tempfile.mkstemp(prefix=_prefix(target), suffix=suffix, dir=target.parent)
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


@contextlib.contextmanager
def replacing_set(files: Sequence[Path]) -> Iterator[Path]:
    """Give a folder to write files of these names to; put them in their places if the block ends well.

    Parameters
    ----------
    files : sequence of Path
        In one folder, made if it is not there. The last tells what the others are: what lies there by its name goes
        first and comes last, so that no set is ever read half old, half new. What was there comes back if that fails.
        Who calls this has seen by `napari_blochnet.io.origin.check_outputs` that they may be replaced.
    """
    folder = files[0].parent
    with named_by(*files):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as room:
            draft, former = Path(room, "new"), Path(room, "former")
            draft.mkdir()
            former.mkdir()
            yield draft
            missing = next((path for path in files if not (draft / path.name).is_file()), None)
            assert missing is None, f"{missing} was not written"
            try:
                for path in reversed(files):
                    if path.exists():
                        path.rename(former / path.name)
                for path in files:
                    (draft / path.name).rename(path)
            except BaseException:
                _put_back(files, draft, former)
                raise


def _put_back(files: Sequence[Path], draft: Path, former: Path) -> None:
    for path in files:
        with contextlib.suppress(OSError):
            if not (draft / path.name).exists():
                path.unlink()
            if (former / path.name).exists():
                (former / path.name).rename(path)


@contextlib.contextmanager
def named_by(target: Path, *others: Path) -> Iterator[None]:
    """Let what the file system says of temporary files beside a file name that file, or others of its set."""
    try:
        yield
    except OSError as error:
        parts = _below(error.filename, target.parent)
        if error.filename is None or (parts and parts[0].startswith((".writing-", _prefix(target)))):
            error.filename = str(next((path for path in others if path.name == parts[-1]), target) if parts else target)
            error.filename2 = None
        raise


def _below(name: object, folder: Path) -> tuple[str, ...]:
    """Return the parts of a path below a folder; none of another place."""
    path, start = os.path.abspath(os.fsdecode(name)) if isinstance(name, (str, bytes)) else "", os.path.abspath(folder)
    return Path(path).relative_to(start).parts if Path(start) in Path(path).parents else ()


def _prefix(target: Path) -> str:
    return f".{target.name.split('.')[0]}-"
