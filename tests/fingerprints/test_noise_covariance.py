"""The covariance of coefficients' noise: measured outside the object, read from files, and what is none."""

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.compressed.noise_covariance import noise_covariance

K, SHAPE = 3, (2, 48, 48)
TRAIN = nb.Schedule(np.linspace(5, 60, 40), 12.0, 4.0, inversion_time=15.0)
COLOURED = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, -0.2], [0.0, -0.2, 0.5]])


@pytest.fixture(scope="module")
def stack():
    """An object that is strong, something bright that its mask leaves out, and noise of known covariance."""
    random = np.random.default_rng(3)
    drawn = random.standard_normal((2, *SHAPE, K)) @ np.linalg.cholesky(COLOURED).T
    data = np.moveaxis(drawn[0] + 1j * drawn[1], -1, 0)
    mask = np.zeros(SHAPE, bool)
    mask[:, 16:32, 16:32] = True
    data[:, mask] += 100.0
    data[:, :, 30:36, 20:24] += 80.0
    data[:, 0, :, :4] = 0.0
    basis = np.linalg.qr(random.standard_normal((40, K)))[0]
    return nb.FingerprintStack(data.astype(np.complex64), TRAIN, "complex", mask, basis=basis)


def test_background_tells_the_covariance(stack):
    found = noise_covariance(stack, "background")
    # some 3,800 voxels in two channels
    np.testing.assert_allclose(found.values, COLOURED, atol=0.2)
    assert "measured in 3," in found.said


@pytest.mark.parametrize("ending", ["npy", "mat"])
def test_files_are_read(stack, tmp_path, ending):
    path = tmp_path / f"noise.{ending}"
    if ending == "npy":
        np.save(path, COLOURED)
    else:
        from scipy.io import savemat

        savemat(path, {"covariance": COLOURED})
    np.testing.assert_allclose(noise_covariance(stack, path).values, COLOURED)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.eye(K + 1), r"is 4 × 4 of float64; expected 3 × 3 numbers"),
        (np.arange(9.0).reshape(3, 3), "not finite or not Hermitian"),
        (np.full((3, 3), np.nan), "not finite or not Hermitian"),
        (np.diag([1.0, 0.0, 1.0]), "no variance in 1 of 3 coefficients"),
        (np.ones((3, 3)), "no variance in some mixtures"),
    ],
)
def test_what_is_no_covariance_gets_a_sentence(stack, tmp_path, given, said):
    np.save(tmp_path / "noise.npy", given)
    with pytest.raises(InputError, match=said) as raised:
        noise_covariance(stack, tmp_path / "noise.npy")
    assert raised.value.field == "noise_covariance"


def test_background_that_holds_nothing_gets_a_sentence(stack):
    masked = nb.FingerprintStack(stack.data * stack.mask, TRAIN, "complex", basis=stack.basis)
    with pytest.raises(InputError, match=r"0 voxels .* hold noise alone.*expected at least 100"):
        noise_covariance(masked, "background")
    with pytest.raises(InputError, match="holds whole fingerprints"):
        noise_covariance(nb.FingerprintStack(np.ones((40, 1, 4, 4), np.complex64), TRAIN), "background")
