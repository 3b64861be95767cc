"""Sentences of the core at the window: no name of a program, and nothing else changed."""

from __future__ import annotations

import pytest

from napari_blochnet.napari_ui.forms.plain_words import in_plain_words


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        ("where it is in degrees, give b1_nominal.", "where it is in degrees, give Nominal B1."),
        ("no unit; give angle_unit as degrees", "no unit; give Angle unit as degrees"),
        ("give inversion_time, recovery_time and trains.", "give Inversion time, Recovery time and trains."),
        ("largest_flip_angle is 200", "Largest flip angle is 200"),
        # files and paths are called as they are called
        ("/data/time_axis/flip_angle.csv: is empty", "/data/time_axis/flip_angle.csv: is empty"),
        ("time_axis.csv and my_time_axis stay", "time_axis.csv and my_time_axis stay"),
        ("sub-01_voxel_size.nii.gz", "sub-01_voxel_size.nii.gz"),
    ],
)
def test_fields_have_the_titles_of_their_forms(sentence, wanted):
    assert in_plain_words(sentence) == wanted
