"""What napari asks us to open, by a drop on the viewer or its File menu, is read in the background like all else.

napari waits for the layers of a reader or a sample. Where there is a window, they are read by the Data tab's job
(with its bar, its Cancel and its sentences) while events run; without one, at once.

How they come into the viewer depends on who asks. A person's drop comes out of a running event loop: the Data tab adds
layer by layer, and the window answers meanwhile. A script gets them back from ``viewer.open``; so it is where several
windows are open, for napari does not say which of them it asks for.
"""

from __future__ import annotations

from collections.abc import Callable

from napari import current_viewer
from napari.utils.notifications import show_info
from qtpy.QtCore import QThread
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.fingerprints.contrasts import ContrastSeries
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.background.workers import result_of
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, Opened, contrast_layer_data, opened_layer_data
from napari_blochnet.napari_ui.napari_calls.commands import open_workbench
from napari_blochnet.napari_ui.panels.data.data_tab import DataPanel
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["contrasts_for_napari", "open_for_napari"]

_Read = Callable[..., Opened | Phantom | FingerprintStack]
_NOTHING = "Nothing was opened."


def open_for_napari(name: str, read: _Read, *, is_sample: bool = False) -> list[LayerData]:
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
        return opened_layer_data(Opened.of(read()))
    if not panel.begin():
        raise InputError(panel.jobs.refuse())
    by_hand = _is_by_hand()
    show = panel.announce if not by_hand else panel.show_but_last if is_sample else panel.show_opened
    opened = Opened.of(result_of(panel.job(f"Opening {name}", read, show), _NOTHING))
    if panel.session.viewer is None:
        raise Cancelled(_NOTHING)
    if not by_hand:
        return opened_layer_data(opened)
    return [panel.last_layer(opened)] if is_sample else []


def contrasts_for_napari(name: str, read: Callable[..., ContrastSeries]) -> list[LayerData]:
    """Read a series of contrasts for napari: an image layer, and words on what it is and is not.

    Parameters, exceptions: see `open_for_napari`.
    """
    panel = _panel()
    if panel is None:
        series = read()
        show_info(_said(series))
        return [contrast_layer_data(series)]
    if not panel.begin():
        raise InputError(panel.jobs.refuse())
    series = result_of(panel.job(f"Opening {name}", read, lambda found: panel.jobs.say(_said(found), "good")), _NOTHING)
    if panel.session.viewer is None:
        raise Cancelled(_NOTHING)
    return [contrast_layer_data(series)]


def _said(series: ContrastSeries) -> str:
    said = (
        f"Opened {series.describe()}. It is shown as it is: a series of contrasts is no fingerprint stack. Was it made "
        f"by a train of {len(series.data)} pulses, open it in the Data tab, with that schedule."
    )
    return " ".join([said, *series.notes])


def _panel() -> DataPanel | None:
    """Return the Data tab of the window that is in use, opened where it was not; None without a window."""
    viewer = current_viewer()
    window = None if viewer is None else session_of(viewer).window()
    if window is None or not window.isVisible():
        return None
    return open_workbench(viewer, "Data").data


def _is_by_hand() -> bool:
    windows = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QMainWindow)]
    thread = QThread.currentThread()
    return thread is not None and thread.loopLevel() > 0 and sum(window.isVisible() for window in windows) == 1
