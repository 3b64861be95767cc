"""A stack that carries its schedule, read with another."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.fingerprints.stack_files import write_fingerprints


def test_another_schedule_is_taken_and_said(tmp_path):
    made_with = nb.Schedule(np.full(5, 30.0), 10.0, 3.0, name="mine")
    write_fingerprints(nb.FingerprintStack(np.ones((5, 1, 2, 2), np.float32), made_with), tmp_path / "s.nii.gz")
    other = made_with.replace(flip_angle=np.full(5, 60.0), name="other")
    with pytest.warns(DataWarning, match=r"s\.nii\.gz was made with \[mine.*30°.*read with \[other.*60°"):
        stack = nb.read_fingerprints(tmp_path / "s.nii.gz", other)
    assert stack.schedule == other
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nb.read_fingerprints(tmp_path / "s.nii.gz", made_with).schedule == made_with
        assert nb.read_fingerprints(tmp_path / "s.nii.gz").schedule == made_with
