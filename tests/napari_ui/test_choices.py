"""Choices among what is open know things by themselves, not by their texts."""

from __future__ import annotations

import pytest
from magicgui.widgets import create_widget

from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.widgets.choices import OpenChoice, SubjectChoice
from napari_blochnet.phantoms.phantom import Phantom


class _Shelf:
    """Things with texts, which come and go."""

    def __init__(self, *texts: str) -> None:
        self.items = [(text, object()) for text in texts]

    def __call__(self):
        return self.items


@pytest.fixture
def choice(qtbot):
    def make(shelf, **more):
        made = OpenChoice(shelf, **more)
        qtbot.addWidget(made.native)
        told = []
        made.changed.connect(told.append)
        return made, told

    return make


def test_things_with_one_name_are_two(choice):
    shelf = _Shelf("head", "head")
    (_, first), (_, second) = shelf.items
    made, told = choice(shelf)
    assert made.choices == (first, second)
    made.native.setCurrentIndex(1)
    assert (made.value, told) == (second, [second])
    # another thing of that name is another thing
    shelf.items[1] = ("head", object())
    made.reset_choices()
    assert made.value is first
    assert told == [second, first]


def test_a_choice_stays_while_others_come_and_it_is_renamed(choice):
    shelf = _Shelf("a", "b")
    made, told = choice(shelf, newest=True)
    kept = made.value
    assert kept is shelf.items[1][1]
    shelf.items = [("new", object()), ("b, renamed", kept), ("newer", object())]
    made.reset_choices()
    assert made.value is kept
    assert made.current_choice == "b, renamed"
    assert told == []


def test_the_newest_takes_the_place_of_what_has_gone(choice):
    shelf = _Shelf("a", "b", "c")
    made, told = choice(shelf, nothing="nothing is open", newest=True)
    made.value = shelf.items[0][1]
    del shelf.items[0]
    made.reset_choices()
    assert made.value is shelf.items[-1][1]
    shelf.items.clear()
    made.reset_choices()
    assert (made.value, made.current_choice, len(made)) == (None, "nothing is open", 1)
    assert told[-1] is None


def test_none_may_be_chosen_where_it_is_offered(choice):
    shelf = _Shelf("a")
    made, told = choice(shelf, nothing="none", nullable=True, newest=True)
    assert (made.value, made.current_choice) == (None, "none")
    made.value = shelf.items[0][1]
    made.native.setCurrentIndex(0)
    assert told == [shelf.items[0][1], None]


@pytest.mark.parametrize("kind", [Phantom, FingerprintStack, ParameterMaps])
def test_magicgui_offers_what_is_open_for_our_types(desk, kind):
    desk = desk()
    # as a function of somebody else's would ask, with the viewer in use
    theirs = create_widget(annotation=kind)
    desk.qtbot.addWidget(theirs.native)
    assert isinstance(theirs, SubjectChoice)
    desk.workbench.data.open_sample("noisy-fingerprints")
    desk.wait(desk.workbench.data)
    theirs.reset_choices()
    found = [] if kind is ParameterMaps else [entry.subject for entry in desk.session.entries(theirs._kind)]
    assert [choice for choice in theirs.choices if choice is not None] == found
    assert bool(found) == (kind is not ParameterMaps)


def test_a_name_stays_chosen_though_qt_hands_out_copies_of_it(choice):
    shelf = _Shelf()
    shelf.items = [(name, "".join(name)) for name in ("auto", "cpu", "cuda:0")]
    made, told = choice(shelf)
    made.value = "cpu"
    assert told == ["cpu"]
    shelf.items = [("new", "new"), *shelf.items]
    made.reset_choices()
    assert made.value == "cpu"
    made.reset_choices()
    assert told == ["cpu"]
