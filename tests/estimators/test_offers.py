"""What is offered for a stack can map it, and what is refused says why."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.estimators import offers
from napari_blochnet.estimators.networks import cards
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
from napari_blochnet.estimators.networks.store import load_estimator
from napari_blochnet.estimators.offers import estimator_offers
from napari_blochnet.estimators.registry import make_estimator
from napari_blochnet.estimators.training.card import CARD_FORMAT


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "user_folder", lambda: tmp_path)
    return tmp_path


def _save(folder, name, schedule, scores=None):
    card = {
        "blochnet_model": CARD_FORMAT, "architecture": "fc",
        "network": {"length": len(schedule), "widths": [8], "subspace": None, "activation": "relu"},
        "schedules": [{**schedule.to_dict(), "record": {}}], "training": {"preset": "quick", "epochs_trained": 3},
        "scores": scores or {}, "notes": ["Trained for a test."],
    }  # fmt: skip
    model = LabelNetwork("fc", len(schedule), [8], None, "relu")
    NetworkEstimator(model, [schedule], card, name=name).save(folder / f"{name}.safetensors")


def _by_name(offers):
    assert len({offer.name for offer in offers}) == len(offers)
    return {offer.name: offer for offer in offers}


def test_dictionary_and_universal_come_first_and_take_anything(store):
    for kind in ("complex", "real", "magnitude"):
        for schedule in (nb.fisp_schedule(), nb.spline_schedule(length=77)):
            offers = estimator_offers(schedule, kind)
            assert [offer.name for offer in offers[:2]] == ["dictionary", "universal"]
            assert offers[0].refusal is None
            assert offers[1].refusal is None


def test_networks_are_offered_for_their_schedule_only(store):
    offers = _by_name(estimator_offers(nb.fisp_schedule(), "complex"))
    assert offers["fc"].refusal is None
    assert "bound, FISP at SNR 20: WM T1 1.01" in offers["fc"].description
    other = _by_name(estimator_offers(nb.spline_schedule(), "complex"))
    assert "only for FISP" in other["fc"].refusal
    allowed = _by_name(estimator_offers(nb.spline_schedule(), "complex", other_schedule=True))
    assert allowed["fc"].refusal is None
    assert _by_name(estimator_offers(nb.spline_schedule(length=99), "complex", other_schedule=True))["fc"].refusal


def test_an_architecture_without_any_weights_says_so(monkeypatch):
    monkeypatch.setattr(offers, "stored_models", lambda: ())
    found = _by_name(estimator_offers(nb.fisp_schedule(), "complex"))
    assert "There are weights of rnn for no schedule" in found["rnn"].refusal
    assert found["dictionary"].refusal is None


def test_magnitudes_and_saturation_are_no_networks_data(store):
    magnitude = _by_name(estimator_offers(nb.fisp_schedule(), "magnitude"))
    assert "magnitudes" in magnitude["fc"].refusal
    assert "saturated" in _by_name(estimator_offers(nb.fisp_schedule(), "complex", saturation=250.0))["fc"].refusal
    refined = _by_name(estimator_offers(nb.fisp_schedule(), "complex", saturation=250.0, refine=True))
    assert refined["fc"].refusal is None


def test_own_models_are_listed_and_do_not_hide_the_packaged_ones(store):
    mine = nb.spline_schedule(length=50, seed=3)
    _save(store, "mine", mine, {"Spline5": {"snr": 20, "WM T1": {"ratio": 1.25, "rmse": 5, "bound": 4}}})
    _save(store, "another-fisp", nb.fisp_schedule())
    offers = estimator_offers(mine, "complex")
    # the person's own stand before the architectures
    assert [offer.name for offer in offers[2:4]] == ["another-fisp", "mine"]
    found = _by_name(offers)
    assert found["mine"].refusal is None
    assert found["mine"].is_own
    assert "WM T1 1.25" in found["mine"].description
    assert "Trained for a test." in found["mine"].description
    assert "trained for FISP" in found["another-fisp"].refusal
    # no training changes what "fc" means where the package has one; the person's own goes by its name
    fisp = _by_name(estimator_offers(nb.fisp_schedule(), "complex"))
    assert fisp["fc"].refusal is None
    assert not fisp["fc"].is_own
    assert fisp["another-fisp"].refusal is None
    for name, source in (("fc", "fc-fisp"), ("another-fisp", str(store / "another-fisp.safetensors"))):
        assert load_estimator(name, schedule=nb.fisp_schedule()).source == source
    # elsewhere it stands for the person's own
    assert load_estimator("fc", schedule=mine).name == "mine"


def test_whatever_is_offered_maps(store):
    schedule = nb.fisp_schedule()
    _save(store, "mine", schedule)
    t1 = np.full((1, 2, 3), 900.0)
    stack = nb.simulate(nb.Phantom(t1, t1 / 10, np.ones_like(t1)), schedule)
    offers = [offer for offer in estimator_offers(schedule, "complex") if offer.refusal is None]
    assert {"dictionary", "universal", "mine", "fc", "blochnet"} <= {offer.name for offer in offers}
    for offer in offers:
        estimates = make_estimator(offer.name).predict(stack.fingerprints(), schedule, "complex")
        assert np.isfinite(estimates.t1).all(), offer.name


def test_offering_does_not_load_torch():
    script = (
        "import sys\n"
        "from napari_blochnet.estimators.offers import estimator_offers\n"
        "import napari_blochnet as nb\n"
        "assert len(estimator_offers(nb.fisp_schedule(), 'complex')) >= 8\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
