"""Sample data, made by the built-in head: in File ▸ Open Sample ▸ BlochNet and in the Data tab."""

from __future__ import annotations

from dataclasses import dataclass

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations import make_schedule, simulate, synthetic_head
from napari_blochnet.napari_ui.layers import LayerData, phantom_layer_data, stack_layer_data
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.progress import CancelEvent, ProgressCallback

__all__ = ["TITLES", "Sample", "SampleTitle", "head_slice", "head_volume", "load", "noisy_fingerprints"]

_SLICE = (1, 218, 182)
_SNR = 20.0


@dataclass(frozen=True)
class SampleTitle:
    """What a sample is called on a button, and what a tooltip says of it."""

    short: str
    long: str


TITLES = {
    "head-slice": SampleTitle("Head slice", "One slice of the synthetic head, 1 mm: T1, T2, proton density, tissues."),
    "head-volume": SampleTitle("Head volume", "The whole synthetic head, 2 mm: T1, T2, proton density, tissues."),
    "noisy-fingerprints": SampleTitle(
        "Fingerprints", f"A slice of the synthetic head under the FISP schedule at SNR {_SNR:g}, with its truth."
    ),
}


@dataclass(frozen=True)
class Sample:
    """What a sample consists of."""

    phantom: Phantom | None = None
    stack: FingerprintStack | None = None


def load(key: str, *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None) -> Sample:
    """Make a sample.

    Parameters
    ----------
    key : str
        One of `TITLES`.
    progress, cancelled : optional
        See `napari_blochnet.progress`.
    """
    if key == "head-volume":
        return Sample(phantom=synthetic_head(progress=progress, cancelled=cancelled))
    head = synthetic_head(shape=_SLICE, progress=progress, cancelled=cancelled)
    if key == "head-slice":
        return Sample(phantom=head)
    stack = simulate(head, make_schedule(kind="fisp"), snr=_SNR, progress=progress, cancelled=cancelled)
    return Sample(phantom=head, stack=stack)


def head_slice() -> list[LayerData]:
    """Return the layers of a slice of the synthetic head."""
    return phantom_layer_data(load("head-slice").phantom)


def head_volume() -> list[LayerData]:
    """Return the layers of the synthetic head."""
    return phantom_layer_data(load("head-volume").phantom)


def noisy_fingerprints() -> list[LayerData]:
    """Return the layers of a noisy stack and of its truth."""
    sample = load("noisy-fingerprints")
    return [*phantom_layer_data(sample.phantom), *stack_layer_data(sample.stack, sample.phantom)]
