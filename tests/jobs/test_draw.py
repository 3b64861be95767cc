"""Figures are made again from what was stored: in Python, by command, from a record."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.jobs.history.recipes import run_recipe, write_results
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
from napari_blochnet.jobs.records import as_recipe

# ms, and a step that keeps the dictionary small
GRID = {"t1_range": (300.0, 2000.0), "t2_range": (30.0, 200.0), "step": 0.1}


@pytest.fixture(scope="module")
def made():
    head = synthetic_head(shape=(1, 16, 14), seed=2)
    stack = nb.simulate(head, make_schedule(kind="spline", length=60), snr=40.0, seed=1)
    return head, stack, nb.reconstruct(stack, "dictionary", **GRID)


def _lines(figure):
    return [line.get_ydata() for line in figure.figure.axes[0].lines]


def test_the_curves_are_those_of_the_maps(made):
    head, stack, maps = made
    z, y, x = index = (0, 8, 5)
    assert stack.mask[index]
    drawn = nb.draw_voxel(stack, maps, head, voxel=index, content="curves")
    t1, t2, pd, phase = (float(getattr(maps, name)[index]) for name in ("t1", "t2", "pd", "phase"))
    signal = pd * nb.bloch_signal(stack.schedule, t1, t2)
    measured, _, curve = _lines(drawn)
    # both turned into one frame, up to a sign
    turn = np.exp(1j * np.radians(phase))
    sign = np.sign(np.vdot(curve, signal.real))
    np.testing.assert_allclose(curve, sign * signal.real, atol=3e-3 * np.abs(signal).max())
    np.testing.assert_allclose(np.abs(measured), np.abs((stack.data[:, z, y, x] / turn).real), atol=0.1 * pd)
    assert "standard deviation" in drawn.caption
    assert drawn.describe().startswith("A figure of 180 ×")


def test_a_figure_is_made_again_from_its_record(made, tmp_path, monkeypatch):
    head, stack, maps = made
    monkeypatch.chdir(tmp_path)
    drawn = nb.draw_voxel(stack, [maps], head, voxel=(0, 8, 5), width="single", pulses=(5, 50))
    again = run_recipe(as_recipe(drawn.record))
    for line, other in zip(_lines(drawn), _lines(again[-1]), strict=True):
        np.testing.assert_array_equal(line, other)
    assert write_results(again, "results")[-1] == Path("results/figure.pdf")
    assert Path("results/figure.pdf").read_bytes().startswith(b"%PDF")
    names: dict = {}
    exec(compile(as_python(drawn.record), "<copied>", "exec"), names)
    np.testing.assert_array_equal(_lines(names["figure"])[1], _lines(drawn)[1])


def test_commands_draw_stored_maps(made, tmp_path, monkeypatch):
    head, _, maps = made
    monkeypatch.chdir(tmp_path)
    commands = as_command(nb.draw_maps(maps, head, t1_limits=(0.0, 2500.0), width="single").record).splitlines()
    assert commands[-1].startswith("blochnet figure maps ")
    for line in commands:
        done = CliRunner().invoke(blochnet, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
    assert Path("figure.pdf").read_bytes().startswith(b"%PDF")
    folder = next(str(path.parent) for path in Path().glob("*/*desc-mapped_mask.nii.gz"))
    done = CliRunner().invoke(blochnet, ["figure", "maps", folder, folder, "-o", "two.svg", "--parameters", "T2"])
    assert done.exit_code == 0, done.output
    assert "A figure of 180 ×" in done.output
    text = Path("two.svg").read_text("utf-8")
    assert "T2 (ms)" in text
    assert "T1 (ms)" not in text


def test_errors_of_t1_and_t2_have_limits_of_their_own(made):
    head, _, maps = made

    def drawn(**limits):
        axes = nb.draw_maps(maps, head, **limits).figure.axes
        return {one.get_ylabel(): one.get_ylim() for one in axes if "error" in one.get_ylabel()}

    found = drawn(t1_error_limits=(-10.0, 10.0), t2_error_limits=(-30.0, 20.0))
    assert found == {"T1 error (%)": (-10, 10), "T2 error (%)": (-30, 20)}
    found = drawn(t1_error_limits=(-10.0, 10.0), error_limit=40.0)
    assert found == {"T1 error (%)": (-10, 10), "T2 error (%)": (-40, 40)}
    with pytest.raises(nb.InputError, match=r"t2_error_limits is .*; 3 to -3 is no range"):
        nb.draw_maps(maps, head, t2_error_limits=(3.0, -3.0))


def test_no_option_stands_twice():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = CliRunner().invoke(blochnet, ["figure", "voxel", "--help"])
    assert done.exit_code == 0, done.exception
    assert done.output.count("--voxel-size") == 1


def test_what_cannot_be_drawn_is_said(made):
    _, stack, maps = made
    with pytest.raises(nb.InputError, match=r"There is no voxel \(0, 16, 0\) .* expected one from .* to \(0, 15, 13\)"):
        nb.draw_voxel(stack, voxel=(0, 16, 0))
    with pytest.raises(nb.InputError, match="TR index 50 to 61 is not there; expected from 1 to 60"):
        nb.draw_voxel(stack, pulses=(50, 61))
    with pytest.raises(nb.InputError, match="No model is called 'fc'; expected of dictionary, those left out"):
        nb.draw_voxel(stack, maps, leave_out="fc")
    with pytest.raises(nb.InputError, match="There are no maps"):
        nb.draw_maps([])
    with pytest.raises(nb.InputError, match="5 to 5 is no range; expected the lower limit first"):
        nb.draw_maps(maps, t1_limits=(5.0, 5.0))
    # without a voxel, the one in the middle
    assert "Voxel z 0, y" in nb.draw_voxel(stack).caption
