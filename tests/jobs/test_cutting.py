"""A record makes again exactly what it stands beside, also of what was cut out of something larger."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.fingerprints.noise import with_noise
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.cutting import cut_phantom, cut_stack
from napari_blochnet.jobs.operations.opening import make_schedule, open_phantom, synthetic_head
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.phantoms.write import write_phantom


@pytest.fixture(scope="module")
def head():
    return synthetic_head(shape=(6, 24, 20), seed=3)


@pytest.fixture(scope="module")
def stack(head):
    return nb.simulate(head, make_schedule(kind="spline", length=30, seed=2), snr=20.0, seed=4)


def same(one, other):
    assert one.shape == other.shape
    assert np.array_equal(one.affine, other.affine)
    for key in ("t1", "t2", "pd", "mask", "data"):
        if hasattr(one, key):
            assert np.array_equal(getattr(one, key), getattr(other, key))


@pytest.mark.parametrize("part", [lambda p: p[2:4], lambda p: p[3], lambda p: p[1:5][1:3]])
def test_what_was_cut_is_made_again_cut(part, head, stack):
    for whole in (head, stack):
        same(run_recipe(as_recipe(part(whole).record))[-1], part(whole))
        # and what was made of it
    again = run_recipe(as_recipe(nb.simulate(part(head), stack.schedule, snr=9.0).record))[-1]
    same(again, nb.simulate(part(head), stack.schedule, snr=9.0))


def test_the_whole_is_no_cut(head, stack):
    assert head[:].record == head.record
    assert stack[0:6].record == stack.record
    assert nb.synthetic_phantom(shape=(4, 12, 10))[0:4].record["operation"] == "synthetic_head"


def test_a_phantom_of_the_public_interface_is_made_again(head):
    made = nb.synthetic_phantom(shape=(4, 24, 20), seed=5)
    same(run_recipe(as_recipe(made[1:3].record))[-1], made[1:3])


def test_a_cut_as_a_script_and_as_commands(head, tmp_path, monkeypatch):
    names: dict = {}
    exec(compile(as_python(head[2:4].record), "<copied>", "exec"), names)
    same(names["phantom_2"], head[2:4])
    monkeypatch.chdir(tmp_path)
    lines = as_command(head[2:4].record).splitlines()
    assert lines[-1] == "blochnet cut-phantom phantom --slices 2 4 -o phantom_2"
    for line in lines:
        done = CliRunner().invoke(blochnet, line.split()[1:])
        assert done.exit_code == 0, done.output
    same(open_phantom("phantom_2"), open_phantom("phantom")[2:4])
    # the file beside it makes the cut, not the whole
    again = CliRunner().invoke(blochnet, ["run", "phantom_2/sub-synthetichead_T1map.json", "-o", "again"])
    assert again.exit_code == 0, again.output
    same(open_phantom("again/phantom_2"), open_phantom("phantom_2"))


def test_a_cut_does_not_replace_the_folder_it_comes_from(head, tmp_path):
    write_phantom(head, tmp_path / "p")
    with pytest.raises(nb.InputError, match="made from"):
        write_phantom(open_phantom(tmp_path / "p")[2:4], tmp_path / "p")


def test_slices_beyond_the_volume_are_told(head, stack):
    for cut, what in ((cut_phantom, head), (cut_stack, stack)):
        with pytest.raises(nb.InputError, match="slices"):
            cut(what, slices=(4, 9))
        same(cut(what, slices=(4, 6)), what[4:6])


def test_noise_that_no_operation_added_is_not_left_out_silently(head):
    clean = nb.simulate(head, nb.fisp_schedule(), slices=(3, 4))
    with pytest.raises(nb.InputError, match="made in Python"):
        run_recipe(as_recipe(with_noise(clean, 10.0).record))
