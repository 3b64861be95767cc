"""What a session's files say of what it holds, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.json_files import read_json

__all__ = ["plain", "read_object"]


def plain(value: Any) -> Any:
    """Return a value as JSON holds it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that describes something."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: is damaged; expected a description.", field="path")
    return content
