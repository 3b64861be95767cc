"""Settings of a dictionary that is made to be written."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_blochnet.jobs.settings import Settings, check_times, quantity

__all__ = ["DictionarySettings"]


class DictionarySettings(Settings):
    """The simulated signals of a grid of tissues, compressed."""

    kind: Literal["complex", "real", "magnitude"] = quantity("complex", "Signal", "What it is for.")
    t1_range: tuple[float, float] = quantity((20.0, 6000.0), "T1 range", "Smallest and largest T1.", "ms")
    t2_range: tuple[float, float] = quantity((2.0, 3000.0), "T2 range", "Smallest and largest T2.", "ms")
    step: float = quantity(0.02, "Step", "Relative step between neighbouring T1 (and T2).", ge=0.002, le=1)
    components: int | None = quantity(
        None, "Components", "Singular vectors kept; none: those of all but a millionth of the energy.", ge=1, le=1000
    )

    _ranges = field_validator("t1_range", "t2_range")(check_times)
