"""Choices among what is open: one of it, or several with ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from magicgui import register_type
from magicgui.widgets import ComboBox, create_widget
from napari import current_viewer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFrame, QVBoxLayout

from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.state.entries import Entry, Kind, Subject
from napari_blochnet.napari_ui.state.session import Session, session_of
from napari_blochnet.napari_ui.widgets.parts import note
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["CheckList", "OpenChoice", "SubjectChoice", "TickList", "subject_choice"]


class OpenChoice(ComboBox):
    """One of what there is at the moment; keeps what is chosen while others come, go and are renamed.

    Parameters
    ----------
    offer : callable
        Returns what there is, each with its text.
    nothing : str
        What stands there for None: always where None may be chosen (``nullable``), else while there is nothing; "": no
        such line.
    called : str
        What a screen reader calls it; by default as the label beside it says.
    newest : bool
        Whether the last is chosen where there was no choice or it has gone; otherwise, and where None may be, the
        first.
    beyond : callable, optional
        Returns what stands below, each with its text, and is only ever chosen by a person.
    """

    def __init__(
        self,
        offer: Callable[[], Iterable[tuple[str, Any]]],
        nothing: str = "",
        *,
        called: str = "",
        newest: bool = False,
        beyond: Callable[[], Iterable[tuple[str, Any]]] = tuple,
        **more: Any,
    ) -> None:
        self._offer, self._newest, self.null_string, self._beyond = offer, newest, nothing, beyond
        super().__init__(**more)
        self.native.setAccessibleName(called)
        self.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.native.setMinimumContentsLength(10)

    def reset_choices(self, *_: Any) -> None:
        """Look again at what there is: by the things themselves, whose texts may be alike."""
        box, before = self.native, self.value
        offered = list(self._offer())
        if self.null_string and (self._nullable or not offered):
            offered.insert(0, (self.null_string, None))
        last = len(offered) - 1
        offered += self._beyond()
        known = [(box.itemText(index), _identity(box.itemData(index))) for index in range(box.count())]
        if known == [(text, _identity(thing)) for text, thing in offered]:
            return
        box.blockSignals(True)
        box.clear()
        for text, thing in offered:
            box.addItem(text, thing)
        same = _identity(before)
        kept = [index for index, (_, thing) in enumerate(offered) if thing is not None and _identity(thing) == same]
        box.setCurrentIndex(kept[0] if kept else last if self._newest and not self._nullable else 0)
        box.blockSignals(False)
        if _identity(self.value) != same:
            self.changed.emit(self.value)


def _identity(thing: Any) -> Any:
    """Return what a thing is told by: a name, of which Qt hands out copies, or the thing itself."""
    return thing if thing is None or isinstance(thing, str) else id(thing)


class SubjectChoice(OpenChoice):
    """A choice among the phantoms, stacks or maps that are open in a viewer; magicgui's control of these types.

    Parameters
    ----------
    kind : {"phantom", "stack", "maps"}
    session : Session, optional
        By default that of the viewer in use.
    accept : callable, optional
        Says of an entry whether it is offered.
    """

    def __init__(
        self, kind: Kind, session: Session | None = None, accept: Callable[[Entry], bool] | None = None, **more: Any
    ) -> None:
        self._kind, self._session, self._accept = kind, session, accept
        super().__init__(self._open, newest=True, **more)

    def _open(self) -> list[tuple[str, Any]]:
        if self._session is None and (viewer := current_viewer()) is not None:
            self._session = session_of(viewer)
        entries = [] if self._session is None else self._session.entries(self._kind)
        return [(entry.title, entry.subject) for entry in entries if self._accept is None or self._accept(entry)]

    @property
    def entry(self) -> Entry | None:
        """An entry of the chosen subject."""
        return None if self._session is None else self._session.entry(self.value)


register_type(Phantom, widget_type=SubjectChoice, kind="phantom")
register_type(FingerprintStack, widget_type=SubjectChoice, kind="stack")
register_type(ParameterMaps, widget_type=SubjectChoice, kind="maps")


def subject_choice(session: Session, kind: type[Subject], nothing: str, tooltip: str, **more: Any) -> SubjectChoice:
    """Return a choice among the subjects of a kind that are open in a session's viewer."""
    options = {"session": session, "nothing": nothing, "tooltip": tooltip, **more}
    return cast("SubjectChoice", create_widget(annotation=kind, options=options))


class TickList(QFrame):
    """Tick boxes, each for a thing that may be chosen with others."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("blochnetCard")
        self._boxes: list[tuple[QCheckBox, Any]] = []

    def _clear(self) -> None:
        for box, _ in self._boxes:
            # it goes in the next turn of the event loop, and is not to be seen until then
            box.hide()
            box.deleteLater()
        self._boxes = []

    @property
    def chosen(self) -> list[Any]:
        """The ticked things, in order."""
        return [value for box, value in self._boxes if box.isChecked()]

    def box(self, value: Any) -> QCheckBox:
        """Return the tick box of a thing."""
        return next(box for box, known in self._boxes if known is value or known == value)


class CheckList(TickList):
    """Several of a few things, one below the other."""

    def __init__(self, nothing: str) -> None:
        super().__init__()
        self._empty = note(nothing)
        self._layout = filled(QVBoxLayout(self), self._empty, spacing=2)
        self._layout.setContentsMargins(8, 4, 8, 4)

    def say_of_nothing(self, text: str) -> None:
        """Say what stands there while there is nothing."""
        self._empty.setText(text)

    def set_items(self, items: Sequence[tuple[str, Any]], *, checked: Callable[[Any], bool]) -> None:
        """Offer other things; what was ticked or not before stays so."""
        before = {id(value): box.isChecked() for box, value in self._boxes}
        self._clear()
        for text, value in items:
            box = QCheckBox(text)
            box.setToolTip(self.toolTip())
            box.setChecked(before.get(id(value), checked(value)))
            box.toggled.connect(self.changed)
            self._layout.addWidget(box)
            self._boxes.append((box, value))
        self._empty.setVisible(not items)
        self.changed.emit()

    def tick(self, values: Sequence[Any]) -> None:
        """Tick these things and no others; nothing changes where none of them is there."""
        if any(known in values for _, known in self._boxes):
            for box, known in self._boxes:
                box.setChecked(known in values)
