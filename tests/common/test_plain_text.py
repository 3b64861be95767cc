"""Numbers of things in words."""

import pytest

import napari_blochnet as nb
from napari_blochnet.common.plain_text import counted


@pytest.mark.parametrize(
    ("count", "form", "said"),
    [(0, "", "0 voxels"), (1, ",", "1 voxel"), (1524, "", "1524 voxels"), (1524, ",", "1,524 voxels")],
)
def test_one_of_a_thing_is_one(count, form, said):
    assert counted(count, "voxel", form) == said


def test_a_schedule_of_one_pulse_says_so():
    assert nb.Schedule(90.0, [10.0], 5.0).describe().startswith("1 pulse,")
