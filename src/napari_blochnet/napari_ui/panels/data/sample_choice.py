"""The samples of the built-in head, as the Data tab and File ▸ Open Sample ▸ BlochNet offer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_blochnet.jobs.operations.opening import open_fingerprints, open_phantom, synthetic_head
from napari_blochnet.jobs.samples import sample_path
from napari_blochnet.napari_ui.canvas.layer_data import Opened

__all__ = ["SAMPLES", "SampleTitle", "load_sample"]


@dataclass(frozen=True)
class SampleTitle:
    """What a sample is called on a button, and what a tooltip says of it."""

    short: str
    long: str


SAMPLES = {
    "head-slice": SampleTitle("Head slice", "One slice of the synthetic head, 2 mm: T1, T2, proton density, tissues."),
    "head-volume": SampleTitle("Head volume", "The whole synthetic head, 2 × 2 × 3 mm: T1, T2, density, tissues."),
    "noisy-fingerprints": SampleTitle(
        "Fingerprints", "A 4-mm slice of the synthetic head under the FISP schedule at SNR 20, with its truth."
    ),
}


def load_sample(key: str, **watched: Any) -> Opened:
    """Read or make a sample.

    Parameters
    ----------
    key : str
        One of `SAMPLES`.
    **watched
        ``progress`` and ``cancelled``, see `napari_blochnet.common.progress`.
    """
    if key == "head-volume":
        return Opened(synthetic_head(**watched))
    if key == "head-slice":
        return Opened(open_phantom(sample_path(key), **watched))
    truth = open_phantom(sample_path("fingerprints-truth"), **watched)
    return Opened(open_fingerprints(sample_path("fingerprints"), **watched), truth)
