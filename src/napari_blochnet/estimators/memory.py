"""When the memory does not suffice: less at a time, then the CPU."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from napari_blochnet.common.errors import DataWarning, InputError

__all__ = ["OUT_OF_MEMORY", "Allowance"]

T = TypeVar("T")

#: What is raised where an allocation fails: by Python and NumPy, by PyTorch on an accelerator.
OUT_OF_MEMORY: tuple[type[BaseException], ...] = (MemoryError, torch.cuda.OutOfMemoryError)


class Allowance:
    """How much is asked of a device at once, and of which device.

    Half as much after each attempt for which the memory did not suffice; once a single item does not fit, the CPU with
    the first amount; where that does not suffice either, a sentence. A person is told of the first halving and of the
    change of device, by a `DataWarning` each.

    Parameters
    ----------
    size : int
        Items at a time.
    device : str
        By torch's name.
    work, unit : str
        What is done and with what, for people: "mapping with fc", "voxels".
    """

    def __init__(self, size: int, device: str, work: str, unit: str) -> None:
        self.size, self.device = size, device
        self._whole, self._work, self._unit = size, work, unit
        #: What a person was told.
        self.notes: tuple[str, ...] = ()

    def attempt(self, work: Callable[[], T], asked: int) -> T | None:
        """Return what ``work`` returns; None where the memory did not suffice and less is allowed from now on.

        Parameters
        ----------
        work : callable
        asked : int
            Items it works on at once.

        Raises
        ------
        InputError
            One item does not fit into the memory of this machine.
        """
        try:
            return work()
        except OUT_OF_MEMORY:
            pass
        # out of the handler, whose traceback keeps alive what the attempt had allocated
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._reduce(asked)
        return None

    def _reduce(self, asked: int) -> None:
        if asked > 1:
            first = self.size == self._whole
            self.size = max(1, asked // 2)
            if first:
                self._say(f"The memory of {self.device} does not suffice for {self._work} with {asked:,} "
                          f"{self._unit} at a time; it goes on with fewer.")  # fmt: skip
        elif self.device != "cpu":
            self._say(f"The memory of {self.device} does not suffice for {self._work}; it goes on on the CPU.")
            self.size, self.device = self._whole, "cpu"
        else:
            raise InputError(f"The memory of this machine does not suffice for {self._work}, not even for one of the "
                             f"{self._unit}; expected more free memory: close other programs or data.",
                             field="device")  # fmt: skip

    def _say(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes = (*self.notes, sentence)
            warnings.warn(sentence, DataWarning, stacklevel=4)
