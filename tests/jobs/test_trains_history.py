"""A schedule with preparations and repeated trains, kept by files, records, recipes, scripts and commands."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
from napari_blochnet.jobs.records import as_recipe

# a complete saturation would end what an earlier train leaves
_WORDS = ("saturation before pulse 1, efficiency 0.8, then 5 ms", "T2 preparation of 50 ms before pulse 12, then 20 ms")


@pytest.fixture(scope="module")
def stack():
    head = synthetic_head(shape=(3, 12, 10), seed=3)
    schedule = make_schedule(
        kind="spline", length=30, seed=2, preparations=_WORDS, recovery_time=500.0, trains=3, inversion_time=None
    )
    return nb.simulate(head, schedule, snr=25, seed=7)


def test_a_stack_carries_all_of_its_schedule(stack, tmp_path):
    path = tmp_path / "stack.nii.gz"
    write_fingerprints(stack, path)
    again = nb.read_fingerprints(path)
    assert again.schedule == stack.schedule
    assert (again.schedule.trains, again.schedule.recovery_time) == (3, 500.0)
    assert [item.describe() for item in again.schedule.preparations] == list(_WORDS)


def test_what_is_played_around_the_pulses_is_in_the_signal(stack):
    head = synthetic_head(shape=(3, 12, 10), seed=3)
    for changes in ({"trains": 2}, {"recovery_time": 0.0}, {"preparations": stack.schedule.preparations[:1]}):
        other = nb.simulate(head, stack.schedule.replace(**changes))
        same = nb.simulate(head, stack.schedule)
        assert np.abs(other.data - same.data)[:, same.mask].max() > 1e-4, changes


def test_recipe_script_and_commands_make_it_again(stack, tmp_path, monkeypatch):
    recipe = json.loads(json.dumps(as_recipe(stack.record)))
    np.testing.assert_array_equal(run_recipe(recipe)[-1].data, stack.data)
    space = {}
    exec(as_python(stack.record), space)
    np.testing.assert_array_equal(space["stack"].data, stack.data)
    monkeypatch.chdir(tmp_path)
    command = next(line for line in as_command(stack.record).splitlines() if "schedule" in line)
    words = shlex.split(command)
    assert words.count("--preparation") == 2
    done = CliRunner().invoke(blochnet, words[1:])
    assert done.exit_code == 0, done.output
    assert nb.read_schedule(words[-1]) == stack.schedule


def test_a_schedule_given_in_python_is_written_whole(stack):
    given = nb.simulate(synthetic_head(shape=(3, 12, 10), seed=3), stack.schedule.replace(trains="steady"), seed=7)
    space = {}
    exec(as_python(given.record), space)
    np.testing.assert_array_equal(space["stack"].data, given.data)


def test_settings_of_earlier_versions_play_one_train():
    old = {"operation": "make_schedule", "settings": {"kind": "spline", "length": 20, "seed": 8}}
    (schedule,) = run_recipe({"blochnet_recipe": 1, "steps": [old]})
    assert schedule.is_plain


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trains": 0}, "trains is 0; expected how many are played, at least 1, or 'steady'"),
        ({"trains": "many"}, "trains is 'many'; expected how many"),
        ({"recovery_time": -1.0}, "recovery_time is -1"),
        ({"preparations": ["t2 before pulse 3"]}, "the T2 preparation before pulse 3 has no duration"),
        ({"preparations": ["saturation before pulse 31"]}, "before pulse 31 where the schedule has 30 pulses"),
    ],
)
def test_mistakes_point_at_their_field(changes, sentence):
    with pytest.raises(InputError) as caught:
        make_schedule(kind="spline", length=30, **changes)
    assert sentence in str(caught.value)
    assert caught.value.field == next(iter(changes))


@pytest.mark.parametrize("trains", ["4", 4, "steady"])
def test_a_command_gives_trains_as_a_word(trains):
    assert make_schedule(kind="spline", length=30, trains=trains).trains == (4 if trains != "steady" else "steady")
