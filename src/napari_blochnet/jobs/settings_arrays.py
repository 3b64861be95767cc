"""Settings of what is taken from arrays in memory, such as layers of napari."""

from __future__ import annotations

from typing import Literal

from napari_blochnet.jobs.settings import Settings, of_data

__all__ = ["ArraySettings"]


class ArraySettings(Settings):
    """How an array is understood as fingerprints."""

    kind: Literal["complex", "real", "magnitude"] | None = of_data(
        None, "Signal", "What the samples are; by default told by the numbers."
    )
    time_axis: int | None = of_data(
        None, "Time axis", "Which axis is time, counted from 0, where two are as long as the schedule.", ge=0, le=7
    )
    voxel_size: tuple[float, float, float] = of_data((1.0, 1.0, 1.0), "Voxel size", "(z, y, x).", "mm")
    origin: tuple[float, float, float] = of_data((0.0, 0.0, 0.0), "Origin", "Where voxel 0 lies, (z, y, x).", "mm")
    receiver_phase: Literal["follows", "fixed"] | None = of_data(
        None,
        "Receiver phase",
        "Whether the RF phase was taken out of the data (follows) or not (fixed); by default as the schedule says.",
    )
