"""The scale between a truth's PD and samples: the plugin's own sample, stacks in any unit, and where none is known."""

from dataclasses import replace

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.evaluation.error_maps import error_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import read_maps, write_error_maps, write_maps
from napari_blochnet.evaluation.signal_scale import is_simulated_from, signal_scales, stack_scale
from napari_blochnet.evaluation.voxel import explanation_of
from napari_blochnet.io.nifti import read_nifti
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.samples import sample_path

SHAPE = (1, 12, 16)


def test_the_bound_of_the_sample_fingerprints():
    stack = nb.read_fingerprints(sample_path("fingerprints"))
    truth = nb.read_phantom(sample_path("fingerprints-truth"))
    maps = [nb.reconstruct(stack, name) for name in ("dictionary", "universal")]
    found = nb.compare(truth, maps, bound_voxels=10_000)
    # the samples are integers, a step of which is a third of the noise: σ in the truth's unit is three steps, which the
    # definition of SNR 20 gives from the noise-free signal
    clean = nb.simulate(truth, stack.schedule, kind="real").fingerprints()
    sigma = float(np.sqrt(np.mean(clean.astype(np.float64) ** 2))) / 20
    values = [getattr(truth, key)[truth.mask].astype(np.float64) for key in ("t1", "t2", "pd")]
    bound = nb.cramer_rao_bound(stack.schedule, *values, sigma=sigma, kind="real")
    for parameter, expected in (("T1", bound.t1), ("T2", bound.t2), ("PD", bound.pd)):
        for model in found.models:
            row = found.score(model, parameter)
            assert row.bound == pytest.approx(float(np.sqrt(np.mean(expected**2))), rel=0.002), (model, parameter)
    assert found.score("dictionary", "T1").bound == pytest.approx(6.57, abs=0.03)
    assert found.score("dictionary", "T1").rmse_per_bound == pytest.approx(1.98, abs=0.02)
    assert found.score("universal", "T1").rmse_per_bound == pytest.approx(1.03, abs=0.02)
    assert found.pd_scale["dictionary"] == found.pd_scale["universal"] == pytest.approx(sigma / 3, rel=0.002)


@pytest.fixture(scope="module")
def head():
    t1 = np.linspace(500.0, 1800.0, 192).reshape(SHAPE)
    return nb.Phantom(t1, t1 / 12, np.linspace(0.6, 1.0, 192).reshape(SHAPE), name="ramp")


@pytest.fixture(scope="module")
def stack(head):
    return nb.simulate(head, nb.spline_schedule(length=100), snr=40, seed=2)


def _scaled(stack, factor):
    """The same fingerprints in other units, as a file of somebody else's would hold them."""
    data = np.asarray(stack.data) * np.complex64(factor)
    return replace(stack, data=data, noise_sigma=abs(factor) * stack.noise_sigma, snr=None, record={})


@pytest.mark.parametrize("factor", [600.0, -0.003j])
def test_units_of_the_samples_change_no_score(head, stack, factor):
    own, other = (nb.reconstruct(item, "dictionary", step=0.02) for item in (stack, _scaled(stack, factor)))
    expected, found = (nb.compare(head, item) for item in (own, other))
    assert expected.pd_scale == {"dictionary": 1.0}
    assert found.pd_scale["dictionary"] == pytest.approx(1 / abs(factor), rel=0.01)
    for one, two in zip(expected.table, found.table, strict=True):
        if one.bound is not None:
            assert two.bound == pytest.approx(one.bound, rel=0.01)
            assert two.rmse_per_bound == pytest.approx(one.rmse_per_bound, rel=0.02)
    # the truth's unit is as free
    percent = nb.Phantom(head.t1, head.t2, 100 * head.pd)
    again = nb.compare(percent, own)
    assert again.score("dictionary", "T1").bound == pytest.approx(expected.score("dictionary", "T1").bound, rel=0.01)


def test_models_of_one_stack_share_a_scale_and_a_bias_of_pd_is_seen(head, stack, tmp_path):
    loud = _scaled(stack, 600.0)
    good = nb.reconstruct(loud, "universal")
    biased = nb.reconstruct(loud, "dictionary", step=0.02)
    biased = biased.replace(pd=1.3 * biased.pd, residual=biased.residual + 0.1)
    quiet = nb.reconstruct(_scaled(stack, 0.01), "dictionary", step=0.02)
    one, two, three = signal_scales(head, [biased, good, quiet])
    assert one == two
    assert one.signal_per_pd == pytest.approx(600, rel=0.01)
    assert three.signal_per_pd == pytest.approx(0.01, rel=0.01)
    found = nb.compare(head, [biased, good, quiet])
    assert found.score("dictionary", "PD").bias_percent == pytest.approx(30, abs=1)
    assert found.score("universal", "PD").bias_percent == pytest.approx(0, abs=1)
    assert found.score("dictionary 2", "PD").bias_percent == pytest.approx(0, abs=1)
    assert found.score("dictionary", "T1").bound == found.score("universal", "T1").bound
    assert float(np.median(error_maps(head, biased, [good])["PD"])) == pytest.approx(30, abs=1)
    write_error_maps(head, biased, tmp_path, beside=[good])
    written, _ = read_nifti(tmp_path / "sub-01_desc-error_PDmap.nii.gz")
    np.testing.assert_array_equal(written, error_maps(head, biased, [good])["PD"])
    # what files keep tells the same
    write_maps(good, tmp_path / "good")
    assert signal_scales(head, [biased, read_maps(tmp_path / "good")])[0] == one


