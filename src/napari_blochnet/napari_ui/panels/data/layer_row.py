"""The layer that is to be taken as fingerprints: one of somebody else's that is open already."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_blochnet.common.arrays import dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.opening import open_fingerprints
from napari_blochnet.jobs.operations.taking import fingerprints_from_array
from napari_blochnet.jobs.settings import FingerprintsSettings
from napari_blochnet.napari_ui.canvas.layer_sources import layer_source, stack_layers
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.choices import OpenChoice
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["LayerRow", "open_stack", "reading_of", "without_fit"]

# Of how a file's stack is understood, what a layer leaves open, too.
_HINTS = {"kind", "voxel_size", "time_axis", "receiver_phase"}


class LayerRow(QWidget):
    """A choice among the layers that may hold fingerprints; hidden while there are none.

    Parameters
    ----------
    session : Session
    """

    #: a layer, or None
    chosen = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.choice = OpenChoice(
            lambda: [(layer.name, layer) for layer in stack_layers(session)],
            "none: the file above",
            called="Layer with fingerprints",
            nullable=True,
            tooltip="An image layer that is open already, of whatever plugin: time, and one to three axes of space.",
        )
        filled(QHBoxLayout(self), QLabel("or the layer"), self.choice.native, spacing=8).setStretch(1, 1)
        self.choice.changed.connect(self.chosen.emit)

    @property
    def layer(self) -> Layer | None:
        """The chosen one."""
        found: Layer | None = self.choice.value
        return found

    def choose(self, layer: Layer | None) -> bool:
        """Choose a layer or none; return whether it is offered."""
        self.update_choices()
        is_offered = any(layer is known for known in self.choice.choices)
        if is_offered:
            self.choice.value = layer
        return is_offered

    def update_choices(self) -> None:
        """Look again at what is open."""
        self.choice.reset_choices()
        self.setVisible(len(self.choice.choices) > 1)


def without_fit(layer: Layer, given: Schedule | None = None) -> str:
    """Return why another schedule is asked for: no axis of a layer is as long as the one that is known, or given."""
    size = dimensions(layer.data[0].shape if layer.multiscale else layer.data.shape)
    if given is not None:
        return (
            f"{layer.name} ({size}) has no axis as long as the schedule of this file, "
            f"{counted(len(given), 'pulse')}; give the "
            "file of its own."
        )
    return f"{layer.name} ({size}) has no axis as long as the Schedule tab's schedule; give the file of its own."


def reading_of(layer: Layer, schedule: Schedule, about: FingerprintsSettings) -> Callable[..., FingerprintStack]:
    """Return what reads a layer in the background.

    Raises
    ------
    InputError
        As in `layer_source`.
    """
    source = layer_source(layer, schedule, **about.model_dump(include=_HINTS))
    return functools.partial(
        fingerprints_from_array, source.data, schedule, source.settings, name=source.name, layer=layer.name
    )


def open_stack(
    path: str, schedule: Schedule | None, settings: FingerprintsSettings, is_meant: bool, **watched: Any
) -> FingerprintStack:
    """Open a stack; of coefficients with a basis of another length than the Schedule tab's schedule, without that.

    Parameters
    ----------
    path : str
    schedule : Schedule, optional
    settings : FingerprintsSettings
    is_meant : bool
        Whether the schedule was chosen for this file, and does not only stand in the Schedule tab.
    **watched
        ``progress`` and ``cancelled``.
    """
    try:
        return open_fingerprints(path, schedule, settings, **watched)
    except InputError as error:
        if settings.basis is None or schedule is None or is_meant or (error.field or "") != "basis":
            raise
        return open_fingerprints(path, None, settings, **watched)
