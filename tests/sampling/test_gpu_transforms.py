"""Transforms of a CUDA device, by a stand-in with cuFINUFFT's documented interface that computes with FINUFFT."""

import sys
import types

import finufft
import numpy as np
import pytest
import torch

from napari_blochnet.sampling.acquiring import acquire
from napari_blochnet.sampling.fourier import FramePlans, transforms_by
from napari_blochnet.sampling.trajectories import make_trajectory

# of cufinufft 2.5.1's NufftOpts
OPTIONS = {"upsampfac", "gpu_method", "gpu_sort", "gpu_kerevalmeth", "gpu_device_id", "gpu_stream", "modeord"}


class StandIn:
    """As ``cufinufft.Plan``: arrays of the device, contiguous, of the plan's precision; several come first."""

    turned = 1
    moved: set
    made: list

    def __init__(self, nufft_type, n_modes, n_trans=1, eps=1e-6, isign=None, dtype="complex64", **options):
        assert set(options) <= OPTIONS
        self.made.append(options)
        self.type, self.n_modes, self.n_trans = nufft_type, tuple(n_modes), n_trans
        self.plan = finufft.Plan(nufft_type, self.n_modes, n_trans, eps, self.turned * isign, dtype)

    def _taken(self, values, dtype):
        assert isinstance(values, torch.Tensor)
        assert id(values) in {id(each) for each in self.moved}
        assert values.is_contiguous()
        assert values.dtype == dtype
        return values.numpy()

    def setpts(self, x, y=None, z=None, s=None, t=None, u=None):
        self.points = [self._taken(each, torch.float32).copy() for each in (x, y)]
        self.plan.setpts(*self.points)

    def execute(self, data, out=None):
        assert data.shape == (self.n_trans, *(self.n_modes if self.type == 2 else (len(self.points[0]),)))
        return torch.from_numpy(self.plan.execute(self._taken(data, torch.complex64)))


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in in place of the package, and tensors that say where they were sent."""
    moved, sent = [], []

    def to(tensor, device):
        sent.append(str(device))
        moved.append(tensor)
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    plan = type("Plan", (StandIn,), {"moved": moved, "made": [], "sent": sent})
    monkeypatch.setitem(sys.modules, "cufinufft", types.SimpleNamespace(Plan=plan))
    transforms_by.cache_clear()
    yield plan
    transforms_by.cache_clear()


def _acquired(device, images="frames"):
    random = np.random.default_rng(2)
    signal = (random.standard_normal((1, 16, 14, 6)) + 1j).astype(np.complex64)
    basis = np.linalg.qr(random.standard_normal((6, 2)))[0]
    trajectory = make_trajectory("spiral", 6, (16, 14), 2, "golden")
    return acquire(signal, np.ones((1, 16, 14), bool), trajectory, coils=2, images=images, basis=basis, low_rank=0.0,
                   sigma=0.1, device=device)  # fmt: skip


@pytest.mark.parametrize("images", ["frames", "coefficients"])
def test_a_gpu_makes_the_same_images(stand_in, images):
    assert transforms_by("cpu") == "finufft"
    assert transforms_by("cuda:1") == "cufinufft"
    expected = _acquired("cpu", images)
    checked = len(stand_in.made)
    found = _acquired("cuda:1", images)
    assert len(stand_in.made) > checked
    assert {options["gpu_device_id"] for options in stand_in.made} == {1}
    assert set(stand_in.sent) == {"cuda:1"}
    assert np.linalg.norm(found - expected) <= 1e-3 * np.linalg.norm(expected)


def test_without_the_package_or_where_it_is_wrong_it_is_finufft(stand_in, monkeypatch):
    stand_in.turned = -1
    assert transforms_by("cuda:0") == "finufft"
    stand_in.turned = 1
    transforms_by.cache_clear()
    monkeypatch.setattr(stand_in, "setpts", lambda *points: 1 / 0)
    assert transforms_by("cuda:0") == "finufft"
    transforms_by.cache_clear()
    monkeypatch.setitem(sys.modules, "cufinufft", None)
    assert transforms_by("cuda:0") == "finufft"
    made = len(stand_in.made)
    plans = FramePlans((8, 8), 1, "cuda:0")
    plans.set_points(np.zeros((3, 2)))
    np.testing.assert_allclose(plans.to_samples(np.ones((1, 8, 8))), 8.0, rtol=1e-3)
    assert len(stand_in.made) == made
