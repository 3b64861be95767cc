"""Dictionaries of others: read, matched, and refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import loadmat, savemat

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.estimators.brought.dictionary_files import read_atom_table
from napari_blochnet.evaluation.maps_io import read_maps

T1, T2 = np.meshgrid(np.geomspace(200, 3000, 40), np.geomspace(20, 300, 25), indexing="ij")
TABLE = np.column_stack([T1.ravel(), T2.ravel()])
TIMES = np.linspace(0, 3000, 60)


def curves(t1: np.ndarray, t2: np.ndarray) -> np.ndarray:
    """Return inversion recovery under transverse decay: any signal that tells the two will do."""
    return (1 - 2 * np.exp(-TIMES / t1[:, None])) * (0.3 + np.exp(-TIMES / t2[:, None]))


ATOMS = curves(*TABLE.T)


@pytest.fixture
def stack() -> nb.FingerprintStack:
    """Return complex whole signals of every ninth atom, with a basis that is none of fewer."""
    data = (ATOMS[::9] * (2 - 1j)).T.reshape(len(TIMES), 1, 1, -1).astype(np.complex64)
    return nb.FingerprintStack(data, None, basis=np.eye(len(TIMES)))


def saved(path, ending: str, **arrays):
    file = path / f"made{ending}"
    if ending == ".npz":
        np.savez(file, **arrays)
    elif ending == ".mat":
        savemat(file, {"D": arrays})
    else:
        import h5py

        with h5py.File(file, "w") as made:
            for name, values in arrays.items():
                made[name] = values
    return file


@pytest.mark.parametrize("ending", [".mat", ".npz", ".h5"])
@pytest.mark.parametrize("turned", [False, True])
def test_atoms_and_table_in_either_order(tmp_path, stack, ending, turned):
    atoms, table = (ATOMS.T, TABLE) if turned else (ATOMS, TABLE.T)
    names = np.array(["T1", "T2"], object if ending == ".mat" else None)
    names = names if ending != ".h5" else ["T1", "T2"]
    file = saved(tmp_path, ending, atoms=atoms, lookup_table=table, parameter=names)
    maps = nb.reconstruct(stack, dictionary=str(file))
    np.testing.assert_allclose(maps.t1.ravel(), TABLE[::9, 0], rtol=1e-6)
    np.testing.assert_allclose(maps.t2.ravel(), TABLE[::9, 1], rtol=1e-6)
    # atoms are as they are: the density is what they were multiplied by
    np.testing.assert_allclose(maps.pd, np.sqrt(5), rtol=1e-5)
    assert maps.residual.max() < 2e-3


def test_seconds_rates_and_other_parameters_by_their_names(tmp_path, stack):
    file = saved(tmp_path, ".npz", dict=ATOMS, R1=1e3 / TABLE[:, 0], T2_s=TABLE[:, 1] / 1e3, df_Hz=TABLE[:, 1] - 9)
    maps = nb.reconstruct(stack, nb.read_dictionary(file))
    np.testing.assert_allclose(maps.t1.ravel(), TABLE[::9, 0], rtol=1e-5)
    np.testing.assert_allclose(maps.t2.ravel(), TABLE[::9, 1], rtol=1e-5)
    assert maps.others["df"].unit == "Hz"
    np.testing.assert_allclose(maps.others["df"].values.ravel(), TABLE[::9, 1] - 9, rtol=1e-5)


def test_coefficients_and_whole_signals_find_the_same_atoms(tmp_path, stack):
    u = np.linalg.svd(ATOMS.T, full_matrices=False)[0][:, :8]
    # a basis need not be orthonormal
    skewed = u @ np.triu(np.ones((8, 8)))
    arrays = {"atoms": ATOMS @ np.linalg.pinv(skewed).T, "lookup_table": TABLE, "u": skewed}
    file = saved(tmp_path, ".mat", **arrays, parameter=np.array(["T1 ms", "T2 ms"], object))
    coefficients = np.tensordot(np.linalg.pinv(skewed), stack.data, 1)
    compressed = nb.FingerprintStack(coefficients.astype(np.complex64), None, basis=skewed)
    maps = [nb.reconstruct(each, dictionary=str(file)) for each in (compressed, stack)]
    for found in maps:
        np.testing.assert_allclose(found.t1.ravel(), TABLE[::9, 0], rtol=1e-6)
        np.testing.assert_allclose(found.pd, np.sqrt(5), rtol=1e-3)


def test_maps_of_other_parameters_are_read_back(tmp_path, stack):
    file = saved(tmp_path, ".npz", atoms=ATOMS, T1_ms=TABLE[:, 0], MTR=TABLE[:, 1] / 300)
    maps = nb.reconstruct_to(tmp_path / "maps", stack, dictionary=str(file))
    back = read_maps(tmp_path / "maps")
    assert (tmp_path / "maps" / "sub-01_desc-MTR_map.nii.gz").is_file()
    assert maps.t2 is None
    assert back.t2 is None
    np.testing.assert_array_equal(back.others["MTR"].values, maps.others["MTR"].values)
    again = nb.reconstruct(stack, **{k: v for k, v in back.record["settings"].items() if k in ("dictionary",)})
    np.testing.assert_array_equal(again.t1, maps.t1)


def test_sentences(tmp_path, stack):
    def refused(**arrays) -> str:
        with pytest.raises(nb.InputError) as error:
            nb.read_dictionary(saved(tmp_path, ".npz", **arrays))
        return str(error.value)

    assert "without a look-up table" in refused(atoms=ATOMS)
    assert "have no names" in refused(atoms=ATOMS, lookup_table=TABLE)
    assert "NaN or infinity" in refused(atoms=np.where(ATOMS.max() == ATOMS, np.nan, ATOMS), T1=TABLE[:, 0])
    assert "the unit of T2" in refused(atoms=ATOMS, T2=TABLE[:, 1] / 30)
    file = saved(tmp_path, ".npz", atoms=ATOMS, lookup_table=TABLE)
    assert nb.read_dictionary(file, "T1 ms, T2 ms").estimated == ("t1", "t2")
    with pytest.raises(nb.InputError, match=r"2 parameters.*names 3"):
        nb.read_dictionary(file, "T1 ms, T2 ms, B1")
    shorter = nb.FingerprintStack(stack.data[:50], None, basis=np.eye(50))
    with pytest.raises(nb.InputError, match=r"50 time points.*60"):
        nb.reconstruct(shorter, dictionary=str(file), parameters="T1 ms, T2 ms")
    with pytest.raises(nb.InputError, match="without a schedule"):
        nb.reconstruct(stack, "universal")


@pytest.mark.parametrize("order", [(2, 0, 1, 3), (3, 2, 1, 0)])
def test_components_in_another_order_are_told(tmp_path, order):
    u = np.linalg.svd(ATOMS.T, full_matrices=False)[0][:, :4]
    file = saved(tmp_path, ".npz", atoms=ATOMS @ u, u=u, T1_ms=TABLE[:, 0], T2_ms=TABLE[:, 1])
    rows = (ATOMS[::9] @ u * (1 + 1j)).astype(np.complex64)
    permuted = nb.FingerprintStack(rows[:, order].T.reshape(4, 1, 1, -1), None, basis=u)
    with pytest.raises(nb.InputError, match=f"component_order {', '.join(map(str, order))}"):
        nb.reconstruct(permuted, dictionary=str(file))


def test_conjugated_coefficients_are_told(tmp_path):
    """Of random atoms on random phases: nothing but the sign of the phase brings them back."""
    random = np.random.default_rng(4)
    u = np.linalg.qr(random.normal(size=(60, 12)) + 1j * random.normal(size=(60, 12)))[0]
    atoms = random.normal(size=(500, 12)) + 1j * random.normal(size=(500, 12))
    file = saved(tmp_path, ".npz", atoms=atoms, u=u, T1_ms=TABLE[:500, 0], T2_ms=TABLE[:500, 1])
    rows = atoms[::9].conj().astype(np.complex64)
    stack = nb.FingerprintStack(rows.T.reshape(12, 1, 1, -1), None, basis=u)
    with pytest.raises(nb.InputError, match="complex conjugates of these images"):
        nb.reconstruct(stack, dictionary=str(file))


@pytest.mark.parametrize(("times", "limit", "with_b1"), [(10, 3.17, 2.35), (30, 3.36, 3.2)])
def test_acquired_phantom(shared_data, times, limit, with_b1):
    """T1 of ten tubes beside spin echo, as plain matching of NumPy's finds it; the group's own dictionary."""
    folder = shared_data / "coefficients" / "ua_t1_phantom"
    dictionary = folder / f"t1_phantom_PC_{times}TI.mat"
    stack = nb.read_fingerprints(folder / f"contrast_1meas_llr_{times}ti.mat", basis=dictionary)
    reference = loadmat(folder / "reference_maps.mat")
    masks = loadmat(folder / "roi_masks.mat")["roi_masks"][0, 0]
    rois = [masks[f"roi{i}"] > 0 for i in range(1, 11)]

    def deviation(maps: nb.ParameterMaps) -> float:
        true = [reference["seir_t1map"][roi].mean() for roi in rois]
        return float(np.mean([abs(maps.t1[0][roi].mean() / t - 1) for roi, t in zip(rois, true, strict=True)]) * 100)

    inside = np.any(rois, axis=0)[None]
    maps = nb.reconstruct(stack, mask=inside, dictionary=str(dictionary))
    table = read_atom_table(dictionary)
    atoms, wanted = np.asarray(table.atoms, np.complex128), stack.fingerprints(inside).astype(np.complex128)
    best = np.abs(wanted @ atoms.T).argmax(axis=1)
    np.testing.assert_array_equal(maps.t1[inside], table.column("t1").values[best])
    assert deviation(maps) <= limit
    field = np.clip(reference["tfl_b1map"], 0.3, 2)[None]
    assert deviation(nb.reconstruct(stack, mask=inside, b1=field, dictionary=str(dictionary))) <= with_b1
    assert maps.t2 is None


def test_acquired_frames_agree_with_their_coefficients(shared_data):
    folder = shared_data / "coefficients" / "ua_t1_phantom"
    dictionary = folder / "t1_phantom_PC_30TI.mat"
    frames = np.moveaxis(loadmat(folder / "contrast_16meas_nufft_30ti.mat")["contrast"], 2, 0)[:, None]
    masks = loadmat(folder / "roi_masks.mat")["roi_masks"][0, 0]
    rois = [masks[f"roi{i}"][None] > 0 for i in range(1, 11)]
    inside = np.any(rois, axis=0)
    whole = nb.reconstruct(nb.FingerprintStack(frames, None, basis=np.eye(30)), mask=inside, dictionary=str(dictionary))
    stack = nb.read_fingerprints(folder / "contrast_1meas_llr_30ti.mat", basis=dictionary)
    maps = nb.reconstruct(stack, mask=inside, dictionary=str(dictionary))
    apart = [abs(whole.t1[roi].mean() / maps.t1[roi].mean() - 1) for roi in rois]
    assert np.mean(apart) < 0.01
    assert np.median(whole.residual[inside]) < 0.05


@pytest.mark.parametrize("ending", [".npz", ".mat", ".h5"])
def test_ours_is_written_and_read_back(tmp_path, ending):
    """Matching with the file gives what ``dictionary`` gives with the same grid, and refuses another schedule."""
    fisp = nb.fisp_schedule()
    schedule = nb.Schedule(fisp.flip_angle[:150], fisp.repetition_time[:150], 10.0, inversion_time=0.0)
    grid = {"t1_range": (500.0, 1500.0), "t2_range": (40.0, 120.0), "step": 0.1}
    nb.write_dictionary(nb.make_dictionary(schedule, **grid), tmp_path / f"ours{ending}")
    signal = nb.bloch_signal(schedule, np.array([700.0, 900.0, 1200.0]), np.array([60.0, 80.0, 100.0]))
    stack = nb.FingerprintStack(signal.T.reshape(150, 1, 1, 3).astype(np.complex64) * 3, schedule)
    theirs, ours = (nb.reconstruct(stack, **how) for how in (grid, {"dictionary": str(tmp_path / f"ours{ending}")}))
    np.testing.assert_allclose(ours.t1, theirs.t1, rtol=1e-6)
    np.testing.assert_allclose(ours.t2, theirs.t2, rtol=1e-6)
    np.testing.assert_allclose(ours.pd, theirs.pd, rtol=1e-4)
    other = nb.FingerprintStack(stack.data, schedule.replace(echo_time=np.full(150, 5.0)))
    with pytest.raises(nb.InputError, match="same schedule"):
        nb.reconstruct(other, dictionary=str(tmp_path / f"ours{ending}"))


@pytest.mark.parametrize("ending", [".npz", ".mat", ".h5"])
def test_ours_is_read_back_bit_for_bit(tmp_path, ending):
    schedule = nb.spline_schedule(length=40)
    dictionary = nb.make_dictionary(schedule, t1_range=(500.0, 1500.0), t2_range=(40.0, 120.0), step=0.2)
    nb.write_dictionary(dictionary, tmp_path / f"d{ending}")
    made = dictionary.table
    back = read_atom_table(tmp_path / f"d{ending}")
    for name in ("atoms", "basis", "norms"):
        first, second = np.asarray(getattr(made, name)), np.asarray(getattr(back, name))
        assert first.dtype == second.dtype, name
        np.testing.assert_array_equal(first, second)
    for first, second in zip(made.columns, back.columns, strict=True):
        np.testing.assert_array_equal(first.values, second.values)
        assert (first.name, first.unit) == (second.name, second.unit)
    assert back.schedule == schedule
    assert back.record == made.record


@pytest.mark.parametrize("ending", [".mat", ".h5"])
def test_one_of_several_is_asked_for_and_chosen(tmp_path, ending):
    """Two of equal size, of which the second has T1 twice as long: the answer tells which one was read."""
    u = np.linalg.svd(ATOMS.T, full_matrices=False)[0][:, :5]
    held = {
        name: {"magnetization": (ATOMS @ basis).T, "T1_ms": times * TABLE[:, 0], "T2_ms": TABLE[:, 1], "u": basis}
        for name, times, basis in (("fine", 1, u), ("coarse", 2, -u))
    }
    file = tmp_path / f"both{ending}"
    if ending == ".mat":
        savemat(file, held)
    else:
        import h5py

        with h5py.File(file, "w") as made:
            for name, arrays in held.items():
                for key, values in arrays.items():
                    made[f"{name}/{key}"] = values
    with pytest.raises(nb.InputError, match=r"several dictionaries: .*dictionary_variable, the name") as error:
        nb.read_dictionary(file)
    assert error.value.field == "dictionary_variable"
    with pytest.raises(nb.InputError, match=r"no dictionary 'none'; expected one of .*coarse.magnetization"):
        nb.read_dictionary(file, variable="none")
    rows = (ATOMS[::9] @ -u * (2 - 1j)).astype(np.complex64)
    for name, times in (("fine", 1), ("coarse/magnetization", 2)):
        stack = nb.FingerprintStack(rows.T.reshape(5, 1, 1, -1), None, basis=-u)
        maps = nb.reconstruct(stack, dictionary=str(file), dictionary_variable=name)
        np.testing.assert_allclose(maps.t1.ravel(), times * TABLE[::9, 0], rtol=1e-6)
        again = nb.reconstruct(stack, nb.read_dictionary(file, variable=name))
        np.testing.assert_array_equal(again.t1, maps.t1)
        assert again.record["settings"]["dictionary_variable"] == name
    # by command the basis is that beside the atoms
    np.save(tmp_path / "rows.npy", rows.T.reshape(5, 1, 1, -1))
    done = CliRunner().invoke(blochnet, ["reconstruct", str(tmp_path / "rows.npy"), "--dictionary", str(file),
                                         "--dictionary-variable", "coarse", "-o", str(tmp_path / "maps")])  # fmt: skip
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(read_maps(tmp_path / "maps").t1.ravel(), 2 * TABLE[::9, 0], rtol=1e-6)
