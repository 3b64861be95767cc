"""The voxels that somebody pinned: several, one of them the current one, each with a number it keeps."""

from __future__ import annotations

from collections.abc import Mapping

from napari_blochnet.evaluation.voxel import Voxel

__all__ = ["MAX_PINS", "PIN_COLOURS", "Pins", "Voxel"]

#: By number. Seen on grey images and on the colour maps of T1 and T2 alike, and unlike the traces of models.
PIN_COLOURS = ("#ffd60a", "#ff375f", "#32d7ff", "#bf7bff", "#30e85c", "#ff9f0a", "#ff7ad9", "#ffffff")
#: More could be told apart neither by colour nor in a row of buttons.
MAX_PINS = len(PIN_COLOURS)


class Pins:
    """An ordered set of pinned voxels; its methods return whether they changed anything."""

    def __init__(self) -> None:
        self._numbers: dict[Voxel, int] = {}
        self.current: Voxel | None = None

    @property
    def voxels(self) -> tuple[Voxel, ...]:
        """The pinned voxels, oldest first."""
        return tuple(self._numbers)

    def number(self, voxel: Voxel) -> int:
        """Return a pin's number, from 1."""
        return self._numbers[voxel]

    def add(self, voxel: Voxel) -> bool:
        """Pin a voxel with the lowest free number; one that is pinned already becomes the current one."""
        if voxel in self._numbers:
            return self.select(voxel)
        free = [number for number in range(1, MAX_PINS + 1) if number not in self._numbers.values()]
        if not free:
            return False
        self._numbers[voxel] = free[0]
        self.current = voxel
        return True

    def move(self, voxel: Voxel) -> bool:
        """Put the current pin on a voxel, number kept; one that is pinned already becomes the current one."""
        if self.current is None or voxel in self._numbers:
            return self.add(voxel)
        moved = self.current
        self._numbers = {voxel if known == moved else known: number for known, number in self._numbers.items()}
        self.current = voxel
        return True

    def select(self, voxel: Voxel) -> bool:
        """Make a pinned voxel the current one."""
        if voxel not in self._numbers or voxel == self.current:
            return False
        self.current = voxel
        return True

    def remove(self, voxel: Voxel) -> bool:
        """Give a pin up; the one before it, or else the one after it, is the next current one."""
        if voxel not in self._numbers:
            return False
        place = self.voxels.index(voxel)
        del self._numbers[voxel]
        if voxel == self.current:
            self.current = self.voxels[max(0, place - 1)] if self._numbers else None
        return True

    def restore(self, numbers: Mapping[Voxel, int], current: Voxel | None) -> bool:
        """Set pins with the numbers they had; those that are there give way."""
        if set(numbers.values()) - set(range(1, MAX_PINS + 1)) or len(set(numbers.values())) != len(numbers):
            return False
        self._numbers = dict(numbers)
        self.current = current if current in numbers else next(reversed(list(numbers)), None)
        return True

    def clear(self) -> bool:
        """Give all pins up."""
        had_some = bool(self._numbers)
        self._numbers = {}
        self.current = None
        return had_some
