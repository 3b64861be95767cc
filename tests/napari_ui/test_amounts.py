"""Times and sizes in the panels' sentences."""

from __future__ import annotations

import pytest

from napari_blochnet.napari_ui.panels.amounts import duration, memory


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (99.4, "99 s"), (100, "2 min"), (3540, "59 min"), (3600, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"), [(1e3, "1 MB"), (2.6e6, "3 MB"), (9.4e8, "940 MB"), (9.6e8, "1.0 GB"), (1.44e10, "14.4 GB")]
)
def test_sizes(size, said):
    assert memory(size) == said
