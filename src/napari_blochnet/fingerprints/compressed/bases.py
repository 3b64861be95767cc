"""Bases of coefficients: which array of a file is one, which way it lies, and how JSON holds it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.containers.bart_arrays import is_bart, map_bart
from napari_blochnet.io.containers.hdf5_arrays import list_hdf5_arrays, read_hdf5_array
from napari_blochnet.io.containers.mapped_arrays import map_npy
from napari_blochnet.io.containers.numpy_archives import list_archived_arrays
from napari_blochnet.io.json_files import read_json
from napari_blochnet.io.matlab_array import plain_name
from napari_blochnet.io.matlab_files import list_arrays

__all__ = ["Convention", "basis_from_json", "basis_inside", "basis_to_json", "read_basis", "under_convention"]

#: What stored coefficients are: c of s = U·c; c of s = U*·c; or Uᴴ·s.
Convention: TypeAlias = Literal["plain", "conjugated", "projections"]

# What a basis is called, in small letters, at the end of an array's path; the likeliest first.
_NAMES = ("basis", "u", "ur", "uk", "u_r", "u_k", "phi", "vr", "vk", "v_r", "v_k", "v", "subspace", "svd_basis", "psi")
_ENDINGS = (".json", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".cfl")
_DIGITS = re.compile(r"[0-9]{1,5}")
# Longer time courses are rather the atoms of a dictionary.
_LONGEST = 100_000


@dataclass(frozen=True)
class _Array:
    shape: tuple[int, ...]
    read: Callable[[], AnyArray]


def read_basis(
    given: AnyArray | str | os.PathLike[str],
    lengths: Collection[int],
    pulses: int | None = None,
    variable: str | None = None,
    *,
    watch: Watch = UNWATCHED,
) -> tuple[AnyArray, list[str]]:
    """Return a basis (time, K), and what was understood, in sentences.

    Parameters
    ----------
    given : array, path, or number of time points
        Text of digits alone, such as "1000", unless a file is called so: the stack holds whole signals of as many time
        points, of which no schedule is known, and the basis is the identity.
        Of files ``.npy``, ``.npz``, ``.mat`` (4, 5, 7.3; in structures, too), ``.h5``, ``.cfl``, or JSON: a list of
        rows, or an object whose "basis" is one or has lists "real" and "imag".
    lengths : collection of int
        How many coefficients there may be: the lengths of the stack's axes.
    pulses : int, optional
        Of the schedule, where there is one.
    variable : str, optional
        Name of the array, where the file holds several.
    watch : Watch

    Raises
    ------
    InputError
        Its field is ``basis``: no such file, a damaged one; no array that is a basis for such a stack, or several.
    """
    if not isinstance(given, (str, os.PathLike)):
        array = np.asarray(given)
        return _upright(array, lengths, pulses, "basis"), []
    if _DIGITS.fullmatch(str(given)) and not Path(given).exists():
        return _of_whole_signals(int(str(given)), lengths)
    try:
        path = existing_file(given)
        arrays = _arrays_of(path, watch)
        name, said = _chosen(path, arrays, lengths, pulses, variable)
        found = arrays[name].read()
    except InputError as error:
        raise InputError(str(error), field="basis") from None
    basis = _upright(_flat(found), lengths, pulses, path.name)
    called = f"{name} of {path.name}" if name else path.name
    turned = ", transposed" if basis.shape != _flat(found).shape else ""
    return basis, [f"The basis is {called}{turned}: {dimensions(basis.shape)} (time × components).{said}"]


def _of_whole_signals(count: int, lengths: Collection[int]) -> tuple[AnyArray, list[str]]:
    if count not in lengths:
        sizes = " × ".join(map(str, lengths))
        raise InputError(f"The stack's images are not {count} time points: its axes have lengths {sizes}",
                         f"one of {count}, or the basis of its coefficients", field="basis")  # fmt: skip
    return np.eye(count), [f"The images are the {count} time points of whole signals."]


def basis_inside(path: Path, variable: str | None, pulses: int | None) -> tuple[str, str] | None:
    """Return the names of basis and coefficients in a file that holds both; None where it does not, or is damaged.

    Parameters
    ----------
    path : Path
    variable : str, optional
        Of the coefficients, where it is said.
    pulses : int, optional
        Of the schedule, where there is one.
    """
    if not path.is_file() or not path.name.lower().endswith((".npz", ".mat", ".h5", ".hdf5")):
        return None
    try:
        arrays = _arrays_of(path, UNWATCHED)
    except InputError:
        return None
    others = {name: each.shape for name, each in arrays.items() if sum(n > 1 for n in each.shape) > 1}
    for name in sorted((name for name in others if _rank_of(name) < len(_NAMES)), key=_rank_of):
        shape = tuple(n for n in others[name] if n > 1)
        if len(shape) != 2 or (pulses is not None and pulses not in shape):
            continue
        length, count = (pulses, shape[1 - shape.index(pulses)]) if pulses else (max(shape), min(shape))
        held = [other for other, size in others.items() if other != name and count in size and length not in size]
        held = [variable] if variable in held else held if variable is None else []
        if len(held) == 1:
            return name, held[0]
    return None


def under_convention(
    basis: AnyArray, convention: Convention = "plain", order: Collection[int] | str | None = None
) -> AnyArray:
    """Return the basis U of which s = U·c for coefficients as they are stored.

    Parameters
    ----------
    basis : array of shape (time, K)
    convention : {"plain", "conjugated", "projections"}
        What is stored: coefficients of the basis; of its complex conjugate; or projections Uᴴ·s, which are no
        coefficients where the basis is not orthonormal.
    order : collection of int or str, optional
        Which component, counted from 0, each stored coefficient belongs to; "1, 0, 2" is such a list, too.

    Raises
    ------
    InputError
        An order that does not name every component once.
    """
    found = np.asarray(basis)
    if order is not None:
        if isinstance(order, str):
            order = [int(part) for part in re.findall(r"\d+", order)]
        if sorted(order) != list(range(found.shape[1])):
            raise InputError(
                f"component_order is {', '.join(map(str, order))}",
                f"each of 0 to {found.shape[1] - 1} once",
                field="component_order",
            )
        found = found[:, list(order)]
    if convention == "conjugated":
        return np.asarray(found.conj())
    if convention == "projections":
        # U·(UᴴU)⁻¹, in double precision
        return np.asarray(np.linalg.pinv(found.astype(np.result_type(found, np.float64))).conj().T)
    return found


def basis_to_json(basis: AnyArray) -> dict[str, Any]:
    """Return a basis of single precision as lists of rows, "real" and, where it is complex, "imag"; no bit is lost."""

    def rows(values: AnyArray) -> list[list[float]]:
        return [[float(f"{value:.9g}") for value in row] for row in values]

    parts = {"real": rows(basis.real)}
    return parts | ({"imag": rows(basis.imag)} if np.iscomplexobj(basis) else {})


def basis_from_json(content: Any) -> AnyArray:
    """Return the basis that JSON holds; see `read_basis`.

    Raises
    ------
    ValueError
        There is none.
    """
    held = content.get("basis", content) if isinstance(content, dict) else content
    parts = [held.get("real"), held.get("imag")] if isinstance(held, dict) else [held, None]
    try:
        found = [np.array(part, np.float64) for part in parts if part is not None]
    except (TypeError, ValueError):
        found = []
    if not found or any(part.ndim != 2 or part.shape != found[0].shape for part in found):
        raise ValueError("holds no basis; expected rows of numbers, or lists of them called real and imag")
    return found[0] if len(found) == 1 else found[0] + 1j * found[1]


def _arrays_of(path: Path, watch: Watch) -> Mapping[str, _Array]:
    """Return the arrays of numbers in a file; of one that has no names for them, under an empty one."""
    name = path.name.lower()
    if name.endswith(".json"):
        try:
            array = basis_from_json(read_json(path))
        except ValueError as error:
            raise FileError(path, str(error)) from None
        return {"": _Array(array.shape, lambda: array)}
    if name.endswith(".npy"):
        mapped = map_npy(path)
        return {"": _Array(mapped.shape, lambda: np.array(mapped))}
    if is_bart(path):
        # (…, time, …, component), both of any dimension
        found = map_bart(path)
        return {"": _Array(found.shape, lambda: np.array(found))}
    if name.endswith(".npz"):
        archived = list_archived_arrays(path)
        return {
            key: _Array(each.shape, lambda each=each: each.read(watch))  # type: ignore[misc]
            for key, each in archived.items()
            if each.dtype.kind in "iufc"
        }
    if name.endswith(".mat"):
        held = {key: each for key, each in list_arrays(path).items() if not each.trouble and each.nbytes}
        return {key: _Array(each.shape, lambda each=each: each.read(watch)) for key, each in held.items()}  # type: ignore[misc]
    if name.endswith((".h5", ".hdf5")):
        import h5py

        def read(key: str) -> AnyArray:
            with h5py.File(path, "r") as file:
                return read_hdf5_array(path, file[key], f"reading {path.name}", watch)

        try:
            with h5py.File(path, "r") as file:
                shapes = list_hdf5_arrays(file, "iufc")
        except (OSError, RuntimeError) as error:
            raise FileError(path, f"cannot be read as HDF5 ({str(error).splitlines()[0]}).") from None
        return {key: _Array(shape, lambda key=key: read(key)) for key, shape in shapes.items()}  # type: ignore[misc]
    raise FileError(path, "cannot tell a basis from its ending", ", ".join(_ENDINGS))


def _chosen(
    path: Path, arrays: Mapping[str, _Array], lengths: Collection[int], pulses: int | None, variable: str | None
) -> tuple[str, str]:
    """Return the name of the array that is the basis, and what else could have been, in a sentence."""
    if variable is not None:
        there = {plain_name(name): name for name in arrays}
        if plain_name(variable) not in there:
            raise FileError(path, f"has no array {variable!r}; it holds {', '.join(arrays) or 'none'}.")
        return there[plain_name(variable)], ""
    flat = {name: tuple(n for n in each.shape if n > 1) for name, each in arrays.items()}
    fits = [name for name, shape in flat.items() if _is_basis(shape, lengths, pulses)]
    if not fits:
        held = ", ".join(f"{name} ({dimensions(each.shape)})" if name else dimensions(each.shape)
                         for name, each in arrays.items()) or "no numbers"  # fmt: skip
        counts = " or ".join(str(n) for n in sorted({*lengths}))
        rows = f"{pulses} time points, as many as the schedule has pulses" if pulses else "time points"
        raise FileError(path, f"holds {held}", f"a basis of {rows}, by {counts} components, as the stack's axes have")
    named = sorted(fits, key=_rank_of)
    if len(named) > 1 and _rank_of(named[0]) == _rank_of(named[1]):
        several = ", ".join(f"{name} ({dimensions(arrays[name].shape)})" for name in named)
        raise FileError(path, f"holds {len(named)} arrays that may be the basis: {several}; give basis_variable.")
    return named[0], ""


def _rank_of(name: str) -> int:
    """Return how likely an array's name is that of a basis, the likeliest first; as many as there are: none."""
    leaf = re.split(r"[/.]", name)[-1].lower()
    return _NAMES.index(leaf) if leaf in _NAMES else len(_NAMES)


def _is_basis(shape: tuple[int, ...], lengths: Collection[int], pulses: int | None) -> bool:
    if len(shape) == 1:
        # one component
        return 1 in lengths and shape[0] == pulses
    if len(shape) != 2 or max(shape) > _LONGEST:
        return False
    return any(
        count in lengths and length >= count and (pulses is None or length == pulses)
        for length, count in (shape, shape[::-1])
    )


def _flat(array: AnyArray) -> AnyArray:
    flat = array.reshape([n for n in array.shape if n > 1])
    return flat[:, None] if flat.ndim == 1 else flat


def _upright(array: AnyArray, lengths: Collection[int], pulses: int | None, name: str) -> AnyArray:
    """Return a basis as (time, K): it lies transposed where only that fits, or where it is wider than long."""
    if array.ndim != 2:
        raise InputError(f"The basis {name} is {dimensions(array.shape)}", "two axes, time × components", field="basis")
    stands = [
        turned
        for turned in (array, array.T)
        if turned.shape[1] in lengths and (pulses is None or turned.shape[0] == pulses)
    ]
    longer = [turned for turned in stands if turned.shape[0] >= turned.shape[1]]
    # where nothing fits, what is wrong is said where the stack takes it
    return (longer or stands or [array])[0]
