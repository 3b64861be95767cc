"""Synthetic transmit fields: as smooth and as wide as they say, the same again, and part of a phantom's record."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.phantoms.fields.transmit_field import with_transmit_field


@pytest.fixture(scope="module")
def head():
    return synthetic_head(shape=(12, 54, 45), seed=1)


def test_a_field_has_its_range_and_is_smooth(head):
    field = with_transmit_field(head, (0.75, 1.25), seed=2).b1
    inside = field[head.mask]
    assert inside.min() == pytest.approx(0.75)
    assert inside.max() == pytest.approx(1.25)
    assert (field[~head.mask] == 0).all()
    for axis, size in enumerate(head.voxel_size):
        both = np.logical_and(head.mask.take(range(1, head.shape[axis]), axis),
                              head.mask.take(range(head.shape[axis] - 1), axis))  # fmt: skip
        slope = np.abs(np.diff(field, axis=axis))[both].max() / size
        # a wave of 250 mm that swings by half of 0.5 has half this slope; where several add up, they share the range
        assert slope < 4 * np.pi / 250 * 0.5


def test_seeds_tell_fields_apart_and_make_them_again(head):
    one, again, other = (with_transmit_field(head, seed=seed).b1 for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other)[head.mask].max() > 0.1
    np.testing.assert_array_equal(with_transmit_field(head, (0.9, 0.9)).b1[head.mask], np.float32(0.9))


def test_what_is_no_range_is_refused(head):
    for wrong in ((1.2, 0.8), (0.1, 1.0), (0.5, 3.5)):
        with pytest.raises(nb.InputError, match="b1_range"):
            with_transmit_field(head, wrong)
        with pytest.raises(nb.InputError, match="b1_range"):
            nb.add_b1_field(head, b1_range=wrong)
    with pytest.raises(nb.InputError, match="seed is -1"):
        with_transmit_field(head, seed=-1)


def test_a_phantom_in_a_field_is_made_again_from_record_script_and_commands(head, tmp_path, monkeypatch):
    made = nb.add_b1_field(head, b1_range=(0.8, 1.1), seed=3)
    np.testing.assert_array_equal(run_recipe(as_recipe(made.record))[-1].b1, made.b1)
    names: dict = {}
    exec(compile(as_python(made.record), "<copied>", "exec"), names)
    np.testing.assert_array_equal(names["phantom_2"].b1, made.b1)
    monkeypatch.chdir(tmp_path)
    for line in as_command(made.record).splitlines():
        done = CliRunner().invoke(blochnet, line.split()[1:])
        assert done.exit_code == 0, done.output
    read = nb.read_phantom(tmp_path / "phantom_2")
    np.testing.assert_allclose(read.b1, made.b1, rtol=1e-6)
    assert "add-b1-field phantom --b1-range 0.8 1.1 --seed 3" in as_command(made.record)


def test_a_stack_simulated_in_the_field_is_mapped_with_the_phantoms_own(head, tmp_path):
    from napari_blochnet.phantoms.write import write_phantom

    made = nb.add_b1_field(head[5:6], seed=3)
    schedule = nb.spline_schedule(length=200, seed=2)
    stack = nb.simulate(made, schedule, snr=100.0)
    write_phantom(made, tmp_path / "p")
    from_folder = nb.reconstruct(stack, "universal", b1=tmp_path / "p")
    given = nb.reconstruct(stack, "universal", b1=made.b1)
    np.testing.assert_allclose(from_folder.t2, given.t2, rtol=1e-4)
    for key in ("t1", "t2"):
        error = getattr(given, key)[made.mask] / getattr(made, key)[made.mask] - 1
        assert abs(np.median(error)) < 0.01
    (tmp_path / "empty").mkdir()
    with pytest.raises(nb.InputError, match="holds no map that is called as one of B1"):
        nb.reconstruct(stack, "universal", b1=tmp_path / "empty")
