"""Schedules that the trainings of several files are for."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb

ANGLES = 10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60))


@pytest.fixture(scope="session")
def schedule():
    return nb.Schedule(ANGLES, 12.0, 4.0, inversion_time=15.0, name="short train")


@pytest.fixture(scope="session")
def other():
    return nb.Schedule(ANGLES[::-1], 12.0, 4.0, inversion_time=15.0, name="reversed train")
