"""Parts that panels are built from: headings, notes, buttons, what folds away."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

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
    """Rarely needed settings behind a line that opens."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setObjectName("blochnetFold")
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolTip("Show or hide these settings.")
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        self.content = content
        content.setVisible(False)
        filled(QVBoxLayout(self), self.button, content, spacing=2)
        self.button.toggled.connect(self.open)

    def open(self, opened: bool = True) -> None:
        """Show or hide the content."""
        self.button.setChecked(opened)
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.content.setVisible(opened)
