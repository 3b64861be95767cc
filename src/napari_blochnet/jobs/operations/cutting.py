"""Some slices of a phantom or a stack, as volumes of their own."""

from __future__ import annotations

from typing import Any

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import CutSettings, check_slices, settings_from
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["cut_phantom", "cut_stack"]


def cut_phantom(phantom: Phantom, settings: CutSettings | None = None, **fields: Any) -> Phantom:
    """Return some slices of a phantom along z, geometry kept; ``phantom[first:end]`` is the same.

    Parameters
    ----------
    phantom : Phantom
    settings : CutSettings, optional
    **fields
        Fields of `CutSettings`: ``slices``.

    Raises
    ------
    InputError
        Slices that the phantom does not have.
    """
    first, end = settings_from(CutSettings, settings, **fields).slices
    check_slices((first, end), phantom.shape[0], f"the phantom {phantom.name}")
    return phantom[first:end]


def cut_stack(stack: FingerprintStack, settings: CutSettings | None = None, **fields: Any) -> FingerprintStack:
    """Return some slices of a stack along z, geometry kept; ``stack[first:end]`` is the same.

    Parameters
    ----------
    stack : FingerprintStack
    settings : CutSettings, optional
    **fields
        Fields of `CutSettings`: ``slices``.

    Raises
    ------
    InputError
        Slices that the stack does not have.
    """
    first, end = settings_from(CutSettings, settings, **fields).slices
    check_slices((first, end), stack.shape[1], f"the stack {stack.name}")
    return stack[first:end]
