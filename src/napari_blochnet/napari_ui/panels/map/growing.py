"""Layers of maps that are being computed: they fill in, continue older maps, and end as what was finished."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.panels.map.mapping import Growing, Mapped, MappingTask
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["GrowingLayers"]


@dataclass
class _Shown:
    """What the layers of one estimator show, and what they showed before this task, if it continues older maps."""

    maps: ParameterMaps
    before: ParameterMaps | None


class GrowingLayers:
    """The layers of one mapping task.

    Parameters
    ----------
    session : Session
    task : MappingTask
    """

    def __init__(self, session: Session, task: MappingTask) -> None:
        self._session, self._task = session, task
        self._shown: dict[int, _Shown] = {}

    def fill_in(self, growing: Growing) -> Steps[None]:
        """Show maps so far; their arrays are written by the worker meanwhile."""
        for index, maps in growing:
            if index not in self._shown:
                yield from self._show(index, maps)
            if self._shown[index].before is not None:
                _copy_mapped(self._shown[index].maps, maps)
        if growing:
            layers.refresh_maps(self._session, self._shown[growing[-1][0]].maps)

    def settle(self, done: Sequence[Mapped]) -> Steps[None]:
        """Let the layers show what is finished, and older maps again where nothing was."""
        truth = self._task.truth
        for mapped in done:
            if mapped.index not in self._shown:
                yield from self._show(mapped.index, mapped.maps)
            shown = self._shown.pop(mapped.index)
            if shown.before is not None and not mapped.is_merged:
                yield from layers.replace_maps_steps(self._session, shown.maps, shown.before, truth)
                yield from self._add(mapped.maps)
            else:
                yield from layers.replace_maps_steps(self._session, shown.maps, mapped.maps, truth)
            if mapped.errors is not None:
                yield from layers.error_steps(self._session, mapped.maps, mapped.errors)
        yield from self.put_back()

    def put_back(self) -> Steps[None]:
        """Let layers show the older maps again."""
        for shown in list(self._shown.values()):
            if shown.before is not None:
                yield from layers.replace_maps_steps(self._session, shown.maps, shown.before, self._task.truth)
        self._shown = {}

    def _show(self, index: int, maps: ParameterMaps) -> Steps[None]:
        """Give new maps their layers, or let the layers of older ones show a copy that grows."""
        older = self._task.older.get(index)
        if older is None:
            self._shown[index] = _Shown(maps, None)
            yield from self._add(maps)
            return
        copy = _copy(older)
        self._shown[index] = _Shown(copy, older)
        yield from layers.replace_maps_steps(self._session, older, copy, self._task.truth)

    def _add(self, maps: ParameterMaps) -> Steps[None]:
        task = self._task
        taken = {entry.title for entry in self._session.entries("maps")}
        names = (maps.estimator if i == 1 else f"{maps.estimator} {i}" for i in itertools.count(1))
        title = next(name for name in names if name not in taken)
        yield from layers.maps_steps(self._session, maps, task.stack, task.truth, title)


def _arrays(maps: ParameterMaps) -> dict[str, np.ndarray]:
    return {field.name: value for field in fields(maps)
            if isinstance(value := getattr(maps, field.name), np.ndarray) and value.ndim == 3}  # fmt: skip


def _copy(maps: ParameterMaps) -> ParameterMaps:
    return maps.replace(**{name: values.copy() for name, values in _arrays(maps).items()})


def _copy_mapped(target: ParameterMaps, source: ParameterMaps) -> None:
    """Write what is mapped so far into other maps of the same grid."""
    where = source.mask.copy()
    found = np.flatnonzero(where.any(axis=(1, 2)))
    if found.size:
        part = slice(found[0], found[-1] + 1)
        values = _arrays(source)
        for name, before in _arrays(target).items():
            np.copyto(before[part], values[name][part], where=where[part])
