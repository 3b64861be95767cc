"""What belongs to one data set stays with it: no saturation, noise or hint of a file follows to the next unseen."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

import napari_blochnet as nb
from napari_blochnet.jobs.catalogue import OPERATIONS
from napari_blochnet.jobs.settings import FingerprintsSettings, PhantomSettings, ReconstructSettings, SimulateSettings
from napari_blochnet.jobs.settings_comparing import CompareSettings
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.synthetic import synthetic_phantom


def test_the_settings_say_what_belongs_to_data():
    declared = {model.__name__: set(model.fields_of_data()) for model in (
        ReconstructSettings, SimulateSettings, PhantomSettings, FingerprintsSettings, CompareSettings
    )}  # fmt: skip
    declared["ReconstructSettings"].remove("dictionary_variable")
    assert declared["ReconstructSettings"] == {
        "saturation", "other_schedule", "b1", "b1_nominal", "noise_sigma", "noise_covariance", "mask", "threshold",
        "slices", "dictionary", "parameters"
    }  # fmt: skip
    assert declared["SimulateSettings"] == {"slices"}
    assert declared["CompareSettings"] == {
        "title", "t1_limits", "t2_limits", "t1_error_limits", "t2_error_limits"
    }  # fmt: skip
    # all that says how a file is to be understood
    assert declared["PhantomSettings"] == set(PhantomSettings.model_fields)
    assert declared["FingerprintsSettings"] == set(FingerprintsSettings.model_fields)
    assert set(ScheduleFileSettings.fields_of_data()) == set(ScheduleFileSettings.model_fields) - {"kind"}


def test_files_and_slices_of_every_operation_belong_to_data():
    for operation in OPERATIONS:
        for name in operation.settings.model_fields if operation.settings is not None else ():
            if name in ("path", "b1", "mask", "slices", "voxel_size", "variable"):
                assert name in operation.settings.fields_of_data(), (operation.name, name)


def test_nothing_of_data_comes_back_from_what_an_earlier_version_remembered(desk, own_settings, tmp_path):
    mask = tmp_path / "mask.npy"
    np.save(mask, np.ones((1, 2, 2)))
    values = {
        "map": {"settings": {
            "saturation": 250.0, "noise_sigma": 3.0, "mask": str(mask), "other_schedule": True, "step": 0.05
        }},
        "simulate": {"settings": {"slices": [3, 9], "seed": 5}},
        "data": {
            "phantom": {"t1_unit": "s", "voxel_size": [1, 1, 1]}, "fingerprints": {"kind": "magnitude"},
            "schedule": "the Schedule tab's schedule",
        },
        "schedule": {"file": {"flip_angle": 70.0}},
        "compare": {"settings": {"title": "Patient 3", "error_limit": 15.0}},
        "brainweb": {"settings": {"tissues": "brainweb-1.5T"}},
    }  # fmt: skip
    own_settings.write_text(yaml.safe_dump({"workbench": {"remembered": json.dumps({"version": 1, "values": values})}}))
    workbench = desk().workbench
    found = workbench.map.form.values()
    assert (found["saturation"], found["noise_sigma"], found["other_schedule"]) == (None, None, False)
    assert "mask" not in found
    assert workbench.map.masking.choice.current_choice == "all voxels with signal"
    # what is a person's way of working does
    assert found["step"] == 0.05
    assert workbench.simulate.form.values()["slices"] is None
    assert workbench.simulate.form.values()["seed"] == 5
    assert workbench.data.phantom_form.set_in_words() == workbench.data.stack_form.set_in_words() == []
    assert workbench.data.schedule_choice.currentIndex() == 0
    assert workbench.schedule._forms[3].set_in_words() == []
    assert workbench.compare.form.values()["title"] == CompareSettings().title
    assert workbench.compare.form.values()["error_limit"] == 15.0


def test_nothing_of_data_is_written(desk, own_settings, qtbot):
    desk = desk()
    mapping = desk.turn_to("Map")
    mapping.form.set_values({"saturation": 250.0, "noise_sigma": 2.0, "step": 0.05})

    def kept():
        content = yaml.safe_load(own_settings.read_text()) if own_settings.exists() else None
        values = json.loads((content or {}).get("workbench", {}).get("remembered") or '{"values": {}}')["values"]
        return values.get("map", {}).get("settings")

    qtbot.waitUntil(lambda: kept() is not None, timeout=20_000)
    assert kept() == {"step": 0.05}


@pytest.fixture
def two_stacks(desk):
    place = desk()
    schedule = nb.spline_schedule(length=40)
    stacks = [nb.simulate(synthetic_phantom(shape=(1, 12, 10), seed=seed), schedule) for seed in (0, 1)]
    for number, stack in enumerate(stacks):
        layers.add_stack(place.session, stack, title=f"scan {number}")
    return place, stacks


def test_each_stack_has_its_own_saturation_and_noise(two_stacks):
    place, (first, second) = two_stacks
    mapping = place.turn_to("Map")
    mapping.stack.value = first
    mapping.form.set_values({"saturation": 250.0, "noise_sigma": 3.0, "step": 0.05})
    mapping.stack.value = second
    values = mapping.form.values()
    assert (values["saturation"], values["noise_sigma"], values["step"]) == (None, None, 0.05)
    mapping.stack.value = first
    values = mapping.form.values()
    assert (values["saturation"], values["noise_sigma"], values["step"]) == (250.0, 3.0, 0.05)


def test_what_one_file_needed_is_not_said_of_the_next(desk, tmp_path):
    desk = desk()
    desk.use_spline(30)
    samples = np.random.default_rng(0).uniform(1, 2, (30, 3, 4)).astype(np.float32)
    for name in ("one.npy", "two.npy"):
        np.save(tmp_path / name, samples)
    data = desk.turn_to("Data")
    data.stack_form.set_values({"kind": "magnitude", "voxel_size": (4.0, 2.0, 2.0)})
    assert desk.open_stack(tmp_path / "one.npy").startswith("Opened")
    assert data.stack_form.values()["kind"] == "magnitude"
    # meant for the next: set after the first was opened
    data.stack_form.set_values({"voxel_size": (5.0, 1.0, 1.0)})
    data.stack_path.line.setText(str(tmp_path / "two.npy"))
    assert data.stack_form.values()["kind"] is None
    assert data.stack_form.values()["voxel_size"] == (5.0, 1.0, 1.0)


def test_a_fold_says_what_is_set_in_it(desk):
    desk = desk()
    mapping = desk.turn_to("Map")
    fold = mapping.options
    assert not fold.summary.isVisible()
    mapping.form.set_values({"saturation": 250.0, "step": 0.05, "t1_range": (100.0, 3000.0), "refine": True})
    assert fold.button.text() == "More options – 3 set"
    assert fold.summary.isVisible()
    # refinement has a tick box of its own in view
    assert fold.summary.text() == "T1 range 100 to 3000 ms · Step 0.05 · Saturation 250"
    assert not mapping.form.isVisible()
    mapping.form.set_values({"saturation": None, "step": 0.02, "t1_range": (20.0, 6000.0)})
    assert not fold.summary.isVisible()
    assert fold.button.text().startswith("More options: ")
    # inside the margins of the narrowest panel
    assert fold.minimumSizeHint().width() <= mapping.minimumWidth() - 20
