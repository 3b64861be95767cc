"""Recipes that a stranger made: each ends in one sentence, within the memory of what it holds."""

from __future__ import annotations

import base64
import json
import tracemalloc
import zlib

import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.history.recipes import read_recipe, run_recipe

HEAD = {"operation": "synthetic_head", "inputs": {}, "settings": {"shape": [2, 12, 10]}}
SCHEDULE = {"operation": "make_schedule", "inputs": {}, "settings": {"kind": "spline", "length": 40}}


def _steps(*steps):
    return {"blochnet_recipe": 1, "steps": list(steps)}


def _mask(shape, bits):
    return _steps({"operation": "given", "mask": {"shape": shape, "bits": bits}, "inputs": {}})


def _nested(depth):
    record = {"operation": "simulate", "settings": {}, "inputs": {}}
    for _ in range(depth):
        record = {"operation": "simulate", "settings": {}, "inputs": {"phantom": record}}
    return {"Record": record}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_steps(None), "Step 1 of the recipe is None; expected an object."),
        (_steps({"operation": ["train"]}), "has ['train'] as operation; expected a name."),
        (_steps({**HEAD, "settings": None}), "has None as settings; expected an object."),
        (_steps({**HEAD, "settings": {"progress": 1}}), "There is no setting progress"),
        (_steps({**HEAD, "settings": {"settings": 1}}), "There is no setting settings"),
        (_steps({**HEAD, "settings": {"model": 1}}), "There is no setting model"),
        (_steps({**HEAD, "inputs": 5}), "has 5 as inputs; expected an object."),
        (_steps({**HEAD, "inputs": {"truth": "x"}}), "gives synthetic_head a truth; expected none."),
        (_steps({"operation": "simulate", "settings": {}}), "gives simulate no phantom"),
        (
            _steps({"operation": "open_phantom", "inputs": {"source": 5}}),
            "gives open_phantom 5 as source; expected a file's name.",
        ),
        (
            _steps(HEAD, {"operation": "open_phantom", "inputs": {"source": [{"step": 0}]}}),
            "as source; expected a file's name.",
        ),
        (
            _steps(HEAD, {"operation": "simulate", "inputs": {"phantom": {"step": 0}, "schedule": {"step": 0}}}),
            "gives simulate {'step': 0} as schedule; expected an earlier step that makes schedule.",
        ),
        (
            _steps(HEAD, SCHEDULE, {"operation": "simulate", "inputs": {"phantom": "head", "schedule": {"step": 1}}}),
            "gives simulate 'head' as phantom; expected an earlier step that makes phantom.",
        ),
        (_steps({**HEAD, "inputs": {}}, {"operation": "simulate", "inputs": {"phantom": {"step": True}}}), "step True"),
        (
            {"Record": {"operation": "compare", "settings": {}, "inputs": 5}},
            "history has 5 as inputs; expected an object.",
        ),
        (_nested(450), "nested too deeply"),
        (_mask([1] * 70, "eJxLBAAAYgBi"), "mask in the recipe is damaged"),
        (_mask([2**40, 2**40], ""), "mask in the recipe is damaged"),
        (_mask([float("inf")], ""), "mask in the recipe is damaged"),
        (_mask(["a"], ""), "mask in the recipe is damaged"),
        (_mask(None, None), "mask in the recipe is damaged"),
    ],
)
def test_each_ends_in_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(content))
    with pytest.raises(nb.InputError) as caught:
        run_recipe(read_recipe(path))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("claimed", [2**20, 2**23, 2**27])
def test_a_mask_takes_no_more_memory_than_it_holds(claimed):
    """256 KiB of zeros, packed into some hundred bytes, and shapes that claim more."""
    bits = base64.b64encode(zlib.compress(bytes(2**18), 9)).decode()
    content = _mask([claimed, 2, 2], bits)
    tracemalloc.start()
    try:
        with pytest.raises(nb.InputError, match="damaged"):
            run_recipe(content)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_a_wide_record_is_looked_at_once():
    """Every distinct input becomes one step, alike ones the same."""
    from napari_blochnet.jobs.records import steps_of

    inputs = [{"operation": "open_phantom", "settings": {"tissues": str(i % 3000)}, "inputs": {}} for i in range(6000)]
    steps = steps_of({"operation": "compare", "settings": {}, "inputs": {"maps": inputs}})
    assert len(steps) == 3001
    assert steps[-1]["inputs"]["maps"][2999:3001] == [{"step": 2999}, {"step": 0}]
