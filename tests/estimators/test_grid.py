import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.matching.grid import TissueGrid


def test_the_default_grid_spans_its_ranges_in_steps_of_two_per_cent():
    grid = TissueGrid()
    for values, (low, high) in ((grid.t1_values, (20, 6000)), (grid.t2_values, (2, 3000))):
        assert values[0] == pytest.approx(low)
        assert values[-1] == pytest.approx(high)
        steps = values[1:] / values[:-1] - 1
        assert steps.max() <= 0.02 + 1e-12
        assert steps.min() > 0.0198


def test_atoms_are_all_pairs_with_t2_up_to_t1_each_once():
    grid = TissueGrid((50, 400), (5, 900), 0.1)
    t1, t2 = grid.t1_values, grid.t2_values
    expected = {(i, j) for i in range(len(t1)) for j in range(len(t2)) if t2[j] <= t1[i]}
    found = list(zip(*(index.tolist() for index in grid.atoms()), strict=True))
    assert len(found) == len(set(found)) == len(grid) == len(expected)
    assert set(found) == expected


def test_neighbours_in_the_order_of_atoms_are_neighbours_on_the_grid():
    t1_index, t2_index = TissueGrid().atoms()
    jump = np.maximum(np.abs(np.diff(t1_index)), np.abs(np.diff(t2_index)))
    assert np.mean(jump < 32) > 0.999


def test_a_single_value_and_a_whole_number_of_steps():
    assert TissueGrid((1000, 1000), (80, 80), 0.02).t1_values.tolist() == [1000]
    assert len(TissueGrid((100, 100 * 1.1**7), (10, 10), 0.1).t1_values) == 8


@pytest.mark.parametrize(
    ("settings", "field", "found"),
    [
        ({"t1_range": (0, 100)}, "t1_range", "0 to 100"),
        ({"t1_range": (100, 50)}, "t1_range", "100 to 50"),
        ({"t2_range": (1, np.inf)}, "t2_range", "inf"),
        ({"t2_range": (1, np.nan)}, "t2_range", "nan"),
        ({"t2_range": "a"}, "t2_range", "'a'"),
        ({"step": 0}, "step", "0"),
        ({"step": None}, "step", "None"),
        ({"step": 1e-5}, "step", "atoms"),
        ({"t1_range": (20, 30), "t2_range": (40, 50)}, "t2_range", "40"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_a_sentence(settings, field, found):
    with pytest.raises(InputError, match=found) as refused:
        TissueGrid(**settings)
    assert refused.value.field == field


def test_memory_counts_coefficients_and_coordinates():
    grid = TissueGrid((50, 400), (5, 900), 0.1)
    assert grid.memory(20) == len(grid) * (80 + 16)
    assert grid.memory(20, complex_atoms=True) == len(grid) * (160 + 16)
