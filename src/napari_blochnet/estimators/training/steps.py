"""Steps of a training in as many parts as the memory asks for: the gradient is that of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.memory import OUT_OF_MEMORY, Allowance

__all__ = ["Steps"]

#: From a part of a batch to losses, each the mean over that part; the first is what is learned from.
Losses = Callable[[slice], Sequence[Tensor]]


class Steps:
    """Steps of an optimizer, and losses without one, within the memory of a device.

    A batch that does not fit is cut into parts whose gradients are added up, which changes the weights by rounding
    alone; where one fingerprint does not fit, the training moves to the CPU.

    Parameters
    ----------
    modules : torch.nn.Module
        What is trained.
    optimizer : torch.optim.Optimizer
        Of its parameters.
    batch : int
        Fingerprints per step.
    device : torch.device
        Where, once `place` was called.
    work : str
        For people: "training fc".
    """

    def __init__(
        self, modules: nn.Module, optimizer: torch.optim.Optimizer, batch: int, device: torch.device, work: str
    ) -> None:
        self.modules, self.optimizer, self._work = modules, optimizer, work
        self.device = device
        self.allowance = Allowance(batch, str(device), work, "fingerprints")

    def place(self) -> None:
        """Move what is trained to the device, or to the CPU where it does not fit."""
        while self.allowance.attempt(lambda: self._move(self.allowance.device), 1) is None:
            pass

    def take(self, size: int, losses: Losses) -> list[float]:
        """Take one step on ``size`` fingerprints and return the losses before it.

        Parameters
        ----------
        size : int
        losses : callable
            Called once for each part, more often where the memory does not suffice: it must not depend on its calls
            before.
        """
        found = self._summed(size, losses, learn=True)
        try:
            self.optimizer.step()
        except OUT_OF_MEMORY:
            # some weights may have changed already: the step cannot be taken again
            raise InputError(f"The memory of {self.device} does not suffice for {self._work}; expected a device with "
                             "more, or the CPU.", field="device") from None  # fmt: skip
        return found

    @torch.no_grad()
    def look(self, size: int, losses: Losses) -> list[float]:
        """Return the losses of ``size`` fingerprints."""
        return self._summed(size, losses, learn=False)

    def _summed(self, size: int, losses: Losses, *, learn: bool) -> list[float]:
        while True:
            device = self.allowance.device
            found = self.allowance.attempt(lambda: self._attempt(size, losses, learn), min(size, self.allowance.size))
            if found is not None:
                return found
            if self.allowance.device != device:
                self._move(self.allowance.device)

    def _attempt(self, size: int, losses: Losses, learn: bool) -> list[float]:
        if learn:
            self.optimizer.zero_grad(set_to_none=True)
        total: list[float] = []
        for start in range(0, size, self.allowance.size):
            part = slice(start, min(start + self.allowance.size, size))
            share = (part.stop - part.start) / size
            found = losses(part)
            if learn:
                (found[0] if share == 1.0 else found[0] * share).backward()  # type: ignore[no-untyped-call]
            values = [share * float(loss.detach()) for loss in found]
            total = [before + value for before, value in zip(total, values, strict=True)] if total else values
        return total

    def _move(self, device: str) -> torch.device:
        self.device = torch.device(device)
        self.optimizer.zero_grad(set_to_none=True)
        self.modules.to(self.device)
        state: dict[Any, dict[str, Any]] = self.optimizer.state
        for moments in state.values():
            for name, value in moments.items():
                if isinstance(value, Tensor):
                    moments[name] = value.to(self.device)
        return self.device
