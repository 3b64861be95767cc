"""Schedules that several tests of the physics share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from napari_blochnet import Schedule
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse


@pytest.fixture(scope="session")
def varied_schedule() -> Schedule:
    """A short FISP train in which everything varies: flip angle, TR and TE; inversion with delay, not perfect."""
    rng = np.random.default_rng(11)
    n = np.arange(80)
    repetition_time = 13.0 + 1.5 * np.sin(n / 7.0) + rng.uniform(-0.2, 0.2, len(n))
    return Schedule(
        flip_angle=5.0 + 60.0 * np.abs(np.sin(np.pi * n / 40.0)),
        repetition_time=repetition_time,
        echo_time=repetition_time * rng.uniform(0.2, 0.5, len(n)),
        inversion_time=18.0,
        inversion_efficiency=0.93,
        name="varied",
    )


@pytest.fixture(scope="session")
def spoiled_schedule(varied_schedule: Schedule) -> Schedule:
    """The same with RF spoiling by 117°: the complex path."""
    n = np.arange(len(varied_schedule))
    return varied_schedule.replace(rf_phase=(n * (n - 1) / 2 * 117.0) % 360.0, name="spoiled")


@pytest.fixture(scope="session")
def tissues() -> np.ndarray:
    """T1, T2 (ms) and B1 of four voxels, in rows."""
    return np.array([(800.0, 70.0, 0.85), (2500.0, 300.0, 1.0), (300.0, 40.0, 1.2), (1200.0, 120.0, 1.07)]).T


@pytest.fixture(scope="session")
def played() -> Callable[..., Schedule]:
    """Make a train in which everything varies, with preparations of every kind."""
    return _played


def _played(trains: int | Literal["steady"], spoiled: bool, pulses: int = 14, seed: int = 6) -> Schedule:
    """Return a train in which everything varies, with preparations of every kind, complex where it is ``spoiled``."""
    rng = np.random.default_rng(seed)
    tr = rng.uniform(9.0, 15.0, pulses)
    tr[[2, 5, 8]] += 75.0
    return Schedule(
        flip_angle=rng.uniform(10.0, 90.0, pulses),
        repetition_time=tr,
        echo_time=rng.uniform(2.0, 5.0, pulses),
        rf_phase=rng.uniform(0.0, 360.0, pulses) if spoiled else 0.0,
        inversion_time=21.0,
        inversion_efficiency=0.94,
        preparations=[
            Preparation(0, "saturation", 3.0, 11.0, 0.97),
            Preparation(3, "t2", 40.0, 7.0, 0.93, adiabatic=False),
            Preparation(3, "delay", delay=9.0),
            Preparation(6, "inversion", 6.0, 25.0, 0.9),
            Preparation(6, "t2", 30.0),
            Preparation(9, "simulated", 20.0, 4.0, response=_response(rng)),
            Preparation(9, "saturation", 2.0, 30.0, 0.6),
        ],
        recovery_time=160.0,
        trains=trains,
    )


def _response(rng: np.random.Generator) -> PreparationResponse:
    t1, t2, b1 = np.geomspace(100, 5000, 6), np.geomspace(10, 1000, 5), np.linspace(0.7, 1.3, 4)
    a, b = (scale * rng.uniform(0.5, 1.0, (6, 5, 4)) for scale in (0.8, 0.2))
    return PreparationResponse(t1, t2, b1, a, b)
