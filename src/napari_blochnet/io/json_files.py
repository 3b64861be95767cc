"""JSON, written by renaming and read with plain errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.io.atomic import existing_file, replacing

__all__ = ["beside_json", "read_json", "write_json"]

# Whole numbers of more digits become floating-point ones: most of them are beyond those, and so infinite.
_LONGEST_INTEGER = 300
# Each list and object takes some 60 bytes of memory, and one of three bytes in a file has no meaning in ours.
_MOST_CONTAINERS = 1_000_000


def write_json(content: Any, path: str | os.PathLike[str]) -> None:
    """Write JSON (UTF-8, indented; NaN refused) by renaming."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # of a path that is no text
        text = json.dumps(content, indent=1, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark.

    Whole numbers of more than 300 digits become floating-point ones, infinite where they are beyond these.

    Raises
    ------
    InputError
        A file that is not JSON, that nests too deeply, or that holds more than a million lists and objects.
    """
    found = existing_file(path)
    content = found.read_bytes()
    containers = content.count(b"[") + content.count(b"{")
    if containers > _MOST_CONTAINERS:
        raise FileError(found, f"holds {containers:,} lists and objects", f"at most {_MOST_CONTAINERS:,}")
    try:
        return json.loads(content, parse_int=_integer)
    except ValueError as error:  # among them bytes that are no text
        reason = "it is empty" if not content.strip() else str(error)
        raise FileError(found, f"found something that is not JSON ({reason})", "a JSON file") from None
    except RecursionError:
        raise FileError(found, "found lists or objects nested too deeply", "a JSON file") from None


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


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)
