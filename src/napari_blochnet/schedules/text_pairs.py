"""Schedules as text files of one number a line: flip angles, TRs and TEs, told by how their names end."""

from __future__ import annotations

import re
from pathlib import Path

from napari_blochnet.common.errors import FileError
from napari_blochnet.schedules.columns import Column, Quantity
from napari_blochnet.schedules.raw_tables import read_number_column

__all__ = ["kind_by_name", "only_pair", "text_columns"]


def only_pair(folder: Path) -> list[Path]:
    """Return the one file of flip angles in a folder."""
    pairs = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".txt" and kind_by_name(file) == "fa")
    if len(pairs) == 1:
        return pairs
    found = f"{len(pairs)}: {', '.join(file.name for file in pairs)}" if pairs else "none"
    raise FileError(folder, f"expected one file of flip angles named fa.txt or ending in _fa.txt, found {found}.")


def kind_by_name(file: Path) -> str | None:
    """Return what a file's name says that it holds, fa, tr or te; None where it says nothing."""
    match = re.search(r"(?:^|[_\-. ])(fa|tr|te)$", file.stem, flags=re.IGNORECASE)
    return match[1].lower() if match else None


def _sibling(file: Path, kind: str) -> Path | None:
    """Return the file beside this one whose name differs in the kind only, upper and lower case alike."""
    wanted = f"{file.stem[:-2]}{kind}{file.suffix}".lower()
    return next((other for other in sorted(file.parent.iterdir()) if other.name.lower() == wanted), None)


def text_columns(files: list[Path]) -> tuple[dict[Quantity, Column], list[Path]]:
    """Return the columns of files of numbers, and the files: those given, or one and those beside it."""
    quantities: tuple[Quantity, ...] = ("flip_angle", "repetition_time", "echo_time")
    if len(files) == 1 and kind_by_name(files[0]) is not None:
        by_kind = [_sibling(files[0], kind) for kind in ("fa", "tr", "te")]
    else:
        by_kind = [*files, *[None] * (3 - len(files))]
    if by_kind[0] is None:
        raise FileError(
            files[0], "holds no flip angles, and none are beside it", f"a file {files[0].stem[:-2]}fa{files[0].suffix}"
        )
    used = {quantity: file for quantity, file in zip(quantities, by_kind, strict=True) if file is not None}
    columns = {quantity: Column(quantity, read_number_column(file), file.name) for quantity, file in used.items()}
    return columns, list(used.values())
