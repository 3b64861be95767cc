"""Fingerprints as coefficients: there and back, in files and sessions, mapped, by command."""

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.fingerprints.compressed.hidden_sums import hidden_components
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.sessions import SavedSession, read_session, write_session


@pytest.fixture(scope="module")
def schedule():
    n = np.arange(150)
    return nb.Schedule(10 + 50 * np.abs(np.sin(n / 25)), 12.0, 3.0, inversion_time=10.0, name="short")


@pytest.fixture(scope="module")
def stack(schedule):
    return nb.simulate(nb.synthetic_phantom((1, 16, 16)), schedule, snr=100)


@pytest.fixture(scope="module")
def coefficients(stack):
    return nb.compress(stack, components=8)


def test_little_is_left_out_beyond_noise(stack, coefficients):
    assert coefficients.shape == (8, 1, 16, 16)
    assert coefficients.noise_sigma == stack.noise_sigma
    inside = stack.mask
    left = np.square(np.abs(stack.fingerprints(inside) - coefficients.expanded(inside))).sum()
    noise = 2 * stack.noise_sigma**2 * inside.sum() * (150 - 8)
    # beside noise, what tissues of short T2 have beyond eight components
    assert 0.95 < left / noise < 2
    whole = np.square(np.abs(stack.fingerprints(inside))).sum()
    assert coefficients.record["left_out"] == pytest.approx(left / whole, rel=1e-3)


def test_what_lies_outside_the_mask_is_compressed_where_it_holds_something(stack, coefficients):
    assert not coefficients.data[:, ~stack.mask].any()
    noise = np.random.default_rng(2).standard_normal((2, *stack.shape)).astype(np.float32)
    noise[..., 0] = np.nan
    data = np.where(stack.mask, stack.data, noise[0] + 1j * noise[1])
    found = nb.compress(nb.FingerprintStack(data, stack.schedule, mask=stack.mask), components=8).data
    np.testing.assert_array_equal(found[:, stack.mask], coefficients.data[:, stack.mask])
    outside = ~stack.mask & np.isfinite(data).all(axis=0)
    expected = coefficients.basis.T @ data[:, outside]
    np.testing.assert_allclose(found[:, outside], expected, atol=1e-4)


def test_coefficients_in_another_order_are_told(coefficients):
    backwards = nb.FingerprintStack(coefficients.data[::-1], coefficients.schedule, basis=coefficients.basis)
    with pytest.warns(DataWarning, match="leave most of the signal unexplained"):
        said = nb.reconstruct(backwards, step=0.1).record["misfit"]
    assert "component_order 7, 6, 5, 4, 3, 2, 1, 0" in said
    right = nb.FingerprintStack(coefficients.data[::-1], coefficients.schedule, basis=coefficients.basis[:, ::-1])
    assert "misfit" not in nb.reconstruct(right, step=0.1).record


def test_expanded_fingerprints_are_the_curves(coefficients):
    whole = nb.expand(coefficients)
    assert whole.basis is None
    np.testing.assert_allclose(whole.fingerprints(), coefficients.expanded(), rtol=1e-5)
    assert whole.noise_sigma is None
    assert "noise is not white" in whole.notes[-1]


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "zarr"])
def test_files_keep_every_bit(coefficients, tmp_path, ending):
    write_fingerprints(coefficients, tmp_path / f"c.{ending}")
    again = nb.read_fingerprints(tmp_path / f"c.{ending}")
    np.testing.assert_array_equal(again.data, coefficients.data)
    np.testing.assert_array_equal(again.basis, coefficients.basis)
    assert again.schedule == coefficients.schedule
    assert again.kind == "complex"


def test_sessions_keep_them(coefficients, tmp_path):
    without = nb.FingerprintStack(coefficients.data, None, basis=coefficients.basis)
    saved = read_session(write_session(SavedSession((coefficients, without), (), {}), tmp_path / "session"))
    for one, other in zip(saved.subjects, (coefficients, without), strict=True):
        np.testing.assert_array_equal(one.basis, other.basis)
        np.testing.assert_array_equal(one.data, other.data)
        assert one.schedule == other.schedule


def test_files_of_others(coefficients, tmp_path):
    data, basis = np.asarray(coefficients.data), coefficients.basis
    np.savez(tmp_path / "a.npz", coef=data, u=basis)
    scipy.io.savemat(tmp_path / "b.mat", {"rec": {"x": np.moveaxis(data[:, 0], 0, -1), "U": basis.T}})
    np.save(tmp_path / "c.npy", data)
    np.save(tmp_path / "basis.npy", basis)
    (tmp_path / "basis.json").write_text(f'{{"basis": {basis.tolist()}}}')
    for name, given in (("a.npz", None), ("b.mat", None), ("c.npy", "basis.npy"), ("c.npy", "basis.json")):
        path = None if given is None else str(tmp_path / given)
        found = nb.read_fingerprints(tmp_path / name, basis=path)
        np.testing.assert_array_equal(found.data, data)
        np.testing.assert_array_equal(found.basis, basis)
        assert any("The basis is" in note for note in found.notes)


