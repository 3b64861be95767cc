"""Maps of gaps against preparations played one by one, their derivatives, and how gaps are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import Schedule
from napari_blochnet.physics.preparation_maps import (
    free_repetition_times,
    gap_maps,
    gap_of_pulse,
    simulated_response,
)
from napari_blochnet.physics.reference.train_maps import preparation_map
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse


def test_maps_are_the_preparations_one_by_one(played, tissues):
    schedule = played(2, spoiled=False)
    maps = gap_maps(schedule, *tissues)
    assert maps.gap_of_pulse[[0, 3, 6, 9]].tolist() == [0, 1, 2, 3]
    for voxel, (t1, t2, b1) in enumerate(tissues.T):
        for pulse, gap in ((3, 1), (6, 2), (9, 3)):
            z = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
            for preparation in schedule.all_preparations:
                if preparation.before == pulse:
                    z = preparation_map(preparation, t1, t2, b1)(z)
            assert maps.B[gap, voxel] == pytest.approx(z[0, 2], abs=1e-14)
            assert maps.A[gap, voxel] == pytest.approx(z[1, 2] - z[0, 2], abs=1e-14)


@pytest.mark.parametrize("tangents", [2, 3])
def test_derivatives_are_those_of_the_maps(played, tissues, tangents):
    schedule = played("steady", spoiled=False)
    maps = gap_maps(schedule, *tissues, tangents=tangents)
    assert maps.A_slopes.shape == (4, tangents, 4)
    for p, step in enumerate((1e-2, 1e-3, 1e-6)[:tangents]):
        moved = np.zeros((3, 1))
        moved[p] = step
        up, down = gap_maps(schedule, *(tissues + moved)), gap_maps(schedule, *(tissues - moved))
        np.testing.assert_allclose((up.A - down.A) / (2 * step), maps.A_slopes[:, p], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose((up.B - down.B) / (2 * step), maps.B_slopes[:, p], rtol=1e-6, atol=1e-9)


def test_recovery_belongs_to_the_gap_before_pulse_0_and_leaves_the_equilibrium(played, tissues):
    plays = played(3, spoiled=False)
    several, once = gap_maps(plays, *tissues), gap_maps(plays.replace(trains=1), *tissues)
    np.testing.assert_allclose(several.A[0], once.A[0] * np.exp(-plays.recovery_time / tissues[0]), rtol=1e-13)
    np.testing.assert_allclose(several.A[0] + several.B[0], once.A[0] + once.B[0], atol=1e-14)


def test_gaps_in_which_the_same_is_played_are_one():
    same = [Preparation(n, "t2", 40.0, 10.0) for n in (2, 4, 7)]
    schedule = Schedule(30.0, np.full(9, 100.0), 3.0, preparations=[*same, Preparation(7, "delay", delay=1.0)])
    assert gap_of_pulse(schedule).tolist() == [0, -1, 1, -1, 1, -1, -1, 2, -1]
    maps = gap_maps(schedule, np.array([900.0]), np.array([60.0]))
    assert maps.A.shape == (3, 1)
    assert maps.A[0] == 1.0
    assert maps.B[0] == 0.0
    assert free_repetition_times(schedule).tolist() == [100, 50, 100, 50, 100, 100, 49, 100, 100]


def test_a_response_between_and_beyond_its_points():
    # A smooth response on a grid: met at its points, near it between them, held at its edges with slopes of 0.
    t1, t2, b1 = np.geomspace(200, 4000, 20), np.geomspace(10, 600, 25), np.linspace(0.7, 1.3, 9)

    def a(t1, t2, b1):
        return np.exp(-30.0 / t2) * np.sin(np.pi / 2 * b1) ** 2 - 0.1 * np.exp(-30.0 / t1)

    grid = a(t1[:, None, None], t2[None, :, None], b1)
    response = PreparationResponse(t1, t2, b1, grid, 0.0 * grid + 0.25)
    at = (t1[[3, 7]], t2[[2, 11]], b1[[8, 0]])
    np.testing.assert_allclose(simulated_response(response, *at)[0], a(*at), atol=1e-14)
    between = (np.array([777.0, 2222.0]), np.array([33.0, 222.0]), np.array([0.93, 1.22]))
    found, offset = simulated_response(response, *between)
    np.testing.assert_allclose(found, a(*between), atol=1e-5)
    np.testing.assert_allclose(offset, 0.25, atol=1e-15)
    beyond = (np.array([9000.0]), np.array([50.0]), np.array([1.9]))
    rows, _ = simulated_response(response, *beyond, slopes=True)
    edge, _ = simulated_response(response, np.array([4000.0]), np.array([50.0]), np.array([1.3]), slopes=True)
    np.testing.assert_allclose(rows[[0, 2]], edge[[0, 2]], rtol=1e-14)
    assert rows[1] == rows[3] == 0.0


def test_a_response_of_one_point_is_a_number():
    response = PreparationResponse([1000.0], [100.0], [0.9, 1.1], [[[0.5, 0.7]]], [[[0.1, 0.1]]])
    rows, offset = simulated_response(response, np.array([300.0]), np.array([30.0]), np.array([1.05]), slopes=True)
    np.testing.assert_allclose(rows[:, 0], [0.65, 0.0, 0.0, 1.0], atol=1e-14)
    np.testing.assert_allclose(offset[:, 0], [0.1, 0.0, 0.0, 0.0], atol=1e-14)
