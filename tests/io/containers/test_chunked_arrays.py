"""Arrays in chunks that are unpacked where they are looked at: as NumPy's are indexed, and no chunk more than once."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.io.containers import chunked_arrays
from napari_blochnet.io.containers.chunked_arrays import ChunkedArray

WHOLE = np.arange(7 * 5 * 6, dtype=np.float32).reshape(7, 5, 6)


@pytest.fixture
def chunked():
    unpacked = []

    def unpack(selection):
        unpacked.append(tuple(part.start for part in selection))
        return WHOLE[selection].copy()

    return ChunkedArray(WHOLE.shape, (7, 2, 4), WHOLE.dtype, unpack), unpacked


@pytest.mark.parametrize(
    "key",
    [
        3, -1, ..., (slice(None), 1), (2, slice(1, 4), 5), (slice(None, None, 3), ..., slice(1, 6, 2)),
        (slice(5, 1, -2), 4, -2), (slice(4, 4), 0), (..., slice(None, None, -1)), (6, 4, 5),
    ],
)  # fmt: skip
def test_it_is_indexed_as_an_array_in_memory(chunked, key):
    np.testing.assert_array_equal(chunked[0][key], WHOLE[key])
    np.testing.assert_array_equal(np.asarray(chunked[0].lazily()[key]), WHOLE[key])


def test_a_chunk_is_unpacked_once_as_long_as_it_is_kept(chunked, monkeypatch):
    array, unpacked = chunked
    for time in range(7):
        np.testing.assert_array_equal(array[time, 0], WHOLE[time, 0])
    assert unpacked == [(0, 0, 0), (0, 0, 4)]
    # room for one chunk only
    monkeypatch.setattr(chunked_arrays, "_kept", 1)
    for _ in range(2):
        np.testing.assert_array_equal(array[0, 2], WHOLE[0, 2])
    assert len(unpacked) == 6


def test_what_is_kept_cannot_be_changed_by_who_looks_at_it(chunked):
    with pytest.raises(ValueError, match="read-only"):
        chunked[0][:, 0, :3][...] = 0
