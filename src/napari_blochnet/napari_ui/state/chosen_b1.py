"""Which B1 map was chosen for each stack: kept while another stack is looked at, and in sessions."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_blochnet.fingerprints.stack import FingerprintStack

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_blochnet.napari_ui.state.session import Session

__all__ = ["B1Source", "B1Unit", "ChosenB1", "ChosenB1s"]

B1Source = Literal["nominal", "own", "layer", "file"]
#: what a map holds where the field is nominal: as its file or values say, 1, 100, 1000, or a number that is given
B1Unit = Literal["stated", "relative", "percent", "permille", "given"]


@dataclass(frozen=True, eq=False)
class ChosenB1:
    """A B1 map: the phantom's own, a layer's, a file's, or none.

    Parameters
    ----------
    source : {"nominal", "own", "layer", "file"}
    layer : weak reference to Layer, optional
    path : str, optional
    unit : {"stated", "relative", "percent", "permille", "given"}
    nominal : float
        What it holds where the field is nominal, of the unit "given".
    """

    source: B1Source = "nominal"
    layer: weakref.ref[Layer] | None = None
    path: str | None = None
    unit: B1Unit = "stated"
    nominal: float = 90.0


class ChosenB1s:
    """The choices of one viewer.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._chosen: weakref.WeakKeyDictionary[FingerprintStack, ChosenB1] = weakref.WeakKeyDictionary()

    def of(self, stack: FingerprintStack | None) -> ChosenB1:
        """Return what was chosen for a stack; nominal where nothing was."""
        found = None if stack is None else self._chosen.get(stack)
        return _NOMINAL if found is None else found

    def keep(self, stack: FingerprintStack, chosen: ChosenB1) -> None:
        """Keep a choice."""
        self._chosen[stack] = chosen

    def given(self) -> list[tuple[FingerprintStack, ChosenB1]]:
        """Return the choices of stacks that are open, of maps that still are there."""
        return [
            (entry.subject, chosen)
            for entry in self._session.entries("stack")
            if (chosen := self.of(entry.subject)).source != "nominal" and self._is_there(chosen)
        ]

    def _is_there(self, chosen: ChosenB1) -> bool:
        viewer = self._session.viewer
        layer = None if chosen.layer is None else chosen.layer()
        return chosen.source != "layer" or (viewer is not None and layer in viewer.layers)


_NOMINAL = ChosenB1()
