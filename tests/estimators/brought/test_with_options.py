"""Dictionaries of others with what any estimator may be given: a B1 map, standard errors, refinement."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.physics.bounds import cramer_rao_bound

N = np.arange(80)
SCHEDULE = nb.Schedule(10 + 50 * np.abs(np.sin(N / 15)), 12.0, 3.0, inversion_time=10.0, name="short")
GRID = np.meshgrid(np.geomspace(300, 2000, 12), np.geomspace(30, 200, 10), (0.8, 1.0, 1.2), indexing="ij")
T1, T2, B1 = (axis.ravel() for axis in GRID)
SIGMA = 1e-3


@pytest.fixture(scope="module")
def signals():
    return nb.EPGDecoder(SCHEDULE).signal(T1, T2, B1).astype(np.complex128)


@pytest.fixture(scope="module")
def dictionary(signals, tmp_path_factory):
    file = tmp_path_factory.mktemp("made") / "made.npz"
    np.savez(file, atoms=signals, T1_ms=T1, T2_ms=T2, B1=B1, shift_Hz=T1 / 100)
    return str(file)


@pytest.fixture(scope="module")
def stack(signals):
    return nb.FingerprintStack(signals[::12].T.reshape(len(N), 1, 1, -1).astype(np.complex64), SCHEDULE)


def test_errors_keep_all_maps_and_count_a_b1_that_is_estimated(stack, dictionary):
    plain = nb.reconstruct(stack, dictionary=dictionary)
    maps = nb.reconstruct(stack, dictionary=dictionary, uncertainty=True, noise_sigma=SIGMA)
    np.testing.assert_array_equal(maps.b1, plain.b1)
    np.testing.assert_array_equal(maps.others["shift"].values, plain.others["shift"].values)
    bound = cramer_rao_bound(SCHEDULE, T1[::12], T2[::12], 1.0, B1[::12], sigma=SIGMA, kind="complex", fit_b1=True)
    # truths between atoms, too, lie within what is said: evenly spread over as much as lies nearest to each
    for error, expected, values in ((maps.t1_se, bound.t1, T1), (maps.t2_se, bound.t2, T2)):
        cells = np.gradient(np.unique(values))[np.searchsorted(np.unique(values), values[::12])] / np.sqrt(12)
        np.testing.assert_allclose(error.ravel(), np.hypot(expected, cells), rtol=0.02)


def test_a_field_beyond_the_atoms_is_told(stack, dictionary):
    field = np.ones(stack.shape[1:])
    field.ravel()[:3] = 1.4
    with pytest.warns(DataWarning, match=r"B1 of 3 of 30 voxels is outside the 0\.8 to 1\.2"):
        maps = nb.reconstruct(stack, b1=field, dictionary=dictionary)
    assert "outside the 0.8 to 1.2" in " ".join(maps.record["understood"])


def test_sentences(stack, dictionary, signals):
    with pytest.raises(nb.InputError, match="takes every sample"):
        nb.reconstruct(stack, dictionary=dictionary, saturation=0.5)
    with pytest.raises(nb.InputError, match="estimates it; expected fit_b1 or a B1 map"):
        nb.reconstruct(stack, dictionary=dictionary, refine=True)
    basis = np.linalg.svd(signals.T, full_matrices=False)[0][:, :8]
    alone = nb.FingerprintStack(np.tensordot(basis.conj().T, stack.data, 1), None, basis=basis)
    for option in ("refine", "uncertainty"):
        with pytest.raises(nb.InputError, match="without a schedule"):
            nb.reconstruct(alone, dictionary=dictionary, fit_b1=True, **{option: True})
    with pytest.raises(nb.InputError, match="neither a schedule nor a subspace"):
        nb.read_dictionary(dictionary).predict(signals, None)
    one = nb.FingerprintStack(np.ones((1, 1, 2, 2), np.complex64), None, basis=np.cos(N)[:, None])
    assert nb.reconstruct(one, dictionary=dictionary).mask.all()
    with pytest.raises(nb.InputError, match="holds 8 coefficients"):
        nb.adapt("fc", alone)


def test_a_stack_keeps_its_own_basis_beside_a_dictionary_with_another(tmp_path, signals):
    u = np.linalg.svd(signals.T, full_matrices=False)[0][:, :8].real
    np.savez(tmp_path / "theirs.npz", atoms=signals.real @ u, T1_ms=T1, T2_ms=T2, u=u)
    turned = u @ np.linalg.qr(np.random.default_rng(1).standard_normal((8, 8)))[0]
    data = (signals.real[1::12] @ turned).T.reshape(8, 1, 1, -1).astype(np.complex64)
    write_fingerprints(nb.FingerprintStack(data, None, basis=turned), tmp_path / "own.nii.gz")
    np.savez(tmp_path / "within.npz", images=data, basis=turned)
    for name in ("own.nii.gz", "within.npz"):
        asked = [str(tmp_path / name), "--dictionary", str(tmp_path / "theirs.npz"), "-o", str(tmp_path / name[:3])]
        ran = CliRunner().invoke(blochnet, ["reconstruct", *asked])
        assert ran.exit_code == 0, ran.output
        np.testing.assert_allclose(read_maps(tmp_path / name[:3]).t1.ravel(), T1[1::12], rtol=1e-5)
