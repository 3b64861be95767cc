"""Files dropped on napari: phantoms and fingerprint stacks that are ours beyond doubt, and no others.

A reader that claims a path is asked before all others when a person opens it, so it claims only what
`napari_blochnet.jobs.recognise` has evidence for. Everything else is opened in the Data tab.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.jobs.recognise import is_our_stack, is_phantom
from napari_blochnet.jobs.sessions import is_session
from napari_blochnet.napari_ui.canvas.layer_data import LayerData
from napari_blochnet.napari_ui.napari_calls.sample_data import Sample

__all__ = ["phantom_reader", "session_reader", "stack_reader"]

Reader = Callable[[str | Sequence[str]], list[LayerData]]


def phantom_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a phantom, or several paths are one phantom's volumes."""
    paths = [path] if isinstance(path, str) else path
    return _read_phantom if paths and all(map(is_phantom, paths)) else None


def stack_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a fingerprint stack with our sidecar."""
    return _read_stack if isinstance(path, str) and is_our_stack(path) else None


def session_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is the folder of a session that was saved."""
    return _read_session if isinstance(path, str) and is_session(path) else None


def _plainly(read: Reader) -> Reader:
    """Say a mistake as the core's sentence in napari's notification, without a traceback."""

    @functools.wraps(read)
    def reader(path: str | Sequence[str]) -> list[LayerData]:
        from napari.utils.notifications import show_error

        nothing: Any = [(None,)]  # napari's word for "read, and no layers"
        try:
            return read(path) or nothing
        except Cancelled:
            return nothing
        except InputError as error:
            show_error(str(error))
            return nothing

    return reader


@_plainly
def _read_phantom(path: str | Sequence[str]) -> list[LayerData]:
    from napari_blochnet.jobs.operations.opening import open_phantom
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    source = path if isinstance(path, str) else list(path)

    def read(**how: Any) -> Sample:
        return Sample(phantom=open_phantom(source, **how))

    return open_for_napari(Path(source if isinstance(source, str) else source[0]).name, read)


def _read_session(path: str | Sequence[str]) -> list[LayerData]:
    """Open a session in the current viewer: it is more than layers, and reads in the background."""
    from napari import current_viewer

    from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

    viewer = current_viewer()
    if viewer is not None:
        open_workbench(viewer, "Data").data.sessions.open(str(path))
    return [(None,)]  # type: ignore[list-item]  # napari's word for "read, and no layers"


@_plainly
def _read_stack(path: str | Sequence[str]) -> list[LayerData]:
    from napari_blochnet.jobs.operations.opening import open_fingerprints
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    def read(**how: Any) -> Sample:
        return Sample(stack=open_fingerprints(str(path), **how))

    return open_for_napari(Path(str(path)).name, read)
