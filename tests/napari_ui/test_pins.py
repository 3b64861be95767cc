"""Pins: a small ordered set, whatever is done to it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import FingerprintStack, Schedule
from napari_blochnet.napari_ui.state.pins import MAX_PINS, Pins, Voxel


@pytest.fixture
def voxels() -> list[Voxel]:
    stack = FingerprintStack(np.ones((3, 1, 4, 5)), Schedule(30.0, [10.0, 10.0, 10.0], 5.0))
    return [Voxel(stack, (0, i // 5, i % 5)) for i in range(20)]


def test_numbers_stay_and_are_used_again(voxels):
    pins = Pins()
    assert [pins.add(voxel) for voxel in voxels[:3]] == [True] * 3
    assert [pins.number(voxel) for voxel in pins.voxels] == [1, 2, 3]
    assert pins.remove(voxels[1])
    assert [pins.number(voxel) for voxel in pins.voxels] == [1, 3]
    assert pins.add(voxels[5])
    assert pins.number(voxels[5]) == 2
    assert pins.current == voxels[5]


def test_moving_keeps_number_and_place(voxels):
    pins = Pins()
    assert pins.move(voxels[0])
    pins.add(voxels[1])
    pins.select(voxels[0])
    assert pins.move(voxels[7])
    assert pins.voxels == (voxels[7], voxels[1])
    assert pins.number(voxels[7]) == 1
    # onto another pin: that one is selected, none is lost
    assert pins.move(voxels[1])
    assert pins.voxels == (voxels[7], voxels[1])
    assert pins.current == voxels[1]
    assert not pins.move(voxels[1])


def test_removing_the_current_one_selects_a_neighbour(voxels):
    pins = Pins()
    for voxel in voxels[:3]:
        pins.add(voxel)
    pins.select(voxels[1])
    pins.remove(voxels[1])
    assert pins.current == voxels[0]
    pins.remove(voxels[0])
    assert pins.current == voxels[2]
    pins.remove(voxels[2])
    assert pins.current is None
    assert not pins.remove(voxels[2])
    assert not pins.clear()


def test_no_more_than_can_be_told_apart(voxels):
    pins = Pins()
    for voxel in voxels[:MAX_PINS]:
        pins.add(voxel)
    assert not pins.add(voxels[MAX_PINS])
    assert pins.current == voxels[MAX_PINS - 1]
    assert len(pins.voxels) == MAX_PINS
    assert pins.clear()
    assert pins.voxels == ()
    assert pins.current is None
