"""When everything of a schedule is played: pulses, preparations, and the time in which nothing is."""

from __future__ import annotations

from dataclasses import dataclass

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Played", "PlayedTimes", "played_times"]


@dataclass(frozen=True)
class Played:
    """A preparation and when it begins, ms after the beginning of its train; its `delay` follows its `duration`."""

    preparation: Preparation
    start: float


@dataclass(frozen=True, eq=False)
class PlayedTimes:
    """When what is played in each train, ms after its beginning, and when the next one begins.

    Parameters
    ----------
    pulses : array of shape (N,)
        Time of each pulse.
    preparations : tuple of Played
        In the order of play.
    end : float
        End of the last TR.
    period : float
        From the beginning of a train to that of the next: recovery included.
    """

    pulses: FloatArray
    preparations: tuple[Played, ...]
    end: float
    period: float


def played_times(schedule: Schedule) -> PlayedTimes:
    """Return when everything of a schedule is played.

    Parameters
    ----------
    schedule : Schedule

    Returns
    -------
    PlayedTimes
        Preparations before pulse n end at pulse n, one after the other, each with its delay.
    """
    gaps = schedule.preparations_by_pulse()
    pulses = schedule.repetition_time.cumsum() - schedule.repetition_time + sum(each.time for each in gaps.get(0, ()))
    played: list[Played] = []
    for before, group in gaps.items():
        start = float(pulses[before]) - sum(each.time for each in group)
        for each in group:
            played.append(Played(each, start))
            start += each.time
    end = float(pulses[-1] + schedule.repetition_time[-1])
    return PlayedTimes(pulses, tuple(played), end, end + schedule.recovery_time)
