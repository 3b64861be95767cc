"""Figures as files: vector graphics whose text stays text, and pictures fine enough to be printed."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from napari_blochnet.common.endings import check_ending
from napari_blochnet.evaluation.drawing.figure_style import ENDINGS
from napari_blochnet.io.atomic import replacing, replacing_set
from napari_blochnet.io.origin import check_outputs, figure_mark

__all__ = ["ENDINGS", "PRINTED", "figure_names", "figure_png", "save_figure", "save_figures"]

#: Dots per inch of pictures that are printed, as journals ask for at least.
PRINTED = 300
# Of pictures on a page that is read on a screen.
_SHOWN = 160
# Fonts of PDF as TrueType, text of SVG as text: it can be searched, and edited by who typesets it.
_TEXT = {"pdf.fonttype": 42, "svg.fonttype": "none"}
_lock = threading.Lock()


def save_figure(figure: Figure, path: str | os.PathLike[str], caption: str = "") -> None:
    """Write a figure as PNG (300 dpi), PDF or SVG, by its suffix, by renaming; the file holds its caption, too.

    Raises
    ------
    InputError
        Another suffix.
    """
    ending = check_ending(path, ENDINGS, "figures")
    about = {"Subject" if ending == ".pdf" else "Description": caption} if caption else {}
    with replacing(path) as temporary, _text_as_text():
        figure.savefig(temporary, dpi=PRINTED, metadata=figure_mark(path) | about)


def figure_names(path: str | os.PathLike[str], whats: Iterable[str]) -> list[Path]:
    """Return ``NAME-what`` for each of several figures that are written at ``NAME``, with its ending."""
    target = Path(path)
    return [target.with_name(f"{target.stem}-{what}{target.suffix}") for what in whats]


def save_figures(
    drawn: Mapping[str, Callable[[], Figure]], path: str | os.PathLike[str], record: Mapping[str, Any]
) -> list[Path]:
    """Write several figures as one set, each at its `figure_names`; return the files.

    Parameters
    ----------
    drawn : mapping of str to callable
        Draws each figure, by what it shows.
    path : path
        ``NAME.png``, ``.svg`` or ``.pdf``.
    record : mapping
        Of what is drawn: no file that it was made from is replaced.

    Raises
    ------
    InputError
        Another ending, or a file that this package did not write.
    """
    check_ending(path, ENDINGS, "figures")
    files = figure_names(path, drawn)
    check_outputs(files, record=record)
    with replacing_set(files) as draft:
        for draw, file in zip(drawn.values(), files, strict=True):
            save_figure(draw(), draft / file.name)
    return files


def figure_png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file, as it is shown on a page."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_SHOWN)
    return stream.getvalue()


@contextlib.contextmanager
def _text_as_text() -> Iterator[None]:
    """Have text written as text; matplotlib knows this as a setting of the whole process alone."""
    with _lock:
        settings: Any = mpl.rcParams
        before = {name: settings[name] for name in _TEXT}
        settings.update(_TEXT)
        try:
            yield
        finally:
            settings.update(before)
