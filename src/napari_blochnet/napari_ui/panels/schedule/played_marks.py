"""What the preparations of a schedule are called and coloured in its plot."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from napari_blochnet.napari_ui.widgets.appearance import Palette
from napari_blochnet.schedules.played_times import PlayedTimes
from napari_blochnet.schedules.preparations import Preparation, PreparationKind
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Mark", "MarkLook", "called", "legend", "mark_looks", "marks_of", "played_in_words", "understood_of"]

# Of the theme's traces; the first two are those of flip angle and TR.
_SLOTS: dict[PreparationKind, int] = {"inversion": 2, "t2": 5, "saturation": 3, "delay": 6, "simulated": 4}
# Of those that are told by name, in order of appearance.
_BY_NAME = (4, 7, 5, 3, 2, 6)


@dataclass(frozen=True)
class Mark:
    """All that is played before one pulse: its place on the axis of TR indices, what it is, and a sentence."""

    place: float
    names: tuple[str, ...]
    sentence: str


class MarkLook(NamedTuple):
    """A colour, and whether the line is dashed: colours are few."""

    colour: str
    is_dashed: bool


def called(preparation: Preparation) -> str:
    """Return what a preparation is called: by its name where its kind says little, else by that."""
    return preparation.name if preparation.kind in ("simulated", "delay") and preparation.name else preparation.what


def mark_looks(schedule: Schedule, colours: Palette) -> dict[str, MarkLook]:
    """Return the look of each preparation by what it is called, in the order of play."""
    found: dict[str, MarkLook] = {}
    named = 0
    for each in schedule.all_preparations:
        if called(each) in found:
            continue
        slot, is_dashed = _SLOTS[each.kind], False
        if called(each) != each.what:
            slot, is_dashed, named = _BY_NAME[named % len(_BY_NAME)], named >= len(_BY_NAME), named + 1
        found[called(each)] = MarkLook(colours.trace(slot), is_dashed)
    return found


def marks_of(schedule: Schedule) -> list[Mark]:
    """Return what is played before each pulse that something is played before."""
    return [
        Mark(before + 0.5, tuple(map(called, group)), "; ".join(each.describe() for each in group))
        for before, group in schedule.preparations_by_pulse().items()
    ]


def legend(schedule: Schedule, colours: Palette) -> str:
    """Return what the marks mean, as rich text."""
    counts = Counter(map(called, schedule.all_preparations))
    looks = mark_looks(schedule, colours)
    parts = []
    for name, count in counts.items():
        sign = "┇" if looks[name].is_dashed else "▍"
        times = f" × {count}" if count > 1 else ""
        parts.append(f'<span style="color: {looks[name].colour}">{sign}</span>{html.escape(name)}{times}')
    return " &nbsp; ".join(parts)


def played_in_words(schedule: Schedule, times: PlayedTimes) -> str:
    """Return how long it all takes, and what of it is recorded."""
    train = _seconds(times.end)
    if schedule.trains == 1:
        return f"One train of {train}, from equilibrium."
    pause = f" and {_seconds(schedule.recovery_time)} of recovery" if schedule.recovery_time else " without a pause"
    if schedule.trains == "steady":
        return f"Trains of {train}{pause}, until they repeat themselves."
    count, whole = schedule.trains, _seconds(schedule.duration)
    return f"{count} trains of {train}{pause} between them, {whole} in all; the last is recorded."


def understood_of(schedule: Schedule) -> str:
    """Return what the reader of a schedule's file understood, a line each; empty where it says nothing of that."""
    found = schedule.record.get("understood")
    return "\n".join(f"• {line}" for line in found if isinstance(line, str)) if isinstance(found, list) else ""


def _seconds(time: float) -> str:
    return f"{time / 1000:.3g} s" if time >= 1000 else f"{time:.4g} ms"
