"""Asks for the range and the seed of a synthetic B1 field, in which a phantom is to lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.operations.b1_maps import add_b1_field
from napari_blochnet.jobs.settings import B1FieldSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.widgets.parts import note
from napari_blochnet.napari_ui.widgets.remembering import remember_controls
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["FieldDialog", "ask_field"]


class FieldDialog(QDialog):
    """Settings of a synthetic transmit field.

    Parameters
    ----------
    parent : QWidget
    name : str
        The phantom's.
    """

    #: a `B1FieldSettings`: the person wants this one
    chosen = Signal(object)

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("A synthetic B1 field")
        self.form = SettingsForm(B1FieldSettings)
        text = note(
            f"{name} opens once more, in a smooth transmit field of this range: what is simulated of it has flip "
            "angles that are off by as much. The Map tab offers the field as B1 map."
        )
        text.setMinimumWidth(360)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        for widget in (self.form, text, buttons):
            layout.addWidget(widget)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        remember_controls("b1field", settings=self.form)

    def _accept(self) -> None:
        try:
            settings = self.form.settings()
        except InputError:
            # the sentence stands beside its field
            return
        self.accept()
        self.chosen.emit(settings)


def ask_field(parent: QWidget, make: Callable[[str, Callable[..., Phantom]], object], phantom: Phantom) -> None:
    """Ask for a field, and open the phantom once more, in it.

    Parameters
    ----------
    parent : QWidget
    make : callable
        Called with what is done, in words, and what makes the phantom in the background.
    phantom : Phantom
    """
    dialog = FieldDialog(parent, phantom.name)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def begin(settings: B1FieldSettings) -> None:
        def made(**_watched: Any) -> Phantom:
            return add_b1_field(phantom, settings)

        make(f"Making a B1 field for {phantom.name}", made)

    dialog.chosen.connect(begin)
    dialog.open()
