"""What all experiments share: pieces that are computed once and kept, and the tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.atomic import replacing, replacing_set
from napari_blochnet.io.json_files import read_json, write_json
from napari_blochnet.io.origin import PROGRAM, check_outputs
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["ExperimentResult", "Row", "Study", "data_file", "head_of", "with_noise"]

Row = dict[str, Any]


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment gave: the Markdown table, its tidy rows, and the files written."""

    text: str
    rows: list[Row]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Study:
    """One run of a study: where its pieces are kept, what it may use, and who looks on.

    Parameters
    ----------
    name : str
        One of `napari_blochnet.studies.study_runs.STUDIES`.
    folder : path
    data : path, optional
        Folder of data sets.
    device : str
        Resolved: "cpu" or a GPU such as "cuda:0".
    watch : Watch
    say : callable, optional
        Called with a line about each piece that is finished.
    """

    name: str
    folder: Path
    data: Path | None = None
    device: str = "cpu"
    watch: Watch = UNWATCHED
    say: Callable[[str], None] | None = None

    def piece(self, file: str, key: Row, make: Callable[[], list[Row]], words: Callable[[list[Row]], str]) -> list[Row]:
        """Return the rows of a piece, from its file where there is one, made and said otherwise.

        Parameters
        ----------
        file : str
            JSON in the folder; written when the piece is finished.
        key : dict
            What the rows depend on, JSON-ready.
        make, words : callable
            What makes the rows, and what is said of them.

        Raises
        ------
        InputError
            A file of another key.
        """
        self.watch.check(f"experiment {self.name}")
        record = self.folder / file
        if record.is_file():
            content = read_json(record)
            if not isinstance(content, dict) or content.get("key") != key:
                raise InputError(
                    f"{record}: holds a result of other settings; expected the same settings, or another folder.",
                    field="output",
                )
            return list(content["rows"])
        rows = make()
        write_json({"key": key, "rows": rows}, record)
        if self.say is not None:
            self.say(words(rows))
        return rows

    def finished(self, rows: Sequence[Row], text: str) -> ExperimentResult:
        """Write the rows as CSV and the page as Markdown."""
        from napari_blochnet.studies.paper_tables import write_rows

        files = self.folder / f"{self.name}.csv", self.folder / f"{self.name}.md"
        check_outputs(files, instead="another folder", field="output")
        with replacing_set(files) as draft:
            write_rows(rows, draft / files[0].name)
            with replacing(draft / files[1].name) as temporary:
                temporary.write_text(f"<!-- {PROGRAM} -->\n{text}", encoding="utf-8")
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


def head_of(data: Path | None) -> Phantom:
    """Return the head of ``brainweb/mritc_2mm`` of the data folder or, without it, the built-in one.

    Raises
    ------
    InputError
        No such folder.
    """
    from napari_blochnet.phantoms.read import read_phantom
    from napari_blochnet.phantoms.synthetic import synthetic_phantom

    if data is not None and not data.is_dir():
        raise InputError(f"{data}: there is no such folder; expected one with brainweb/.", field="data")
    brainweb = None if data is None else data / "brainweb" / "mritc_2mm"
    return synthetic_phantom() if brainweb is None or not brainweb.is_dir() else read_phantom(brainweb)


def with_noise(signal: AnyArray, sigma: float, random: np.random.Generator) -> AnyArray:
    """Return complex samples (voxel, time) with a random PD phase per voxel and noise of σ in each channel."""
    phase = np.exp(2j * np.pi * random.random((len(signal), 1)))
    noise = random.standard_normal((*signal.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    return np.asarray(signal * phase + sigma * noise, np.complex64)
