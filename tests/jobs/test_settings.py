"""Settings: what is refused is named, with what was found and what was expected."""

from __future__ import annotations

import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.catalogue import OPERATIONS
from napari_blochnet.jobs.settings import ReconstructSettings, SimulateSettings, settings_from


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
