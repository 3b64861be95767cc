"""Settings: what is refused is named, with what was found and what was expected."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.catalogue import OPERATIONS
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.operations.opening import make_schedule
from napari_blochnet.jobs.settings import ReconstructSettings, SimulateSettings, settings_from
from napari_blochnet.jobs.settings_schedules import SplineSettings
from napari_blochnet.schedules.generators import spline_schedule


@pytest.mark.parametrize("model", [operation.settings for operation in OPERATIONS], ids=lambda model: model.__name__)
def test_every_field_is_documented_for_forms_and_help(model):
    assert model.__doc__
    for name, info in model.model_fields.items():
        if name == "kind" and model.__name__ != "SimulateSettings" and "Fingerprints" not in model.__name__:
            continue
        assert info.title, name
        assert info.description, name
        assert info.description.endswith("."), name
        assert "unit" in info.json_schema_extra, name


@pytest.mark.parametrize(
    ("model", "fields", "field", "words"),
    [
        (SimulateSettings, {"snr": -3}, "snr", ["-3", "greater than 0"]),
        (SimulateSettings, {"snr": "loud"}, "snr", ["loud", "number"]),
        (SimulateSettings, {"slices": (5, 2)}, "slices", ["first < end"]),
        (SimulateSettings, {"snrr": 20}, "snrr", ["snr", "seed"]),
        (ReconstructSettings, {"t1_range": (500, 20)}, "t1_range", ["500", "smallest"]),
        (ReconstructSettings, {"step": 0}, "step", ["0", "0.002"]),
    ],
)
def test_refusals_name_the_field_what_was_found_and_what_was_expected(model, fields, field, words):
    with pytest.raises(InputError) as caught:
        settings_from(model, **fields)
    assert caught.value.field == field
    for word in [field, *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_changes_keep_what_was_chosen():
    first = settings_from(SimulateSettings, snr=20, seed=3)
    second = settings_from(SimulateSettings, first, seed=4)
    assert (second.snr, second.seed) == (20, 4)


def test_the_largest_flip_angle_of_the_form_is_that_of_the_train():
    named = {field.title: name for name, field in SplineSettings.model_fields.items()}
    asked = {named["Largest flip angle"]: 120.0, "seed": 8, "length": 200}
    assert make_schedule(SplineSettings(**asked)).flip_angle.max() == 120.0
    # a recipe of an earlier version knows no such field
    step = {"operation": "make_schedule", "settings": {"kind": "spline", "seed": 8, "max_flip_angle": 120.0}}
    (again,) = run_recipe({"blochnet_recipe": 1, "steps": [step]})
    np.testing.assert_array_equal(again.flip_angle, spline_schedule(seed=8).flip_angle)
    assert again.flip_angle.max() > 130
