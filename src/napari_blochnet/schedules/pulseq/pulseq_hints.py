"""How Pulseq files are told, and what they leave to a person: as light as other hints, for it loads no simulation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

__all__ = ["PreparationModel", "PulseqHints", "SpinLock", "is_pulseq_name"]

#: What preparations do: by the Bloch equations for their waveforms, or as in the textbook.
PreparationModel = Literal["simulated", "ideal"]
#: What relaxation during spin locks, T1ρ, is taken as.
SpinLock = Literal["t2"]


@dataclass(frozen=True)
class PulseqHints:
    """As `read_pulseq` takes them."""

    preparation_model: PreparationModel | None = None
    spin_lock: SpinLock | None = None
    slice_positions: int | None = None


def is_pulseq_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file is called as Pulseq's are: it states the whole schedule itself, and takes seconds to read."""
    return os.fspath(path).lower().endswith(".seq")
