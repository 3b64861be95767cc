"""What a Pulseq file leaves to a person; as light as a schedule's other hints, for it loads no simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PreparationModel", "PulseqHints", "SpinLock"]

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
