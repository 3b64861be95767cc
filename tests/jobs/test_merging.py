"""Maps made piece by piece are those made at once, bit for bit, and say so in their record."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.batches import batches, slabs
from napari_blochnet.jobs.operations.merging import can_merge, merge_maps
from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
from napari_blochnet.jobs.records import as_recipe

COARSE = {"step": 0.2, "t1_range": (100.0, 5000.0)}
ARRAYS = ("t1", "t2", "pd", "residual", "mask", "failed", "phase", "t1_se", "t2_se", "converged")


@pytest.fixture(scope="module")
def stack():
    head = synthetic_head(shape=(8, 40, 32), seed=3)
    schedule = make_schedule(kind="spline", length=60, seed=2)
    return nb.simulate(head, schedule, snr=25, seed=7, slices=(2, 7))


def one_slice(stack, z):
    mask = np.zeros(stack.shape[1:], bool)
    mask[z] = True
    return mask


def assert_same(some, other):
    for name in ARRAYS:
        before, after = getattr(some, name), getattr(other, name)
        assert (before is None) == (after is None), name
        if before is not None:
            np.testing.assert_array_equal(after, before, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [{}, {"estimator": "universal"}, {"refine": True}, {"estimator": "universal", "uncertainty": True}, {"batch": 100}],
    ids=str,
)
def test_merged_slices_are_made_again_bit_for_bit(stack, options):
    maps = nb.reconstruct(stack, mask=one_slice(stack, 3), **{**COARSE, **options})
    for z in (0, 1):
        maps = merge_maps(maps, nb.reconstruct(stack, mask=one_slice(stack, z), **{**COARSE, **options}), stack)
    np.testing.assert_array_equal(maps.mask.any(axis=(1, 2)), [True, True, False, True, False])
    # two slices and one more: no range says that, so that the mask is in the recipe
    again = run_recipe(as_recipe(maps.record))[-1]
    assert_same(maps, again)
    assert again.record["settings"] == maps.record["settings"]
    # with the slice between them the record names a range, and commands and Python can say it
    whole = merge_maps(maps, nb.reconstruct(stack, mask=one_slice(stack, 2), **{**COARSE, **options}), stack)
    assert whole.record["settings"]["slices"] == [0, 4]
    assert "--slices 0 4" in as_command(whole.record)
    names = {}
    exec(compile(as_python(whole.record), "<copied>", "exec"), names)
    assert_same(whole, names["maps"])
    assert whole.record["voxels"] == int(stack.mask[:4].sum())


def test_a_stopped_mapping_is_made_again_and_completed(stack):
    """What a cancelled job leaves is a result like any other: recorded, and merged with the rest."""
    cancelled = threading.Event()

    def stop(maps):
        if maps.mask[1].sum() >= 150:
            cancelled.set()

    options = {**COARSE, "estimator": "universal", "batch": 64}
    with pytest.raises(nb.Cancelled) as stopped:
        nb.reconstruct(stack, cancelled=cancelled, partial=stop, **options)
    part = stopped.value.partial
    assert 0 < part.mask[1].sum() < stack.mask[1].sum()
    assert_same(part, run_recipe(as_recipe(part.record))[-1])
    rest = nb.reconstruct(stack, mask=one_slice(stack, 1), **options)
    merged = merge_maps(part, rest, stack)
    np.testing.assert_array_equal(merged.mask[:2], stack.mask[:2])
    assert_same(merged, run_recipe(as_recipe(merged.record))[-1])


def test_the_newer_of_two_maps_of_a_slice_counts(stack):
    region = np.zeros(stack.shape[1:], bool)
    region[2, 10:20, 8:16] = True
    painted = nb.reconstruct(stack, mask=region, **COARSE)
    slice_2 = nb.reconstruct(stack, mask=one_slice(stack, 2), **COARSE)
    assert_same(merge_maps(painted, slice_2, stack), slice_2)
    # a part of what is known already adds nothing
    assert_same(merge_maps(slice_2, painted, stack), slice_2)


def test_a_b1_map_is_part_of_the_mapping(stack):
    field = np.full(stack.shape[1:], 0.95, np.float32)
    options = {**COARSE, "refine": True, "b1": field}
    parts = [nb.reconstruct(stack, mask=one_slice(stack, z), **options) for z in (0, 2)]
    merged = merge_maps(*parts, stack)
    assert_same(merged, run_recipe(as_recipe(merged.record))[-1])
    without = nb.reconstruct(stack, mask=one_slice(stack, 1), **{**options, "b1": None})
    assert not can_merge(merged, without)


def test_the_old_maps_stay_as_they_are(stack):
    first = nb.reconstruct(stack, mask=one_slice(stack, 0), **COARSE)
    before = first.t1.copy()
    merge_maps(first, nb.reconstruct(stack, mask=one_slice(stack, 1), **COARSE), stack)
    np.testing.assert_array_equal(first.t1, before)


def test_what_does_not_belong_together_is_refused(stack):
    first = nb.reconstruct(stack, mask=one_slice(stack, 0), **COARSE)
    other = {
        "differ in estimator": nb.reconstruct(stack, "universal", mask=one_slice(stack, 1)),
        "differ in refine": nb.reconstruct(stack, mask=one_slice(stack, 1), refine=True, **COARSE),
        "different devices": first.replace(record={**first.record, "device": "cuda:0"}),
        "smaller batches": first.replace(record={**first.record, "memory": ["It goes on with fewer."]}),
        "no record": first.replace(record={}),
        "different grids": first.replace(voxel_size=(9, 9, 9), affine=None),
        "different stacks": first.replace(
            record={**first.record, "inputs": {"stack": {"operation": "given", "stack": "another"}}}
        ),
    }
    for why, maps in other.items():
        assert not can_merge(first, maps), why
        with pytest.raises(nb.InputError, match="cannot be merged") as caught:
            merge_maps(first, maps, stack)
        assert why in str(caught.value)
    halves = np.zeros((2, *stack.shape[1:]), bool)
    halves[0, 0, :22] = halves[1, 0, 18:] = True
    upper, lower = (nb.reconstruct(stack, mask=half, **COARSE) for half in halves)
    with pytest.raises(nb.InputError, match="covers voxels of slice 0"):
        merge_maps(upper, lower, stack)
    with pytest.raises(nb.InputError, match="have shape"):
        merge_maps(first, first, stack[:2])


def test_batches_hold_every_voxel_once_and_never_two_slices():
    inside = np.random.default_rng(0).random((4, 70, 90)) < 0.7
    found = list(batches(inside, 4096))
    np.testing.assert_array_equal(np.concatenate(found), np.flatnonzero(inside))
    assert all(len(set(batch // (70 * 90))) == 1 for batch in found)
    assert len(found[0]) == 512
    assert max(map(len, found)) <= 4096
    # those of a slice do not depend on the others
    alone = np.zeros_like(inside)
    alone[2] = inside[2]
    expected = [batch for batch in found if batch[0] // (70 * 90) == 2]
    assert all(np.array_equal(a, b) for a, b in zip(batches(alone, 4096), expected, strict=True))


def test_a_list_of_voxels_along_z_is_not_mapped_one_by_one():
    assert [len(batch) for batch in batches(np.ones((200, 1, 1), bool), 4096)] == [64, 64, 64, 8]
    assert len(list(slabs((200, 8, 8)))) == 200