def test_without_one_scale_there_is_no_bound_and_one_sentence_says_why(head, stack):
    maps = nb.reconstruct(_scaled(stack, 600.0), "dictionary", step=0.02)
    shaded = nb.Phantom(head.t1, head.t2, head.pd * np.linspace(0.5, 2.0, SHAPE[2]))
    for truth, item, reason in (
        (shaded, maps, "not in proportion to the truth's"),
        (head, maps.replace(pd=None), "no voxel of its maps has a PD"),
        (head, maps.replace(failed=maps.mask.copy()), "no voxel of its maps has a PD"),
    ):
        found = nb.compare(truth, item)
        assert all(row.bound is None and row.rmse_per_bound is None for row in found.table)
        said = [note for note in found.notes if "bound" in note]
        assert len(said) == 1
        assert said[0].startswith("dictionary: no Cramér–Rao bound, because ")
        assert reason in said[0]


def test_maps_whose_record_tells_no_stack_have_scales_of_their_own(head):
    several = [ParameterMaps(head.t1, head.t2, factor * head.pd, None, head.mask) for factor in (3000.0, 0.02)]
    assert [found.signal_per_pd for found in signal_scales(head, several)] == pytest.approx([3000, 0.02])


def test_a_truth_is_explained_in_units_of_the_fingerprint(head, stack):
    maps = nb.reconstruct(_scaled(stack, 600.0), "dictionary", step=0.02)
    scale = signal_scales(head, [maps])[0]
    truth = explanation_of("truth", head, (0, 3, 4), -1, scale=scale)
    assert truth.pd == pytest.approx(600 * head.pd[0, 3, 4], rel=0.01)
    assert truth.pd == pytest.approx(explanation_of("m", maps, (0, 3, 4), 0).pd, rel=0.05)
    unknown = signal_scales(head, [maps.replace(pd=None)])[0]
    told = explanation_of("truth", head, (0, 3, 4), -1, scale=unknown)
    assert np.isnan(told.pd)
    assert told.has_own_scale


@pytest.mark.parametrize("has_record", [True, False])
def test_what_was_simulated_from_the_truth_is_in_its_unit_whatever_maps_say(has_record, tmp_path):
    """Mapped as if B1 were nominal, PD is off by a tenth: that is the model's bias, and no unit."""
    head = synthetic_head(shape=(3, 20, 18))
    low = replace(head, b1=np.where(head.mask, 0.85, 1.0), record=head.record if has_record else {})
    stack = nb.simulate(low, nb.spline_schedule(length=60), snr=50)
    maps = nb.reconstruct(stack, "dictionary", step=0.1)
    pd = maps.pd[maps.mask] / low.pd[maps.mask]
    assert abs(float(np.median(pd)) - 1) > 0.05
    assert signal_scales(low, [maps])[0].signal_per_pd == 1
    found = nb.compare(low, maps)
    good = found.mask & ~maps.failed & (maps.pd > 0)
    wrong = np.where(good, maps.pd / np.where(found.mask, low.pd, 1) - 1.0, -1.0)[found.mask]
    assert found.score("dictionary", "PD").bias_percent == pytest.approx(100 * float(wrong.mean()), abs=1e-3)
    assert found.pd_scale == {"dictionary": 1.0}
    # the noise is in the truth's unit: the bound follows from σ as it was drawn
    tissue = [getattr(low, key)[found.mask].astype(np.float64) for key in ("t1", "t2", "pd")]
    own = nb.cramer_rao_bound(stack.schedule, *tissue, low.b1[found.mask], sigma=stack.noise_sigma)
    assert found.score("dictionary", "T1").bound == pytest.approx(float(np.sqrt(np.mean(own.t1**2))), rel=0.02)
    # the inspector and figures of a voxel ask the same
    assert stack_scale(low, stack.record, [maps]) is None
    # what files keep, and a phantom that is opened again, tell the same
    write_maps(maps, tmp_path / "maps")
    again = replace(low, record={**low.record, "created": "later"} if has_record else {})
    assert signal_scales(again, [read_maps(tmp_path / "maps")])[0].signal_per_pd == 1
    # a part of it, where its record is known
    assert is_simulated_from(low[1:2], stack.record) is has_record
    other = nb.Phantom(head.t1, head.t2, 3 * head.pd, head.mask)
    assert not is_simulated_from(other, stack.record)


def test_what_finished_maps_tell_is_looked_at_once(head, stack, monkeypatch):
    from napari_blochnet.evaluation import signal_scale

    maps = nb.reconstruct(_scaled(stack, 600.0), "dictionary", step=0.05)
    running = maps.replace(record={}, pd=maps.pd.copy())
    before = signal_scales(head, [maps, running])
    looked = []
    look = signal_scale._look
    monkeypatch.setattr(signal_scale, "_look", lambda truth, item: looked.append(item) or look(truth, item))
    assert signal_scales(head, [maps]) == before[:1]
    assert looked == []
    # a job may still be filling maps without a record
    running.pd[...] *= 2
    assert signal_scales(head, [running])[0].signal_per_pd == pytest.approx(2 * before[1].signal_per_pd)


def test_neither_truth_nor_maps_are_held(head, stack):
    import gc
    import weakref

    maps = nb.reconstruct(_scaled(stack, 600.0), "dictionary", step=0.05)
    truth = nb.Phantom(head.t1, head.t2, head.pd)
    signal_scales(truth, [maps])
    alive = [weakref.ref(truth), weakref.ref(maps)]
    del truth, maps
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
