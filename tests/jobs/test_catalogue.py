"""The catalogue: one entry is all that records, recipes, scripts and the command line know of an operation."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.cli.operation_commands import add_operation
from napari_blochnet.jobs.catalogue import KINDS, OPERATIONS, Input, Operation, operation_of
from napari_blochnet.jobs.history.recipes import run_recipe, write_results
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, open_phantom, synthetic_head
from napari_blochnet.jobs.records import as_recipe

EVERY = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name + each.variant)


@EVERY
def test_an_entry_says_what_its_function_is(operation):
    """Inputs, settings and what is watched are the function's own, in its order; what its command names is there."""
    takes = inspect.signature(resolve_name(operation.function)).parameters
    inputs = [each.name for each in operation.inputs]
    assert [name for name in takes if name in inputs] == inputs
    assert "settings" in takes
    assert ("progress" in takes) == ("cancelled" in takes) == operation.watched
    assert ("device" in takes) == operation.device
    named = {what for _, what, _ in operation.words() if what}
    assert named <= {*inputs, *operation.settings.model_fields}
    assert operation.first in {"", *operation.settings.model_fields}
    for each in operation.inputs:
        assert each.kind in {"", *KINDS}
        assert not each.optional or takes[each.name].default is not inspect.Parameter.empty
        assert each.optional or each.name in named
    assert callable(getattr(nb, operation.python_name.removeprefix("nb.")))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_names_its_class_and_what_writes_it(kind):
    assert inspect.isclass(resolve_name(kind.type))
    takes = inspect.signature(resolve_name(kind.write)).parameters
    assert len(takes) >= 2
    assert not kind.watched or "progress" in takes


def test_one_name_may_stand_for_several_kinds():
    assert operation_of("make_schedule", {"kind": "spline"}).python_name == "nb.spline_schedule"
    assert operation_of("nothing", {}) is None
    with pytest.raises(nb.InputError, match="The kind of schedule is 'x'; expected one of fisp, spline, file"):
        operation_of("make_schedule", {"kind": "x"})


# -- an operation of somebody else's: one file, toy_operation.py, and one entry


@pytest.fixture
def fade(monkeypatch):
    """The function of an operation that the catalogue has an entry of."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import toy_operation

    entry = Operation(
        "fade", "toy_operation:fade", toy_operation.FadeSettings, "phantom",
        (Input("phantom", "phantom"), Input("schedule", "schedule", optional=True),
         Input("mask", optional=True, by_name=True)),
        command="fade --phantom {phantom} --schedule {schedule}", summary="Fade a phantom.",
    )  # fmt: skip
    OPERATIONS.append(entry)
    monkeypatch.setattr(blochnet, "commands", dict(blochnet.commands))
    add_operation(blochnet, entry)
    yield toy_operation.fade
    OPERATIONS.remove(entry)


@pytest.fixture
def head():
    return synthetic_head(shape=(4, 24, 20), seed=3)


def test_a_new_operation_is_made_again_in_every_form(fade, head, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faded = fade(head, make_schedule(kind="fisp"), percent=25, side="left", whole=False, slices=None)
    again = run_recipe(as_recipe(faded.record))
    np.testing.assert_array_equal(again[-1].pd, faded.pd)
    assert [path.name for path in write_results(again, "results")] == ["phantom", "schedule.csv", "phantom_2"]
    text = as_python(faded.record)
    assert "from toy_operation import fade\n" in text
    assert "phantom_2 = fade(phantom, schedule, percent=25.0, side='left', whole=False, slices=None)\n" in text
    names: dict = {}
    exec(compile(text, "<copied>", "exec"), names)
    np.testing.assert_array_equal(names["phantom_2"].pd, faded.pd)
    commands = as_command(faded.record)
    assert commands.splitlines()[-1] == (
        "blochnet fade --phantom phantom --schedule schedule.csv --percent 25.0 --side left --no-whole --no-slices "
        "-o phantom_2"
    )
    for line in commands.splitlines():
        done = CliRunner().invoke(blochnet, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
    assert done.output.endswith("Written to phantom_2.\n")
    np.testing.assert_allclose(open_phantom("phantom_2").pd, faded.pd, rtol=5e-7)


def test_a_new_operation_with_what_was_painted(fade, head):
    faded = fade(head, mask=head.mask & (head.t1 > 1000))
    np.testing.assert_array_equal(run_recipe(as_recipe(faded.record))[-1].pd, faded.pd)
    names: dict = {}
    exec(compile(as_python(faded.record), "<copied>", "exec"), names)
    np.testing.assert_array_equal(names["phantom_2"].pd, faded.pd)
    with pytest.raises(nb.InputError, match="The region was painted"):
        as_command(faded.record)


def test_the_command_of_a_new_operation_is_complete(fade, head, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = " ".join(CliRunner().invoke(blochnet, ["fade", "--help"]).output.split())
    for word in ("Fade a phantom.", "--phantom", "--schedule", "--percent", "What remains of the proton density. [%]",
                 "(default: 50.0)", "--side", "[left|right]", "--whole / --no-whole", "--slices", "--no-slices",
                 "-o, --output", "--voxel-size"):  # fmt: skip
        assert word in text, word
    assert "--device" not in text
    made = CliRunner().invoke(blochnet, ["phantom", "--synthetic", "--shape", "4", "24", "20", "-o", "head"])
    assert made.exit_code == 0
    done = CliRunner().invoke(blochnet, ["fade", "--phantom", "head", "--percent", "13", "-o", "out"])
    assert (done.exit_code, done.stderr) == (2, "blochnet: percent is 13; expected another.\n")
    assert not Path("out").exists()
    done = CliRunner().invoke(blochnet, ["--json", "fade", "--phantom", "head", "-o", "out"])
    assert '"output": "out"' in done.stdout
    assert "fade" in CliRunner().invoke(blochnet, ["--help"]).output


def test_recipes_know_the_new_operation_and_refuse_what_it_does_not_take(fade):
    with pytest.raises(nb.InputError, match=r"expected one of open_phantom, .*, adapt, fade\."):
        run_recipe({"blochnet_recipe": 1, "steps": [{"operation": "other", "settings": {}, "inputs": {}}]})
    with pytest.raises(nb.InputError, match="There is no setting checkpoint"):
        run_recipe({"blochnet_recipe": 1, "steps": [
            {"operation": "fade", "settings": {"checkpoint": "/etc/passwd"}, "inputs": {}}]})  # fmt: skip
    with pytest.raises(
        nb.InputError, match=r"Step 1 of the recipe gives fade a basis; expected phantom, schedule, mask"
    ):
        run_recipe({"blochnet_recipe": 1, "steps": [
            {"operation": "fade", "settings": {}, "inputs": {"basis": 3}}]})  # fmt: skip
