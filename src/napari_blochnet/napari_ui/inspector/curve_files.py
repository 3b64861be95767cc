"""What the inspector's curves show, as a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Container

from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.plain_text import cell_text, comment_text
from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.io.atomic import replacing

__all__ = ["write_curves"]


def write_curves(shown: Explanations, path: str | os.PathLike[str]) -> None:
    """Write a voxel's curves as CSV: a row for each TR; what the numbers are stands above, in lines that begin with #.

    Parameters
    ----------
    shown : Explanations
    path : path
        Ending in ``.csv``; written by renaming.

    Raises
    ------
    InputError
        Another ending.
    """
    check_ending(path, (".csv",), "curves")
    stack, (z, y, x) = shown.voxel.stack, shown.voxel.index
    about = [f"stack: {stack.name}", f"voxel: z {z}, y {y}, x {x}", f"signal: {shown.quantity}"]
    for item, residual in zip(shown.items, shown.residual, strict=True):
        about.append(
            f"{item.name}: T1 {item.t1:.6g} ms, T2 {item.t2:.6g} ms, {_density(item.pd)}, residual {residual:.4g}"
        )
    if shown.bound is not None:
        error = shown.bound.covariance.diagonal() ** 0.5
        about.append(
            f"Cramér–Rao bound: T1 {error[0]:.4g} ms, T2 {error[1]:.4g} ms, noise {shown.bound.sigma:.4g} a.u."
        )
    if shown.coefficients is not None:
        about.append(
            f"coefficients: {', '.join(f'{value:.6g}' for value in shown.coefficients)}; measured: their curve"
        )
    schedule = stack.schedule
    played = {} if schedule is None else {"flip angle (deg)": schedule.flip_angle, "TR (ms)": schedule.repetition_time}
    columns = {"TR index": range(1, len(shown.measured) + 1), **played, "measured (a.u.)": shown.measured}
    for item, curve in zip(shown.items, shown.curves, strict=True):
        columns[_free(f"{item.name} (a.u.)", columns)] = curve
        columns[_free(f"residual of {item.name} (a.u.)", columns)] = shown.measured - curve
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        for line in about:
            file.write(f"# {comment_text(line)}\n")
        writer = csv.writer(file)
        writer.writerow(map(cell_text, columns))
        writer.writerows([f"{value:.8g}" for value in row] for row in zip(*columns.values(), strict=True))


def _density(pd: float) -> str:
    return "no PD" if pd != pd else f"PD {pd:.6g}"


def _free(name: str, taken: Container[str]) -> str:
    """Return a heading that no other column has: two models may share a title."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found
