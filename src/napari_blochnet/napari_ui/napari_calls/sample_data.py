"""Sample data of the built-in head in File ▸ Open Sample ▸ BlochNet."""

from __future__ import annotations

import functools

from napari_blochnet.napari_ui.canvas.layer_data import LayerData
from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari
from napari_blochnet.napari_ui.panels.data.sample_choice import load_sample

__all__ = ["head_slice", "head_volume", "noisy_fingerprints"]


def head_slice() -> list[LayerData]:
    """Return the layers of a slice of the synthetic head."""
    return _for_napari("head-slice")


def head_volume() -> list[LayerData]:
    """Return the layers of the synthetic head."""
    return _for_napari("head-volume")


def noisy_fingerprints() -> list[LayerData]:
    """Return the layers of a noisy stack and of its truth."""
    return _for_napari("noisy-fingerprints")


def _for_napari(key: str) -> list[LayerData]:
    return open_for_napari("the sample", functools.partial(load_sample, key), is_sample=True)
