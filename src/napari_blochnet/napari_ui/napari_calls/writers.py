"""What napari's File ▸ Save Selected Layers… calls: layers of ours as NIfTI, each with its true affine and its unit.

napari waits for a writer. So that the window goes on meanwhile, and Cancel in the activity dock is answered, the
writing is a job, and events run until it has ended.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.viewer import current_viewer
from qtpy.QtWidgets import QApplication

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.napari_ui.background.workers import result_of
from napari_blochnet.napari_ui.canvas.layer_data import LayerData
from napari_blochnet.napari_ui.saving.results import file_names, layer_files, part_of, save_layer, with_nifti_ending
from napari_blochnet.napari_ui.state.entries import ENTRY, Entry
from napari_blochnet.napari_ui.state.session import session_of

__all__ = ["NotSavedError", "write_layers"]

_Layer = tuple[Entry, Any, Path]


class NotSavedError(OSError):
    """One sentence on why layers were not saved; napari takes an `InputError`, a ValueError, for "no such writer"."""


def write_layers(path: str, layer_data: Sequence[LayerData]) -> list[str]:
    """Write layers of ours.

    Parameters
    ----------
    path : str
        Ends in ``.nii`` or ``.nii.gz``. The file of one layer; of several, each layer's name is put in front of the
        ending.
    layer_data : sequence of (data, attributes, type)

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    NotSavedError
        A layer that is not ours, files beside the named one that are there already, a folder that cannot be written
        to.
    Cancelled
        The person gave it up; whole layers stay.
    """
    try:
        return _write_in_background(_wanted(with_nifti_ending(path), layer_data))
    except InputError as error:
        raise NotSavedError(str(error)) from None


def _write_in_background(wanted: Sequence[_Layer]) -> list[str]:
    """Write in a job where there is a window, events running."""
    viewer = current_viewer()
    if QApplication.instance() is None or viewer is None or threading.current_thread() is not threading.main_thread():
        return _write(wanted)
    job = session_of(viewer).start("Saving layers", functools.partial(_write, wanted))
    written: list[str] = result_of(job, "Saving was cancelled; layers that were written whole stay.")
    return written


def _wanted(target: Path, layer_data: Sequence[LayerData]) -> list[_Layer]:
    """Return what stands behind each layer, its data and its file, checked."""
    entries = []
    for _, attributes, _ in layer_data:
        entry = attributes.get("metadata", {}).get(ENTRY)
        if not isinstance(entry, Entry):
            raise InputError(
                f"{attributes.get('name', 'The layer')} was not made by BlochNet, which knows neither its "
                "unit nor its affine; expected maps, errors, fingerprints, tissues or regions made here.",
                field="path",
            )
        entries.append(entry)
    if len(entries) == 1:
        paths = [target]
    else:
        ending = ".nii.gz" if target.name.lower().endswith(".nii.gz") else ".nii"
        stem = target.name[: -len(ending)]
        names = file_names(f"{stem}_{attributes['name']}" for _, attributes, _ in layer_data)
        paths = [target.with_name(name + ending) for name in names]
    for entry, path in zip(entries, paths, strict=True):
        # napari has asked about the file that was named, where it is there, and about no other
        if path == target and path.exists():
            check_outputs(layer_files(entry, path))
            continue
        for file in layer_files(entry, path):
            if file.exists():
                raise InputError(
                    f"{file}: is there already and would be replaced; expected another name.", field="path"
                )
    return [(entry, data, path) for entry, (data, _, _), path in zip(entries, layer_data, paths, strict=True)]


def _write(
    wanted: Sequence[_Layer], *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None
) -> list[str]:
    written: list[str] = []
    for number, (entry, data, path) in enumerate(wanted):
        counted = part_of(progress, number, len(wanted))
        written += [str(file) for file in save_layer(entry, data, path, progress=counted, cancelled=cancelled)]
    return written
