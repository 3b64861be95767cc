"""Settings of figures for a paper."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_blochnet.jobs.settings import Settings, ascending, quantity

__all__ = ["MapFigureSettings", "VoxelFigureSettings"]

_COLUMN = Literal["single", "double"]
_WIDTH = "Columns of a journal that the figure fills: single is 88 mm wide, double 180 mm."


class VoxelFigureSettings(Settings):
    """One voxel's fingerprint and T1–T2 plane, as a figure."""

    voxel: tuple[int, int, int] | None = quantity(
        None, "Voxel", "z, y and x, counted from 0; none: the one nearest to the middle of the mask."
    )
    content: Literal["curves and plane", "curves", "plane"] = quantity(
        "curves and plane", "Content", "Fingerprints with residuals, the T1–T2 plane, or both."
    )
    width: _COLUMN = quantity("double", "Width", _WIDTH)
    pulses: tuple[int, int] | None = quantity(
        None, "TR index", "First and last TR index drawn, counted from 1; none: all."
    )
    leave_out: str = quantity(
        "",
        "Leave out",
        "Models that are not drawn, by their names, with ; between them; the others keep their colours.",
    )


class MapFigureSettings(Settings):
    """Maps in a grid, as a figure."""

    parameters: Literal["T1 and T2", "T1", "T2"] = quantity("T1 and T2", "Maps", "Which maps are drawn.")
    errors: bool = quantity(True, "Errors", "Where there is a truth: signed errors below each map.")
    slice: int | None = quantity(
        None, "Slice", "Along z, counted from 0; none: the one with the most mapped voxels.", ge=0
    )
    width: _COLUMN = quantity("double", "Width", _WIDTH)
    scale_bar: bool = quantity(True, "Scale bar", "A length in mm, in the first map.")
    t1_limits: tuple[float, float] | None = quantity(
        None, "T1 colours", "Where the colours of T1 begin and end; none: from 0 to a round number above most.", "ms"
    )
    t2_limits: tuple[float, float] | None = quantity(
        None, "T2 colours", "Where the colours of T2 begin and end; none: from 0 to a round number above most.", "ms"
    )
    error_limit: float | None = quantity(
        None, "Error colours", "Errors are drawn this much above and below 0; none: so much that most are within.", "%",
        gt=0, le=1000,
    )  # fmt: skip

    t1_error_limits: tuple[float, float] | None = quantity(
        None, "T1 error colours", "Where the colours of T1 errors begin and end; none: by the error limit.", "%"
    )
    t2_error_limits: tuple[float, float] | None = quantity(
        None, "T2 error colours", "Where the colours of T2 errors begin and end; none: by the error limit.", "%"
    )

    _ascend = field_validator("t1_limits", "t2_limits", "t1_error_limits", "t2_error_limits")(ascending)
