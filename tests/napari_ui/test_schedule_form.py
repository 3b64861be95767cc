"""What is played around the pulses: edited in a form, marked and drawn to scale in the plot."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QCheckBox

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.operations.opening import make_schedule
from napari_blochnet.jobs.settings_schedules import FispSettings, ScheduleFileSettings, SplineSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.panels.schedule.played_marks import legend, mark_looks, marks_of, played_in_words
from napari_blochnet.napari_ui.panels.schedule.schedule_plot import SchedulePlot
from napari_blochnet.napari_ui.widgets.appearance import palette
from napari_blochnet.schedules.played_times import played_times
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.schedule import Schedule

WORDS = (
    "T2 preparation of 40 ms before pulse 50, then 20 ms",
    "saturation before pulse 101, efficiency 0.9",
    "T2 preparation of 40 ms before pulse 150, then 20 ms",
    "inversion before pulse 1, efficiency 0.95, TI 21 ms",
    "delay of 100 ms before pulse 180",
    "saturation before pulse 190, adiabatic",
)


@pytest.fixture
def form(qtbot):
    def make(model):
        made = SettingsForm(model)
        qtbot.addWidget(made)
        made.show()
        return made

    return make


@pytest.mark.parametrize("value", [1, 2, 17, "steady"])
def test_trains_go_in_and_come_out(form, value):
    for model in (FispSettings, ScheduleFileSettings):
        made = form(model)
        made.set_values({"trains": value})
        assert made.settings().trains == value
        made.editor("trains").number.native.setValue(9)
        assert made.settings().trains == (9 if value in (2, 17) else value)
    made.set_values({"trains": None})
    assert made.settings().trains is None


def test_preparations_go_in_and_come_out_as_one_card_where_they_are_alike(form):
    made = form(SplineSettings)
    made.set_values({"length": 210, "preparations": WORDS})
    cards = made.editor("preparations").native.cards
    assert [card.before.text() for card in cards] == ["50, 150", "101", "1", "180", "190"]
    assert make_schedule(made.settings()) == make_schedule(kind="spline", length=210, preparations=WORDS)
    assert form(ScheduleFileSettings).settings().preparations is None


def test_the_order_in_one_gap_stays_where_alike_ones_are_played(form):
    first, second = "saturation before pulse 5, then 3 ms", "T2 preparation of 20 ms before pulse 5"
    words = (first, second, second.replace("5", "9"), first.replace("5", "9"))
    made = form(SplineSettings)
    made.set_values({"preparations": words})
    assert [item.kind for item in make_schedule(made.settings()).preparations] == [
        "saturation", "t2", "t2", "saturation"
    ]  # fmt: skip


def test_a_number_of_any_precision_is_kept(form):
    made = form(SplineSettings)
    exact = Preparation(49, "t2", duration=40.123456789, delay=0.1 + 0.2)
    made.set_values({"preparations": (exact.describe(exact=True),)})
    (text,) = made.settings().preparations
    assert Preparation.from_text(text) == exact


def test_preparations_are_added_changed_and_taken_away(form, qtbot):
    made = form(SplineSettings)
    editor = made.editor("preparations").native
    heard = []
    made.changed.connect(lambda: heard.append(made.values()["preparations"]))
    add = {action.text(): action for action in editor.add.menu().actions()}
    assert list(add) == ["Inversion", "Saturation", "T2 preparation", "Delay"]
    add["T2 preparation"].trigger()
    (card,) = editor.cards
    card.before.setText("12, 40")
    card.before.editingFinished.emit()
    card.numbers["duration"].native.setValue(30.0)
    qtbot.mouseClick(card.findChild(QCheckBox), qtbot_left())
    assert heard[-1] == (
        "T2 preparation of 30 ms before pulse 12, scaled by B1", "T2 preparation of 30 ms before pulse 40, scaled by B1"
    )  # fmt: skip
    qtbot.mouseClick(card.remove, qtbot_left())
    assert heard[-1] == ()
    assert editor.cards == []


def qtbot_left():
    from qtpy.QtCore import Qt

    return Qt.MouseButton.LeftButton


def _cardiac() -> Schedule:
    """Return 16 heartbeats of 48 pulses."""
    repetition = np.full(768, 5.4)
    repetition[47::48] += 700.0
    preparations = [Preparation(48 * beat, "saturation", 8.0, 3.0, 0.9) for beat in range(1, 16)]
    preparations += [Preparation(48 * beat, "t2", 30.0, 5.0) for beat in (2, 6)]
    return Schedule(np.full(768, 15.0), repetition, 2.0, preparations=preparations, inversion_time=21.0)


def test_the_legend_counts_what_the_plot_marks():
    schedule, colours = _cardiac(), palette("dark")
    text = legend(schedule, colours)
    assert [f"{name} × {count}" in text for name, count in (("saturation", 15), ("T2 preparation", 2))] == [True, True]
    assert "inversion" in text
    assert len(set(mark_looks(schedule, colours).values())) == 3
    marks = marks_of(schedule)
    assert len(marks) == 16
    both = next(mark for mark in marks if mark.place == 96.5)
    assert sorted(both.names) == ["T2 preparation", "saturation"]


@pytest.mark.parametrize(("trains", "drawn", "said"), [
    (1, 1, "One train of"), (4, 4, "4 trains of"), (200, 4, "200 trains of"), ("steady", 2, "until they repeat")
])  # fmt: skip
def test_trains_are_drawn_to_scale_in_time(qtbot, trains, drawn, said):
    schedule = _cardiac().replace(trains=trains, recovery_time=1000.0)
    plot = SchedulePlot()
    qtbot.addWidget(plot)
    plot.apply_theme(palette("dark"))
    plot.show_schedule(schedule)
    times = played_times(schedule)
    stems = [item for item in plot._played.items if getattr(item, "opts", {}).get("connect") == "pairs"]
    assert len(stems) == drawn
    first = np.array([stem.getData()[0][0] for stem in stems])
    np.testing.assert_allclose(np.diff(first), times.period / 1000)
    np.testing.assert_allclose(stems[-1].getData()[0][::2] - first[-1], (times.pulses - times.pulses[0]) / 1000)
    assert said in plot.words.text() == played_in_words(schedule, times)
    plot.show_schedule(make_schedule())
    assert plot._drawn
    assert not [item for item in plot._played.items if getattr(item, "opts", {}).get("connect") == "pairs"]


def test_the_tab_says_what_does_not_fit_beside_the_preparations_and_remembers(desk):
    desk = desk()
    tab = desk.turn_to("Schedule")
    tab.kind.setCurrentText("Spline5")
    tab.form.set_values({"length": 60})
    assert not tab.around.isVisible()
    tab.around.set_values({"preparations": ("saturation before pulse 61",)})
    assert tab.around.isVisible()
    assert desk.session.schedule is None
    assert "60 pulses" in tab.around.errors()["preparations"]
    tab.around.set_values({"preparations": ("saturation before pulse 30",), "trains": 3, "recovery_time": 500.0})
    schedule = desk.session.schedule
    assert (schedule.trains, schedule.recovery_time, len(schedule.preparations)) == (3, 500.0, 1)
    assert tab.around.errors() == {}
    # made anew from what a session or a stack holds
    tab.kind.setCurrentText("FISP (Jiang 2015)")
    assert desk.session.schedule.is_plain
    tab.show_schedule(schedule)
    assert tab.around.values()["trains"] == 3
    tab.make()
    assert desk.session.schedule == schedule


def test_a_pulseq_file_is_read_in_the_background_and_says_what_it_was_understood_as(desk, shared_data):
    desk = desk()
    tab = desk.turn_to("Schedule")
    tab.kind.setCurrentText("From a file")
    tab.form.editor("path")._take(str(shared_data / "pulseq" / "cardiac.seq"))
    assert tab.is_busy
    desk.wait(tab)
    assert "give Spin locks" in tab.form.errors()["spin_lock"]
    # it states the rest itself
    assert not tab.form.row("flip_angle").isVisible()
    tab.form.set_values({"spin_lock": "t2"})
    desk.wait(tab)
    schedule = desk.session.schedule
    assert len(schedule) == 768
    assert tab.form.errors() == {}
    said = tab.understood.text()
    assert "4 adiabatic inversions" in said
    assert "Not modelled" in said
    assert "fat saturation × 13" in tab.plot.legend.text()
    # what was simulated is not simulated again
    tab.make()
    assert not tab.is_busy
    assert desk.session.schedule is schedule
    # the Data tab, too
    data = desk.turn_to("Data")
    question = data.question
    question.choice.setCurrentText("the schedule of a file")
    question.form.set_values({"path": str(shared_data / "pulseq" / "cardiac.seq"), "spin_lock": "t2"})
    question._on_form()
    with pytest.raises(InputError, match=r"cardiac\.seq is being read"):
        question.schedule()
    desk.wait(data)
    assert question.schedule() == schedule
    assert "4 adiabatic inversions" in question.line.text()
