"""An estimator that another package brings: the one of the README, installed, and those that cannot be used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators import registry
from napari_blochnet.estimators.base import SETTINGS, Estimates, Estimator
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.offers import estimator_offers
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command
from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.jobs.settings import ReconstructSettings

README = Path(__file__).parents[2] / "README.md"


def _install(folder, name, modules, entry_points):
    """Lay out a distribution as pip does: its modules, and its metadata with the entry points."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{registry.ENTRY_POINTS}]", *(f"{key} = {value}" for key, value in entry_points)]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    for module, code in modules.items():
        (folder / module).write_text(code, encoding="utf-8")


@pytest.fixture
def readme_package(tmp_path):
    """What the README shows, word for word."""
    section = README.read_text(encoding="utf-8").split("## An estimator of your own")[1].split("\n## ")[0]
    code, project = (re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)[1] for kind in ("python", "toml"))
    (module,) = re.findall(r"`(\w+\.py)`", section)
    declared = tomllib.loads(project)["project"]["entry-points"][registry.ENTRY_POINTS]
    _install(tmp_path / "site", "my-estimators", {module: code}, declared.items())
    return tmp_path / "site"


@pytest.fixture
def installed(monkeypatch):
    """Return what puts a folder of distributions on the path, for this test."""

    def put(folder):
        monkeypatch.syspath_prepend(str(folder))
        registry._brought.cache_clear()

    yield put
    monkeypatch.undo()
    registry._brought.cache_clear()
    sys.modules.pop("my_estimators", None)


@pytest.fixture(scope="module")
def stack():
    angles = 10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60))
    schedule = nb.Schedule(angles, 12.0, 4.0, inversion_time=15.0, name="short train")
    t1 = np.linspace(400, 2500, 60).reshape(1, 6, 10)
    return nb.simulate(nb.Phantom(t1, t1 / 12, np.ones_like(t1)), schedule, snr=60)


def test_it_maps_is_offered_recorded_and_replayed(readme_package, installed, stack):
    with pytest.raises(nb.InputError, match="no estimator 'random-search'"):
        nb.reconstruct(stack, "random-search")
    installed(readme_package)
    maps = nb.reconstruct(stack, "random-search", t1_range=(300, 3000), t2_range=(20, 300))
    truth = np.linspace(400, 2500, 60)
    assert np.median(np.abs(maps.t1.ravel() / truth - 1)) < 0.1
    assert maps.t1.min() >= 300
    assert maps.record["settings"]["estimator"] == "random-search"
    head = synthetic_head(shape=(3, 24, 20))
    made = nb.reconstruct(nb.simulate(head, make_schedule(kind="spline", length=120), slices=(1, 2)), "random-search")
    assert "--estimator random-search" in as_command(made.record)
    *_, again = run_recipe(json.loads(json.dumps(as_recipe(made.record))))
    np.testing.assert_array_equal(again.t1, made.t1)
    names = [offer.name for offer in estimator_offers(stack.schedule, "complex")]
    assert names[:3] == ["dictionary", "universal", "random-search"]
    offers = {offer.name: offer for offer in estimator_offers(stack.schedule, "magnitude", saturation=250.0)}
    assert "3,000 random tissues" in offers["random-search"].description
    assert "random-search needs complex or real data" in offers["random-search"].refusal
    saturated = {offer.name: offer for offer in estimator_offers(stack.schedule, "complex", saturation=250.0)}
    assert "cannot leave out saturated" in saturated["random-search"].refusal
    with pytest.raises(nb.InputError, match="random-search takes every sample"):
        nb.reconstruct(stack, "random-search", saturation=250.0)


def test_the_physics_goes_on_from_it(readme_package, installed, stack):
    installed(readme_package)
    refined = nb.reconstruct(stack, "random-search", refine=True)
    elsewhere = nb.reconstruct(stack, "universal", refine=True)
    both = refined.converged & elsewhere.converged
    assert both.mean() > 0.9
    np.testing.assert_allclose(refined.t1[both], elsewhere.t1[both], rtol=1e-2)
    assert (nb.reconstruct(stack, "random-search", uncertainty=True).t1_se > 0).all()


