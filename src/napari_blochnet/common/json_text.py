"""JSON of anybody: one parser, with limits on depth, on size and on the length of numbers; writers keep to them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_text", "parse_json"]

# Whole numbers of more digits become floating-point ones: most of them are beyond those, and so infinite.
_LONGEST_INTEGER = 300
# Each list and object takes some 60 bytes of memory, and one of three bytes in a file has no meaning in ours.
_MOST_CONTAINERS = 1_000_000
# A record's inputs lie in each other, two levels a step; whoever walks through it has room for these.
_DEEPEST = 200
_TOO_DEEP = "lists or objects nested too deeply"


def json_text(content: Any) -> str:
    """Return JSON that `parse_json` takes, indented; NaN is refused.

    Raises
    ------
    ValueError
        What `parse_json` would say of it; a number that JSON has not.
    """
    if _is_deep(content):
        raise ValueError(_TOO_DEEP)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # of a path that is no text
        text = json.dumps(content, indent=1, allow_nan=False)
    _check_containers(text.count("[") + text.count("{"))
    return text


def parse_json(content: bytes | str) -> Any:
    """Return what JSON holds, in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark.

    Whole numbers of more than 300 digits become floating-point ones, infinite where they are beyond these.

    Raises
    ------
    ValueError
        No JSON; more than a million lists and objects; more than 200 within each other. What is wrong, as the middle
        of a sentence.
    """
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    containers = raw.count(b"[") + raw.count(b"{")
    _check_containers(containers)
    if not content.strip():
        raise ValueError("it is empty")
    try:
        found = json.loads(content, parse_int=_integer)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if containers > _DEEPEST and _is_deep(found):
        raise ValueError(_TOO_DEEP)
    return found


def _check_containers(number: int) -> None:
    if number > _MOST_CONTAINERS:
        raise ValueError(f"{number:,} lists and objects, of which {_MOST_CONTAINERS:,} are taken")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _is_deep(found: Any) -> bool:
    level = [found]  # tuples are lists to JSON
    for _ in range(_DEEPEST):
        parts = (item.values() if isinstance(item, dict) else item for item in level)
        level = [below for part in parts for below in part if isinstance(below, (dict, list, tuple))] if level else []
        if not level:
            return False
    return True
