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
    components_of: Literal["tissues", "information", "data"] = quantity(
        "tissues",
        "Components of",
        "tissues: singular vectors of the signals of all tissues under the stack's schedule, which keep the energy. "
        "information: those in which T1 and T2 are told best; six cost some 2 % of their precision under FISP, and "
        "leave out some of the curves' energy. data: singular vectors of the stack's own fingerprints.",
    )


class ExpandSettings(Settings):
    """Whole fingerprints out of coefficients."""
