"""Which stacks have an error that the residuals of their voxels do not tell, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_blochnet.fingerprints.compressed.hidden_sums import hidden_components
from napari_blochnet.fingerprints.stack import FingerprintStack

__all__ = ["is_undersampled", "why_no_errors"]

_UNDERSAMPLED = (
    "There are no standard errors: k-space was undersampled, and what aliasing, or the prior of coefficient images, "
    "adds is not white noise, which is all that residuals tell of; give noise_sigma to take it as such."
)
_SUMS = (
    "There are no standard errors: the {frames} frames are sums of {components} time courses, as of coefficients that "
    "were expanded, and what noise they have in common cannot be told from the residual; map the coefficients with "
    "their basis, or give noise_sigma."
)


def is_undersampled(record: Mapping[str, Any]) -> bool:
    """Whether the record of a stack, or of what it was made from, is of a simulation along a trajectory."""
    here: Any = record
    while isinstance(here, Mapping):
        settings, inputs = here.get("settings"), here.get("inputs")
        if isinstance(settings, Mapping) and here.get("operation") == "simulate":
            return settings.get("trajectory") is not None
        # of a stack to which noise was added, what it was before
        here = inputs.get("stack") if isinstance(inputs, Mapping) else here.get("noise_free")
    return False


def why_no_errors(
    stack: FingerprintStack, noise_sigma: float | None, noise_covariance: str | None = None
) -> str | None:
    """Return why standard errors of a stack would be wrong, in a sentence; None where they would not.

    Parameters
    ----------
    stack : FingerprintStack
        Images that this package undersampled, or frames that are sums of a few time courses, have errors that are no
        white noise.
    noise_sigma : float, optional
        Standard deviation that a person gives for the noise in each real channel: errors follow from it then.
    """
    if noise_sigma is not None or noise_covariance is not None:
        return None
    if is_undersampled(stack.record):
        return _UNDERSAMPLED
    components = hidden_components(stack)
    return None if components is None else _SUMS.format(frames=stack.pulses, components=components)
