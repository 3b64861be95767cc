"""Fingerprints out of arrays in memory: which axis is time, where they lie, dask read once, and their history."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.records import as_recipe

SCHEDULE = nb.Schedule(np.linspace(10, 60, 24), 12.0, 4.0, inversion_time=20.0, name="short")
DATA = np.random.default_rng(0).integers(1, 4000, (24, 3, 5, 6), dtype=np.uint16)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (DATA, DATA),
        (np.moveaxis(DATA, 0, -1), DATA),
        (DATA[:, 0], DATA[:, :1]),
        (DATA[:, 0, 0], DATA[:, :1, :1]),
    ],
    ids=["time first", "time last", "a slice", "a line"],
)
def test_axes(data, expected):
    stack = nb.fingerprints_from_array(data, SCHEDULE, voxel_size=(3, 2, 1), origin=(30, 20, 10))
    np.testing.assert_array_equal(stack.data, expected)
    assert stack.kind == "magnitude"
    np.testing.assert_array_equal(stack.affine, [[1, 0, 0, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    assert np.shares_memory(stack.data, data)


def test_every_chunk_of_dask_is_computed_once():
    computed = []

    def block(values):
        computed.append(values.shape)
        return values

    lazy = da.from_array(DATA, chunks=(10, 2, 5, 3)).map_blocks(block, dtype=DATA.dtype, meta=DATA[:0, :0, :0, :0])
    computed.clear()
    stack = nb.fingerprints_from_array(lazy, SCHEDULE)
    np.testing.assert_array_equal(stack.data, DATA)
    assert isinstance(stack.data, np.ndarray)
    assert len(computed) == 3 * 2 * 2


def test_reading_can_be_cancelled():
    wish = threading.Event()

    def block(values):
        wish.set()
        return values

    lazy = da.from_array(DATA, chunks=(1, 3, 5, 6)).map_blocks(block, dtype=DATA.dtype, meta=DATA[:0, :0, :0, :0])
    with pytest.raises(Cancelled):
        nb.fingerprints_from_array(lazy, SCHEDULE, cancelled=wish)


@pytest.mark.parametrize(
    ("data", "hints", "sentence", "field"),
    [
        (DATA[:20], {}, "scan: its axes have lengths 20 × 3 × 5 × 6; expected one as long as the schedule short, 24",
         "schedule"),
        (np.zeros((24, 3, 24, 6)), {}, "scan: axes 0 and 2 of 24 × 3 × 24 × 6 are as long", "time_axis"),
        (DATA, {"time_axis": 1}, r"scan \(24 × 3 × 5 × 6\): axis 1 has length 3; expected that of", "time_axis"),
        (DATA, {"time_axis": 6}, "it has axes 0 to 3", "time_axis"),
        (DATA[None], {}, "scan has 5 axes", "data"),
        (DATA.astype(str), {}, "scan holds <U", "data"),
    ],
)  # fmt: skip
def test_what_is_no_stack(data, hints, sentence, field):
    with pytest.raises(InputError, match=sentence) as caught:
        nb.fingerprints_from_array(data, SCHEDULE, name="scan", **hints)
    assert caught.value.field == field


def test_the_history_of_a_layer():
    stack = nb.fingerprints_from_array(DATA, SCHEDULE, name="scan", layer="scan [1]", voxel_size=(3, 2, 1))
    script = as_python(stack.record)
    assert "data = napari.current_viewer().layers['scan [1]'].data" in script
    assert "voxel_size=(3.0, 2.0, 1.0)" in script
    compile(script, "copied", "exec")
    with pytest.raises(InputError, match=r"schedule was made in Python|layer scan \[1\] of napari"):
        as_command(stack.record)
    with pytest.raises(InputError, match=r"is the layer scan \[1\] of napari; expected fingerprints of a file"):
        run_recipe(as_recipe(stack.record))


def test_a_copied_script_makes_the_same_stack(monkeypatch):
    import napari

    def shown():
        return SimpleNamespace(layers={"scan": SimpleNamespace(data=DATA)})

    stack = nb.fingerprints_from_array(DATA, SCHEDULE, name="scan", layer="scan", voxel_size=(3, 2, 1))
    monkeypatch.setattr(napari, "current_viewer", shown)
    made: dict = {}
    exec(as_python(stack.record), made)
    np.testing.assert_array_equal(made["stack"].data, stack.data)
    assert made["stack"].schedule == SCHEDULE
    assert made["stack"].voxel_size == (3.0, 2.0, 1.0)
