"""What all experiments share: pieces that are computed once and kept, and the tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.json_files import read_json, write_json

__all__ = ["ExperimentResult", "Row", "data_file", "finished", "kept", "with_noise"]

Row = dict[str, Any]


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment gave: the Markdown table, its tidy rows, and the files written."""

    text: str
    rows: list[Row]
    files: tuple[Path, ...]


def kept(record: Path, key: Row, make: Callable[[], list[Row]]) -> tuple[list[Row], bool]:
    """Return the rows of a piece, from its record where there is one, and whether they had to be made.

    Parameters
    ----------
    record : path
        JSON; written when the piece is finished.
    key : dict
        What the rows depend on, JSON-ready.
    make : callable

    Raises
    ------
    InputError
        A record of another key.
    """
    if record.is_file():
        content = read_json(record)
        if not isinstance(content, dict) or content.get("key") != key:
            raise InputError(f"{record}: holds a result of other settings; expected the same settings, or another "
                             "folder.", field="output")  # fmt: skip
        return list(content["rows"]), False
    rows = make()
    write_json({"key": key, "rows": rows}, record)
    return rows, True


def finished(name: str, folder: Path, rows: Sequence[Row], text: str) -> ExperimentResult:
    """Write an experiment's rows as CSV and its page as Markdown."""
    from napari_blochnet.studies.paper_tables import write_rows

    files = folder / f"{name}.csv", folder / f"{name}.md"
    write_rows(rows, files[0])
    with replacing(files[1]) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return ExperimentResult(text, list(rows), files)


def data_file(data: Path | None, *parts: str) -> Path:
    """Return a file of the data folder.

    Raises
    ------
    InputError
        No folder, or no such file in it.
    """
    name = "/".join(parts)
    if data is None:
        raise InputError(f"This experiment needs {name}; expected the folder that holds it (data).", field="data")
    found = data.joinpath(*parts)
    if not found.is_file():
        raise InputError(f"{data}: has no file {name}; expected the folder of data sets that holds it.", field="data")
    return found


def with_noise(signal: AnyArray, sigma: float, random: np.random.Generator) -> AnyArray:
    """Return complex samples (voxel, time) with a random PD phase per voxel and noise of σ in each channel."""
    phase = np.exp(2j * np.pi * random.random((len(signal), 1)))
    noise = random.standard_normal((*signal.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    return np.asarray(signal * phase + sigma * noise, np.complex64)
