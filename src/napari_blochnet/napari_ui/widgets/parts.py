"""Parts that panels are built from: headings, notes, buttons, what folds away."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled

__all__ = ["Foldable", "heading", "note", "primary_button", "restyle"]


def heading(text: str) -> QLabel:
    """Return the title of a part of a panel."""
    label = QLabel(text)
    label.setObjectName("blochnetHeading")
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def note(text: str = "") -> QLabel:
    """Return a wrapped line of explanation."""
    label = QLabel(text)
    label.setObjectName("blochnetNote")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
    return label


def primary_button(text: str, tooltip: str) -> QPushButton:
    """Return the button a panel is about."""
    button = QPushButton(text)
    button.setObjectName("blochnetPrimary")
    button.setToolTip(tooltip)
    return button


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Set a property by which the panel's style tells widgets apart."""
    widget.setProperty(name, value)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)


class Foldable(QWidget):
    """Rarely needed settings behind a line that opens; what is set there, and applies, stands below that line.

    Parameters
    ----------
    title : str
        What the settings are; what stands after a colon gives way to how many are set.
    content : QWidget
        A form of settings, or anything else.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._title = title
        self.button = QToolButton()
        self.button.setObjectName("blochnetFold")
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolTip("Show or hide these settings.")
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        #: what is set in the fold, in words
        self.summary = note()
        self.summary.setObjectName("blochnetSet")
        self.summary.setToolTip("What differs from the defaults; it applies, folded or not.")
        self.content = content
        content.setVisible(False)
        filled(QVBoxLayout(self), self.button, self.summary, content, spacing=2)
        self.summary.hide()
        self.button.toggled.connect(self.open)
        if isinstance(content, SettingsForm):
            content.follow(self.update_title)
            self.update_title()

    def open(self, opened: bool = True) -> None:
        """Show or hide the content."""
        self.button.setChecked(opened)
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.content.setVisible(opened)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        # rows may have gone to switches outside since
        self.update_title()

    def update_title(self) -> None:
        """Say what is set."""
        if isinstance(self.content, SettingsForm):
            found = self.content.set_in_words()
            self.button.setText(f"{self._title.partition(':')[0]} – {len(found)} set" if found else self._title)
            self.summary.setText(" · ".join(found))
            self.summary.setVisible(bool(found))
