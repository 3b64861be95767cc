"""Which device computes, and whether the memory suffices."""

from __future__ import annotations

from napari_blochnet.common.errors import InputError

__all__ = ["available_devices", "check_memory", "resolve_device"]


def available_devices() -> dict[str, str]:
    """Return the devices that can be chosen, each with its name for people; the first is the default."""
    devices = {"auto": "automatic", "cpu": "CPU"}
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    return devices


def resolve_device(device: str = "auto") -> str:
    """Return the device that will be used: "auto" is the first GPU, or the CPU.

    Raises
    ------
    InputError
        A device this machine does not have.
    """
    if device == "cpu":
        return device
    known = available_devices()
    if device == "auto":
        return next((name for name in known if name.startswith("cuda")), "cpu")
    name = "cuda:0" if device == "cuda" else device
    if name not in known:
        raise InputError(f"device is {device!r}; expected one of {', '.join(known)}.", field="device")
    return name


def check_memory(
    needed: int, what: str, field: str, instead: str = "choose fewer slices or a shorter schedule"
) -> None:
    """Raise `InputError` before ``needed`` bytes are allocated that this machine does not have free."""
    import psutil

    free = psutil.virtual_memory().available
    if needed > 0.9 * free:
        raise InputError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free; {instead}.",
            field=field,
        )
