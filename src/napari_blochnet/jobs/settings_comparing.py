"""Settings of what is done with finished maps: against the truth, against each other, and over regions."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_blochnet.jobs.settings import Settings, ascending, of_data, quantity

__all__ = ["AgreementSettings", "CompareSettings", "RegionSettings"]


class CompareSettings(Settings):
    """Maps against truth."""

    title: str = of_data("Comparison of T1 and T2 maps", "Title", "Heading of the report.")
    error_limit: float | None = quantity(
        None,
        "Error limit",
        "Error maps show this much above and below 0; none: as much as 98 of 100 errors of every model need.",
        "%",
        gt=0,
        le=1000,
    )
    t1_limits: tuple[float, float] | None = of_data(
        None, "T1 limits", "Lowest and highest colour of T1 maps; none: 0, and above most of the truth.", "ms"
    )
    t2_limits: tuple[float, float] | None = of_data(
        None, "T2 limits", "Lowest and highest colour of T2 maps; none: 0, and above most of the truth.", "ms"
    )
    t1_error_limits: tuple[float, float] | None = of_data(
        None, "T1 error limits", "Lowest and highest colour of T1 errors; none: by the error limit.", "%"
    )
    t2_error_limits: tuple[float, float] | None = of_data(
        None, "T2 error limits", "Lowest and highest colour of T2 errors; none: by the error limit.", "%"
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

    _ascend = field_validator("t1_limits", "t2_limits", "t1_error_limits", "t2_error_limits")(ascending)


class RegionSettings(Settings):
    """Means of maps over regions of interest."""

    title: str = of_data("T1 and T2 by region", "Title", "Heading of the report.")
    radius: float = of_data(5.0, "Radius", "Of spheres whose file has none.", "voxels", gt=0, le=10_000)


class AgreementSettings(Settings):
    """Maps against each other, or against the truth as one more of them."""

    title: str = of_data("Agreement of T1 and T2 maps", "Title", "Heading of the report.")
    reference: str | None = quantity(
        None,
        "Reference",
        "The model that the others are compared with, by its name, or 'truth'; none: the truth, or without one the "
        "first model.",
    )
    confidence: float = quantity(
        95.0, "Confidence", "Of the intervals of bias and limits of agreement.", "%", gt=0, lt=100
    )
    unit: Literal["percent", "ms"] = quantity(
        "percent",
        "Differences in",
        "Of the Bland–Altman plots: in per cent of the mean of both, or in ms; the table has both.",
    )
    difference_limit: float | None = quantity(
        None,
        "Difference limit",
        "Difference maps show this much above and below 0; none: a round number above nearly all differences.",
        "%",
        gt=0,
        le=200,
    )
    t1_limits: tuple[float, float] | None = of_data(
        None, "T1 limits", "Lowest and highest colour of T1 maps; none: 0, and above most.", "ms"
    )
    t2_limits: tuple[float, float] | None = of_data(
        None, "T2 limits", "Lowest and highest colour of T2 maps; none: 0, and above most.", "ms"
    )
    t1_difference_limits: tuple[float, float] | None = of_data(
        None, "T1 difference limits", "Lowest and highest colour of T1 differences; none: by the difference limit.", "%"
    )
    t2_difference_limits: tuple[float, float] | None = of_data(
        None, "T2 difference limits", "Lowest and highest colour of T2 differences; none: by the difference limit.", "%"
    )
    radius: float = of_data(5.0, "Radius", "Of spheres whose file has none.", "voxels", gt=0, le=10_000)

    _ascend = field_validator("t1_limits", "t2_limits", "t1_difference_limits", "t2_difference_limits")(ascending)
