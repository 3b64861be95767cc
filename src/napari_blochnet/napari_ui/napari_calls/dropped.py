"""What napari asks us to open, by a drop on the viewer or its File menu, is read in the background like all else.

napari waits for the layers of a reader or a sample. Where there is a window, they are read by the Data tab's job
(with its bar, its Cancel and its sentences) while events run; without one, at once.

How they come into the viewer depends on who asks. A person's drop comes out of a running event loop: the Data tab adds
layer by layer, and the window answers meanwhile. A script gets them back from ``viewer.open``; so it is where several
windows are open, for napari does not say which of them it asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari import current_viewer
from qtpy.QtCore import QThread
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_blochnet.common.errors import Cancelled
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, sample_layer_data
from napari_blochnet.napari_ui.state.session import session_of

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.napari_calls.sample_data import Sample
    from napari_blochnet.napari_ui.panels.data.data_tab import DataPanel

__all__ = ["open_for_napari"]


def open_for_napari(name: str, read: Callable[..., Sample], *, is_sample: bool = False) -> list[LayerData]:
    """Read something for napari.

    Parameters
    ----------
    name : str
        What it is, as in "Opening …".
    read : callable
        Called as ``read(progress=…, cancelled=…)`` in the background, or without a window as ``read()``.
    is_sample : bool
        Whether it is a sample, of which napari must add a layer itself.

    Returns
    -------
    list of LayerData
        What is left for napari to add; empty where all is in the viewer.

    Raises
    ------
    InputError
        The core's sentence; the Data tab has another job.
    Cancelled
        The person stopped it, or closed the window.
    """
    panel = _panel()
    if panel is None:
        sample = read()
        return sample_layer_data(sample.phantom, sample.stack)
    if not _is_by_hand():
        sample = _wanted(panel.wait_for(f"Opening {name}", read))
        return sample_layer_data(sample.phantom, sample.stack)
    if not is_sample:
        _wanted(panel.wait_for(f"Opening {name}", read, panel.show_sample))
        return []
    return [panel.last_layer(_wanted(panel.wait_for(f"Opening {name}", read, panel.show_but_last)))]


def _panel() -> DataPanel | None:
    """Return the Data tab of the window that is in use, opened where it was not; None without a window."""
    from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

    viewer = current_viewer()
    window = None if viewer is None else session_of(viewer).window()
    if window is None or not window.isVisible():
        return None
    return open_workbench(viewer, "Data").data


def _is_by_hand() -> bool:
    windows = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QMainWindow)]
    return QThread.currentThread().loopLevel() > 0 and sum(window.isVisible() for window in windows) == 1


def _wanted(sample: Sample | None) -> Sample:
    if sample is None:
        raise Cancelled("Nothing was opened.")
    return sample
