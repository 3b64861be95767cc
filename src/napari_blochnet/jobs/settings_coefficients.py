"""Settings of compressing fingerprints to coefficients."""

from __future__ import annotations

from typing import Literal

from napari_blochnet.jobs.settings import Settings, quantity

__all__ = ["CompressSettings", "ExpandSettings"]


class CompressSettings(Settings):
    """Fingerprints as coefficients of a few time courses."""

    components: int = quantity(
        6,
        "Components",
        "Time courses that are kept; 4 to 10 hold what fingerprints of one schedule have.",
        ge=1,
        le=500,
    )
    components_of: Literal["tissues", "data"] = quantity(
        "tissues",
        "Components of",
        "The singular vectors of signals of all tissues under the stack's schedule, or of its own fingerprints.",
    )


class ExpandSettings(Settings):
    """Whole fingerprints out of coefficients."""
