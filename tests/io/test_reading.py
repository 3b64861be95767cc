"""Arrays in blocks: every element once, no block too large; reading that can be stopped."""

from __future__ import annotations

import io
import math
import threading

import numpy as np
import pytest

from napari_blochnet.common.errors import Cancelled
from napari_blochnet.common.progress import Watch
from napari_blochnet.io.reading import blocks, read_bytes, read_in_blocks


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((7,), None), ((3, 5, 11), None), ((40, 1, 3), None), ((9, 10, 11), (2, 4, 5)), ((6, 5, 4), (6, 1, 1)), ((), None),
     ((1000, 1, 1), (1000, 1, 1))],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 24, 100, 10**6])
def test_every_element_once_and_no_block_too_large(shape, chunks, size) -> None:
    seen = np.zeros(shape, int)
    chunk = math.prod(chunks or (1,)) * 2
    for selection in blocks(shape, 2, chunks, size):
        part = seen[selection]
        assert 0 < part.size * 2 <= max(size, chunk)
        seen[selection] += 1
        for here, length in zip(selection, chunks or [1] * len(shape), strict=True):
            # no chunk is unpacked twice
            assert here.start % length == 0
    assert (seen == 1).all()


def test_an_empty_array_has_no_blocks() -> None:
    assert list(blocks((4, 0, 3), 8)) == []


def test_progress_counts_megabytes_and_cancelling_ends_it() -> None:
    source = np.arange(5 * 2**20, dtype=np.uint32).reshape(5, 1024, 1024)
    said = []
    values = read_in_blocks(source.__getitem__, source.shape, source.dtype, what="reading it",
                            watch=Watch(lambda *step: said.append(step)))  # fmt: skip
    np.testing.assert_array_equal(values, source)
    assert said == [(done, 20, "reading it") for done in (0, 4, 8, 12, 16)]
    wish = threading.Event()
    with pytest.raises(Cancelled, match="reading it"):
        read_in_blocks(source.__getitem__, source.shape, source.dtype, what="reading it",
                       watch=Watch(lambda done, *_: wish.set() if done else None, wish))  # fmt: skip


def test_bytes_of_a_file() -> None:
    source = np.arange(3 * 2**20, dtype=">c16")
    values = np.empty(len(source), source.dtype)
    read_bytes(io.BytesIO(source.tobytes()), values)
    np.testing.assert_array_equal(values, source)
    with pytest.raises(EOFError, match="ends after 100 of"):
        read_bytes(io.BytesIO(bytes(100)), values)
