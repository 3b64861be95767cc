"""A stack layer's data to napari's console and to other plugins: an array, and no copy of the stack."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.canvas import magnitudes
from napari_blochnet.napari_ui.canvas.layer_data import stack_layer_data
from napari_blochnet.napari_ui.canvas.magnitudes import Magnitudes
from napari_blochnet.schedules.schedule import Schedule

SHAPE = (7, 2, 3, 4)

SAME = {
    "product": lambda d: d * 2,
    "equal to a number": lambda d: d == 0,
    "greater": lambda d: d > 3,
    "from the left": lambda d: 2 - d,
    "with itself": lambda d: d + d,
    "with a row": lambda d: d + np.arange(4.0),
    "with one number a frame": lambda d: d * np.arange(7.0).reshape(7, 1, 1, 1),
    "with an array": lambda d: d * np.arange(168.0).reshape(SHAPE),
    "with more axes": lambda d: d + np.zeros((2, *SHAPE)),
    "ufunc": np.sqrt,
    "two results": lambda d: np.divmod(d, 3)[1],
    "where": lambda d: np.maximum(d, 3, where=d > 2, out=np.zeros(d.shape)),
    "outer": lambda d: np.add.outer(d[0, 0], d),
    "frame": lambda d: d[3],
    "slices": lambda d: d[:, 1, ::2],
    "mask": lambda d: d[d > 4],
    "iteration": lambda d: list(d)[2],
    "maximum": lambda d: d.max(),
    "minimum of frames": lambda d: d.min(axis=0),
    "over some axes": lambda d: d.max(axis=(0, 2), keepdims=True),
    "of each frame": lambda d: np.max(d, axis=(1, 2, 3)),
    "any": np.any,
    "all": lambda d: d.all(axis=-1),
    "position": lambda d: d.argmax(axis=0),
    "transposed": lambda d: d.T,
    "reshaped": lambda d: d.reshape(7, -1),
    "type": lambda d: d.astype(int),
    "joined": lambda d: np.concatenate([d, d]),
    "chosen": lambda d: np.where(d > 1, d, 0),
    "percentile": lambda d: np.percentile(d, 50),
    "Einstein's sum": lambda d: np.einsum("tzyx->t", d),
    "array": np.asarray,
    "as doubles": lambda d: np.asarray(d, dtype=float),
    "shape": np.shape,
}


@pytest.fixture(params=[np.complex64, np.complex128, np.int16, np.float32, np.uint8], ids=lambda kind: kind.__name__)
def both(request, monkeypatch):
    """Magnitudes in many blocks, and the array that they stand for."""
    monkeypatch.setattr(magnitudes, "_BLOCK_BYTES", 200)
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(SHAPE) * 50
    if np.issubdtype(request.param, np.complexfloating):
        samples = samples + 1j * rng.standard_normal(SHAPE)
    samples = samples.astype(request.param)
    return Magnitudes(samples), np.abs(samples)


@pytest.mark.parametrize("what", SAME)
def test_the_same_as_of_an_array(both, what):
    data, array = both
    found, wanted = SAME[what](data), SAME[what](array)
    assert type(found) is type(wanted)
    np.testing.assert_array_equal(found, wanted)
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), (1, 2)])
def test_sums_and_means(both, axis):
    data, array = both
    for function in (np.sum, np.mean, lambda d, axis: d.sum(axis), lambda d, axis: d.mean(axis=axis)):
        found, wanted = function(data, axis=axis), function(array, axis=axis)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)


@pytest.mark.parametrize(
    ("what", "error"),
    [
        (lambda d: d.__setitem__(0, 1), "read-only"),
        (lambda d: d.__iadd__(1), "read-only"),
        (lambda d: d.sort(), "read-only"),
        (lambda d: np.clip(d, 0, 1, out=d), "read-only"),
        (lambda d: np.copyto(d, 0), "read-only"),
        (bool, "ambiguous"),
        (lambda d: d.max(axis=(0, 9)), "out of bounds"),
        (lambda d: d.max(axis=(0, 0)), "duplicate"),
        (lambda d: np.array(d, copy=False), "copy"),
    ],
)
def test_what_cannot_be_is_an_error_and_changes_nothing(both, what, error):
    data, array = both
    with pytest.raises(ValueError, match=error):
        what(data)
    np.testing.assert_array_equal(data, array)


def test_copies(both):
    data, array = both
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)), array)
    assert copy.deepcopy(data) is data
    changed = data.copy()
    changed[...] = 0
    np.testing.assert_array_equal(data, array)


def test_no_more_than_a_block_is_looked_at_at_once(both):
    looked: list[int] = []

    class Watched(Magnitudes):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            looked.append(found.size)
            return found

    data, array = both
    watched = Watched(data._samples)
    for use in (lambda d: d == 0, lambda d: d * 2, np.max, np.any, np.mean, lambda d: d.max(axis=0), np.asarray):
        looked.clear()
        np.testing.assert_allclose(use(watched), use(array), rtol=1e-5)
        assert max(looked) <= 24 * max(1, 200 // (24 * array.itemsize))
        assert sum(looked) == array.size


@pytest.mark.parametrize("kind", [np.longdouble, np.clongdouble])
def test_long_doubles_are_shown_in_a_precision_of_canvases(kind):
    data = np.full((3, 1, 2, 2), 2.0, kind)
    stack = FingerprintStack(data, Schedule(30.0, [10.0] * 3, 5.0), kind="magnitude" if kind is np.longdouble else None)
    ((shown, _, _),) = stack_layer_data(stack)
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown[1], np.full((1, 2, 2), 2.0))
    assert shown[0].dtype == np.float32
