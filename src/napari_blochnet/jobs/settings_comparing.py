"""Settings of what is done with finished maps: against the truth, and over regions."""

from __future__ import annotations

from napari_blochnet.jobs.settings import Settings, of_data, quantity

__all__ = ["CompareSettings", "RegionSettings"]


class CompareSettings(Settings):
    """Maps against truth."""

    title: str = of_data("Comparison of T1 and T2 maps", "Title", "Heading of the report.")
    error_limit: float = quantity(
        20.0, "Error limit", "Error maps show this much above and below 0.", "%", gt=0, le=1000
    )
    bound_voxels: int = quantity(
        1000,
        "Bound voxels",
        "Where the noise is known: voxels of each tissue, drawn at random, at which the Cramér–Rao bound is computed; "
        "0: no bound.",
        "voxels",
        ge=0,
        le=10_000_000,
    )
    seed: int = quantity(0, "Seed", "Of the draw of those voxels.", ge=0)


class RegionSettings(Settings):
    """Means of maps over regions of interest."""

    title: str = of_data("T1 and T2 by region", "Title", "Heading of the report.")
    radius: float = of_data(5.0, "Radius", "Of spheres whose file has none.", "voxels", gt=0, le=10_000)
