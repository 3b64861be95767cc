"""Compiled kernels of trains that are prepared and repeat: against isochromats, the clear version and differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_blochnet import EPGDecoder, bloch_signal
from napari_blochnet.physics.reference.epg import epg_signal

PLAYS = pytest.mark.parametrize("trains", [1, 2, 4, "steady"])
PATHS = pytest.mark.parametrize("spoiled", [False, True])
# Orders that T2 leaves of these tissues.
EVERY = 360


def error(found, exact) -> np.ndarray:
    """NRMSE of each fingerprint."""
    return np.linalg.norm(found - exact, axis=-1) / np.linalg.norm(exact, axis=-1)


@PLAYS
@PATHS
def test_isochromats_and_both_phase_graphs_agree(played, tissues, trains, spoiled):
    schedule = played(trains, spoiled).replace(slice_profile=[1.0, 0.7])
    t1, t2, b1 = tissues
    exact = bloch_signal(schedule, t1, t2, b1)
    clear = epg_signal(schedule, t1, t2, b1=b1).numpy()
    fast = EPGDecoder(schedule, states=EVERY)
    found = fast.signal(t1, t2, b1, dtype=np.float64)
    assert np.iscomplexobj(found) is spoiled
    assert error(clear, exact).max() < 1e-12
    assert error(found, exact).max() < 1e-9
    # one field for all voxels is another way through the kernels
    np.testing.assert_allclose(
        fast.signal(t1, t2, dtype=np.float64), bloch_signal(schedule, t1, t2), rtol=0, atol=1e-10
    )
    # the precision and the truncation that are the defaults
    assert error(EPGDecoder(schedule).signal(t1, t2, b1), exact).max() < 3e-6


@PLAYS
@PATHS
def test_derivatives_of_played_trains(played, tissues, trains, spoiled):
    schedule = played(trains, spoiled).replace(slice_profile=[1.0, 0.7])
    decoder = EPGDecoder(schedule, states=EVERY).double()
    signal, derivatives = (part.numpy() for part in decoder.jacobian(*tissues))
    np.testing.assert_allclose(signal, decoder.signal(*tissues, dtype=np.float64), rtol=0, atol=1e-13)
    for p, values in enumerate(tissues):
        step = np.zeros_like(tissues)
        step[p] = 2e-5 * values
        sides = [epg_signal(schedule, *moved[:2], b1=moved[2]).numpy() for moved in (tissues + step, tissues - step)]
        difference = (sides[0] - sides[1]) / (2 * step[p][:, None])
        assert error(derivatives[..., p], difference).max() < 1e-6
    two = decoder.jacobian(*tissues[:2])[1].numpy()
    three = decoder.jacobian(*tissues[:2], np.ones(4))[1].numpy()
    np.testing.assert_allclose(two, three[..., :2], atol=1e-13)


@PATHS
@pytest.mark.parametrize("trains", [2, "steady"])
def test_gradcheck(played, tissues, trains, spoiled, monkeypatch):
    decoder = EPGDecoder(played(trains, spoiled), states=60)
    leaves = [torch.tensor(values[:2], requires_grad=True) for values in tissues]
    # derivatives kept from the forward pass, and made again from the incoming gradient
    assert torch.autograd.gradcheck(lambda t1, t2, b1: decoder(t1, t2, b1=b1), leaves, rtol=1e-4, atol=1e-9)
    monkeypatch.setattr("napari_blochnet.physics.decoder._KEPT_BYTES", 0)
    assert torch.autograd.gradcheck(lambda t1, t2, b1: decoder(t1, t2, b1=b1), leaves, rtol=1e-4, atol=1e-9)


@PATHS
def test_steady_state_is_what_two_hundred_plays_reach(played, tissues, spoiled):
    schedule = played("steady", spoiled)
    t1, t2, b1 = (values[1:] for values in tissues)
    steady = EPGDecoder(schedule).signal(t1, t2, b1, dtype=np.float64)
    played_out = bloch_signal(schedule.replace(trains=200), t1, t2, b1)
    assert error(steady, played_out).max() < 1e-6
    exact = EPGDecoder(schedule, states=EVERY).signal(t1, t2, b1, dtype=np.float64)
    assert error(exact, played_out).max() < 1e-9
