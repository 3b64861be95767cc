"""Schedules that several tests of the physics share."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import Schedule


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
