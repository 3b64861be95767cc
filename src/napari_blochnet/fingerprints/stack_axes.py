"""Which axis of an array is what: time, space, real and imaginary parts, and those of length one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, SignalKind, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.complex_parts import extent, joined_parts, joined_polar
from napari_blochnet.fingerprints.signal_kinds import is_signed, phase_range
from napari_blochnet.fingerprints.sources import SourceArray
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["AlongTime", "StackAxes"]


# Images of a low-rank reconstruction, at most.
_MOST_COEFFICIENTS = 30


@dataclass(frozen=True)
class AlongTime:
    """What a stack has along time.

    Parameters
    ----------
    count : int
        How many samples, or coefficients.
    name : str
        Of the schedule.
    are_coefficients : bool
        Whether each belongs to a component of a basis, and not to a pulse.
    """

    count: int
    name: str = ""
    are_coefficients: bool = False

    @property
    def what(self) -> str:
        """What is as long."""
        return "the basis" if self.are_coefficients else "the schedule"

    @property
    def called(self) -> str:
        """The same by its name."""
        return self.what if self.are_coefficients else f"the schedule {self.name or 'given'}"

    @property
    def numbers(self) -> str:
        """How long."""
        return f"{self.count} {'components' if self.are_coefficients else 'pulses'}"


@dataclass(frozen=True, eq=False)
class StackAxes:
    """An array of a file on its way to a stack.

    Parameters
    ----------
    file : Path
    source : SourceArray
        As the file gives it, with the axes that are left.
    axes : tuple of int
        Which of the file's axes these are.
    size : str
        Of the file's array, in words.
    """

    file: Path
    source: SourceArray
    axes: tuple[int, ...]
    size: str

    @classmethod
    def of(cls, file: Path, source: SourceArray) -> StackAxes:
        """Begin with all axes, but for those of length one beyond four."""
        axes = list(range(source.data.ndim))
        for axis in reversed(range(source.data.ndim)):
            if len(axes) > 4 and source.data.shape[axis] == 1:
                axes.remove(axis)
        data = source.data.reshape([source.data.shape[axis] for axis in axes])
        return cls(file, replace(source, data=data), tuple(axes), dimensions(source.data.shape))

    def with_complex_parts(
        self, along: AlongTime, kind: SignalKind | None, watch: Watch, notes: list[str]
    ) -> StackAxes:
        """Return complex samples, where real ones have an axis of two for their real and imaginary parts.

        Of five axes one is that. Of fewer it may be two slices as well, and a person says so by the kind.

        Raises
        ------
        InputError
            Signed samples with such an axis whose kind is not given; several of them.
        """
        data = self.source.data
        if data.dtype.kind == "c" or (kind in ("real", "magnitude") and data.ndim < 5):
            return self
        pairs = self._axes_of_two(along.count)
        if not pairs or (data.ndim < 5 and kind is None and not is_signed(data)):
            return self
        axis = self._chosen(pairs)
        if data.ndim < 5 and kind is None:
            raise FileError(
                self.file,
                f"axis {self.axes[axis]} of {self.size} may be real and imaginary parts or two of space; give the "
                "kind as complex or as real.",
                field="kind",
            )
        if kind in ("real", "magnitude"):
            raise FileError(
                self.file,
                f"has five axes ({self.size}), of which axis {self.axes[axis]} holds two parts of complex samples",
                "the kind as complex, or one of the two parts",
                field="kind",
            )
        first, second = (data[(*[slice(None)] * axis, part)] for part in (0, 1))
        joined, what = self._joined(first, second, axis, kind, watch)
        notes.append(f"Axis {self.axes[axis]} of {self.size} holds {what} of complex samples.")
        left = (*self.axes[:axis], *self.axes[axis + 1 :])
        return replace(self, source=replace(self.source, data=joined), axes=left)

    def _axes_of_two(self, pulses: int) -> list[int]:
        """Return which axes may hold two parts of each sample."""
        shape = self.source.data.shape
        pairs = [axis for axis, length in enumerate(shape) if length == 2]
        if self.source.geometry is not None:
            # the last three are of space
            pairs = [axis for axis in pairs if axis < len(shape) - 3]
            if len(shape) < 5 and (len(shape) < 2 or shape[1] != pulses):
                return []
        return [axis for axis in pairs if pulses in shape[:axis] + shape[axis + 1 :]]

    def _chosen(self, pairs: list[int]) -> int:
        ends = [axis for axis in pairs if axis in (0, self.source.data.ndim - 1)]
        chosen = ends or pairs
        if len(chosen) > 1:
            listed = " and ".join(str(self.axes[axis]) for axis in chosen)
            raise FileError(
                self.file,
                f"axes {listed} of {self.size} have length two, and either may be real and imaginary parts",
                "complex numbers, or one such axis, the first or the last",
                field="kind",
            )
        return chosen[0]

    def _joined(
        self, first: AnyArray, second: AnyArray, axis: int, kind: SignalKind | None, watch: Watch
    ) -> tuple[AnyArray, str]:
        """Return the complex samples, and what was taken for their parts."""
        data, what = self.source.data, f"reading {self.file.name}"
        if not is_signed(first):
            low, high = extent(second, watch, what)
            if phase_range(low, high) is not None:
                refuse_beyond_memory(self.file, first.size * 8)
                polar, words = joined_polar(first, second, "", self.file.name, watch, what)
                return polar, f"magnitude and phase ({words})"
            if kind is None and low >= 0:
                raise FileError(
                    self.file,
                    f"axis {self.axes[axis]} of {self.size} has length two, but neither half holds a sample below 0, "
                    "as real and imaginary parts do; give the kind as complex if they are, or one of the two halves.",
                    field="kind",
                )
        if axis == data.ndim - 1 and data.flags.c_contiguous and data.dtype.kind == "f" and data.dtype.itemsize < 16:
            # they lie as complex numbers do, and stay where they are
            pair = np.dtype(f"{data.dtype.byteorder}c{2 * data.dtype.itemsize}") if data.dtype.itemsize > 2 else None
            if pair is not None:
                return data.view(pair)[..., 0], "real and imaginary parts"
        refuse_beyond_memory(self.file, first.size * 8)
        return joined_parts(first, second, watch, what), "real and imaginary parts"

    def _may_be_coefficients(self, is_fixed: bool) -> bool:
        """Whether these are a few complex images, as coefficients are and frames hardly ever."""
        shape = self.source.data.shape
        few = shape[:1] if is_fixed else sorted(shape)[:-2]
        is_few = bool(few) and max(few) <= _MOST_COEFFICIENTS and max(few) > 1
        return self.source.data.dtype.kind == "c" and is_few and sorted(shape)[-2] > _MOST_COEFFICIENTS

    def time_first(self, along: AlongTime, time_axis: int | None, notes: list[str]) -> AnyArray:
        """Return the samples (time, z, y, x).

        Raises
        ------
        InputError
            No axis as long as the schedule, or two; another number of axes than two to four.
        """
        file, source, data = self.file, self.source, self.source.data
        shape, size = data.shape, self.size
        if not 2 <= len(shape) <= 4:
            raise FileError(file, f"has {len(shape)} axes ({size})", "time and one to three of space")
        as_long = [axis for axis, length in enumerate(shape) if length == along.count]
        is_fixed = (source.geometry is not None or source.is_time_first) and len(shape) == 4
        fits = [axis for axis in as_long if axis == 0 or not is_fixed]
        if time_axis is not None:
            # of the file's own, as a person counts them
            asked = self.axes.index(time_axis) if time_axis in self.axes else None
            if asked is None:
                raise FileError(file, f"time_axis is {time_axis}", f"0 to {max(self.axes)}", field="time_axis")
            if asked not in fits:
                raise FileError(
                    file,
                    f"axis {time_axis} has length {shape[asked]}",
                    f"that of {along.called}, {along.numbers}",
                    field="time_axis",
                )
            fits = [asked]
        if not fits and as_long:
            # as nibabel and everybody else count NIfTI's axes
            there = len(shape) - 1 - as_long[0]
            raise FileError(
                file,
                f"axis {there} of {dimensions(shape[::-1])}, as nibabel shows and counts it, is as long as "
                f"{along.called}, and axis 3 is not",
                "(x, y, z, time) as NIfTI has it: move that axis to the end (numpy.moveaxis) and save it again",
                field="path",
            )
        if not fits and not along.are_coefficients and self._may_be_coefficients(is_fixed):
            raise FileError(
                file,
                f"its axes have lengths {size}, none as long as {along.called}, {along.numbers}",
                "the basis of coefficient images, or the schedule of frames",
                field="basis",
            )
        if not fits:
            raise FileError(
                file,
                f"its axes have lengths {size}",
                f"one as long as {along.called}, {along.numbers}",
                field="schedule",
            )
        if len(fits) > 1:
            axes = " and ".join(str(self.axes[axis]) for axis in fits)
            sentence = f"axes {axes} of {size} are as long as {along.what}; give time_axis, counted from 0."
            raise FileError(file, sentence, field="time_axis")
        data = np.moveaxis(data, fits[0], 0)
        if source.slices_last and data.ndim == 4:
            data = np.moveaxis(data, 3, 1)
        data = data.reshape(data.shape[0], *(1,) * (4 - data.ndim), *data.shape[1:])
        if source.geometry is None:
            rest = "(y, x)" if data.shape[1] == 1 else "(z, y, x)"
            what = "Components are" if along.are_coefficients else "Time is"
            notes.append(f"{what} axis {self.axes[fits[0]]} of {size}; the rest is {rest}.")
        return data
