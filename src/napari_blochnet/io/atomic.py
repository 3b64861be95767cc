"""Writing so that a crash leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from napari_blochnet.io.origin import check_outputs
from napari_blochnet.io.plain_files import existing_file
from napari_blochnet.io.sets.reading_whole import looked_at
from napari_blochnet.io.sets.rooms import PREFIX, is_in_room, open_room
from napari_blochnet.io.sets.switching import commit

__all__ = ["existing_file", "named_by", "replacing", "replacing_set"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file of this name to write to, in a room beside ``path``; put it in its place if the block ends well.

    Raises
    ------
    InputError
        A file is there that this package did not write; see `napari_blochnet.io.origin`.
    """
    target = Path(path)
    check_outputs([target])
    with replacing_set([target]) as draft:
        yield draft / target.name


@contextlib.contextmanager
def replacing_set(files: Sequence[Path], *, left: Callable[[], Iterable[Path]] | None = None) -> Iterator[Path]:
    """Give a folder to write files of these names to; put them in their places, as one, if the block ends well.

    A process that is killed, a disk that is full or a power cut leaves the old set or the new one, to whoever reads
    by `existing_file` and `napari_blochnet.io.sets.reading_whole.reads_whole`. Files keep their mode.

    Parameters
    ----------
    files : sequence of Path
        Files, or folders that are stores, in one folder, made if it is not there. The last tells what the others are.
        A single one may be a link; what it leads to is written. Who calls this has seen by
        `napari_blochnet.io.origin.check_outputs` that they may be replaced.
    left : callable, optional
        Returns what is there of an earlier set and is not part of this one: it goes when these come.
    """
    folder = files[0].parent
    if is_in_room(files[0]):  # of a larger set, which is put in place as one
        with named_by(*files):
            yield folder
        return
    if len(files) == 1:
        folder = files[0].resolve().parent if files[0].is_symlink() else folder
    with named_by(*files):
        made = _make(folder)
        try:
            room = open_room(folder)
            seen = looked_at(files)
            try:
                yield room.new
                missing = next((path for path in files if not (room.new / path.name).exists()), None)
                assert missing is None, f"{missing} was not written"
                names = [path.name for path in files]
                if files[0].is_symlink():
                    names = [files[0].resolve().name]
                    os.replace(room.new / files[0].name, room.new / names[0])
                # what came since somebody looked may be another's
                now = looked_at(files)
                check_outputs([path for path in files if now[path] not in (seen[path], None)])
            except BaseException:
                room.remove()
                raise
            commit(room, names, left)
        except BaseException:
            for path in made:  # what was made for it goes again, if it is empty
                with contextlib.suppress(OSError):
                    path.rmdir()
            raise


def _make(folder: Path) -> list[Path]:
    """Make a folder; return what had to be made, the innermost first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


@contextlib.contextmanager
def named_by(target: Path, *others: Path) -> Iterator[None]:
    """Let what the file system says of temporary files beside a file name that file, or others of its set."""
    try:
        yield
    except OSError as error:
        parts = _below(error.filename, target.parent)
        if error.filename is None or (parts and parts[0].startswith(PREFIX)):
            error.filename = str(next((path for path in others if path.name == parts[-1]), target) if parts else target)
            error.filename2 = None
        raise


def _below(name: object, folder: Path) -> tuple[str, ...]:
    """Return the parts of a path below a folder; none of another place."""
    path, start = os.path.abspath(os.fsdecode(name)) if isinstance(name, (str, bytes)) else "", os.path.abspath(folder)
    return Path(path).relative_to(start).parts if Path(start) in Path(path).parents else ()
