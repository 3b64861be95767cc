"""Forms say what the settings models say, and give them back."""

from __future__ import annotations

import pytest
from pydantic import Field
from qtpy.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QLineEdit, QPushButton

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs import settings as models
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.jobs.settings_comparing import CompareSettings
from napari_blochnet.jobs.settings_schedules import FispSettings, ScheduleFileSettings, SplineSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm

ALL = [
    FispSettings,
    SplineSettings,
    ScheduleFileSettings,
    models.PhantomSettings,
    models.FingerprintsSettings,
    models.SimulateSettings,
    models.ReconstructSettings,
    CompareSettings,
]


@pytest.fixture
def form(qtbot):
    def make(model, **more):
        made = SettingsForm(model, **more)
        qtbot.addWidget(made)
        made.show()
        return made

    return make


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_untouched_form_gives_the_defaults(form, model):
    assert form(model).settings() == model()


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_control_says_what_it_is(form, model):
    made = form(model)
    labels = {label.text() for label in made.findChildren(QLabel)}
    for name in made.fields:
        field = model.model_fields[name]
        assert field.title in labels or name == "kind"
        tooltip = made.editor(name).native.toolTip()
        assert (field.description or "") in tooltip
        unit = (field.json_schema_extra or {}).get("unit", "")
        assert unit in tooltip


def test_values_go_in_and_come_out(form):
    made = form(models.SimulateSettings)
    wanted = models.SimulateSettings(snr=12.5, seed=7, kind="magnitude", slices=(3, 9), tolerance=2e-5)
    made.set_values(wanted.model_dump())
    assert made.settings() == wanted
    made.set_values({"snr": None, "slices": None})
    assert made.settings(seed=1) == models.SimulateSettings(kind="magnitude", tolerance=2e-5, seed=1)


def test_bounds_come_from_the_model(form):
    spline, fisp = form(SplineSettings), form(FispSettings)
    box = spline.editor("length").native
    assert (box.minimum(), box.maximum()) == (2, 20_000)
    box = fisp.editor("echo_time").native
    assert (box.minimum(), box.maximum(), box.suffix()) == (0.0, 11.6, " ms")


class _Strict(Settings):
    """Two numbers, one of which the widget cannot bound by itself."""

    above: float = Field(1.0, gt=0, title="Above zero", description="More than 0.", json_schema_extra={"unit": "ms"})
    other: int = Field(2, ge=0, title="Other", description="Any.", json_schema_extra={"unit": ""})


def test_the_models_sentence_stands_beside_the_field(form, qtbot):
    made = form(_Strict)
    made.set_values({"above": 0.0})
    with pytest.raises(InputError) as caught:
        made.settings()
    assert made.errors() == {"above": str(caught.value)}
    assert "greater than 0" in str(caught.value)
    made.editor("other").native.setValue(5)
    assert made.errors() == {}


def test_small_numbers_are_typed_as_people_write_them(form, qtbot):
    made = form(models.SimulateSettings)
    box = made.editor("tolerance").native
    box.selectAll()
    qtbot.keyClicks(box, "3e-5")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert box.value() == pytest.approx(3e-5)
    assert box.text() == "3e-05"


def test_the_wheel_scrolls_the_panel_and_changes_nothing(form):
    made = form(SplineSettings)
    box = made.editor("length").native
    box.clearFocus()
    before = box.value()
    centre = box.rect().center()
    turn = QWheelEvent(
        QPointF(centre), QPointF(box.mapToGlobal(centre)), QPoint(0, 0), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    assert turn.type() == QEvent.Type.Wheel
    QApplication.sendEvent(box, turn)
    assert box.value() == before


PATHS = [
    (ScheduleFileSettings, "path", "scan.csv"),
    (models.PhantomSettings, "tissues", "tissues.csv"),
    (models.ReconstructSettings, "b1", "b1.nii.gz"),
]


@pytest.mark.parametrize(("model", "name", "file"), PATHS)
def test_a_field_that_may_name_a_file_has_browse(form, qtbot, tmp_path, model, name, file):
    made = form(model)
    editor = made.editor(name)
    assert made.settings() == model()
    (tmp_path / file).write_bytes(b"")
    filters = []

    def answer():
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog):
            QTimer.singleShot(50, answer)
            return
        filters.append(dialog.selectedNameFilter())
        line = dialog.findChild(QLineEdit, "fileNameEdit")
        line.setText(str(tmp_path / file))
        qtbot.keyClick(line, Qt.Key.Key_Return)

    QTimer.singleShot(50, answer)
    (browse,) = (button for button in editor.native.findChildren(QPushButton) if button.text() == "Browse…")
    with qtbot.waitSignal(made.changed):
        qtbot.mouseClick(browse, Qt.MouseButton.LeftButton)
    assert made.values()[name] == str(tmp_path / file)
    assert f"*.{file.split('.', 1)[1]}" in filters[0]


@pytest.mark.parametrize(("model", "name", "file"), PATHS)
def test_a_file_is_dropped_on_its_field(form, qtbot, tmp_path, model, name, file):
    made = form(model)
    line = made.editor(name).line.native
    assert line.isEnabled()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / file))])
    where, action = QPointF(line.rect().center()), Qt.DropAction.CopyAction
    rest = (data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(where.toPoint(), action, *rest)
    QApplication.sendEvent(line, enter)
    assert enter.isAccepted()
    with qtbot.waitSignal(made.changed):
        QApplication.sendEvent(line, QDropEvent(where, action, *rest))
    assert made.values()[name] == str(tmp_path / file)
    # an empty line is none again, where none is allowed
    line.clear()
    assert made.values()[name] == (None if model is models.ReconstructSettings else "")


def test_a_click_where_a_value_goes_ticks_it(form, qtbot):
    made = form(ScheduleFileSettings, starts={"inversion_time": 0.0})
    qtbot.waitExposed(made)
    edit = made.editor("inversion_time")
    heard = []
    made.changed.connect(lambda: heard.append(made.values()["inversion_time"]))
    assert made.values()["inversion_time"] is None
    box = edit.inner.native

    def click():
        # as the window system does it: what is disabled hears of nothing else
        where = box.mapTo(made, QPoint(12, box.height() // 2))
        qtbot.mouseClick(made.windowHandle(), Qt.MouseButton.LeftButton, pos=where)

    click()
    assert edit.tick.value
    assert box.isEnabled()
    assert heard == [0.0]
    # what is typed takes the place of the value it begins with
    qtbot.keyClicks(box, "15")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert made.values()["inversion_time"] == 15.0
    click()
    assert made.values()["inversion_time"] == 15.0
    # a form that nothing can be done with stays as it is
    edit.tick.value = False
    made.setEnabled(False)
    click()
    assert made.values()["inversion_time"] is None
