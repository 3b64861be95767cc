"""The mouse wheel scrolls a panel: no control on the way takes it, unless a person has begun to work with it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QComboBox, QGraphicsView, QScrollBar, QTabBar, QWidget

__all__ = ["guard_wheel"]

# What the wheel would change: values, tabs, the ranges of plots.
_TAKERS = (QComboBox, QAbstractSpinBox, QAbstractSlider, QTabBar, QGraphicsView)
_GUARDED = "blochnetGuarded"


class _WheelGuard(QObject):
    """Leaves the wheel to what lies behind a control that has not the focus."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        if isinstance(watched, QWidget) and watched.hasFocus():
            return False
        event.ignore()
        return True


def guard_wheel(root: QWidget) -> None:
    """Let no control in a widget take the wheel without focus, nor get the focus by it; may be called again.

    Parameters
    ----------
    root : QWidget
        A panel or a form; itself, too, where it is a control.
    """
    for control in (root, *root.findChildren(QWidget)):
        if not isinstance(control, _TAKERS) or isinstance(control, QScrollBar) or control.property(_GUARDED):
            continue
        control.setProperty(_GUARDED, True)
        if control.focusPolicy() == Qt.FocusPolicy.WheelFocus:
            control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # the wheel goes to what a plot is drawn on, whose focus is the plot's
        target = control.viewport() if isinstance(control, QGraphicsView) else control
        if target is not None:
            target.installEventFilter(_WheelGuard(control))
