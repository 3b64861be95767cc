"""The transmit field of the maps to come: nominal, the phantom's own, a layer, or a file; and what is made of it."""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable
from typing import Any, get_args

from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.b1_maps import describe_b1
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.canvas.layer_sources import volume_layers
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.number_boxes import Number
from napari_blochnet.napari_ui.forms.plain_words import in_plain_words
from napari_blochnet.napari_ui.forms.text_lines import PathEdit
from napari_blochnet.napari_ui.state.chosen_b1 import B1Source, B1Unit, ChosenB1, ChosenB1s
from napari_blochnet.napari_ui.state.drawn_regions import lay_volume
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import give_mm
from napari_blochnet.napari_ui.widgets.choices import OpenChoice
from napari_blochnet.napari_ui.widgets.parts import note, restyle
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["B1Choice"]

_NOMINAL, _OWN, _FILE = "nominal everywhere", "the phantom's own field", "a map from a file…"
_FIELDS = ReconstructSettings.model_fields
# What a map holds where the field is nominal, by its unit; the last has a box for it.
_BY_VALUES, _OTHER = "unit as file or values say", "degrees, nominal:"
_UNITS: dict[str, float | None] = {_BY_VALUES: None, "1 is nominal": 1.0, "per cent": 100.0, "permille": 1000.0,
                                   _OTHER: None}  # fmt: skip
# Each unit, and each source that is no layer, as it is kept.
_KEPT_UNITS: dict[str, B1Unit] = dict(zip(_UNITS, get_args(B1Unit), strict=True))
_SOURCES: dict[str, B1Source] = {_NOMINAL: "nominal", _OWN: "own", _FILE: "file"}
_IGNORED = "The phantom lies in a B1 field of its own; maps take B1 as nominal until that is chosen here."


class B1Choice(QWidget):
    """A choice of B1 map, its unit, and a sentence on what is made of it.

    Parameters
    ----------
    session : Session
    measure : callable
        Called with a function of ``progress`` and ``cancelled``, what to call with its result on the main thread, and
        what is looked at: computes in the background. Returns whether it may.
    truth : callable
        Returns the phantom that the stack was made of, or that is chosen as truth, if there is one.
    """

    #: there is another field
    changed = Signal()

    def __init__(
        self,
        session: Session,
        measure: Callable[[Callable[..., Any], Callable[[Any], None], str], bool],
        truth: Callable[[], Phantom | None],
    ) -> None:
        super().__init__()
        self._session, self._measure, self._truth = session, measure, truth
        self._stack: FingerprintStack | None = None
        self._is_asked = self._is_late = False
        self._all = session.part(ChosenB1s)
        # what the controls show, as it is kept for this stack
        self._shown = self._all.of(None)
        tooltip = str(_FIELDS["b1"].description)
        self.choice = OpenChoice(self._offered, called="B1 map", tooltip=tooltip)
        self.file = PathEdit(str(_FIELDS["b1"].json_schema_extra["files"]), optional=True)  # type: ignore[index]
        for part in (self.file.native, *self.file.native.findChildren(QWidget)):
            part.setToolTip(tooltip)
            part.setAccessibleName("File of the B1 map")
        self.unit = QComboBox()
        self.unit.addItems(list(_UNITS))
        # a long text would make the panel wider than its dock
        self.unit.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.unit.setMinimumContentsLength(10)
        self.unit.setToolTip(str(_FIELDS["b1_nominal"].description))
        self.unit.setAccessibleName("Unit of the B1 map")
        self.nominal = Number(annotation=float, min=1e-6, value=90.0)
        self.nominal.native.setToolTip(
            "What the map holds where the field is nominal: the prescribed flip angle; ten times that of tenths."
        )
        self.nominal.native.setAccessibleName("Nominal value of the B1 map")
        self._unit_row = QWidget()
        filled(QHBoxLayout(self._unit_row), self.unit, self.nominal.native, spacing=6).setStretch(0, 1)
        #: what is made of the map, or what is wrong with it
        self.said = note()
        filled(QVBoxLayout(self), self.choice.native, self.file.native, self._unit_row, self.said, spacing=4)
        self.choice.changed.connect(self._on_choice)
        self.file.changed.connect(self._look)
        self.unit.currentIndexChanged.connect(self._on_unit)
        self.nominal.changed.connect(self._look)
        self._show_rows()

    # -- what there is

    def _own(self) -> Phantom | None:
        """Return the phantom whose own field the stack may lie in."""
        truth = self._truth()
        return truth if truth is not None and truth.b1 is not None else None

    def _offered(self) -> list[tuple[str, Any]]:
        own = [] if self._stack is None or self._own() is None else [(_OWN, _OWN)]
        layers = [(layer.name, layer) for layer in volume_layers(self._session)]
        return [(_NOMINAL, _NOMINAL), *own, *layers, (_FILE, _FILE)]

    def offer(self) -> None:
        """Look again at what is open."""
        self.choice.reset_choices()
        self._show_rows()

    def set_stack(self, stack: FingerprintStack | None) -> None:
        """Choose for another stack, whose field is not the last one's."""
        is_other, self._stack = stack is not self._stack, stack
        self.offer()
        self.setEnabled(stack is not None)
        chosen = self._all.of(stack)
        if is_other or chosen is not self._shown:
            self._show(chosen)

    def _show(self, chosen: ChosenB1) -> None:
        """Show what was chosen for this stack before; what is gone is nominal."""
        layer = None if chosen.layer is None else chosen.layer()
        wanted: Any = layer if chosen.source == "layer" else next(k for k, v in _SOURCES.items() if v == chosen.source)
        controls: tuple[Any, ...] = (self.file, self.nominal, self.choice)
        with QSignalBlocker(self.unit), contextlib.ExitStack() as silent:
            for control in controls:
                silent.enter_context(control.changed.blocked())
            self.file.value = chosen.path
            self.unit.setCurrentText(next(text for text, kept in _KEPT_UNITS.items() if kept == chosen.unit))
            self.nominal.value = chosen.nominal
            is_there = wanted is not None and any(wanted is known or wanted == known for known in self.choice.choices)
            self.choice.value = wanted if is_there else _NOMINAL
        self._on_choice()

    def _keep(self) -> None:
        """Keep what is chosen for this stack."""
        chosen = self.choice.value
        if self._stack is None or chosen is None:
            return
        is_layer = isinstance(chosen, Layer)
        self._shown = ChosenB1(
            "layer" if is_layer else _SOURCES[chosen],
            weakref.ref(chosen) if is_layer else None,
            self.file.value,
            _KEPT_UNITS[self.unit.currentText()],
            float(self.nominal.value),
        )
        self._all.keep(self._stack, self._shown)

    def choose(self, layer: Layer) -> bool:
        """Choose a layer; return whether it is offered."""
        self.offer()
        is_offered = any(layer is known for known in self.choice.choices)
        if is_offered:
            self.choice.value = layer
        return is_offered

    def _show_rows(self) -> None:
        chosen = self.choice.value
        self.file.native.setVisible(chosen == _FILE)
        self._unit_row.setVisible(chosen == _FILE or isinstance(chosen, Layer))
        self.nominal.native.setVisible(self.unit.currentText() == _OTHER)
        if not self.is_given:
            ignored = chosen == _NOMINAL and self._stack is not None and self._own() is not None
            self._say(_IGNORED if ignored else "")

    def _on_choice(self, _value: Any = None) -> None:
        if isinstance(self.choice.value, Layer):
            give_mm(self.choice.value)
        self._show_rows()
        self._look()

    def _on_unit(self) -> None:
        self._show_rows()
        self._look()

    # -- what is chosen

    @property
    def is_given(self) -> bool:
        """Whether there is a map."""
        return self.choice.value not in (None, _NOMINAL) and not (self.choice.value == _FILE and not self.file.value)

    def settings(self) -> dict[str, Any]:
        """Return the fields of `ReconstructSettings` that say the same; a layer is no setting, and goes as an array."""
        chosen = self.choice.value
        unit = self.unit.currentText()
        nominal = float(self.nominal.value) if unit == _OTHER else _UNITS[unit]
        has_unit = chosen == _FILE or isinstance(chosen, Layer)
        return {"b1": self.file.value if chosen == _FILE else None, "b1_nominal": nominal if has_unit else None}

    def reading(self, stack: FingerprintStack) -> Callable[[], AnyArray] | None:
        """Return what reads a field that is no file onto a stack's grid, on any thread; None where there is none.

        It raises an `InputError` for a layer that lies elsewhere, or whose units are no lengths.
        """
        read = self._reading(stack)
        return None if read is None else lambda: read()[0]

    def _reading(self, stack: FingerprintStack) -> Callable[[], tuple[AnyArray, str]] | None:
        chosen, shown, own = self.choice.value, self._session.layers("stack", stack), self._own()
        if chosen == _OWN and own is not None:
            return lambda: (_field_of(own, stack), "")
        if isinstance(chosen, Layer) and shown:
            return lambda: lay_volume(chosen, shown[-1], nearest=False, zero_is_empty=True)
        return None

    # -- what is made of it

    def _look(self, _value: Any = None) -> None:
        """Read the map in the background, and say what is made of it."""
        self._keep()
        self.changed.emit()
        stack = self._stack
        self._is_late = False
        if stack is None or not self.is_given:
            self._show_rows()
            return
        read, given = self._reading(stack), self.settings()

        def look(**_watched: Any) -> tuple[str, str]:
            # they belong with the map, and not to what the panel did last
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", DataWarning)
                try:
                    told = describe_b1(stack, given["b1"] if read is None else read(), given["b1_nominal"])
                except InputError as error:
                    return "", str(error)
            noted = [str(each.message) for each in caught if issubclass(each.category, DataWarning)]
            return " ".join([told, *(f"{text[:1].upper()}{text[1:]}" for text in noted)]), ""

        self._say("")
        if self._is_asked or not self._measure(look, self._on_told, "B1 map"):
            self._is_late = True
        else:
            self._is_asked = True

    def ask_again(self) -> None:
        """Look now, where a job was in the way."""
        self._is_asked = False
        if self._is_late:
            self._look()

    def _on_told(self, found: tuple[str, str]) -> None:
        self._is_asked = False
        if not self._is_late and self.is_given:
            self._say(*found)

    def show_error(self, sentence: str) -> None:
        """Say what is wrong with the map."""
        self._say("", sentence)

    def _say(self, sentence: str, error: str = "") -> None:
        # here the box of units says what is nominal
        self.said.setText(in_plain_words((error or sentence).replace("b1_nominal", "the unit above")))
        self.said.setVisible(bool(error or sentence))
        self.said.setObjectName("blochnetError" if error else "blochnetNote")
        restyle(self.said, "state", "error" if error else "")


def _field_of(phantom: Phantom, stack: FingerprintStack) -> AnyArray:
    part = part_of_truth(phantom, stack)
    if part is None or part.b1 is None:
        raise InputError(f"The phantom {phantom.name} does not lie on the stack {stack.name}", "one of its own",
                         field="b1")  # fmt: skip
    return part.b1
