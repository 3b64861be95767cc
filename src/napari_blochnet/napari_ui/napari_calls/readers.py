"""Files dropped on napari: phantoms and stacks that are ours beyond doubt, series of contrasts of scanners, no others.

A reader that claims a path is asked before all others when a person opens it, so it claims only what
`napari_blochnet.jobs.recognise` has evidence for. Everything else is opened in the Data tab.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari import current_viewer
from napari.utils.notifications import show_error

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.fingerprints.contrasts import read_contrasts
from napari_blochnet.jobs.operations.opening import open_fingerprints, open_phantom
from napari_blochnet.jobs.recognise import is_our_stack, is_phantom, is_series_of_contrasts
from napari_blochnet.jobs.sessions import is_session
from napari_blochnet.napari_ui.canvas.layer_data import LayerData

__all__ = ["contrast_reader", "phantom_reader", "session_reader", "stack_reader"]

Reader = Callable[[str | Sequence[str]], list[LayerData]]
# napari's word for "read, and no layers"
_NOTHING: list[Any] = [(None,)]


def phantom_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a phantom, or several paths are one phantom's volumes."""
    paths = [path] if isinstance(path, str) else path
    return _read_phantom if paths and all(map(is_phantom, paths)) else None


def stack_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a fingerprint stack with our sidecar."""
    return _read_stack if isinstance(path, str) and is_our_stack(path) else None


def contrast_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is DICOM, or a BIDS folder with a series of contrasts."""
    if not isinstance(path, str) or is_phantom(path) or is_our_stack(path) or is_session(path):
        return None
    return _read_contrasts if is_series_of_contrasts(path) else None


def session_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is the folder of a session that was saved."""
    return _read_session if isinstance(path, str) and is_session(path) else None


def _plainly(read: Reader) -> Reader:
    """Say a mistake as the core's sentence in napari's notification, without a traceback."""

    @functools.wraps(read)
    def reader(path: str | Sequence[str]) -> list[LayerData]:
        try:
            return read(path) or _NOTHING
        except Cancelled:
            return _NOTHING
        except InputError as error:
            show_error(str(error))
            return _NOTHING

    return reader


@_plainly
def _read_phantom(path: str | Sequence[str]) -> list[LayerData]:
    # napari asks the readers about everybody's files: what reading takes is not loaded for that
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    source = path if isinstance(path, str) else list(path)
    first = source if isinstance(source, str) else source[0]
    return open_for_napari(Path(first).name, functools.partial(open_phantom, source))


@_plainly
def _read_contrasts(path: str | Sequence[str]) -> list[LayerData]:
    from napari_blochnet.napari_ui.napari_calls.dropped import contrasts_for_napari

    return contrasts_for_napari(Path(str(path)).name, functools.partial(read_contrasts, str(path)))


def _read_session(path: str | Sequence[str]) -> list[LayerData]:
    """Open a session in the current viewer: it is more than layers, and reads in the background."""
    from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

    viewer = current_viewer()
    if viewer is not None:
        open_workbench(viewer, "Data").data.sessions.open(str(path))
    return _NOTHING


@_plainly
def _read_stack(path: str | Sequence[str]) -> list[LayerData]:
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    return open_for_napari(Path(str(path)).name, functools.partial(open_fingerprints, str(path)))
