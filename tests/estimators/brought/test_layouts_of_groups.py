"""Dictionaries and images as groups store them, of signals that a simulation of isochromats made, none of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import read_maps

PULSES, K = 40, 4


def isochromats(t1: np.ndarray, t2: np.ndarray) -> np.ndarray:
    """Return FISP signals (atom, pulse) after an inversion: the mean of spins over one cycle of dephasing."""
    phase = 2 * np.pi * (np.arange(100) + 0.5) / 100
    m = np.zeros((3, len(t1), len(phase)))
    m[2] = 1 - 2 * np.exp(-15 / t1)[:, None]

    def relax(time: float) -> None:
        m[:2] *= np.exp(-time / t2)[:, None]
        m[2] = 1 - (1 - m[2]) * np.exp(-time / t1)[:, None]

    signals = []
    for flip in np.deg2rad(10 + 50 * np.abs(np.sin(np.arange(PULSES) * np.pi / 20))):
        m[1], m[2] = np.cos(flip) * m[1] + np.sin(flip) * m[2], np.cos(flip) * m[2] - np.sin(flip) * m[1]
        relax(3.0)
        signals.append(m[0].mean(axis=1) + 1j * m[1].mean(axis=1))
        relax(9.0)
        turned = (m[0] + 1j * m[1]) * np.exp(1j * phase)
        m[0], m[1] = turned.real, turned.imag
    return np.stack(signals, axis=1)


T1, T2 = (axis.ravel() for axis in np.meshgrid(np.geomspace(200, 3000, 16), np.geomspace(15, 150, 12)))
ATOMS = isochromats(T1, T2)
TABLE = np.column_stack([T1, T2])
NORMS = np.linalg.norm(ATOMS, axis=1)
U, S, _ = np.linalg.svd(ATOMS.T)
u = U[:, :K]
# in rows: what MATLAB code of D = U·S·V' multiplies with
V, WITHIN = u.conj(), ATOMS @ u.conj()
NORMS_WITHIN = np.linalg.norm(WITHIN, axis=1)
# a slice of 6 × 8 voxels
TRUE = np.random.default_rng(1).integers(0, len(T1), (6, 8))
PD = np.random.default_rng(2).uniform(0.5, 2, (6, 8)) * np.exp(1j * np.arange(48).reshape(6, 8))
FRAMES = (PD[..., None] * ATOMS[TRUE]).astype(np.complex64)
IMAGES = (PD[..., None] * WITHIN[TRUE]).astype(np.complex64)
NAMES = np.array(["T1", "T2"], object)[None]
SECONDS = ("--parameters", "T1 s, T2 s")
UNIT = {"D": WITHIN / NORMS_WITHIN[:, None], "normD": NORMS_WITHIN[:, None], "lut": TABLE / 1e3, "V": V}


def reconstructed(folder: Path, images: Any, dictionary: dict[str, Any], *options: str) -> tuple[Any, str]:
    """Return the maps by command, None where there are none, and what was said."""
    stack = images if isinstance(images, Path) else folder / "images.npy"
    if stack is not images:
        np.save(stack, images)
    savemat(folder / "d.mat", dictionary)
    command = ["reconstruct", str(stack), "--dictionary", str(folder / "d.mat"), "-o", str(folder / "out"), *options]
    result = CliRunner().invoke(blochnet, command)
    said = " ".join(result.output.split())
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return (None if result.exit_code else read_maps(folder / "out")), said


@pytest.mark.parametrize(
    ("images", "dictionary", "options"),
    [
        pytest.param(FRAMES, {"dict": ATOMS.T, "r": TABLE}, ("--parameters", "T1 ms, T2 ms"), id="atoms and r"),
        pytest.param(FRAMES, {"dict": ATOMS.T, "look_up": TABLE / 1e3, "look_up_names": NAMES}, (), id="look_up_names"),
        pytest.param(FRAMES, {"dictionary": {"atoms": ATOMS.T, "t1": T1, "t2": T2}}, (), id="vectors"),
        pytest.param(FRAMES, {"dict": {**UNIT, "D": ATOMS, "D_nn": 2 * ATOMS}}, SECONDS, id="whole atoms beside V"),
        pytest.param(FRAMES, {"dict": ATOMS, "u": U, "T1": T1, "T2": T2}, (), id="whole atoms beside all of U"),
        pytest.param(IMAGES, {"dict": UNIT}, SECONDS, id="unit atoms, norms and V"),
        pytest.param(IMAGES, {"dict": {**UNIT, "dict_full": ATOMS}}, SECONDS, id="unit atoms beside whole ones"),
        pytest.param(
            IMAGES,
            {"dict_svd": WITHIN.T, "dict_phi": u, "look_up": TABLE / 1e3, "look_up_names": NAMES},
            (),
            id="atoms and basis by the ends of their names",
        ),
        pytest.param(
            IMAGES,
            {"D": WITHIN, "u": u, "T1 relaxation time".replace(" ", "_"): T1, "T2_relaxation_time": T2},
            (),
            id="names at greater length",
        ),
    ],
)
def test_maps_are_the_truth_whoever_stored_the_dictionary(tmp_path, images, dictionary, options):
    maps, said = reconstructed(tmp_path, images, dictionary, *options)
    assert maps is not None, said
    np.testing.assert_allclose(maps.t1[0], T1[TRUE], rtol=1e-5)
    np.testing.assert_allclose(maps.t2[0], T2[TRUE], rtol=1e-5)
    np.testing.assert_allclose(np.abs(maps.pd[0]), np.abs(PD), rtol=1e-4)


@pytest.mark.parametrize("kind", ["magnitude", "real"])
def test_frames_of_no_schedule_need_not_be_complex(tmp_path, kind):
    frames = np.abs(FRAMES) if kind == "magnitude" else (FRAMES / (1j * PD[..., None])).real.astype(np.float32)
    atoms = ATOMS if kind == "magnitude" else ATOMS.imag
    maps, said = reconstructed(tmp_path, frames, {"dict": atoms, "T1": T1, "T2": T2})
    assert maps is not None, said
    assert f", {kind}," in said
    np.testing.assert_allclose(maps.t1[0], T1[TRUE], rtol=1e-5)
    np.testing.assert_allclose(maps.t2[0], T2[TRUE], rtol=1e-5)


def test_samples_of_whole_signals_are_opened_by_their_number(tmp_path):
    np.save(tmp_path / "f.npy", FRAMES)
    stack = nb.read_fingerprints(tmp_path / "f.npy", basis=str(PULSES))
    assert stack.is_whole
    assert "40 time points ×" in stack.describe()
    np.testing.assert_array_equal(stack.subspace.coordinates(FRAMES[0]), FRAMES[0])
    with pytest.raises(InputError, match="are not 41 time points: its axes have lengths 6 × 8 × 40"):
        nb.read_fingerprints(tmp_path / "f.npy", basis="41")


DICTIONARY = {"D": {"magnetization": WITHIN.T, "u": u, "lookup_table": TABLE, "parameter": NAMES}}


@pytest.mark.parametrize(
    ("stored", "found", "remedy"),
    [
        (lambda c: c * [1, -1, 1, 1], "the other sign in component 1", "a basis with the other sign in component 1"),
        (lambda c: c * [1, 1, -1, -1], "the other sign in components 2, 3", "the other sign in components 2, 3"),
        (lambda c: c[..., [0, 2, 1, 3]], "another order", "component_order 0, 2, 1, 3"),
        (lambda c: c * S[:K], "multiplied by singular values", "divided by the dictionary's singular values"),
    ],
)
def test_signs_order_and_scale_are_told_where_the_first_component_hides_them(tmp_path, stored, found, remedy):
    noise = 0.003 * np.random.default_rng(0).normal(size=(2, *IMAGES.shape))
    maps, said = reconstructed(tmp_path, stored(IMAGES + noise[0] + 1j * noise[1]).astype(np.complex64), DICTIONARY)
    assert maps is None
    assert found in said
    assert remedy in said


def test_noise_is_no_other_convention(tmp_path):
    for seed, scale in enumerate((0.02, 0.1, 0.4)):
        noise = scale * np.random.default_rng(seed).normal(size=(2, *IMAGES.shape))
        maps, said = reconstructed(tmp_path, (IMAGES + noise[0] + 1j * noise[1]).astype(np.complex64), DICTIONARY)
        assert maps is not None, said


@pytest.mark.parametrize(
    ("table", "names", "sentence"),
    [
        (np.log10(TABLE), NAMES, r"the unit of T1 \(2.30103 to 3.47712\) is not stated"),
        (np.log(TABLE), NAMES, r"the unit of T1 \(5.29832 to 8.00637\) is not stated"),
        (TABLE, NAMES[:, ::-1], "T2 is longer than T1 in 100 % of its atoms"),
    ],
)
def test_tables_that_are_no_times_are_asked_about(tmp_path, table, names, sentence):
    savemat(tmp_path / "d.mat", {"dict": ATOMS, "lut": table, "parameter": names})
    with pytest.raises(InputError, match=sentence) as caught:
        nb.read_dictionary(tmp_path / "d.mat")
    assert caught.value.field == "parameters"


def test_units_that_are_none(tmp_path):
    savemat(tmp_path / "d.mat", {"dict": ATOMS, "lut": TABLE / 1e3, "parameter": np.array(["T1 ms", "T2 ms"], object)})
    with pytest.raises(InputError, match="'T1 furlong', whose unit is not known"):
        nb.read_dictionary(tmp_path / "d.mat", "T1 furlong, T2 ms")
    assert any("T1 is stated in ms, of which the median is" in each
               for each in nb.read_dictionary(tmp_path / "d.mat").understood)  # fmt: skip


def test_atoms_beyond_the_memory_are_refused_before_it_is_taken(tmp_path, monkeypatch):
    import psutil

    savemat(tmp_path / "d.mat", {"dict": ATOMS, "T1": T1, "T2": T2})
    dictionary = nb.read_dictionary(tmp_path / "d.mat")
    stack = nb.FingerprintStack(np.moveaxis(FRAMES, -1, 0)[:, None], None, basis=np.eye(PULSES))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000})())
    with pytest.raises(InputError, match=r"192 atoms of d.mat take .* GiB laid out") as caught:
        dictionary.predict(stack.fingerprints(), None, "complex", subspace=stack.subspace)
    assert caught.value.field == "dictionary"


def written_by_bart(file: Path, array: np.ndarray, *along: int) -> Path:
    """Write an array as BART does, its axes along some of sixteen dimensions, the first the fastest."""
    sizes = [1] * 16
    for axis, size in zip(along, array.shape, strict=True):
        sizes[axis] = size
    array.astype("<c8").ravel(order="F").tofile(file.with_suffix(".cfl"))
    file.with_suffix(".hdr").write_text(
        f"# Dimensions\n{' '.join(map(str, sizes))} \n# Command\npics -B basis k s c \n"
    )
    return file.with_suffix(".cfl")


@pytest.mark.parametrize("ending", [".cfl", ".hdr"])
@pytest.mark.parametrize("along", [(0, 1, 6), (0, 1, 2)], ids=["as BART has it", "three axes"])
def test_coefficients_and_basis_of_bart(tmp_path, ending, along):
    images = written_by_bart(tmp_path / "images.cfl", IMAGES.transpose(1, 0, 2), *along).with_suffix(ending)
    basis = written_by_bart(tmp_path / "basis.cfl", u, 5, 6).with_suffix(ending)
    maps, said = reconstructed(tmp_path, images, {"dict": ATOMS, "T1": T1, "T2": T2}, "--basis", str(basis))
    assert maps is not None, said
    np.testing.assert_allclose(maps.t1[0], T1[TRUE], rtol=1e-5)
    np.testing.assert_allclose(maps.t2[0], T2[TRUE], rtol=1e-5)


def test_slices_and_coils_of_bart(tmp_path):
    # as many slices as components: BART's dimensions tell them apart
    slices = np.stack([IMAGES.transpose(1, 0, 2) * (z + 1) for z in range(K)], axis=2)
    basis = written_by_bart(tmp_path / "basis.cfl", u, 5, 6)
    for along in ((0, 1, 2, 6), (0, 1, 6, 13)):
        array = slices if along[2] == 2 else slices.transpose(0, 1, 3, 2)
        stack = nb.read_fingerprints(written_by_bart(tmp_path / "s.cfl", array, *along), basis=basis)
        np.testing.assert_array_equal(stack.data[:, 2], 3 * np.moveaxis(IMAGES, -1, 0))
    coils = written_by_bart(tmp_path / "c.cfl", slices, 0, 1, 3, 6)
    with pytest.raises(InputError, match=r"holds 4 coils \(dimension 3\), 4 coefficients \(dimension 6\)"):
        nb.read_fingerprints(coils, basis=basis)
    coils.write_bytes(coils.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"has 6,136 bytes, and c.hdr states 8 × 6 × 1 × 4"):
        nb.read_fingerprints(coils, basis=basis)
    coils.with_suffix(".hdr").write_text("hello")
    with pytest.raises(InputError, match="states no sizes"):
        nb.read_fingerprints(coils, basis=basis)
