"""JSON, written by renaming and read with plain errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.json_text import json_text, parse_json
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.plain_files import plain_file

__all__ = ["beside_json", "read_json", "write_json"]

# A record holds schedules of some thousand pulses, several times over.
_LARGEST = 256 * 2**20


def write_json(content: Any, path: str | os.PathLike[str]) -> None:
    """Write JSON (UTF-8, indented; NaN refused) by renaming.

    Raises
    ------
    InputError
        What `read_json` would not take.
    """
    try:
        text = json_text(content) + "\n"
        size = len(text.encode())
        if size > _LARGEST:
            raise ValueError(f"{size:,} bytes, of which {_LARGEST:,} are taken")
    except ValueError as error:
        raise FileError(Path(path), f"is not written, as it could not be read again: {error}.") from None
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark.

    Whole numbers of more than 300 digits become floating-point ones, infinite where they are beyond these.

    Raises
    ------
    InputError
        A file that is not JSON, that nests too deeply, that holds more than a million lists and objects, or that has
        more than 256 MiB.
    """
    found = plain_file(path, "a JSON file")
    if found.stat().st_size > _LARGEST:
        raise FileError(found, f"has {found.stat().st_size:,} bytes", f"JSON of at most {_LARGEST:,}")
    try:
        return parse_json(found.read_bytes())
    except ValueError as error:  # among them bytes that are no text
        raise FileError(found, f"found something that is not JSON ({error})", "a JSON file") from None


def beside_json(path: Path) -> tuple[dict[str, Any], str]:
    """Return what a JSON file beside another one says, and what is wrong with it; that never stops anybody.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        Empty where there is no such file, it cannot be read, or there is no object in it.
    str
        Why it is left aside, in a sentence; empty where it is not.
    """
    if not path.is_file():
        return {}, ""
    try:
        content = read_json(path)
    except (InputError, OSError) as error:
        reason = str(error).removeprefix(f"{path.name}: ").split("; expected")[0].rstrip(".")
        return {}, f"{path.name} beside it is left aside: {reason}."
    return (content, "") if isinstance(content, dict) else ({}, "")
