"""The covariance of coefficients' noise from two scans: known noise, each voxel's own phase and scale, what is none."""

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.compressed.noise_covariance import noise_covariance
from napari_blochnet.fingerprints.stack_files import write_fingerprints

K, SHAPE = 4, (1, 40, 40)
TRAIN = nb.Schedule(10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 40)), 12.0, 4.0, inversion_time=15.0, name="short")
COLOURED = np.array([[4.0, 0.9, 0.0, 0.2], [0.9, 1.0, -0.3, 0.0], [0.0, -0.3, 0.5, 0.1], [0.2, 0.0, 0.1, 0.05]])


class Object:
    """A hundred tissues of 4 × 4 voxels, and scans of them with noise of known covariance."""

    def __init__(self):
        random = np.random.default_rng(5)
        tiles, of_each = (1, 10, 10), np.ones((1, 4, 4))
        self.t1 = np.kron(np.exp(random.uniform(np.log(500), np.log(2500), tiles)), of_each)
        self.t2 = self.t1 / np.kron(random.uniform(6, 20, tiles), of_each)
        decoder = nb.EPGDecoder(TRAIN)
        signals = decoder.signal(self.t1.reshape(-1), self.t2.reshape(-1))
        self.basis = np.linalg.svd(signals, full_matrices=False)[2][:K].T
        self.clean = (signals @ self.basis).T.reshape(K, *SHAPE)
        self.covariance = COLOURED * (0.03 * np.sqrt(np.mean(np.abs(self.clean) ** 2))) ** 2

    def scan(self, seed, gain=1.0, moved=0, **fields):
        random = np.random.default_rng(seed)
        drawn = random.standard_normal((2, *SHAPE, K)) @ np.linalg.cholesky(self.covariance).T
        noise = np.moveaxis(drawn[0] + 1j * drawn[1], -1, 0)
        data = gain * (np.roll(self.clean, moved, axis=-1) + noise)
        given = {"basis": self.basis, "name": f"scan {seed}"} | fields
        return nb.FingerprintStack(data.astype(np.complex64), TRAIN, "complex", np.ones(SHAPE, bool), **given)

    def gains(self):
        """Any phase, and a scale of up to a fifth, of each voxel by itself."""
        random = np.random.default_rng(9)
        return random.uniform(0.8, 1.2, SHAPE) * np.exp(2j * np.pi * random.random(SHAPE))


@pytest.fixture(scope="module")
def scanned():
    return Object()


@pytest.fixture(scope="module")
def first(scanned):
    return scanned.scan(1)


@pytest.fixture(scope="module")
def repeat(scanned, tmp_path_factory):
    path = tmp_path_factory.mktemp("repeat") / "again.nii"
    write_fingerprints(scanned.scan(2, scanned.gains()), path)
    return path


def _bounds(scanned, covariance):
    """Standard deviations of ln T1 and ln T2 of each tissue under a covariance, PD eliminated: by NumPy alone."""
    signal, derivatives = (
        each.detach().numpy().astype(float)
        for each in nb.EPGDecoder(TRAIN).jacobian(scanned.t1.reshape(-1)[::40], scanned.t2.reshape(-1)[::40])
    )
    times = np.stack([scanned.t1.reshape(-1)[::40], scanned.t2.reshape(-1)[::40]], axis=1)
    all_three = np.concatenate([derivatives[..., :2] * times[:, None], signal[..., None]], axis=2)
    all_three = np.einsum("nk,vnp->vkp", scanned.basis, all_three)
    fisher = np.einsum("vkp,kl,vlq->vpq", all_three, np.linalg.inv(covariance), all_three)
    return np.sqrt(np.diagonal(np.linalg.inv(fisher), axis1=1, axis2=2))[:, :2]


def test_the_difference_tells_the_covariance(scanned, first, repeat):
    found = noise_covariance(first, repeat)
    colour = np.linalg.inv(np.linalg.cholesky(scanned.covariance))
    sizes = np.linalg.eigvalsh(colour @ found.values @ colour.T)
    # 1,600 voxels in two channels; what is along the signal of most tissues is known least, and tells least
    np.testing.assert_allclose(sizes[:-1], 1.0, atol=0.1)
    np.testing.assert_allclose(_bounds(scanned, found.values), _bounds(scanned, scanned.covariance), rtol=0.06)
    assert "1,600 voxels of the object, by the difference from the repeated scan" in found.said
    assert "left out" not in found.said
    # without each voxel's own phase and scale it would be as large as the signal
    plain = first.data - nb.read_fingerprints(repeat).data
    assert np.mean(np.abs(plain) ** 2) / 4 > 100 * np.trace(scanned.covariance) / K


