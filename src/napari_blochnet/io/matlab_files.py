"""The one way into MATLAB files of all versions: numeric arrays by their path, in structures and cells too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.matlab4 import is_matlab_4, list_matlab_4_arrays
from napari_blochnet.io.matlab5 import is_matlab_5, is_matlab_73, list_matlab_arrays
from napari_blochnet.io.matlab73 import list_matlab_73_arrays
from napari_blochnet.io.matlab_array import MatlabArray, plain_name
from napari_blochnet.io.plain_files import plain_file

__all__ = ["ArraysOnDemand", "MatlabArray", "find_array", "list_arrays", "names_of", "outermost"]

# What a file that is no MATLAB file begins with, and what it is then.
_OTHERS = {
    b"# Created by Octave": "it is in Octave's text format; save it with save -v7",
    b"Octave-1": "it is in Octave's binary format; save it with save -v7",
    b"version https://git-lfs": "it is a pointer of Git LFS; git lfs pull fetches the file itself",
}
# Names in a sentence.
_MOST_NAMES = 12


def list_arrays(path: Path, texts: dict[str, str] | None = None) -> dict[str, MatlabArray]:
    """List the numeric arrays of a MATLAB file: version 4, 5 (which 6 and 7 write too) or 7.3.

    Parameters
    ----------
    path : Path
    texts : dict of str to str, optional
        Takes what text there is in a file of version 5 or 7.3, by its path.

    Returns
    -------
    dict of str to MatlabArray
        By path as MATLAB writes it: ``fa``, ``seq.rf.fa``, ``x(2).fa`` (an element of an array of structures),
        ``x{3}`` (of a cell). None is read yet. Text, tables, objects and sparse arrays are left out.

    Raises
    ------
    InputError
        No MATLAB file, or one that is damaged before its first array.
    """
    with plain_file(path, "a MATLAB file").open("rb") as file:
        head = file.read(128)
    if is_matlab_73(path):
        return list_matlab_73_arrays(path, texts)
    if is_matlab_5(head):
        return list_matlab_arrays(path, texts)
    if is_matlab_4(head):
        return list_matlab_4_arrays(path)
    why = next((said for start, said in _OTHERS.items() if head.startswith(start)), None)
    why = why or ("it does not begin as one of version 4, 5 or 7.3 does" if head else "it is empty")
    raise FileError(path, f"cannot be read as a MATLAB file ({why}).")


def outermost(arrays: Mapping[str, MatlabArray]) -> dict[str, MatlabArray]:
    """Return what a person who names no array can mean: those that are variables, or where there are none, all.

    Variables with more than one axis; what is within structures and cells counts where there is none of them.
    """
    whole = {name: each for name, each in arrays.items() if not each.trouble and each.nbytes}
    for names in (
        [name for name, each in whole.items() if _is_variable(name) and sum(n > 1 for n in each.shape) > 1],
        [name for name, each in whole.items() if sum(n > 1 for n in each.shape) > 1],
        [name for name in whole if _is_variable(name)],
    ):
        if names:
            return {name: whole[name] for name in names}
    return whole


def _is_variable(name: str) -> bool:
    return not any(sign in name for sign in ".{(")


class _Readable(Protocol):
    @property
    def read(self) -> Callable[..., AnyArray]: ...


_Array = TypeVar("_Array", bound=_Readable)


class ArraysOnDemand(Mapping[str, AnyArray], Generic[_Array]):
    """Arrays by name, each read once it is asked for.

    Parameters
    ----------
    arrays : mapping of str to MatlabArray, or others with such a ``read``
    watch : Watch
        Counts megabytes of each array.
    """

    def __init__(self, arrays: Mapping[str, _Array], watch: Watch = UNWATCHED) -> None:
        self.arrays, self._watch = dict(arrays), watch

    def __getitem__(self, name: str) -> AnyArray:
        return self.arrays[name].read(self._watch)

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def find_array(path: Path, arrays: Mapping[str, MatlabArray], variable: str) -> MatlabArray:
    """Return an array by its path; ``x(1).fa`` and ``x/fa`` stand for ``x.fa``.

    Raises
    ------
    InputError
        There is none of that name; field "variable".
    """
    by_name = {plain_name(name): array for name, array in arrays.items()}
    found = by_name.get(plain_name(variable))
    if found is None:
        # what a person sees in the workspace comes first
        held = names_of(sorted(arrays.values(), key=lambda each: not _is_variable(each.name))) or "none"
        raise FileError(path, f"has no array {variable!r}; it holds {held}.", field="variable")
    return found


def names_of(arrays: Iterable[MatlabArray], *, shapes: bool = False) -> str:
    """Return the names of arrays as a sentence lists them."""
    listed = list(arrays)
    names = [f"{each.name} ({dimensions(each.shape)})" if shapes else each.name for each in listed[:_MOST_NAMES]]
    more = len(listed) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
