"""Figures as files: vector graphics whose text stays text, and pictures fine enough to be printed."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from napari_blochnet.common.endings import check_ending
from napari_blochnet.evaluation.drawing.figure_style import ENDINGS
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.origin import figure_mark

__all__ = ["ENDINGS", "PRINTED", "figure_png", "save_figure"]

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