def test_intervals_cover_the_truth(scanned, first, repeat):
    maps = nb.reconstruct(first, "universal", refine=True, noise_covariance=str(repeat))
    assert not maps.failed.any()
    for value, error, truth in ((maps.t1, maps.t1_se, scanned.t1), (maps.t2, maps.t2_se, scanned.t2)):
        share = np.mean(np.abs(np.log(value / truth)) <= 1.96 * error / value)
        # of 1,600 voxels three standard deviations are 1.6 %
        assert 0.93 <= share <= 0.97
    assert "repeated scan" in maps.record["understood"][0]


def test_what_differs_by_more_than_noise_is_left_out(scanned, first, tmp_path):
    gain = scanned.gains()
    again = scanned.scan(2, gain)
    vessels = np.zeros(SHAPE, bool)
    vessels[:, 10:14, 10:18] = True
    again.data[:, vessels] += 3 * np.array([1, -1, 1, 1j])[:, None] * np.abs(again.data[:, vessels]).mean()
    write_fingerprints(again, tmp_path / "again.nii")
    found = noise_covariance(first, tmp_path / "again.nii")
    assert "32 that differ by more than noise were left out" in found.said
    np.testing.assert_allclose(_bounds(scanned, found.values), _bounds(scanned, scanned.covariance), rtol=0.06)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "differs from scan 1 by no more than a phase and a scale"),
        ({"seed": 1, "gain": 2j}, "differs from scan 1 by no more than a phase and a scale"),
        ({"moved": 1}, "differs from scan 1 by more than noise in .* expected the same object, which did not move"),
        ({"basis": "turned"}, "scan 2 has another basis"),
        ({"affine": np.diag([1.0, 1.0, 1.0, 1.0]) + 5 * np.eye(4, k=3)}, "scan 2 lies elsewhere in the scanner"),
    ],
)
def test_what_is_no_repeat_gets_a_sentence(scanned, first, tmp_path, changes, said):
    if changes.get("basis") is not None:
        changes = {"basis": scanned.basis @ np.linalg.qr(np.random.default_rng(0).standard_normal((K, K)))[0]}
    write_fingerprints(scanned.scan(**{"seed": 2, **changes}), tmp_path / "again.nii")
    with pytest.raises(InputError, match=said) as raised:
        noise_covariance(first, tmp_path / "again.nii")
    assert raised.value.field == "noise_covariance"


def test_other_shapes_schedules_and_kinds_get_a_sentence(scanned, first, tmp_path):
    def said(stack):
        write_fingerprints(stack, tmp_path / "again.nii")
        with pytest.raises(InputError) as raised:
            noise_covariance(first, tmp_path / "again.nii")
        return str(raised.value)

    second = scanned.scan(2)
    cut = nb.FingerprintStack(second.data[:, :, :20], TRAIN, "complex", basis=scanned.basis)
    assert "is 4 × 1 × 20 × 40 (coefficients, z, y, x); expected 4 × 1 × 40 × 40" in said(cut)
    other = nb.Schedule(TRAIN.flip_angle, 13.0, 4.0, inversion_time=15.0, name="slower")
    assert "was made with [" in said(nb.FingerprintStack(second.data, other, "complex", basis=scanned.basis))
    assert "is real; expected complex" in said(nb.FingerprintStack(second.data.real, TRAIN, basis=scanned.basis))
    whole = nb.FingerprintStack(np.ones((120, *SHAPE), np.complex64), TRAIN)
    assert "holds whole fingerprints; expected coefficients of the same basis" in said(whole)
    small = np.zeros(SHAPE, bool)
    small[0, 0, :20] = True
    write_fingerprints(second, tmp_path / "again.nii")
    with pytest.raises(InputError, match="20 voxels hold signal in both"):
        noise_covariance(first, tmp_path / "again.nii", small)
    with pytest.raises(InputError, match=r"there is no|no such|not found|does not exist"):
        noise_covariance(first, tmp_path / "nothing.nii")
