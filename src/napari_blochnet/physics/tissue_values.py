"""What every simulation is given: T1, T2, PD and B1, brought to one shape and checked before any work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_blochnet.common.errors import InputError

__all__ = ["TissueValue", "Tissues", "as_tissues"]

_SHORTEST, _LARGEST_B1 = 1e-9, 100.0

TissueValue = Tensor | float | object
"""A tensor, a NumPy array, nested sequences or a number."""


class Tissues(NamedTuple):
    """Checked tissue parameters, each broadcast to ``shape`` or None where it was not given."""

    t1: Tensor
    t2: Tensor
    pd: Tensor | None
    b1: Tensor | None

    @property
    def shape(self) -> torch.Size:
        """The shape that all of them share; the signal has one more axis, time."""
        return self.t1.shape


def as_tissues(
    t1: TissueValue,
    t2: TissueValue,
    pd: TissueValue | None,
    b1: TissueValue | None,
    *,
    dtype: torch.dtype | None = None,
    like: Tensor | None = None,
) -> Tissues:
    """Return tensors of one shape, device and precision.

    Parameters
    ----------
    t1, t2 : tensor, array or number
        ms, above 0. They broadcast against each other and against ``pd`` and ``b1``.
    pd : tensor, array or number, optional
        Proton density, relative; real or complex.
    b1 : tensor, array or number, optional
        Transmit field relative to nominal, 0 to 100.
    dtype : torch.dtype, optional
        float32 or float64. None: what tensors given and ``like`` promote to, at least float32; arrays and numbers
        follow.
    like : Tensor, optional
        Where arrays and numbers go when no tensor is given.

    Raises
    ------
    InputError
        Values that are not positive or not finite, shapes that do not broadcast, tensors on different devices.
    """
    given = {"t1": t1, "t2": t2, "pd": pd, "b1": b1}
    tensors = {key: value for key, value in given.items() if isinstance(value, Tensor)}
    device = _common_device(tensors, like)
    if dtype is None:
        dtype = torch.float32
        for tensor in [*tensors.values(), *([] if like is None else [like])]:
            if tensor.is_floating_point() or tensor.is_complex():
                dtype = torch.promote_types(dtype, tensor.real.dtype)
    if dtype not in (torch.float32, torch.float64):
        raise InputError(f"dtype is {dtype}", "torch.float32 or torch.float64", field="dtype")
    found = {key: _tensor(key, value, dtype, device) for key, value in given.items() if value is not None}
    try:
        shape = torch.Size(np.broadcast_shapes(*(tuple(value.shape) for value in found.values())))
    except ValueError:
        listed = ", ".join(f"{key} {tuple(value.shape)}" for key, value in found.items())
        raise InputError(f"Shapes do not broadcast: {listed}", "one shape for all", field="t1") from None
    for key, value in found.items():
        _check(key, value)
    whole = {key: value.expand(shape) for key, value in found.items()}
    return Tissues(whole["t1"], whole["t2"], whole.get("pd"), whole.get("b1"))


def _common_device(tensors: dict[str, Tensor], like: Tensor | None) -> torch.device:
    devices = {key: tensor.device for key, tensor in tensors.items() if tensor.dim() > 0}
    if len(set(devices.values())) > 1:
        listed = ", ".join(f"{key} on {device}" for key, device in devices.items())
        raise InputError(f"Tensors are on different devices: {listed}", "one device", field="t1")
    if devices:
        return next(iter(devices.values()))
    if tensors:
        return next(iter(tensors.values())).device
    return torch.device("cpu") if like is None else like.device


def _tensor(key: str, value: TissueValue, dtype: torch.dtype, device: torch.device) -> Tensor:
    try:
        # By way of NumPy, where a number has 64 bits; a copy, since a read-only array cannot back a tensor.
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{key} holds something that is not a number", "numbers", field=key) from None
    if tensor.is_complex():
        if key != "pd":
            raise InputError(f"{key} is complex", "real numbers", field=key)
        return tensor.to(device=device, dtype=dtype.to_complex())
    return tensor.to(device=device, dtype=dtype)


def _check(key: str, value: Tensor) -> None:
    value = value.detach()
    good = torch.isfinite(value)
    expected = "a finite number"
    if key in ("t1", "t2"):
        # Far below any tissue; a rate of relaxation beyond this would not be finite in single precision.
        good &= value > _SHORTEST
        expected = "a finite number above 0 ms"
    elif key == "b1":
        good &= (value >= 0) & (value <= _LARGEST_B1)
        expected = f"a number from 0 to {_LARGEST_B1:g}"
    if not bool(good.all()):
        wrong = value[~good].flatten()[0].item()
        count = int((~good).sum())
        others = f" (and {count - 1} more)" if count > 1 else ""
        raise InputError(f"{key} is {wrong:g}{others}", expected, field=key)
