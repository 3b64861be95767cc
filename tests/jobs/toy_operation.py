"""An operation of somebody else's: one file."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import numpy as np

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.records import make_record
from napari_blochnet.jobs.settings import Settings, quantity, settings_from


class FadeSettings(Settings):
    """A phantom with less of everything."""

    percent: float = quantity(50.0, "Percent", "What remains of the proton density.", "%", gt=0, le=100)
    side: Literal["left", "right"] | None = quantity(None, "Side", "Which half; none: both.")
    whole: bool = quantity(True, "Whole", "Whether the other voxels stay.")
    slices: tuple[int, int] | None = quantity((0, 2), "Slices", "First slice and the one after the last; none: all.")


def fade(phantom, schedule=None, settings=None, *, mask=None, progress=None, cancelled=None, **fields):
    given = settings_from(FadeSettings, settings, **fields)
    if given.percent == 13:
        raise InputError("percent is 13; expected another.", field="percent")
    started = time.perf_counter()
    inside = np.zeros(phantom.shape, bool)
    inside[slice(*(given.slices or (None,)))] = True
    if mask is not None:
        inside &= mask
    if progress is not None:
        progress(1, 1, "fading")
    pd = np.where(inside, phantom.pd * np.float32(given.percent / 100), phantom.pd)
    inputs = {"phantom": phantom.record}
    if schedule is not None:
        inputs["schedule"] = schedule.record
    if mask is not None:
        from napari_blochnet.jobs.packing import pack_mask

        inputs["mask"] = {"operation": "given", "mask": pack_mask(mask)}
    record = make_record("fade", given, inputs, seconds=time.perf_counter() - started)
    return replace(phantom, pd=pd, record=record)
