"""JSON, written by renaming and read with plain errors."""

from __future__ import annotations

import json
import os
from typing import Any

from napari_blochnet.common.errors import FileError
from napari_blochnet.io.atomic import existing_file, replacing

__all__ = ["read_json", "write_json"]


def write_json(content: Any, path: str | os.PathLike[str]) -> None:
    """Write JSON (UTF-8, indented; NaN refused) by renaming."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON; a file that is not JSON gives one sentence."""
    found = existing_file(path)
    try:
        return json.loads(found.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileError(found, f"found something that is not JSON ({error})", "a JSON file") from None
