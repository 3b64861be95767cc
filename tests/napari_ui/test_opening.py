"""Opening: files that are dropped, napari's own menu, and what cannot be done while something is being opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QLabel, QWidget
from scipy.io import savemat

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.phantoms.synthetic import synthetic_phantom
from napari_blochnet.phantoms.write import write_phantom
from napari_blochnet.schedules.generators import spline_schedule


@pytest.fixture(scope="module")
def phantom_folder(tmp_path_factory):
    """A phantom of maps that takes a while to read."""
    folder = tmp_path_factory.mktemp("data") / "sub-large"
    phantom = synthetic_phantom(shape=(60, 109, 91))
    write_phantom(phantom, folder)
    return folder


def _files(*paths) -> QMimeData:
    content = QMimeData()
    content.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return content


def _target(widget: QWidget) -> QWidget:
    """Return who gets a drag over a widget: it, or the nearest around it that takes drops."""
    while not widget.acceptDrops():
        widget = widget.parentWidget()
    return widget


def _drag(widget: QWidget, content: QMimeData) -> bool:
    event = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.MoveAction | Qt.DropAction.CopyAction, content,
                            Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)  # fmt: skip
    QApplication.sendEvent(_target(widget), event)
    return event.isAccepted()


def _drop(widget: QWidget, *paths) -> None:
    content = _files(*paths)
    assert _drag(widget, content)
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.MoveAction | Qt.DropAction.CopyAction, content,
                       Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)  # fmt: skip
    QApplication.sendEvent(_target(widget), event)
    # a move would let the file manager delete the file
    assert event.dropAction() == Qt.DropAction.CopyAction


def _open(desk, folder) -> None:
    """Do what napari does with a folder that is dropped, once the person has chosen the reader in its dialog."""
    desk.viewer.open([str(folder)], stack=False, plugin="napari-blochnet")


def _by_hand(desk, act) -> list[BaseException]:
    """Do something as a person does, out of the running event loop; return the list its error comes into."""
    errors: list[BaseException] = []
    done = []

    def run() -> None:
        try:
            act()
        except (Cancelled, InputError, ValueError) as error:
            errors.append(error)
        done.append(True)

    QTimer.singleShot(0, run)
    desk.qtbot.waitUntil(lambda: bool(done), timeout=60_000)
    return errors


@contextlib.contextmanager
def _heart(busy) -> Iterator[list[bool]]:
    """Note, whenever the event loop turns, whether there is a job."""
    beats: list[bool] = []
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: beats.append(busy()))
    timer.start()
    yield beats
    timer.stop()


def _said() -> list[str]:
    return [record.message for record in notification_manager.records]


# -- on the viewer, and File ▸ Open Sample


def test_a_drop_on_the_viewer_is_read_in_the_background(desk, phantom_folder):
    desk = desk()
    data = desk.workbench.data
    desk.turn_to("Map")
    with _heart(lambda: data.is_busy) as beats:
        assert _by_hand(desk, lambda: _open(desk, phantom_folder)) == []
    assert desk.workbench.tabs.currentWidget() is data
    # the window lived while it was read and drawn
    assert sum(beats) > 10
    (entry,) = desk.session.entries("phantom")
    assert len(desk.session.layers()) == len(desk.viewer.layers) == 4
    assert data.jobs.message.text() == f"Opened {entry.subject.name}."
    assert [layer.name for layer in desk.viewer.layers if layer.visible] == [desk.layer("T1").name]


def test_a_file_that_nobody_else_reads_is_dropped_on_the_canvas(desk, tmp_path):
    t1 = np.full((8, 9), 800.0)
    savemat(tmp_path / "maps.mat", {"T1": t1, "T2": t1 / 10, "PD": t1 / t1})
    desk = desk()
    assert _by_hand(desk, lambda: _drop(desk.viewer.window._qt_viewer, tmp_path / "maps.mat")) == []
    (entry,) = desk.session.entries("phantom")
    assert entry.subject.shape == (1, 8, 9)
    assert desk.workbench.data.jobs.message.text() == "Opened maps."


def test_a_sample_of_the_menu_looks_like_that_of_the_button(desk):
    desk = desk()
    data = desk.workbench.data
    open_sample = get_app_model().commands
    with _heart(lambda: data.is_busy) as beats:
        _by_hand(desk, lambda: open_sample.execute_command("napari-blochnet.head-volume"))
    assert sum(beats) > 5
    desk.qtbot.waitUntil(lambda: desk.layer("T1").visible and not data._turns.is_busy, timeout=20_000)
    by_menu = [(layer.name, layer.visible) for layer in desk.viewer.layers]
    z = desk.viewer.dims.current_step
    desk.viewer.layers.clear()
    desk.run(data, data.sample_buttons["head-volume"])
    assert by_menu == [(layer.name, layer.visible) for layer in desk.viewer.layers]
    assert desk.viewer.dims.current_step == z


def test_cancel_of_a_drop_and_of_a_sample(desk, phantom_folder):
    desk = desk()
    data = desk.workbench.data

    def press_cancel() -> None:
        if data.is_busy and data.jobs.cancel.isVisible():
            desk.click(data.jobs.cancel)
        else:
            QTimer.singleShot(5, press_cancel)

    notification_manager.records.clear()
    QTimer.singleShot(0, press_cancel)
    assert _by_hand(desk, lambda: _open(desk, phantom_folder)) == []
    assert data.jobs.message.text() == "Cancelled."
    QTimer.singleShot(0, press_cancel)
    (error,) = _by_hand(desk, lambda: desk.viewer.open_sample("napari-blochnet", "head-volume"))
    assert isinstance(error, Cancelled)
    assert len(desk.viewer.layers) == 0
    # who cancels knows it
    assert _said() == []


def test_a_script_gets_its_layers_and_the_window_lives_meanwhile(desk, phantom_folder):
    desk = desk()
    data = desk.workbench.data
    with _heart(lambda: data.is_busy) as beats:
        made = desk.viewer.open(str(phantom_folder), plugin="napari-blochnet")
        assert made == list(desk.viewer.layers)
        assert len(made) == 4
        of_sample = desk.viewer.open_sample("napari-blochnet", "noisy-fingerprints")
    assert sum(beats) > 5
    assert of_sample == list(desk.viewer.layers)[4:]
    assert len(desk.session.entries("phantom")) == 2
    assert [layer.name for layer in of_sample if layer.visible] == [of_sample[-1].name]


def test_of_two_windows_the_one_that_asks_gets_the_layers(desk):
    first, second = desk(), desk()
    made = []
    _by_hand(first, lambda: made.extend(first.viewer.open_sample("napari-blochnet", "head-slice")))
    assert list(first.viewer.layers) == made
    assert len(made) == 4
    assert len(second.viewer.layers) == 0


def test_without_a_window_it_is_read_at_once(phantom_folder):
    from napari.components import ViewerModel

    model = ViewerModel()
    assert len(model.open(str(phantom_folder), plugin="napari-blochnet")) == 4
    assert len(model.open_sample("napari-blochnet", "head-slice")) == 4


def test_the_window_is_closed_while_a_drop_is_read(make_napari_viewer, qtbot, phantom_folder):
    viewer = make_napari_viewer(show=True)
    viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")
    session = session_of(viewer)
    ended = []

    def drop() -> None:
        viewer.open(str(phantom_folder), plugin="napari-blochnet")
        ended.append(True)

    def close() -> None:
        if session.jobs:
            viewer.close()
        else:
            QTimer.singleShot(5, close)

    QTimer.singleShot(0, close)
    QTimer.singleShot(0, drop)
    qtbot.waitUntil(lambda: bool(ended), timeout=20_000)
    assert session.jobs == []


# -- on the Data tab


def test_a_row_takes_what_is_dropped_on_it(desk, tmp_path, phantom_folder):
    desk = desk()
    desk.use_spline(60)
    data = desk.turn_to("Data")
    # NIfTI of somebody else: no reader of ours claims it, the row says what it is
    stack = FingerprintStack(np.ones((60, 1, 4, 5), np.float32), spline_schedule(length=60))
    write_fingerprints(stack, tmp_path / "theirs.nii.gz")
    (tmp_path / "theirs.json").unlink()
    path = tmp_path / "theirs.nii.gz"
    frame = data.stack_path.grab().toImage()
    assert _drag(data.stack_path.line, _files(path))
    assert data.stack_path.grab().toImage() != frame
    assert data.stack_path.line.placeholderText() == "Drop to open"
    QApplication.sendEvent(data.stack_path, QDragLeaveEvent())
    assert data.stack_path.grab().toImage() == frame
    _drop(data.stack_path.line, path)
    assert data.stack_path.line.text() == str(path)
    assert data.is_busy
    assert desk.wait(data) == "Opened theirs."
    _drop(data.phantom_path, *sorted(phantom_folder.glob("*_T[12]map.nii.gz")))
    assert desk.wait(data).startswith("Opened ")
    assert "There is no PD map; PD is 1 in every voxel." in desk.session.entries("phantom")[0].subject.notes
    # several files are no stack
    _drop(data.stack_path, path, path)
    assert data.stack_path.error.text() == "These are 2 files; expected one, which holds the whole stack."
    assert not data.is_busy


def test_words_and_addresses_are_not_taken(desk):
    desk = desk()
    data = desk.turn_to("Data")
    words = QMimeData()
    words.setText("gm")
    address = QMimeData()
    address.setUrls([QUrl("https://example.org/gm.nii.gz")])
    for content in (words, address):
        for widget in (data, data.phantom_path, data.stack_path.line):
            assert not _drag(widget, content)
    assert "Drop to open" not in (data.phantom_path.line.placeholderText(), data.stack_path.line.placeholderText())


def test_a_drop_anywhere_on_the_tab(desk, tmp_path, phantom_folder):
    desk = desk()
    desk.use_spline(60)
    data = desk.turn_to("Data")
    elsewhere = data.open_stack
    np.save(tmp_path / "scan.npy", np.ones((60, 1, 4, 5), np.complex64))
    # where it would go is seen before
    assert _drag(elsewhere, _files(tmp_path / "scan.npy"))
    assert data.stack_path.property("target")
    assert not data.phantom_path.property("target")
    _drop(elsewhere, tmp_path / "scan.npy")
    assert not data.stack_path.property("target")
    assert desk.wait(data) == "Opened scan."
    assert data.stack_path.line.text() == str(tmp_path / "scan.npy")
    _drop(data.sample_buttons["head-slice"], phantom_folder)
    assert desk.wait(data).startswith("Opened ")
    assert len(desk.session.entries("phantom")) == 1
    _drop(elsewhere, tmp_path / "scan.nii.gz")
    said = "scan.nii.gz may hold a phantom or fingerprints; drop it on the line of one of the two."
    assert data.jobs.message.text() == said
    assert not data.is_busy
    data.sessions.save(tmp_path / "session")
    desk.wait(data)
    count = len(desk.viewer.layers)
    _drop(elsewhere, tmp_path / "session")
    assert desk.wait(data).startswith("Opened the session")
    assert len(desk.viewer.layers) == 2 * count


def test_the_hints_say_what_can_be_dropped_where(desk):
    desk = desk()
    data = desk.turn_to("Data")
    for row in (data.phantom_path, data.stack_path):
        assert row.line.toolTip().endswith("drop it here.")
    assert any(label.text().endswith("or drop their files here.") for label in data.findChildren(QLabel))


# -- mistakes, beside what they are about


def _is_in_view(desk, widget: QWidget) -> bool:
    def inside() -> bool:
        # as a whole, and not a line of it
        return widget.isVisible() and widget.visibleRegion().boundingRect().height() == widget.height()

    desk.qtbot.waitUntil(inside, timeout=2000)
    return inside()


def test_a_mistake_stands_below_the_row_it_is_about(desk, tmp_path):
    desk = desk()
    data = desk.turn_to("Data")
    said = desk.open_phantom(tmp_path / "absent")
    assert data.phantom_path.error.text() == said
    assert _is_in_view(desk, data.phantom_path.error)
    assert not data.stack_path.error.isVisible()
    np.save(tmp_path / "text.npy", np.full((1000, 3), "text"))
    said = desk.open_stack(tmp_path / "text.npy")
    assert data.stack_path.error.text() == said
    assert _is_in_view(desk, data.stack_path.error)
    # the older one is gone
    assert not data.phantom_path.error.isVisible()
    desk.type(data.stack_path.line, "")
    assert not data.stack_path.error.isVisible()
    desk.click(data.open_stack)
    assert data.stack_path.error.text() == "No fingerprint stack is chosen; expected a file."
    np.save(tmp_path / "short.npy", np.ones((40, 3), np.float32))
    said = desk.open_stack(tmp_path / "short.npy")
    assert "expected one as long as the schedule" in said
    assert data.question.error.text().startswith(said)
    assert _is_in_view(desk, data.question.error)
    assert not data.stack_path.error.isVisible()


def test_a_mistake_in_a_folded_option_unfolds_it(desk, tmp_path):
    desk = desk()
    desk.use_spline(30)
    data = desk.turn_to("Data")
    np.save(tmp_path / "square.npy", np.ones((30, 30), np.float32))
    assert not data.stack_options.content.isVisible()
    said = desk.open_stack(tmp_path / "square.npy")
    assert data.stack_form.errors() == {"time_axis": said}
    assert data.stack_options.content.isVisible()
    assert _is_in_view(desk, data.stack_form.row("time_axis"))
    # the phantom's fields of the same names have nothing to do with it
    assert data.phantom_form.errors() == {}
    assert not data.phantom_options.content.isVisible()
    # nothing is cut off at its right, once the bar that has come has its room
    desk.qtbot.waitUntil(lambda: data._scroll.widget().width() <= data._scroll.viewport().width(), timeout=10_000)


def test_a_mistake_in_a_folded_option_of_the_map_tab(desk, tmp_path):
    desk = desk()
    desk.use_spline(30)
    np.save(tmp_path / "scan.npy", np.ones((30, 1, 4, 5), np.float32))
    desk.open_stack(tmp_path / "scan.npy")
    map_tab = desk.turn_to("Map")
    map_tab.form.set_values({"t1_range": (3000.0, 20.0)})
    assert not map_tab.options.content.isVisible()
    desk.click(map_tab.run)
    said = map_tab.jobs.message.text()
    assert map_tab.form.errors() == {"t1_range": said}
    assert _is_in_view(desk, map_tab.form.row("t1_range"))


# -- one thing at a time


def test_what_cannot_be_pressed_meanwhile_is_grey_or_says_so(desk, tmp_path, phantom_folder):
    desk = desk()
    data = desk.turn_to("Data")
    buttons = [*data.sample_buttons.values(), data.brainweb, data.open_phantom, data.open_stack,
               data.sessions.save_button, data.sessions.open_button, *data.phantom_path.buttons,
               *data.stack_path.buttons]  # fmt: skip
    refusal = "Opening the sample has not ended; wait for it, or cancel it first."
    line = data.jobs.refusal
    execute = get_app_model().commands.execute_command

    def press_return() -> None:
        data.phantom_path.line.setText(str(phantom_folder))
        desk.qtbot.keyClick(data.phantom_path.line, Qt.Key.Key_Return)

    for act in (
        press_return,
        lambda: _drop(data.phantom_path, phantom_folder),
        lambda: _drop(data, phantom_folder),
        lambda: _drop(data, tmp_path / "notes.txt"),
        lambda: execute("napari-blochnet.open_sample"),
        lambda: execute("napari-blochnet.open_phantom"),
        lambda: execute("napari-blochnet.open_fingerprints"),
        lambda: execute("napari-blochnet.open_session"),
        lambda: execute("napari-blochnet.save_session"),
    ):
        desk.click(data.sample_buttons["head-volume"])
        assert not any(button.isEnabled() for button in buttons)
        assert not line.isVisible()
        act()
        assert data.is_busy
        assert line.isVisible()
        assert line.text() == refusal
        desk.click(data.jobs.cancel)
        desk.wait(data)
        assert not line.isVisible()
        assert all(button.isEnabled() for button in buttons)
    assert len(desk.viewer.layers) == 0


def test_a_drop_on_the_viewer_meanwhile_is_refused_in_a_sentence(desk, phantom_folder):
    desk = desk()
    data = desk.turn_to("Data")
    desk.click(data.sample_buttons["head-volume"])
    notification_manager.records.clear()
    _by_hand(desk, lambda: _open(desk, phantom_folder))
    assert _said() == ["Opening the sample has not ended; wait for it, or cancel it first."]
    desk.wait(data)
    assert {entry.title for entry in desk.session.entries("phantom")} == {"synthetic head"}


def test_a_command_of_a_tab_that_is_at_work_says_so(desk):
    desk = desk()
    simulate = desk.workbench.simulate
    desk.use_spline(60)
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-volume"])
    desk.turn_to("Simulate").part.setCurrentText("all slices")
    desk.click(simulate.run)
    for command in ("simulate_fingerprints", "save_fingerprints"):
        simulate.jobs.refusal.hide()
        get_app_model().commands.execute_command(f"napari-blochnet.{command}")
        assert simulate.jobs.refusal.text() == "Simulating has not ended; wait for it, or cancel it first."
        assert simulate.jobs.refusal.isVisible()
    desk.click(simulate.jobs.cancel)
    desk.wait(simulate)
