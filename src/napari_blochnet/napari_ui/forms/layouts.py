"""Layouts as panels use them: without margins, filled from a list."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtWidgets import QBoxLayout, QFormLayout, QLayout, QWidget

__all__ = ["filled", "form_layout"]

L = TypeVar("L", bound=QBoxLayout)


def filled(layout: L, *parts: QWidget | QLayout | int, spacing: int | None = None) -> L:
    """Return a layout without margins that holds widgets and layouts; a number is a stretch of that weight.

    Parameters
    ----------
    layout : QBoxLayout
    *parts : QWidget, QLayout or int
    spacing : int, optional
        Between the parts, px; by default the style's.
    """
    layout.setContentsMargins(0, 0, 0, 0)
    if spacing is not None:
        layout.setSpacing(spacing)
    for part in parts:
        if isinstance(part, int):
            layout.addStretch(part)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return layout


def form_layout(parent: QWidget | None = None) -> QFormLayout:
    """Return a layout for labelled rows, as close as settings stand, each control as wide as there is room."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(8)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout
