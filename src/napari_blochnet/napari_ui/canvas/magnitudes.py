"""The magnitude of a stack's samples as an array that is computed where it is looked at.

A copy of a stack may not fit into memory, so its layer holds none. To napari's console and to other plugins the
layer's data is a read-only array all the same: operators, NumPy's functions and an array's methods work on it element
by element, in blocks of time points, so that beside the result no copy of the stack is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from napari_blochnet.common.arrays import AnyArray

__all__ = ["Magnitudes"]

# Computed at a time.
_BLOCK_BYTES = 16 * 2**20
# What can be gathered from the results of parts, whatever their order.
_GATHERED = {np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logical_and, np.logical_or}
# An array's methods, and NumPy's functions of the same names, that are one of these over axes.
_REDUCTIONS = {"max": np.maximum, "min": np.minimum, "sum": np.add, "prod": np.multiply, "any": np.logical_or,
               "all": np.logical_and}  # fmt: skip
_METHODS = {"amax": "max", "amin": "min"}


class Magnitudes(NDArrayOperatorsMixin):
    """The magnitudes of samples.

    Parameters
    ----------
    samples : array
        Of any numbers, in memory or in a file.
    """

    def __init__(self, samples: AnyArray) -> None:
        self._samples = samples
        kind = np.abs(np.empty(0, samples.dtype)).dtype
        #: long doubles as doubles: neither napari nor a graphics card knows them
        self.dtype = kind if kind.itemsize <= 8 else np.dtype(np.float64)
        self.shape, self.ndim, self.size = samples.shape, samples.ndim, samples.size
        self.itemsize, self.nbytes = self.dtype.itemsize, samples.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"<magnitudes, {self.dtype}, shape {self.shape}, computed where they are looked at>"

    def __getitem__(self, key: Any) -> AnyArray:
        values: AnyArray = np.abs(np.asarray(self._samples[key])).astype(self.dtype, copy=False)
        return values

    def __setitem__(self, key: Any, value: Any) -> None:
        raise ValueError("assignment destination is read-only")

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[AnyArray]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        if copy is False:
            raise ValueError("magnitudes are computed: there is no array without a copy")
        values = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for part in self._parts():
            values[part] = self[part]
        return values

    # of one element as an array's, of several its error
    def __bool__(self) -> bool:
        return bool(self.__array__() if self.size < 2 else np.empty(2))

    def __float__(self) -> float:
        return float(self.__array__().item() if self.size == 1 else np.empty(2))

    def __int__(self) -> int:
        return int(float(self))

    def __copy__(self) -> Magnitudes:
        return self

    def __deepcopy__(self, memo: Any) -> Magnitudes:
        # nobody can write into them: a layer that is duplicated shares them
        return self

    def __reduce__(self) -> Any:
        # to another process the values go
        return self.__array__().__reduce__()

    def mean(self, axis: Any = None, **how: Any) -> Any:
        """Return the mean over axes, as an array's method does."""
        if how:
            return self._fixed().mean(axis, **how)
        total = np.asarray(np.add.reduce(self, axis=axis, dtype=np.float64))
        kind = self.dtype if self.dtype.kind == "f" else np.float64
        return (total * (total.size / self.size)).astype(kind)[()]

    def __getattr__(self, name: str) -> Any:
        """Return what an array has beside: its methods and properties, on values that cannot be written."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        if name in _REDUCTIONS:
            return lambda axis=None, **how: _REDUCTIONS[name].reduce(self, axis=axis, **how)
        if callable(getattr(np.ndarray, name)):
            return lambda *args, **how: getattr(self._fixed(), name)(*args, **how)
        return getattr(self._fixed(), name)

    def _fixed(self) -> AnyArray:
        """Return all values; whoever wants to change them here is told that it cannot be."""
        values = self.__array__()
        values.setflags(write=False)
        return values

    def _parts(self) -> Iterator[slice]:
        """Yield slices of the first axis, a block each."""
        rows = max(1, _BLOCK_BYTES * len(self) // max(1, self.nbytes)) if self.ndim else 1
        return (slice(start, start + rows) for start in range(0, len(self), rows))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **how: Any) -> Any:
        if any(isinstance(target, Magnitudes) for target in how.get("out", ())):
            raise ValueError("output array is read-only")
        usual = how.keys() <= {"dtype", "casting"}
        if method == "__call__" and usual and ufunc.nout == 1 and ufunc.signature is None:
            return self._element_by_element(ufunc, inputs, how)
        if method == "reduce" and ufunc in _GATHERED and how.keys() <= {"axis", "dtype", "keepdims"}:
            return self._gathered(ufunc, **how)
        return getattr(ufunc, method)(*map(_plain, inputs), **_plain(how))

    def _element_by_element(self, ufunc: np.ufunc, inputs: tuple[Any, ...], how: dict[str, Any]) -> Any:
        shapes = [given.shape if isinstance(given, Magnitudes) else np.shape(given) for given in inputs]
        if np.broadcast_shapes(*shapes) != self.shape or not self.size:
            return ufunc(*map(_plain, inputs), **how)
        result: AnyArray | None = None
        for part in self._parts():
            # what has one element along time, or no such axis, goes with every block
            cut = [
                given[part] if len(shape) == self.ndim and shape[0] == len(self) else given
                for given, shape in zip(inputs, shapes, strict=True)
            ]
            block = ufunc(*map(_plain, cut), **how)
            if result is None:
                result = np.empty(self.shape, block.dtype)
            result[part] = block
        return result

    def _gathered(self, ufunc: np.ufunc, axis: Any = 0, dtype: Any = None, keepdims: bool = False) -> Any:
        named = tuple(range(self.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple({index % self.ndim for index in named if -self.ndim <= index < self.ndim})
        if 0 not in axes or len(axes) < len(named) or not self.size:
            return ufunc.reduce(self._fixed(), axis=axis, dtype=dtype, keepdims=keepdims)
        found = [ufunc.reduce(self[part], axis=axes, dtype=dtype, keepdims=True) for part in self._parts()]
        whole = ufunc.reduce(np.concatenate(found), axis=0, dtype=dtype, keepdims=True)
        return whole if keepdims else np.squeeze(whole, axes)[()]

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        name = func.__name__
        if func.__module__ == "numpy" and len(args) in (1, 2) and args[0] is self:
            if name in ("shape", "ndim", "size") and len(args) == 1:
                return getattr(self, name)
            method = _METHODS.get(name, name)
            if method in _REDUCTIONS or method == "mean":
                return getattr(self, method)(*args[1:], **kwargs)
        if isinstance(kwargs.get("out"), Magnitudes):
            raise ValueError("output array is read-only")
        return func(*_plain(args), **_plain(kwargs))


def _plain(given: Any) -> Any:
    """Return what is given with arrays in place of magnitudes, in lists and the like too."""
    if isinstance(given, Magnitudes):
        return given._fixed()
    if isinstance(given, (list, tuple)):
        return type(given)(map(_plain, given)) if not hasattr(given, "_fields") else given
    return {key: _plain(value) for key, value in given.items()} if isinstance(given, dict) else given
