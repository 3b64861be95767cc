"""Preparations, recovery and repeated trains of a schedule: their rules, their words, and what is equal."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.schedule import Schedule

# Of `fisp_schedule()` as the version before preparations computed it; records and model cards hold it.
_DIGEST_BEFORE = "1b8792b83a29e7d8e26dafc64132f959741333728dad9468a375c55cb8d584dc"
_PLAIN = Schedule([10.0, 60.0, 25.0, 40.0], [12.0, 90.0, 15.0, 12.0], 3.0, name="four")


def _response(seed: int = 0) -> PreparationResponse:
    random = np.random.default_rng(seed)
    return PreparationResponse([100, 1000], [10, 50, 200], [0.9, 1.1], *random.normal(size=(2, 2, 3, 2)))


_EVERY = (
    Preparation(0, "inversion", 10.2, 5.0, 0.95),
    Preparation(0, "delay", delay=100 / 3),
    Preparation(2, "saturation", delay=7.5, adiabatic=True, name="water, selective"),
    Preparation(2, "t2", 50.0, 20.0, 0.9, adiabatic=False),
    Preparation(3, "simulated", 8.0, 1.0, response=_response(), name="MLEV-4"),
)


def test_digests_and_dictionaries_of_earlier_versions_stay() -> None:
    assert fisp_schedule().digest == _DIGEST_BEFORE
    assert fisp_schedule(recovery_time=1000.0).digest == _DIGEST_BEFORE  # what is played after the only train
    known = {"flip_angle", "repetition_time", "echo_time", "rf_phase", "inversion_time", "inversion_efficiency"}
    assert _PLAIN.to_dict().keys() == known | {"slice_profile", "receiver_phase", "name", "record"}
    assert _PLAIN.is_plain


def test_what_acts_on_the_signal_makes_another_schedule() -> None:
    inversion, saturation = Preparation(0, "inversion"), Preparation(0, "saturation")
    preparations = [
        *((item,) for item in _EVERY),
        (Preparation(2, "saturation"),),
        (Preparation(2, "saturation", adiabatic=True),),
        (Preparation(1, "saturation"),),
        (Preparation(2, "saturation", efficiency=0.9),),
        (Preparation(2, "saturation", 1.0),),
        (Preparation(2, "simulated", response=_response(1)),),
        (Preparation(2, "simulated", response=_response(2)),),
        (saturation, inversion),
        (inversion, saturation),
    ]
    trains = [{"trains": 2}, {"trains": "steady"}, {"trains": 2, "recovery_time": 1.0}]
    several = [_PLAIN.replace(**each) for each in [*({"preparations": item} for item in preparations), *trains]]
    assert not any(schedule.is_plain for schedule in several)
    assert len({_PLAIN.digest, *(schedule.digest for schedule in several)}) == len(several) + 1
    assert len({_PLAIN, *several}) == len(several) + 1


def test_an_inversion_before_the_train_is_the_inversion_of_the_schedule() -> None:
    ahead = Preparation(0, "saturation", delay=3.0)
    one = _PLAIN.replace(preparations=[ahead, Preparation(0, "inversion", delay=20.0, efficiency=0.9)])
    other = _PLAIN.replace(preparations=[ahead], inversion_time=20.0, inversion_efficiency=0.9)
    assert one == other
    assert one.all_preparations == other.all_preparations
    assert one.duration == other.duration == 129.0 + 23.0
    # another one is played before that of the schedule's own time
    both = other.replace(preparations=[Preparation(0, "inversion", delay=5.0)])
    assert [item.delay for item in both.all_preparations] == [5.0, 20.0]


def test_order_of_play_and_names() -> None:
    shuffled = [_EVERY[4], _EVERY[2], _EVERY[0], _EVERY[3], _EVERY[1]]
    schedule = _PLAIN.replace(preparations=shuffled)
    assert schedule.preparations == _EVERY
    assert [item.name for item in schedule.preparations if item.name] == ["water, selective", "MLEV-4"]
    unnamed = [Preparation.from_dict({**item.to_dict(), "name": ""}) for item in _EVERY]
    assert schedule == _PLAIN.replace(preparations=unnamed)
    # of two before one pulse the first is played first
    turned = _PLAIN.replace(preparations=[*_EVERY[:2], _EVERY[3], _EVERY[2], _EVERY[4]])
    assert turned != schedule


def test_everything_comes_back_from_json() -> None:
    schedule = _PLAIN.replace(preparations=_EVERY, recovery_time=1000 / 3, trains="steady", inversion_time=0.1 + 0.2)
    again = Schedule.from_dict(json.loads(json.dumps(schedule.to_dict())))
    assert again == schedule
    assert again.to_dict() == schedule.to_dict()
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_a_response_is_written_once() -> None:
    several = [Preparation(n, "simulated", 1.0, response=_response(n // 2)) for n in range(4)]
    schedule = _PLAIN.replace(preparations=several)
    content = json.loads(json.dumps(schedule.to_dict()))
    assert [type(item["response"]) for item in content["preparations"]] == [dict, int, dict, int]
    assert Schedule.from_dict(content) == schedule
    content["preparations"][1]["response"] = 1
    with pytest.raises(InputError, match="A preparation's response is 1; expected an object with the entries a, b, b1"):
        Schedule.from_dict(content)


@pytest.mark.parametrize("item", _EVERY[:4], ids=lambda item: item.kind)
def test_words_say_all_of_it(item: Preparation) -> None:
    again = Preparation.from_text(item.describe(exact=True))
    assert again == item
    assert again.name == item.name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("inversion before pulse 1, TI 20 ms", Preparation(0, "inversion", delay=20.0)),
        ("Inversion of 10 ms before pulse 3, efficiency 0.95", Preparation(2, "inversion", 10.0, efficiency=0.95)),
        ("T2 prep of 0.05 s before pulse 12, then 500 us", Preparation(11, "t2", 50.0, 0.5)),
        ("t2 of 50 ms before pulse 12, scaled by B1", Preparation(11, "t2", 50.0, adiabatic=False)),
        ("saturation before pulse 5,then  3 ms , adiabatic", Preparation(4, "saturation", delay=3.0, adiabatic=True)),
        ("delay of 1.5 s before pulse 100", Preparation(99, "delay", delay=1500.0)),
    ],
)
def test_words_of_people(words: str, expected: Preparation) -> None:
    assert Preparation.from_text(words) == expected
    assert Schedule([5.0] * 100, 5000.0, 2.0, preparations=[words]).preparations == (expected,)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("inversion", "'inversion' is no preparation; expected words such as 'T2 preparation of 50 ms before pulse 12"),
        ("spin lock before pulse 3", "'spin lock before pulse 3' is no preparation"),
        ("t2 of 50 before pulse 3", "is no preparation"),
        ("inversion before pulse 0", "counts pulses from 0; expected the first to be pulse 1"),
        ("inversion before pulse 2, efficiency high", "'efficiency high' of the preparation"),
        ("inversion before pulse 2, then 1 ms, TI 2 ms", "'TI 2 ms' of the preparation"),
        (
            "inversion before pulse 2, efficiency 1.5",
            "the efficiency of the inversion before pulse 2 is 1.5; expected fr",
        ),
        ("simulated before pulse 2, response 1", "'response 1' of the preparation"),
        ("T2 preparation before pulse 3", "the T2 preparation before pulse 3 has no duration; expected its echo time"),
    ],
)
def test_words_that_say_something_else(words: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Preparation.from_text(words)
    assert sentence in str(caught.value)
    assert caught.value.field == "preparations"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-1, "inversion"), "A preparation's before is -1; expected the number of a pulse, from 0"),
        ((True, "inversion"), "A preparation's before is True"),
        ((1.5, "inversion"), "A preparation's before is 1.5"),
        ((0, "spin lock"), "A preparation of the kind 'spin lock'; expected one of 'inversion', 'saturation', 't2'"),
        ((0, "inversion", -1.0), "the duration of the inversion before pulse 1 is -1 ms; expected at least 0 ms"),
        ((0, "inversion", 0.0, np.inf), "the delay of the inversion before pulse 1 is inf ms"),
        ((0, "inversion", 0.0, 0.0, 1.0, False), "is not adiabatic; such an inversion is not modelled"),
        ((0, "saturation", 0.0, 0.0, 1.0, 2), "adiabatic of the saturation before pulse 1 is 2; expected true, false"),
        ((0, "delay", 5.0), "the delay before pulse 1 has a duration; expected its length as its delay alone"),
        ((0, "delay", 0.0, 5.0, 0.5), "the delay before pulse 1 has neither efficiency nor adiabatic"),
        ((0, "simulated"), "has no response; expected a PreparationResponse with kind 'simulated'"),
        (
            (0, "t2", 5.0, 0.0, 1.0, None, _response()),
            "has a response; expected a PreparationResponse with kind 'simul",
        ),
    ],
)
def test_preparations_out_of_range(arguments: tuple, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Preparation(*arguments)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"t1": [200, 100]}, "the response's t1 does not ascend from above 0"),
        ({"b1": [0.0, 1.0]}, "the response's b1 does not ascend from above 0"),
        ({"a": np.zeros((2, 3))}, r"the response's a has shape (2, 3); expected (2, 3, 2)"),
        ({"b": np.full((2, 3, 2), np.nan)}, "the response's b holds nan; expected finite numbers"),
    ],
)
def test_responses_that_are_none(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        PreparationResponse(**{**_response().to_dict(), **changes})
    assert sentence in str(caught.value)


def test_a_preparation_has_to_fit_into_its_gap() -> None:
    # TR 90 ms less TE 3 ms: all of it may be taken, and no more
    filled = _PLAIN.replace(preparations=[Preparation(2, "t2", 47.0), Preparation(2, "delay", delay=40.0)])
    assert filled.duration == _PLAIN.duration == 129.0
    with pytest.raises(InputError) as caught:
        _PLAIN.replace(preparations=["T2 preparation of 47 ms before pulse 3", "delay of 40.1 ms before pulse 3"])
    assert str(caught.value) == (
        "what is played before pulse 3 takes 87.1 ms, where pulse 2 leaves 87 ms between its sample and the end of its "
        "TR; expected preparations that fit, or a longer TR there."
    )
    with pytest.raises(InputError, match="before pulse 5 where the schedule has 4 pulses; expected one of pulses 1 to"):
        _PLAIN.replace(preparations=["saturation before pulse 5"])
    # before the train there is room for all
    assert _PLAIN.replace(preparations=["T2 preparation of 500 ms before pulse 1"]).duration == 629.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trains": 0}, "trains is 0; expected how many are played, at least 1, or 'steady'"),
        ({"trains": 10**30}, "trains is 1000000000000000000000000000000; expected how many are played"),
        ({"trains": True}, "trains is True"),
        ({"trains": 2.5}, "trains is 2.5"),
        ({"trains": "forever"}, "trains is 'forever'"),
        ({"recovery_time": -1.0}, "recovery_time is -1 ms; expected at least 0 ms"),
        ({"preparations": "saturation before pulse 2"}, "preparations is 'saturation before pulse 2'; expected a list"),
        ({"preparations": 3}, "preparations is 3; expected a list of preparations"),
        ({"preparations": [3]}, "A preparation is 3; expected an object with the entries before, kind"),
        ({"preparations": [{"before": 1, "kind": "t2", "te": 50}]}, "A preparation has unknown entries te"),
        ({"preparations": [{"kind": "t2"}]}, "A preparation has missing entries before"),
    ],
)
def test_mistakes_around_the_pulses(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        _PLAIN.replace(**changes)
    assert sentence in str(caught.value)
    assert caught.value.field in changes


def test_time_of_all_that_is_played() -> None:
    prepared = _PLAIN.replace(preparations=_EVERY[:2], inversion_time=20.0)
    one = 129.0 + 15.2 + 100 / 3 + 20.0
    assert prepared.duration == pytest.approx(one)
    assert prepared.replace(trains=4, recovery_time=1000.0).duration == pytest.approx(4 * one + 3 * 1000.0)
    assert prepared.replace(trains="steady", recovery_time=1000.0).duration == pytest.approx(one + 1000.0)


def test_described_for_people() -> None:
    words = _PLAIN.replace(inversion_time=28.0, trains=4, recovery_time=1000.0).describe()
    assert words.endswith("TE 3 ms, inversion, TI 28 ms, the last of 4 trains, 1000 ms of recovery between")
    assert (
        _PLAIN.replace(trains="steady").describe().endswith("trains repeated to the steady state, no recovery between")
    )
    few = _PLAIN.replace(preparations=[_EVERY[3]]).describe()
    assert few.endswith("TE 3 ms, T2 preparation of 50 ms before pulse 3, efficiency 0.9, scaled by B1, then 20 ms")
    many = _PLAIN.replace(preparations=[*_EVERY, Preparation(0, "saturation")]).describe()
    assert many.endswith("1 inversion, 1 delay, 2 saturations, 1 T2 preparation, 1 simulated preparation")


@pytest.mark.parametrize("make", [fisp_schedule, spline_schedule])
def test_generated_trains_make_room(make: Any) -> None:
    plain, words = (
        make(echo_time=5.0),
        ["saturation before pulse 1", "T2 preparation of 50 ms before pulse 12, then 20 ms"],
    )
    prepared = make(echo_time=5.0, preparations=words, trains="steady", recovery_time=500.0)
    longer = prepared.repetition_time - plain.repetition_time
    assert np.flatnonzero(longer).tolist() == [10]
    assert longer[10] == pytest.approx(70.0)
    assert (prepared.trains, prepared.recovery_time) == ("steady", 500.0)
    assert prepared.replace(preparations=(), trains=1, repetition_time=plain.repetition_time) == plain


def test_a_change_forgets_how_it_was_made() -> None:
    made = _PLAIN.replace(record={"operation": "make_schedule"})
    assert made.replace(name="other").record == made.record
    assert made.replace(trains=2).record == {}
    assert made.replace(trains=2, record={"operation": "given"}).record == {"operation": "given"}