def test_on_the_command_line(readme_package, stack, tmp_path):
    write_fingerprints(stack, tmp_path / "stack.nii.gz")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(readme_package), *sys.path])}

    def blochnet(*words):
        done = subprocess.run([sys.executable, "-m", "napari_blochnet", *map(str, words)], env=environment,
                              capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    said = blochnet("reconstruct", "stack.nii.gz", "--estimator", "random-search", "-o", "maps")
    assert "60 voxels mapped with random-search" in said.stdout
    blochnet("run", "maps/sub-01_T1map.json", "-o", "again")
    first, again = (read_maps(tmp_path / folder) for folder in ("maps", "again/maps"))
    np.testing.assert_array_equal(first.t1, again.t1)
    assert first.t1.max() > 1000


GOOD = """
import numpy as np
from napari_blochnet.estimators.base import Estimates, Estimator

class One(Estimator):
    name = "one"
    def estimate(self, block):
        ones = np.ones(len(block))
        return Estimates.where(ones > 0, ones, ones, ones, ones, block.kind)

class Abstract(Estimator):
    name = "abstract"

class Strange(One):
    name = "strange"
    settings = ("step", "colour")
"""


@pytest.mark.parametrize(
    ("entry_points", "sentence"),
    [
        ([("dictionary", "brought:One")], "dictionary (brought:One) is left out: the name is that of another"),
        ([("blochnet", "brought:One")], "blochnet (brought:One) is left out: the name is that of another"),
        ([("one.safetensors", "brought:One")], "is left out: the name is that of another estimator or of a file"),
        ([("gone", "brought:Nothing")], "gone (brought:Nothing) is left out: loading it fails (AttributeError"),
        ([("gone", "no_such_module:One")], "left out: loading it fails (ModuleNotFoundError"),
        ([("rude", "rude:One")], "left out: loading it fails (ZeroDivisionError"),
        ([("abstract", "brought:Abstract")], "left out: it is no class with the method estimate"),
        ([("plain", "brought:np")], "left out: it is no class with the method estimate"),
        ([("two", "brought:One")], "left out: it calls itself 'one'; expected the name of its entry point"),
        ([("strange", "brought:Strange")], "left out: it declares colour; expected settings among t1_range"),
    ],
)
def test_what_cannot_be_used_is_named_and_left_out(tmp_path, installed, entry_points, sentence):
    modules = {"brought.py": GOOD, "rude.py": "1 / 0"}
    _install(tmp_path, "brought", modules, [*entry_points, ("one", "brought:One")])
    installed(tmp_path)
    with pytest.warns(DataWarning) as said:
        offers = estimator_offers(None, None)
    assert len(said) == 1
    assert sentence in str(said[0].message)
    names = [offer.name for offer in offers]
    assert names[:3] == ["dictionary", "universal", "one"]
    assert len(names) == len(set(names))
    assert "one" in registry.estimator_names()
    # it is said once
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        estimator_offers(None, None)
    sys.modules.pop("brought", None)


def test_of_two_of_one_name_none_is_taken(tmp_path, installed, own_store):
    for number in (1, 2):
        _install(
            tmp_path / str(number), f"brought{number}", {f"brought{number}.py": GOOD}, [("one", f"brought{number}:One")]
        )
        installed(tmp_path / str(number))
    with pytest.warns(DataWarning) as said:
        names = registry.estimator_names()
    assert "one" not in names
    assert [str(each.message).split(" is left out")[0] for each in said] == [
        "The estimator one (brought1:One)", "The estimator one (brought2:One)"]  # fmt: skip
    with pytest.raises(nb.InputError, match="no estimator 'one'"):
        registry.make_estimator("one")


def test_what_estimators_declare_exists():
    assert {*SETTINGS} <= {*ReconstructSettings.model_fields}
    for name in registry.estimator_names():
        assert {*registry.declared(name).settings} <= {*SETTINGS}


def test_an_object_that_is_no_estimator_is_refused(stack):
    class Other:
        name, schedule = "other", None

    with pytest.raises(nb.InputError, match="estimator is of type Other; expected a name or an Estimator"):
        nb.reconstruct(stack, Other())


class _Counting(Estimator):
    """Answers 1, and keeps the sizes of its blocks."""

    name, block = "counting", 7

    def __init__(self):
        self.sizes, self.ready = [], []

    def make_ready(self, schedule, kind, watch):
        self.ready.append((schedule.name, kind))
        return len(self.ready)

    def estimate(self, block):
        self.sizes.append(len(block))
        ones = np.full(len(block), float(block.ready))
        return Estimates.where(ones > 0, ones, ones, ones, ones, block.kind)


def test_checks_blocks_and_joins(stack):
    estimator, schedule = _Counting(), stack.schedule
    data = np.ones((16, len(schedule)), np.complex64)
    found = estimator.predict(data, schedule)
    assert estimator.sizes == [7, 7, 2]
    assert found.t1.shape == (16,)
    assert found.pd.dtype == np.complex64
    assert found.t1_se is None
    # nothing is nothing, of the right type
    assert estimator.predict(data[:0].real, schedule).pd.dtype == np.float32
    # made ready once for a schedule and a kind
    estimator.predict(data.real, schedule)
    assert estimator.ready == [("short train", "complex"), ("short train", "real")]


@pytest.mark.parametrize("name", ["dictionary", "universal", "fc", "refined"])
@pytest.mark.parametrize(
    ("change", "kind", "field", "sentence"),
    [
        (lambda data: data[0], None, "fingerprints", "shape (1000,); expected (voxel, time)"),
        (lambda data: data[:, :9], None, "schedule", "have 9 time points, but the schedule FISP has 1000 pulses"),
        (lambda data: data, "real", "kind", "are complex64, but their kind is real; expected complex"),
        (lambda data: data.real, "complex", "kind", "are float32, but their kind is complex; expected real"),
        (lambda data: np.where(np.arange(1000) == 3, np.nan, data), None, "fingerprints", "hold NaN or infinity"),
    ],
)
def test_all_estimators_refuse_alike(name, change, kind, field, sentence):
    schedule = nb.fisp_schedule()
    estimator = Refined(DictionaryMatching(step=0.5)) if name == "refined" else registry.make_estimator(name)
    with pytest.raises(nb.InputError, match=re.escape(sentence)) as refused:
        estimator.predict(change(np.ones((3, 1000), np.complex64)), schedule, kind)
    assert refused.value.field == field


def test_b1_is_refused_where_it_means_nothing(stack):
    with pytest.raises(nb.InputError, match="counting takes B1 as nominal"):
        _Counting().predict(np.ones((2, 120), np.complex64), stack.schedule, b1=np.ones(2))
