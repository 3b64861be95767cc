"""Sample data of the built-in head: in File ▸ Open Sample ▸ BlochNet and in the Data tab."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.opening import open_fingerprints, open_phantom, synthetic_head
from napari_blochnet.jobs.samples import sample_path
from napari_blochnet.napari_ui.canvas.layer_data import LayerData
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["TITLES", "Sample", "SampleTitle", "head_slice", "head_volume", "load", "noisy_fingerprints"]


@dataclass(frozen=True)
class SampleTitle:
    """What a sample is called on a button, and what a tooltip says of it."""

    short: str
    long: str


TITLES = {
    "head-slice": SampleTitle("Head slice", "One slice of the synthetic head, 2 mm: T1, T2, proton density, tissues."),
    "head-volume": SampleTitle("Head volume", "The whole synthetic head, 2 × 2 × 3 mm: T1, T2, density, tissues."),
    "noisy-fingerprints": SampleTitle(
        "Fingerprints", "A 4-mm slice of the synthetic head under the FISP schedule at SNR 20, with its truth."
    ),
}


@dataclass(frozen=True)
class Sample:
    """What a sample consists of."""

    phantom: Phantom | None = None
    stack: FingerprintStack | None = None


def load(key: str, *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None) -> Sample:
    """Read or make a sample.

    Parameters
    ----------
    key : str
        One of `TITLES`.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    """
    if key == "head-volume":
        return Sample(phantom=synthetic_head(progress=progress, cancelled=cancelled))
    if key == "head-slice":
        return Sample(phantom=open_phantom(sample_path(key), progress=progress, cancelled=cancelled))
    truth = open_phantom(sample_path("fingerprints-truth"), progress=progress, cancelled=cancelled)
    stack = open_fingerprints(sample_path("fingerprints"), progress=progress, cancelled=cancelled)
    return Sample(phantom=truth, stack=stack)


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
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    return open_for_napari("the sample", functools.partial(load, key), is_sample=True)
