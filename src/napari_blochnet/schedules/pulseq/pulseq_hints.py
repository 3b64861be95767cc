"""What a Pulseq file leaves to a person; as light as a schedule's other hints, for it loads no simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["PreparationModel", "PulseqHints", "SpinLock", "pulseq_schedule"]

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


def pulseq_schedule(file: Path, others: dict[str, Any], hints: dict[str, Any], watch: Watch = UNWATCHED) -> Schedule:
    """Return the schedule of a Pulseq file, which takes no hints but its own."""
    from napari_blochnet.schedules.pulseq.read_pulseq import read_pulseq

    given = [name for name, value in others.items() if value is not None]
    if given:
        raise FileError(file, f"states the whole schedule itself; leave {' and '.join(given)} out.", field=given[0])
    return read_pulseq(file, **hints, watch=watch).schedule
