"""A known transmit field in reconstruction, from arrays and files, and back from records."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.evaluation.maps_io import write_maps
from napari_blochnet.io.nifti import write_nifti
from napari_blochnet.jobs.history.recipes import read_recipe, run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.b1_maps import read_b1
from napari_blochnet.jobs.operations.merging import merge_maps
from napari_blochnet.jobs.packing import pack_b1, unpack_b1
from napari_blochnet.jobs.records import as_recipe

WHITE = 811.0, 77.0


@pytest.fixture(scope="module")
def head():
    """White matter under a field that is 15 % too low, or right, in two slices."""
    shape = (2, 8, 10)
    b1 = np.stack([np.full(shape[1:], 0.85), np.ones(shape[1:])]).astype(np.float32)
    return nb.Phantom(*(np.full(shape, value, np.float32) for value in (*WHITE, 0.8)), b1=b1)


@pytest.fixture(scope="module")
def stack(head):
    return nb.simulate(head, nb.fisp_schedule(), snr=200.0, kind="complex")


@pytest.fixture
def folder(head, stack, tmp_path):
    """A stack and its B1 map as files."""
    from napari_blochnet.fingerprints.stack_files import write_fingerprints

    write_fingerprints(stack, tmp_path / "stack.nii.gz")
    write_nifti(head.b1, head.geometry, tmp_path / "b1.nii.gz")
    return tmp_path


def test_the_map_takes_away_what_b1_does_to_t2(head, stack):
    known = nb.reconstruct(stack, "universal", refine=True, b1=head.b1)
    without = nb.reconstruct(stack, "universal", refine=True)
    for maps in (known, without):
        assert maps.converged.all()
    for z in (0, 1):
        assert known.t1[z].mean() == pytest.approx(WHITE[0], rel=2e-3)
        assert known.t2[z].mean() == pytest.approx(WHITE[1], rel=5e-3)
    # −10 % of B1 makes T2 19 % too long; −15 % more than half as much again
    assert 1.25 < without.t2[0].mean() / WHITE[1] < 1.40
    assert without.t2[1].mean() == pytest.approx(WHITE[1], rel=5e-3)
    np.testing.assert_array_equal(known.b1, head.b1)
    assert without.b1 is None


def test_ten_per_cent_costs_what_is_known_of_it():
    white = [np.full((1, 1, 4), value, np.float32) for value in (*WHITE, 1.0)]
    for b1, percent in ((0.9, 19.0), (1.1, -15.0)):
        head = nb.Phantom(*white, b1=np.full((1, 1, 4), b1, np.float32))
        stack = nb.simulate(head, nb.fisp_schedule())
        wrong = nb.reconstruct(stack, "universal", refine=True)
        assert 100 * (wrong.t2.mean() / WHITE[1] - 1) == pytest.approx(percent, abs=1.0)
        right = nb.reconstruct(stack, "universal", refine=True, b1=head.b1)
        assert right.t2.mean() == pytest.approx(WHITE[1], rel=1e-3)


def test_an_array_is_in_the_record_and_comes_out_of_it(head, stack, folder):
    from napari_blochnet.jobs.operations.opening import open_fingerprints

    opened = open_fingerprints(folder / "stack.nii.gz")
    maps = nb.reconstruct(opened, "universal", refine=True, b1=head.b1.astype(np.float64), slices=(0, 1))
    write_maps(maps, folder / "maps")
    (record,) = (folder / "maps").glob("*T1map.json")
    again = run_recipe(read_recipe(record))[-1]
    np.testing.assert_array_equal(again.t2, maps.t2)
    np.testing.assert_array_equal(again.b1, maps.b1)
    assert "b1=b1" in as_python(maps.record)
    assert "b1 = nb.unpack_b1(" in as_python(maps.record)
    with pytest.raises(nb.InputError, match="B1 map was given as an array"):
        as_command(maps.record)
    rest = nb.reconstruct(opened, "universal", refine=True, b1=head.b1, slices=(1, 2))
    merged = merge_maps(maps, rest, opened)
    whole = nb.reconstruct(opened, "universal", refine=True, b1=head.b1)
    np.testing.assert_array_equal(merged.t2, whole.t2)
    assert merged.record["inputs"]["b1"] == whole.record["inputs"]["b1"]
    other = nb.reconstruct(opened, "universal", refine=True, b1=np.ones_like(head.b1), slices=(1, 2))
    with pytest.raises(nb.InputError, match="different B1 maps"):
        merge_maps(maps, other, opened)


def test_a_file_is_named_in_record_command_and_script(head, folder):
    from napari_blochnet.jobs.operations.opening import open_fingerprints

    path = str(folder / "b1.nii.gz")
    opened = open_fingerprints(folder / "stack.nii.gz")
    maps = nb.reconstruct(opened, "universal", refine=True, b1=folder / "b1.nii.gz")
    assert maps.record["settings"]["b1"] == path
    np.testing.assert_array_equal(run_recipe(as_recipe(maps.record))[-1].t2, maps.t2)
    assert f"--b1 {path}" in as_command(maps.record)
    assert f"b1={path!r}" in as_python(maps.record)
    words = ["--estimator", "universal", "--refine", "--b1", path, "-o", str(folder / "out")]
    done = CliRunner().invoke(blochnet, ["--json", "reconstruct", str(folder / "stack.nii.gz"), *words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["failed"] == 0
    from napari_blochnet.evaluation.maps_io import read_maps

    written = read_maps(folder / "out")
    np.testing.assert_allclose(written.t2, maps.t2, rtol=1e-6)
    np.testing.assert_array_equal(written.b1, head.b1)


def test_refused_maps(head, stack, folder):
    refine = {"estimator": "universal", "refine": True}
    for wrong, words in (
        (head.b1[:1], r"shape \(1, 8, 10\); expected that of the stack, \(2, 8, 10\)"),
        (10 * head.b1, r"a median B1 of 9\.25 is neither relative \(1 = nominal\) nor per cent; .* b1_nominal"),
        (60 * head.b1, "b1_nominal: what the map holds where the field is nominal"),
        (np.where(head.b1 < 1, np.nan, 1), "out of range in 80 voxels"),
        (head.b1 + 0j, "complex64; expected real numbers"),
        (folder / "absent.nii.gz", "there is no such file"),
    ):
        with pytest.raises(nb.InputError, match=words):
            nb.reconstruct(stack, b1=wrong, **refine)
    with pytest.raises(nb.InputError, match="takes B1 as nominal; expected refine") as caught:
        nb.reconstruct(stack, "fc", b1=head.b1)
    assert caught.value.field == "b1"
    with pytest.raises(nb.InputError, match="one of the two"):
        nb.reconstruct(stack, b1=head.b1, fit_b1=True, **refine)
    write_nifti(head.b1[:, :3], head.geometry, folder / "small.nii.gz")
    with pytest.raises(nb.InputError, match=r"small.nii.gz: does not reach 100 of the 160 voxels inside the mask"):
        nb.reconstruct(stack, b1=folder / "small.nii.gz", **refine)


def test_a_map_in_per_cent_is_scaled_and_one_in_degrees_is_where_somebody_says_so(head, stack, folder):
    refine = {"estimator": "universal", "refine": True}
    relative = nb.reconstruct(stack, b1=head.b1, **refine)
    with pytest.raises(nb.InputError, match=r"a median B1 of 92\.5 may be per cent or degrees; .*b1_nominal") as caught:
        nb.reconstruct(stack, b1=(100 * head.b1).astype(np.float32), **refine)
    assert caught.value.field == "b1_nominal"
    with pytest.warns(DataWarning, match="B1 was divided by 100, as asked"):
        percent = nb.reconstruct(stack, b1=(100 * head.b1).astype(np.float32), b1_nominal=100, **refine)
    with pytest.warns(DataWarning, match="B1 was divided by 60, as asked"):
        degrees = nb.reconstruct(stack, b1=(60 * head.b1).astype(np.float32), b1_nominal=60, **refine)
    for maps in (percent, degrees):
        np.testing.assert_allclose(maps.b1, head.b1, rtol=1e-6)
        np.testing.assert_allclose(maps.t2, relative.t2, rtol=1e-4)
        # the record holds what was used: replayed, it is not scaled again
        assert maps.record["settings"]["b1_nominal"] is None
    np.save(folder / "b1.npy", head.b1)
    np.testing.assert_array_equal(nb.reconstruct(stack, b1=folder / "b1.npy", **refine).t2, relative.t2)
    write_nifti(head.b1 * 500, head.geometry, folder / "hertz.nii.gz")
    (folder / "hertz.json").write_text('{"Units": "Hz"}')
    with pytest.raises(nb.InputError, match="states B1 in Hz; its median is 462") as caught:
        nb.reconstruct(stack, b1=folder / "hertz.nii.gz", **refine)
    assert caught.value.field == "b1_nominal"
    from napari_blochnet.jobs.operations.opening import open_fingerprints

    opened = open_fingerprints(folder / "stack.nii.gz")
    with pytest.warns(DataWarning, match="divided by 500"):
        hertz = nb.reconstruct(opened, b1=folder / "hertz.nii.gz", b1_nominal=500, **refine)
    np.testing.assert_allclose(hertz.b1, head.b1, rtol=1e-6)
    with pytest.warns(DataWarning, match="divided by 500"):
        np.testing.assert_array_equal(run_recipe(as_recipe(hertz.record))[-1].t2, hertz.t2)


def _reconstructed(folder, name, *words):
    command = ["reconstruct", str(folder / "stack.nii.gz"), "--estimator", "universal", "--refine", "--b1"]
    return CliRunner().invoke(blochnet, [*command, str(folder / name), *words, "-o", str(folder / "out")])


def test_what_a_map_is_in_can_be_said_in_the_command_or_beside_the_map(head, stack, folder):
    from napari_blochnet.evaluation.maps_io import read_maps

    write_nifti(head.b1 * 90, head.geometry, folder / "degrees.nii.gz")  # median 83
    asked = _reconstructed(folder, "degrees.nii.gz")
    assert asked.exit_code != 0
    assert "may be per cent or degrees" in asked.output
    done = _reconstructed(folder, "degrees.nii.gz", "--b1-nominal", "90")
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(read_maps(folder / "out").b1, head.b1, rtol=1e-5)
    (folder / "degrees.json").write_text('{"Units": "degrees", "FlipAngle": 90}')
    from napari_blochnet.jobs.operations.opening import open_fingerprints

    opened = open_fingerprints(folder / "stack.nii.gz")
    with pytest.warns(DataWarning, match="divided by the FlipAngle that its file states, 90"):
        maps = nb.reconstruct(opened, "universal", refine=True, b1=folder / "degrees.nii.gz")
    np.testing.assert_allclose(maps.b1, head.b1, rtol=1e-5)


def test_a_complex_map_is_refused(head, stack, folder):
    nib.save(nib.Nifti1Image((head.b1 * np.exp(0.5j)).T.astype(np.complex64), head.affine), folder / "complex.nii.gz")
    np.save(folder / "complex.npy", head.b1 * 1j)
    for name, words in (("complex.nii.gz", "holds complex64; expected real numbers; .*magnitude"),
                        ("complex.npy", "complex64.*expected arrays of real numbers")):  # fmt: skip
        with pytest.raises(nb.InputError, match=f"{name}: .*{words}") as caught:
            nb.reconstruct(stack, "universal", refine=True, b1=folder / name)
        assert caught.value.field == "b1"


@pytest.fixture(scope="module")
def object_in_air():
    """A stack of 2 mm with an object of 20 × 20 mm in air, which has a field of 1."""
    inside = np.zeros((2, 16, 16), bool)
    inside[:, 3:13, 3:13] = True
    maps = (np.where(inside, value, 0).astype(np.float32) for value in (*WHITE, 0.8))
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    affine[:3, 3] = [-15.0, -15.0, 3.0]
    head = nb.Phantom(*maps, mask=inside, voxel_size=(4, 2, 2), affine=affine)
    return nb.simulate(head, nb.fisp_schedule())


def _coarse(mask_of_values: np.ndarray, background: float, path) -> None:
    """Write a field of 1, on voxels of 5 mm, whose centre is that of the stack."""
    affine = np.diag([5.0, 5.0, 4.0, 1.0])
    affine[:3, 3] = [-17.5, -17.5, 3.0]
    nib.save(nib.Nifti1Image(np.where(mask_of_values, 1.0, background).T, affine), path)


@pytest.mark.parametrize("background", [0.0, np.nan])
def test_a_coarse_map_that_ends_with_the_object_holds_in_the_whole_object(object_in_air, tmp_path, background):
    stack = object_in_air
    has_value = np.zeros((2, 8, 8), bool)
    has_value[:, 2:6, 2:6] = True
    _coarse(has_value, background, tmp_path / "b1.nii.gz")
    with pytest.warns(DataWarning, match="another grid"):
        maps = nb.reconstruct(stack, "universal", refine=True, b1=tmp_path / "b1.nii.gz")
    np.testing.assert_allclose(maps.b1[stack.mask], 1, rtol=1e-6)
    np.testing.assert_allclose(maps.t2[stack.mask], WHITE[1], rtol=5e-3)


def test_a_voxel_beside_the_map_takes_its_neighbour_and_one_far_from_it_is_refused(object_in_air, tmp_path):
    stack = object_in_air
    has_value = np.zeros((2, 8, 8), bool)
    has_value[:, 3:5, 3:5] = True
    _coarse(has_value, 0.0, tmp_path / "b1.nii.gz")
    with pytest.warns(DataWarning, match=r"b1\.nii\.gz has no value in \d+ of the 200 voxels .* at most 5 mm away"):
        maps = nb.reconstruct(stack, "universal", refine=True, b1=tmp_path / "b1.nii.gz")
    np.testing.assert_allclose(maps.b1[stack.mask], 1, rtol=1e-6)
    has_value[:, :, 4] = False
    _coarse(has_value, 0.0, tmp_path / "b1.nii.gz")
    with pytest.warns(DataWarning), pytest.raises(nb.InputError, match=r"b1 is 0 at voxel .* out of range in"):
        nb.reconstruct(stack, "universal", refine=True, b1=tmp_path / "b1.nii.gz")


def test_a_map_that_lies_elsewhere_is_taken_with_a_word(head, stack, folder):
    write_nifti(head.b1, head.geometry.cut(x=3), folder / "moved.nii.gz")
    with pytest.warns(DataWarning, match="voxel by voxel"):
        maps = nb.reconstruct(stack, "universal", refine=True, b1=folder / "moved.nii.gz")
    np.testing.assert_array_equal(maps.b1, head.b1)


def test_outside_what_is_mapped_a_map_may_hold_anything(head, stack):
    inside = np.zeros(head.shape, bool)
    inside[0, 1] = True
    maps = nb.reconstruct(stack, "universal", inside, refine=True, b1=np.where(inside, head.b1, np.nan))
    assert maps.mask.sum() == 10
    assert np.isfinite(maps.b1).all()


@pytest.mark.parametrize(
    "damage",
    [
        {"shape": [2, 8, 9]},
        {"values": "AAAA"},
        {"shape": [10**6] * 3},
        {"values": "%"},
        {"shape": [160]},
        {"shape": None},
    ],
)
def test_damaged_maps_in_recipes(head, damage):
    packed = pack_b1(head.b1)
    np.testing.assert_array_equal(unpack_b1(packed), head.b1)
    with pytest.raises(nb.InputError, match="damaged"):
        unpack_b1({**packed, **damage})


@pytest.mark.parametrize("estimator", ["universal", "dictionary"])
def test_a_map_in_permille_needs_no_refinement_and_no_word(head, stack, estimator):
    options = {"step": 0.1} if estimator == "dictionary" else {}
    relative = nb.reconstruct(stack, estimator, b1=head.b1, **options)
    assert relative.t2[0].mean() == pytest.approx(WHITE[1], rel=0.05)
    even = np.where(np.arange(8)[:, None] < 5, 1.0, head.b1).astype(np.float32)
    with pytest.warns(DataWarning, match=r"a median B1 of 1000 is permille, and was divided by 1000; .* ten times"):
        told = nb.reconstruct(stack, estimator, b1=1000 * even, **options)
    np.testing.assert_allclose(told.b1, even, rtol=1e-6)
    with pytest.raises(nb.InputError, match=r"a median B1 of 850 may be permille or tenths of degrees") as caught:
        nb.reconstruct(stack, estimator, b1=np.full_like(head.b1, 850.0), **options)
    assert caught.value.field == "b1_nominal"


def test_permille_is_believed_where_the_file_says_so_and_it_can_be(head, stack, folder):
    from napari_blochnet.jobs.operations.opening import open_fingerprints

    opened = open_fingerprints(folder / "stack.nii.gz")
    write_nifti(head.b1 * 1000, head.geometry, folder / "permille.nii.gz")
    (folder / "permille.json").write_text('{"Units": "per mille"}')
    with pytest.warns(DataWarning, match="B1 in per mille was divided by 1000"):
        maps = nb.reconstruct(opened, "universal", b1=folder / "permille.nii.gz")
    np.testing.assert_allclose(maps.b1, head.b1, rtol=1e-6)
    write_nifti(head.b1, head.geometry, folder / "relative.nii.gz")
    (folder / "relative.json").write_text('{"Units": "per mille"}')
    with pytest.raises(nb.InputError, match=r"states B1 in per mille, but its median is 0\.92"):
        nb.reconstruct(opened, "universal", b1=folder / "relative.nii.gz")


def test_a_map_in_a_file_of_named_arrays(head, stack, folder):
    from scipy.io import savemat

    turned = np.moveaxis(head.b1, 0, -1)
    savemat(folder / "maps.mat", {"seir_t1map": np.ones((8, 10, 2)), "tfl_b1map": turned})
    np.savez(folder / "maps.npz", other=head.t1, B1=head.b1)
    for name in ("maps.mat", "maps.npz"):
        found = read_b1(folder / name, stack)
        np.testing.assert_array_equal(found.values, head.b1)
    savemat(folder / "none.mat", {"field": turned, "t1": turned})
    with pytest.raises(nb.InputError, match=r"called as one of B1; it has field, t1") as caught:
        read_b1(folder / "none.mat", stack)
    assert caught.value.field == "b1"
