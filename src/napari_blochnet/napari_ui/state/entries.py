"""What a layer shows: the phantom, the stack or the maps behind it, in the layer's own metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from napari.layers import Layer

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.sessions import Subject
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["ENTRY", "Entry", "Kind", "Subject", "entry_of", "is_derived"]

Kind = Literal["phantom", "stack", "maps", "region"]
Shown = TypeVar("Shown", bound=Subject, covariant=True)

#: Key of an `Entry` in a layer's metadata; the plain record is under ``"blochnet"``.
ENTRY = "blochnet_entry"


@dataclass(frozen=True, eq=False)
class Entry(Generic[Shown]):
    """What a layer shows.

    Parameters
    ----------
    kind : {"phantom", "stack", "maps", "region"}
        What the subject is.
    role : str
        Which part of it: "T1", "T2", "PD", "B1", "tissue", "signal", "residual", "T1 error", "T2 error",
        "T1 difference", "T2 difference", "region", or "mask": the outline of what lies above a threshold.
    subject : Phantom, FingerprintStack or ParameterMaps
        The object behind the layer; complex samples are only here, the layer shows their magnitude.
    title : str
        What people call the subject.
    truth : Phantom, optional
        The phantom that a stack was simulated from, or that maps were compared with; on the subject's grid.
    stack : FingerprintStack, optional
        What maps were made from.
    """

    kind: Kind
    role: str
    subject: Shown
    title: str
    truth: Phantom | None = None
    stack: FingerprintStack | None = None

    def __deepcopy__(self, memo: Any) -> Entry[Shown]:
        # napari copies metadata when a layer is duplicated; the subjects are immutable and may be gigabytes
        return self


def is_derived(role: str) -> bool:
    """Whether what a layer shows in a role is no part of its subject: it was computed of this and of another."""
    return role.endswith((" error", " difference"))


def entry_of(layer: Layer) -> Entry | None:
    """Return what a layer shows, or None for a layer that is not ours."""
    entry = layer.metadata.get(ENTRY)
    return entry if isinstance(entry, Entry) else None
