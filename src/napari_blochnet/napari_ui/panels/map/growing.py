"""Layers of maps that are being computed: they fill in, continue older maps, and end as what was finished."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.panels.map.mapping import EstimatorRun, MappingTask
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["GrowingLayers"]


class GrowingLayers:
    """The layers of one mapping task.

    Parameters
    ----------
    session : Session
    task : MappingTask
    """

    def __init__(self, session: Session, task: MappingTask) -> None:
        self._session, self.task = session, task

    def fill_in(self, latest: EstimatorRun) -> Steps[None]:
        """Show maps so far; their arrays are written by the worker meanwhile."""
        for run in self.task.runs:
            if run.maps is None:
                continue
            shown = run.shown or (yield from self._show(run, run.maps))
            if run.older is not None:
                _copy_mapped(shown, run.maps)
        if latest.shown is not None:
            layers.refresh_maps(self._session, latest.shown)

    def settle(self, done: Sequence[EstimatorRun]) -> Steps[None]:
        """Let the layers show what is finished, and older maps again where nothing was."""
        for run in done:
            if run.result is None:
                continue
            shown = run.shown or (yield from self._show(run, run.result))
            run.shown = None
            if run.older is not None and not run.is_merged:
                yield from self._replace(shown, run.older)
                yield from self._add(run.result)
            else:
                yield from self._replace(shown, run.result)
            if run.errors is not None:
                yield from layers.error_steps(self._session, run.result, run.errors)
        yield from self.put_back()

    def put_back(self) -> Steps[None]:
        """Let layers show the older maps again."""
        for run in self.task.runs:
            shown, run.shown = run.shown, None
            if shown is not None and run.older is not None:
                yield from self._replace(shown, run.older)

    def _show(self, run: EstimatorRun, maps: ParameterMaps) -> Steps[ParameterMaps]:
        """Give new maps their layers, or let the layers of older ones show a copy that grows; return what they show."""
        run.shown = maps if run.older is None else _copy(run.older)
        if run.older is None:
            yield from self._add(maps)
        else:
            yield from self._replace(run.older, run.shown)
        return run.shown

    def _replace(self, shown: ParameterMaps, maps: ParameterMaps) -> Steps[None]:
        yield from layers.replace_maps_steps(self._session, shown, maps, self.task.truth)

    def _add(self, maps: ParameterMaps) -> Steps[None]:
        taken = {entry.title for entry in self._session.entries("maps")}
        names = (maps.estimator if i == 1 else f"{maps.estimator} {i}" for i in itertools.count(1))
        title = next(name for name in names if name not in taken)
        yield from layers.maps_steps(self._session, maps, self.task.stack, self.task.truth, title)


def _copy(maps: ParameterMaps) -> ParameterMaps:
    return maps.with_volumes({name: values.copy() for name, values in maps.volumes().items()})


def _copy_mapped(target: ParameterMaps, source: ParameterMaps) -> None:
    """Write what is mapped so far into other maps of the same grid."""
    where = source.mask.copy()
    found = np.flatnonzero(where.any(axis=(1, 2)))
    if found.size:
        part = slice(found[0], found[-1] + 1)
        values = source.volumes()
        for name, before in target.volumes().items():
            np.copyto(before[part], values[name][part], where=where[part])
