"""For keyboards and screen readers: the Tab key goes down a panel as the eye does, and every control has a name.

The wheel scrolls the panel, whatever control lies under the mouse.
"""

from __future__ import annotations

import itertools

from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QFormLayout, QLabel, QWidget
from superqt.utils import qdebounced

from napari_blochnet.napari_ui.forms.wheel import guard_wheel

__all__ = ["FocusOrder", "focus_chain", "name_fields", "show_plainly", "visual_order"]

# Controls whose middles differ by less than this stand in one row, pixels.
_ROW = 10
# Layouts change in bursts; the order is looked at once they rest, ms.
_REST = 120


def _takes_focus(widget: QWidget, root: QWidget) -> bool:
    inside = isinstance(widget.parent(), (QAbstractSpinBox, QComboBox))
    by_tab = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return by_tab and not inside and widget.focusProxy() is None and widget.isVisibleTo(root)


def visual_order(root: QWidget) -> list[QWidget]:
    """Return what the Tab key stops at, from top to bottom and, in a row, from left to right."""
    places = []
    for widget in root.findChildren(QWidget):
        if _takes_focus(widget, root):
            middle = widget.mapTo(root, QPoint(0, widget.height() // 2))
            places.append((middle.y(), middle.x(), widget))
    places.sort(key=lambda place: place[0])
    rows: list[list[tuple[int, int, QWidget]]] = []
    for place in places:
        if rows and place[0] - rows[-1][0][0] < _ROW:
            rows[-1].append(place)
        else:
            rows.append([place])
    return [widget for row in rows for _, _, widget in sorted(row, key=lambda place: place[1])]


def focus_chain(root: QWidget) -> list[QWidget]:
    """Return what the Tab key stops at, in the order in which it does."""
    found = []
    widget = root.nextInFocusChain()
    while widget is not None and widget is not root:
        if root.isAncestorOf(widget) and _takes_focus(widget, root):
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found


def name_fields(root: QWidget) -> None:
    """Give controls without a name for screen readers the text of the label beside them."""
    for layout in root.findChildren(QFormLayout):
        for row in range(layout.rowCount()):
            label = layout.itemAt(row, QFormLayout.ItemRole.LabelRole)
            field = layout.itemAt(row, QFormLayout.ItemRole.FieldRole)
            text = None if label is None else label.widget()
            control = None if field is None else field.widget()
            if isinstance(text, QLabel) and control is not None and not control.accessibleName():
                control.setAccessibleName(text.text())


def show_plainly(root: QWidget) -> None:
    """Let labels that do not say what they take show plain text: names of files and models are no markup."""
    for label in root.findChildren(QLabel):
        if label.textFormat() == Qt.TextFormat.AutoText and not label.objectName().startswith("qt_"):
            label.setTextFormat(Qt.TextFormat.PlainText)


class FocusOrder(QObject):
    """Keeps the Tab order of a panel the visual one, and the wheel for scrolling it, also when parts come and go.

    Parameters
    ----------
    root : QWidget
        What holds the controls; also the parent of this object.
    """

    def __init__(self, root: QWidget) -> None:
        super().__init__(root)
        self._root = root
        self._order: list[QWidget] = []
        self._update_later = qdebounced(self.update, timeout=_REST, parent=self)
        root.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            self._update_later()
            if event.type() == QEvent.Type.Show:
                name_fields(self._root)
                show_plainly(self._root)
                guard_wheel(self._root)
        return False

    def update(self) -> None:
        """Put the Tab order right, if it is not."""
        if not self._root.isVisible():
            return
        name_fields(self._root)
        guard_wheel(self._root)
        order = visual_order(self._root)
        # the chain goes through all widgets of the window, and texts that change ask for a layout as well
        if order == self._order:
            return
        self._order = order
        if order != focus_chain(self._root):
            for first, second in itertools.pairwise(order):
                QWidget.setTabOrder(first, second)
