"""The list of estimators: what fits the data first, and long names of trained models push nothing away."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QStyle, QStyleOptionButton

from napari_blochnet.estimators.offers import Offer
from napari_blochnet.napari_ui.widgets.estimator_choice import EstimatorChoice

LONG = "blochnet-fisp-1000-pulses-patient-study-2026-trained-on-the-cluster-"
OFFERS = (
    Offer("dictionary", "a grid"),
    Offer("universal", "any schedule"),
    Offer(f"{LONG}first", "own", is_own=True),
    Offer(f"{LONG}second", "own", "trained for another schedule", is_own=True),
    Offer("mine", "own", "trained for another schedule", is_own=True),
    Offer("fc", "a network"),
    Offer("rnn", "a network", "no weights"),
    Offer(f"{LONG}third", "own", is_own=True),
)


@pytest.fixture
def choice(qtbot):
    made = EstimatorChoice()
    qtbot.addWidget(made)
    made.set_offers(OFFERS)
    made.resize(320, made.sizeHint().height())
    with qtbot.waitExposed(made):
        made.show()
    return made


def _place(choice, name) -> tuple[int, int]:
    at = choice.box(name).mapTo(choice, QPoint(0, 0))
    return at.y(), at.x()


def test_what_fits_comes_first_and_short_names_before_long_ones(choice):
    order = sorted((offer.name for offer in OFFERS), key=lambda name: _place(choice, name))
    assert order == [
        "dictionary", "universal", "fc", f"{LONG}first", f"{LONG}third", "mine", "rnn", f"{LONG}second"
    ]  # fmt: skip
    # two columns
    assert _place(choice, "dictionary")[0] == _place(choice, "universal")[0]
    # those that do not fit begin a row
    assert _place(choice, "mine")[1] == _place(choice, "dictionary")[1]
    assert choice.box("fc").isEnabled()
    assert not choice.box("rnn").isEnabled()


def test_long_names_stay_inside_and_can_be_told_apart(choice):
    assert choice.minimumSizeHint().width() <= 320
    texts = []
    for offer in OFFERS:
        box = choice.box(offer.name)
        assert box.geometry().right() <= choice.contentsRect().right()
        option = QStyleOptionButton()
        box.initStyleOption(option)
        room = box.style().subElementRect(QStyle.SubElement.SE_CheckBoxContents, option, box).width()
        assert box.fontMetrics().horizontalAdvance(box.text()) <= room
        assert offer.name in box.toolTip()
        assert offer.name in box.accessibleName()
        texts.append(box.text())
    assert len(set(texts)) == len(texts)
    assert {"dictionary", "universal", "fc", "rnn", "mine"} <= set(texts)


def test_the_order_of_what_is_mapped_is_that_of_the_list(choice):
    choice.tick(["fc", "dictionary", f"{LONG}third"])
    assert choice.chosen == ["dictionary", "fc", f"{LONG}third"]
