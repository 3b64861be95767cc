"""What is known of images that this package undersampled itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["NO_ERRORS_NOTE", "hides_errors", "is_undersampled"]

#: What is said where standard errors are asked for.
NO_ERRORS_NOTE = (
    "There are no standard errors: k-space was undersampled, and what aliasing, or the prior of coefficient images, "
    "adds is not white noise, which is all that residuals tell of; give noise_sigma to take it as such."
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


def hides_errors(record: Mapping[str, Any], noise_sigma: float | None) -> bool:
    """Whether standard errors would be wrong: images were undersampled, and nobody says by how much that moves them."""
    return noise_sigma is None and is_undersampled(record)
