"""What follows the layers that are seen: looked at once more when all that happens together is over."""

from __future__ import annotations

import contextlib
from typing import Any

from qtpy.QtCore import QObject
from superqt.utils import qdebounced

from napari_blochnet.napari_ui.state.session import Session

__all__ = ["LooksAgain"]

# After the last of many changes: filling a grid takes sixty steps.
_REST = 60


class LooksAgain(QObject):
    """Calls `update` after layers have come, gone, appeared or been hidden, and whenever it is asked to.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._later = qdebounced(self.update, timeout=_REST, parent=self)
        viewer = session.viewer
        if viewer is None:
            return
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._look_again)
        for layer in viewer.layers:
            layer.events.visible.connect(self._look_again)

    def update(self) -> None:
        """Do what is to be done."""
        raise NotImplementedError

    def _on_inserted(self, event: Any) -> None:
        event.value.events.visible.connect(self._look_again)
        self._look_again()

    def _look_again(self, _event: object = None) -> None:
        with contextlib.suppress(RuntimeError):  # the last events of a viewer that is being deleted
            self._later()
