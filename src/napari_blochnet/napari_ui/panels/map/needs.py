"""What a mapping will take: voxels, time and memory, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from napari_blochnet.common.plain_text import counted
from napari_blochnet.jobs.operations.memory_estimate import free_memory, mapping_memory
from napari_blochnet.napari_ui.panels.amounts import duration, memory
from napari_blochnet.napari_ui.panels.map.mapping import MappingTask

__all__ = ["Needs", "needs_of", "voxels_text"]

# Of the free memory, what a mapping may take without a warning.
_SHARE = 0.9


@dataclass(frozen=True)
class Needs:
    """What a mapping will take, or why that cannot be said.

    Parameters
    ----------
    text : str
    is_too_much : bool
        Whether it needs more memory than is free.
    is_untimed : bool
        Whether a sample would have to be mapped to say how long it will take.
    """

    text: str
    is_too_much: bool = False
    is_untimed: bool = False


def voxels_text(task: MappingTask) -> str:
    """Return how much each estimator has to map."""
    stack = task.stack
    samples = counted(stack.shape[0], "coefficient" if stack.is_compressed else "TR")
    return f"{counted(task.voxels, 'voxel', ',')} × {samples}"


def needs_of(task: MappingTask) -> Needs:
    """Return what a mapping will take.

    Raises
    ------
    InputError
        The settings contradict each other.
    """
    text = voxels_text(task)
    if not task.runs:
        return Needs(f"{text}. Tick an estimator.")
    needed = max(mapping_memory(task.stack, task.costs(run.settings), task.mask) for run in task.runs)
    free, seconds = free_memory(), task.seconds()
    is_untimed = seconds is None and task.voxels > 0
    text += "" if seconds is None else f": about {duration(seconds)}"
    if needed > _SHARE * free:
        text += (
            f". It needs about {memory(needed)} of memory, and {memory(free)} are free: choose fewer voxels, a "
            "coarser dictionary or a smaller batch."
        )
        return Needs(text, True, is_untimed)
    return Needs(f"{text}, {memory(needed)} of memory ({memory(free)} free).", False, is_untimed)
