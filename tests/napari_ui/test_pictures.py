"""Nothing in the panels is cut off, hidden beneath something else or scrolled sideways, in a small window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from scenes import PANELS, Stage


def faults(widget: QWidget) -> list[str]:
    """Return a sentence for everything that is cut off inside a widget."""
    found = []
    shown = [child for child in widget.findChildren(QWidget) if child.isVisible() and not child.isWindow()]
    for child in shown:
        if isinstance(child, QAbstractScrollArea) and child.horizontalScrollBar().isVisible():
            found.append(f"{_name(child)} scrolls sideways")
        if isinstance(child, QTabWidget):
            bar = child.tabBar()
            if bar.tabRect(bar.count() - 1).right() > bar.width():
                found.append("the last tab is out of sight")
        if isinstance(child, QTableWidget):
            found += _cut_cells(child)
        if _is_cut(child) and _text(child).replace("&", "") not in child.toolTip():
            found.append(f"{_name(child)} is too small, {child.width()} × {child.height()} pixels")
        parent = child.parentWidget()
        if parent is not None and not _is_viewport(parent) and not _is_inside_control(parent):
            if not parent.rect().contains(child.geometry()):
                found.append(f"{_name(child)} stands out of its parent, {child.geometry()} of {parent.rect()}")
        elif _is_viewport(parent) and isinstance(parent.parentWidget(), QScrollArea) and child.width() > parent.width():
            found.append(f"{_name(child)} is wider than what scrolls it")
    for parent in (widget, *shown):
        if not _is_inside_control(parent) and not _is_viewport(parent):
            found += _overlapping(parent)
    return found


def _overlapping(parent: QWidget) -> Iterator[str]:
    children = [child for child in parent.children() if isinstance(child, QWidget) and child.isVisible()]
    children = [child for child in children if not child.isWindow() and not child.geometry().isEmpty()]
    for i, one in enumerate(children):
        for other in children[i + 1 :]:
            if one.geometry().intersects(other.geometry()):
                yield f"{_name(one)} lies on {_name(other)}"


def _is_viewport(widget: QWidget | None) -> bool:
    parent = None if widget is None else widget.parentWidget()
    return isinstance(parent, QAbstractScrollArea) and parent.viewport() is widget


def _is_inside_control(widget: QWidget) -> bool:
    """Whether Qt itself lays out what is inside."""
    return isinstance(widget, (QAbstractScrollArea, QAbstractSpinBox, QComboBox, QLineEdit, QTabWidget))


def _text(widget: QWidget) -> str:
    if isinstance(widget, (QLabel, QAbstractButton)):
        return widget.text()
    if isinstance(widget, QComboBox):
        return widget.currentText()
    return widget.text() if isinstance(widget, (QLineEdit, QAbstractSpinBox)) else ""


def _is_cut(widget: QWidget) -> bool:
    """Whether a control shows less than its text."""
    text = _text(widget)
    if not text or (isinstance(widget, QLineEdit) and not isinstance(widget.parentWidget(), QAbstractSpinBox)):
        # a line scrolls with what is typed
        return False
    wide = widget.fontMetrics().horizontalAdvance
    if isinstance(widget, QLabel):
        inside = widget.contentsRect()
        if widget.wordWrap():
            return widget.heightForWidth(widget.width()) > widget.height() or any(
                wide(word) > inside.width() for word in text.split()
            )
        if Qt.mightBeRichText(text):
            page = QTextDocument()
            page.setDefaultFont(widget.font())
            page.setDocumentMargin(0)
            page.setHtml(text)
            return page.idealWidth() > inside.width() + 1
        return wide(text) > inside.width() or widget.fontMetrics().height() > widget.height()
    if isinstance(widget, QAbstractSpinBox):
        return wide(widget.text()) > widget.lineEdit().contentsRect().width()
    if isinstance(widget, QLineEdit):
        return False
    if isinstance(widget, QComboBox):
        # the arrow
        return wide(text) + 20 > widget.width()
    fixed = widget.minimumWidth() == widget.maximumWidth()
    needed = wide(text) if fixed else widget.sizeHint().width()
    return needed > widget.width() or widget.fontMetrics().height() > widget.height()


def _cut_cells(table: QTableWidget) -> Iterator[str]:
    metrics = table.fontMetrics()
    for j in range(table.columnCount()):
        if table.isColumnHidden(j):
            continue
        head = table.horizontalHeaderItem(j) or QTableWidgetItem()
        box = QRect(0, 0, table.columnWidth(j) - 2, 1000)
        needed = metrics.boundingRect(box, Qt.TextFlag.TextWordWrap, head.text())
        if needed.width() > box.width() or needed.height() > table.horizontalHeader().height():
            yield f"{_name(table)}: the heading {head.text()} is cut"
        for i in range(table.rowCount()):
            item = table.item(i, j)
            if item is None or table.isRowHidden(i) or item.text() in item.toolTip():
                continue
            if table.sizeHintForIndex(table.model().index(i, j)).width() > table.columnWidth(j):
                yield f"{_name(table)}: {item.text()} is cut"


def _name(widget: QWidget) -> str:
    words = _text(widget) or widget.accessibleName() or widget.objectName()
    return f"{type(widget).__name__} {words!r}"


@pytest.fixture
def box(qtbot):
    """A window of 200 pixels' width for faults made on purpose."""
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(200, 120)
    return window


def test_faults_are_found(box, qtbot):
    layout = QVBoxLayout(box)
    label = QLabel("a label that is a good deal longer than two hundred pixels")
    label.setMinimumWidth(10)
    label.setSizePolicy(label.sizePolicy().Policy.Ignored, label.sizePolicy().Policy.Fixed)
    layout.addWidget(label)
    row = QHBoxLayout()
    buttons = [QPushButton("a button with a long name"), QPushButton("another one")]
    for button in buttons:
        row.addWidget(button)
    layout.addLayout(row)
    table = QTableWidget(1, 6)
    layout.addWidget(table)
    box.show()
    qtbot.waitExposed(box)
    box.setFixedWidth(200)
    buttons[0].setFixedWidth(60)
    qtbot.wait(50)
    buttons[1].move(buttons[0].pos() + QPoint(10, 0))
    found = "\n".join(faults(box))
    assert "QLabel 'a label" in found
    assert "QPushButton 'a button with a long name' is too small" in found
    assert "lies on QPushButton 'another one'" in found
    assert "QTableWidget '' scrolls sideways" in found
    buttons[1].move(190, 0)
    assert "'another one' stands out of its parent" in "\n".join(faults(box))


def test_nothing_is_cut_off(desk):
    stage = Stage(desk())
    found = {}
    for theme in ("dark", "light"):
        stage.viewer.theme = theme
        for name in PANELS:
            shown = stage.show(name)
            if faults(shown):
                # a busy machine may still be laying out
                stage.desk.qtbot.wait(1000)
            if seen := faults(shown):
                found[theme, name] = sorted(set(seen))
    assert stage.viewer.window._qt_window.size().width() <= 1280
    assert not found
