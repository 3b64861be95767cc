"""Switches of a form that are wanted in view: tick boxes with words, outside of the form's folded rows."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled

__all__ = ["Switches"]

# How far a switch that depends on another stands to the right of it, px.
_INDENT = 20


class Switches(QWidget):
    """Tick boxes that stand for fields of a form, whose own rows are hidden.

    Parameters
    ----------
    form : SettingsForm
        Holds the values.
    texts : mapping of str to str
        What stands beside each field's box.
    under : mapping of str to str, optional
        Fields that mean something only while another one is on.
    """

    def __init__(self, form: SettingsForm, texts: Mapping[str, str], under: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._boxes: dict[str, QCheckBox] = {}
        layout = filled(QVBoxLayout(self), spacing=1)
        for name, text in texts.items():
            held = form.editor(name).native
            box = QCheckBox(text)
            box.setToolTip(held.toolTip())
            box.setAccessibleName(held.accessibleName())
            box.setChecked(held.isChecked())
            box.toggled.connect(held.setChecked)
            held.toggled.connect(box.setChecked)
            form.set_row_visible(name, False)
            above = (under or {}).get(name)
            if above is not None:
                box.setEnabled(self._boxes[above].isChecked())
                self._boxes[above].toggled.connect(box.setEnabled)
            row = filled(QHBoxLayout(), box, 1)
            row.setContentsMargins(0 if above is None else _INDENT, 0, 0, 0)
            layout.addLayout(row)
            self._boxes[name] = box

    def box(self, field: str) -> QCheckBox:
        """Return the box of a field."""
        return self._boxes[field]
