"""The fingerprint stack's own rules."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.schedules.schedule import Schedule

_SCHEDULE = Schedule(np.full(6, 10.0), 12.0, 3.0, name="six")


def _data(dtype: type = np.complex64) -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.normal(size=(6, 2, 3, 4)) + 1j * random.normal(size=(6, 2, 3, 4))).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (np.complex64, "complex"),
        (np.float32, "magnitude"),
        (np.int16, "magnitude"),
        (np.uint8, "magnitude"),
        (np.uint16, "magnitude"),
    ],
)
def test_what_numbers_are_taken_for(dtype: type, kind: str) -> None:
    data = np.ones((6, 2, 3, 4), dtype) * dtype(1j if kind == "complex" else 1)
    assert FingerprintStack(data, _SCHEDULE.replace(inversion_time=20.0)).kind == kind
    # without an inversion, signed signals may all lie above 0, as those of earlier versions were taken to do
    plain = FingerprintStack(data, _SCHEDULE.replace(inversion_time=None))
    assert plain.kind == ("real" if dtype is np.float32 else kind)
    assert any("cannot be told apart" in note for note in plain.notes) == (dtype is np.float32)
    if np.dtype(dtype).kind in "fi":
        assert FingerprintStack(-data, _SCHEDULE).kind == "real"
        # an empty stack tells nothing
        assert FingerprintStack(0 * data, _SCHEDULE).kind == "real"


def test_time_must_be_as_long_as_the_schedule() -> None:
    with pytest.raises(InputError, match="has 5 time points, but the schedule six has 6 pulses") as caught:
        FingerprintStack(_data()[:5], _SCHEDULE)
    assert caught.value.field == "schedule"


@pytest.mark.parametrize(
    ("change", "sentence", "field"),
    [
        ({"data": np.ones((6, 3, 4), np.float32)}, r"has shape \(6, 3, 4\); expected four axes", "data"),
        ({"data": np.ones((6, 0, 3, 4), np.float32)}, "holds no samples", "data"),
        ({"kind": "real"}, "holds complex64 samples and cannot be of kind real", "kind"),
        ({"data": np.ones((6, 2, 3, 4), np.float32), "kind": "complex"}, "cannot be of kind complex", "kind"),
        ({"data": -np.ones((6, 2, 3, 4), np.float32), "kind": "magnitude"}, "holds samples below 0", "kind"),
        ({"kind": "phase"}, "kind is 'phase'", "kind"),
        ({"mask": np.ones((3, 4), bool)}, r"The mask has shape \(3, 4\)", "mask"),
    ],
)
def test_mistakes(change: dict, sentence: str, field: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        FingerprintStack(**{"data": _data(), "schedule": _SCHEDULE, **change})
    assert caught.value.field == field


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, np.nan)])
@pytest.mark.parametrize("mask", [None, np.ones((2, 3, 4), bool)])
def test_a_voxel_with_some_samples_that_are_not_finite_is_left_out_and_told(value: complex, mask: np.ndarray) -> None:
    data = _data()
    data[3, 1, 2, 0] = value
    with pytest.warns(DataWarning, match=r"^fingerprints: 1 voxel with some samples that are NaN or infinite left out"):
        stack = FingerprintStack(data, _SCHEDULE, mask=mask)
    expected = np.ones((2, 3, 4), bool)
    expected[1, 2, 0] = False
    np.testing.assert_array_equal(stack.mask, expected)
    assert any("1 voxel with some" in note for note in stack.notes)
    assert np.isfinite(stack.fingerprints()).all()
    # what lies outside is nobody's business, nor is it told of again where a part is taken
    assert FingerprintStack(data, _SCHEDULE, mask=expected).notes == ()
    assert stack[1].mask.sum() == 11


@pytest.mark.parametrize("dtype", [np.complex64, np.float32, np.float64])
def test_nan_outside_the_object_is_background(dtype: type, recwarn: pytest.WarningsRecorder) -> None:
    data = _data().real.astype(dtype)
    data[:, 0, 1] = np.nan
    data[:, 1, 0, 0] = -np.inf
    stack = FingerprintStack(data, _SCHEDULE)
    expected = np.ones((2, 3, 4), bool)
    expected[0, 1] = expected[1, 0, 0] = False
    np.testing.assert_array_equal(stack.mask, expected)
    assert "5 voxels without a finite sample (NaN) count as background." in stack.notes
    assert not recwarn.list
    with pytest.raises(InputError, match="NaN or infinity in all 24 voxels inside the mask"):
        FingerprintStack(np.full_like(data, np.nan), _SCHEDULE)


def test_large_numbers_are_finite() -> None:
    data = np.full((6, 2, 3, 4), 1e308)
    assert FingerprintStack(data, _SCHEDULE).mask.all()


def test_the_mask_is_where_there_is_signal() -> None:
    data = _data()
    data[:, 0, 1, 2] = 0
    data[1:, 1, 1, 1] = 0
    stack = FingerprintStack(data, _SCHEDULE)
    assert stack.mask.sum() == 23
    assert not stack.mask[0, 1, 2]


def test_batches_and_slices() -> None:
    stack = FingerprintStack(_data(), _SCHEDULE, voxel_size=(3.0, 2.0, 1.0))
    mask = np.zeros((2, 3, 4), bool)
    mask[0, 1, 2] = mask[1, 0, 3] = True
    batch = stack.fingerprints(mask)
    np.testing.assert_array_equal(batch, [stack.data[:, 0, 1, 2], stack.data[:, 1, 0, 3]])
    assert batch.dtype == np.complex64
    assert batch.flags.c_contiguous
    part = stack[1]
    assert part.shape == (6, 1, 3, 4)
    np.testing.assert_array_equal(part.affine[:3, 3], [0, 0, 3])
    assert stack.fingerprints(np.zeros((2, 3, 4), bool)).shape == (0, 6)
