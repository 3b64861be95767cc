"""Which measures the Compare tab offers, in which order, and how their numbers are written."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_blochnet.evaluation.agreement.agreement_table import AGREEMENT_COLUMNS
from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS
from napari_blochnet.napari_ui.inspector.numbers import _texts
from napari_blochnet.napari_ui.panels.compare.score_table import LIMITS, current_name, measures_of


def _made(columns):
    """Return what has one row, with a number in every column."""
    return SimpleNamespace(rows=lambda: [{column.key: 1.0 for column in columns}])


def test_what_matters_first_comes_first_and_no_two_measures_read_alike():
    compared = SimpleNamespace(comparison=_made(COMPARISON_COLUMNS), agreement=_made(AGREEMENT_COLUMNS))
    names = [measure.name for measure in measures_of(compared)]
    assert names[:3] == ["Median |error| / %", "RMSE / bound", "Bias / %"]
    assert names.index("Failed") < names.index(LIMITS)
    assert len(set(names)) == len(names)
    # one is told from the other by its first word
    assert not LIMITS.startswith("Bias")
    assert "of mean" in LIMITS
    # a session of an earlier version shows what it showed
    assert current_name("Bias ± 1.96 SD / %") == LIMITS
    assert current_name("RMSE / ms") == "RMSE / ms"


@pytest.mark.parametrize(("t1", "text"), [(999.7, "+0.0 %"), (1000.3, "+0.0 %"), (980.0, "−2.0 %"), (1000.0, "+0.0 %")])
def test_an_error_that_rounds_to_nothing_has_no_minus(t1, text):
    item = SimpleNamespace(name="a", t1=t1, t1_se=None, t2=80.0, t2_se=None, pd=1.0, is_truth=False)
    assert _texts(item, 0.1, SimpleNamespace(t1=1000.0, t2=80.0))[2] == text
