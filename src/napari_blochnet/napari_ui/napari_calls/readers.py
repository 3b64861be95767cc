"""Files dropped on napari: phantoms and stacks that are ours beyond doubt, contrasts of scanners, Pulseq, no others.

A reader that claims a path is asked before all others when a person opens it, so it claims only what
`napari_blochnet.jobs.recognise` has evidence for. Everything else is opened in the Data tab, and a person whose drop
ends here, because no other plugin takes such a file or by choice, is told so; or is led there with a dictionary, and
with complex images of MATLAB.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari import current_viewer
from napari.utils.notifications import show_error

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.fingerprints.contrasts import read_contrasts
from napari_blochnet.jobs.operations.opening import open_fingerprints, open_phantom
from napari_blochnet.jobs.recognise import (
    is_complex_series,
    is_dictionary,
    is_our_stack,
    is_phantom,
    is_series_of_contrasts,
    unreadable,
    what_is_in,
)
from napari_blochnet.jobs.sessions import is_session
from napari_blochnet.napari_ui.canvas.layer_data import LayerData
from napari_blochnet.schedules.pulseq.pulseq_hints import is_pulseq_name

__all__ = ["contrast_reader", "phantom_reader", "sequence_reader", "session_reader", "stack_reader"]

Reader = Callable[[str | Sequence[str]], list[LayerData]]
_US = "napari-blochnet"
# napari's word for "read, and no layers"
_NOTHING: list[Any] = [(None,)]


def phantom_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a phantom, or several paths are one phantom's volumes."""
    paths = [path] if isinstance(path, str) else path
    if paths and all(map(is_phantom, paths)):
        return _read_phantom
    # of a folder another reader of ours may know what it is
    if not paths or (os.path.isdir(paths[0]) and what_is_in([paths[0]]) is not None):
        return None
    return _refuse if _is_the_last_asked(paths[0]) else None


def stack_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a fingerprint stack with our sidecar."""
    if isinstance(path, str) and is_our_stack(path):
        return _read_stack
    first = path if isinstance(path, str) else next(iter(path), "")
    # folders are `phantom_reader`'s to refuse, but for stores of arrays
    if os.path.isdir(first) and not first.lower().endswith(".zarr"):
        return None
    return _refuse if _is_the_last_asked(first) else None


def contrast_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is DICOM, or a BIDS folder with a series of contrasts."""
    if not isinstance(path, str) or is_phantom(path) or is_our_stack(path) or is_session(path):
        return None
    return _read_contrasts if is_series_of_contrasts(path) else None


def session_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is the folder of a session that was saved."""
    return _read_session if isinstance(path, str) and is_session(path) else None


def sequence_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a Pulseq file and there is a viewer to show its schedule in."""
    is_one = isinstance(path, str) and is_pulseq_name(path) and os.path.isfile(path)
    return _read_sequence if is_one and current_viewer() is not None else None


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


def _is_the_last_asked(path: str) -> bool:
    """Whether napari would meet a refusal with an error: a person opens this with us, and is offered no other reader.

    napari asks a plugin's readers only where it is the one that takes such files, or a person has chosen it, and goes
    on to the others where the choice is an old one.
    """
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    if QApplication.instance() is None or current_viewer() is None:
        return False
    thread = QThread.currentThread()
    if thread is None or thread.loopLevel() == 0:
        return False  # a script, which is better served with the error
    from napari.plugins.utils import get_preferred_reader
    from npe2 import PluginManager

    others = [reader for reader in PluginManager.instance().iter_compatible_readers(path) if reader.plugin_name != _US]
    return not others or get_preferred_reader(path) != _US


@_plainly
def _refuse(path: str | Sequence[str]) -> list[LayerData]:
    """Lead what is a dictionary or complex images to the Data tab, which asks what else it takes; say it of others."""
    first = path if isinstance(path, str) else path[0]
    viewer = current_viewer()
    kinds = (is_dictionary(first), is_complex_series(first))
    if viewer is not None and any(kinds):
        from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

        data = open_workbench(viewer, "Data").data
        if kinds[0]:
            data.take_dictionary(first)
        else:
            data.stack_path.take([first])
        return _NOTHING
    raise InputError(
        unreadable(first)
        or f"{Path(first).name} may be a phantom or fingerprints, but does not say so itself: open it in BlochNet's "
        "Data tab (Plugins ▸ BlochNet ▸ Workbench), which asks what else it takes."
    )


def _read_session(path: str | Sequence[str]) -> list[LayerData]:
    """Open a session in the current viewer: it is more than layers, and reads in the background."""
    from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

    viewer = current_viewer()
    if viewer is not None:
        open_workbench(viewer, "Data").data.sessions.open(str(path))
    return _NOTHING


def _read_sequence(path: str | Sequence[str]) -> list[LayerData]:
    """Choose a sequence in the Schedule tab of the current viewer: it has no layers."""
    from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

    viewer = current_viewer()
    if viewer is not None:
        open_workbench(viewer, "Schedule").schedule.choose_file(str(path))
    return _NOTHING


@_plainly
def _read_stack(path: str | Sequence[str]) -> list[LayerData]:
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    return open_for_napari(Path(str(path)).name, functools.partial(open_fingerprints, str(path)))