def test_conventions_of_others(coefficients, stack, tmp_path):
    random = np.random.default_rng(3)
    mixed = (coefficients.basis @ random.standard_normal((8, 8))).astype(np.float32)
    curves = coefficients.expanded()
    inside = np.zeros((1, 16, 16, 8), np.complex64)
    inside[stack.mask] = curves @ mixed
    np.save(tmp_path / "p.npy", np.moveaxis(inside, -1, 0)[::-1])
    np.save(tmp_path / "u.npy", mixed)
    found = nb.read_fingerprints(
        tmp_path / "p.npy", basis=str(tmp_path / "u.npy"), coefficients="projections", component_order="7,6,5,4,3,2,1,0"
    )
    np.testing.assert_allclose(found.expanded(), curves, atol=2e-3 * np.abs(curves).max())
    with pytest.raises(InputError, match="each of 0 to 7 once"):
        nb.read_fingerprints(tmp_path / "p.npy", basis=str(tmp_path / "u.npy"), component_order="0, 0, 1")


def test_maps_of_coefficients_are_those_of_whole_fingerprints(stack, coefficients, recwarn):
    whole, few = (nb.reconstruct(each, "universal", uncertainty=True) for each in (stack, coefficients))
    inside = whole.mask
    for name, limit in (("t1", 0.01), ("t2", 0.02), ("pd", 0.01)):
        ratio = getattr(few, name)[inside] / getattr(whole, name)[inside]
        assert np.median(np.abs(ratio - 1)) < limit
    assert few.t1_se is not None
    assert few.record["acquisition"]["components"] == 8
    assert "misfit" not in few.record


def test_frames_that_are_sums_of_few_curves_have_no_intervals(stack, coefficients):
    expanded = nb.expand(coefficients)
    maps = nb.reconstruct(expanded, "universal", uncertainty=True)
    assert maps.t1_se is None
    assert "150 frames are sums of 8 time courses" in maps.record["note"]
    # noise gives every frame something of its own
    acquired = nb.FingerprintStack(stack.data, stack.schedule, "complex", stack.mask)
    assert hidden_components(acquired) is None
    free = nb.simulate(nb.synthetic_phantom((1, 16, 16)), stack.schedule)
    assert hidden_components(nb.FingerprintStack(free.data, free.schedule, "complex", free.mask)) is None


def test_networks_refuse_coefficients():
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((1000, 6)))[0]
    few = nb.FingerprintStack(np.full((6, 1, 1, 2), 1j, np.complex64), nb.fisp_schedule(), basis=basis)
    # of a basis that has nothing of the signals
    for name in ("rnn", "fc"):
        with pytest.raises(InputError, match=f"The stack's 6 coefficients hold too little of the 24 that {name} looks"):
            nb.reconstruct(few, name)
    with pytest.raises(InputError, match="6 coefficients for each voxel; expected whole fingerprints"):
        nb.adapt("fc", few)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda stack, c: nb.compress(c), "holds coefficients already"),
        (lambda stack, c: nb.expand(stack), "holds whole fingerprints already"),
        (lambda stack, c: nb.compress(stack, components=151), "no more than these"),
        (
            lambda stack, c: nb.compress(nb.FingerprintStack(np.abs(stack.data), stack.schedule, "magnitude")),
            "holds magnitudes",
        ),
        (lambda stack, c: nb.expand(nb.FingerprintStack(c.data, None, basis=c.basis)), "has no schedule"),
    ],
)
def test_what_cannot_be_gets_a_sentence(stack, coefficients, call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(stack, coefficients)


def test_their_own_components(stack):
    own = nb.compress(stack, components=8, components_of="data")
    other = nb.compress(stack, components=8)
    assert own.record["left_out"] <= other.record["left_out"] * (1 + 1e-6)


def test_commands(stack, tmp_path):
    write_fingerprints(stack, tmp_path / "a.nii")
    for words, name, length in (
        (["compress", tmp_path / "a.nii", "--components", "5"], "c.nii", 5),
        (["expand", tmp_path / "c.nii"], "e.nii", 150),
    ):
        done = CliRunner().invoke(blochnet, [*map(str, words), "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert nb.read_fingerprints(tmp_path / name).shape[0] == length


def test_informative_components_keep_the_precision():
    """Bounds by central differences of the simulated signals, in all samples and in the stack's basis."""
    schedule = nb.fisp_schedule()
    rng = np.random.default_rng(0)
    t1 = np.exp(rng.uniform(np.log(200), np.log(4000), 200))
    t2 = t1 * np.exp(rng.uniform(np.log(0.03), np.log(0.5), 200))
    decoder = nb.EPGDecoder(schedule)

    def signal(a, b):
        return decoder.signal(a, b, dtype=np.float64)

    s, h = signal(t1, t2), 1e-4
    rows = np.stack([
        s,
        (signal(t1 * (1 + h), t2) - signal(t1 * (1 - h), t2)) / (2 * h),
        (signal(t1, t2 * (1 + h)) - signal(t1, t2 * (1 - h))) / (2 * h),
    ], axis=1)  # fmt: skip

    def errors(basis):
        seen = rows @ basis
        return np.diagonal(np.linalg.inv(seen @ seen.transpose(0, 2, 1)), axis1=1, axis2=2)[:, 1:]

    rms = {"all": np.sqrt(errors(np.eye(1000)).mean(axis=0))}
    stack = nb.simulate(nb.synthetic_phantom((1, 8, 8)), schedule, snr=50)
    for kind in ("tissues", "information"):
        compressed = nb.compress(stack, components=6, components_of=kind)
        np.testing.assert_allclose(compressed.basis.T @ compressed.basis, np.eye(6), atol=1e-5)
        rms[kind] = np.sqrt(errors(compressed.basis.astype(float)).mean(axis=0)) / rms["all"]
    # as README says
    assert (rms["tissues"] > (1.03, 1.09)).all(), rms
    assert (rms["information"] < 1.015).all(), rms
