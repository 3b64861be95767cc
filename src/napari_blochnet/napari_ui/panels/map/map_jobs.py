"""The Map tab's jobs: mappings whose maps fill in while they are computed, and samples that are timed."""

from __future__ import annotations

import dataclasses
import time
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_blochnet.common.plain_text import counted
from napari_blochnet.estimators.registry import declared
from napari_blochnet.evaluation.beside_truth import summary
from napari_blochnet.evaluation.explained import recorded_misfits
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.canvas.layer_data import map_values
from napari_blochnet.napari_ui.panels.amounts import duration
from napari_blochnet.napari_ui.panels.map.growing import GrowingLayers
from napari_blochnet.napari_ui.panels.map.mapping import EstimatorRun, MappingTask, sample_mask
from napari_blochnet.napari_ui.state import places
from napari_blochnet.napari_ui.widgets.panel import in_steps
from napari_blochnet.napari_ui.widgets.parts import restyle

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["MapJobs"]


class MapJobs(QObject):
    """Maps and times in the background, one at a time, and draws what is made.

    Parameters
    ----------
    panel : Panel
        Shows the jobs.
    """

    #: somebody has cancelled a mapping
    stopped = Signal()
    #: it has ended, and everything is drawn
    ended = Signal()

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel, self._session = panel, panel.session
        self._layers: GrowingLayers | None = None
        self._timed: MappingTask | None = None
        self._started = 0.0
        # maps of networks that have been trained anew since: nothing more is merged with them
        self._outdated: weakref.WeakSet[ParameterMaps] = weakref.WeakSet()

    def run_steps(self, steps: Steps[None]) -> None:
        """Change the window in steps."""
        self._panel.run_steps(steps)

    def keep_apart_from_networks(self) -> None:
        """Merge nothing with the maps that networks have made so far: the store has others now."""
        for entry in self._session.entries("maps"):
            name = entry.subject.record.get("settings", {}).get("estimator")
            if name is None or declared(name).is_trained:
                self._outdated.add(entry.subject)

    def start_timing(self, task: MappingTask) -> None:
        """Map a sample of the voxels, for nothing but its time, and say how long all of them will take."""
        # a mask file may hold none of the sample's voxels, and takes no time
        runs = [EstimatorRun(run.settings.model_copy(update={"mask": None, "threshold": None})) for run in task.runs]
        sample = dataclasses.replace(task, runs=runs, mask=sample_mask(task.stack, task.mask), truth=None)

        def run(**how: Any) -> None:
            # what the first makes and keeps (dictionary, compiled code, network) is there when all are mapped
            for _ in range(2):
                sample.run(**how)

        job = self._panel.start("Timing", run, wants_partial=True)
        self._timed = task
        job.returned.connect(self._say_time)
        job.ended.connect(self._on_ended)
        job.start()

    def _say_time(self, _done: object) -> None:
        task, self._timed = self._timed, None
        seconds = None if task is None else task.seconds()
        if task is not None and seconds is not None:
            self._panel.jobs.say(f"{counted(task.voxels, 'voxel', ',')} will take about {duration(seconds)}.", "good")

    def start(self, task: MappingTask) -> None:
        """Map, continuing older maps of the same kind."""
        for run in task.runs:
            run.older = self._older(task.stack, run.settings)
        task.here = places.current_slice(self._session, task.stack)
        self._layers = GrowingLayers(self._session, task)
        self._started = time.perf_counter()
        job = self._panel.start("Mapping", task.run, wants_partial=True)
        job.partial.connect(self._fill_in)
        job.returned.connect(self._finish)
        job.stopped.connect(self._settle)
        job.stopped.connect(self._on_stopped)
        job.failed.connect(self._put_back)
        job.ended.connect(self._on_ended)
        job.start()

    def _on_stopped(self, _done: object) -> None:
        # a method of a Qt object: with the window it goes, and hears of nothing more
        self.stopped.emit()

    def _older(self, stack: FingerprintStack, settings: ReconstructSettings) -> ParameterMaps | None:
        """Return maps that a mapping with these settings continues."""
        wanted = {**settings.model_dump(mode="json"), "slices": None}
        # what earlier versions did not know was as by default
        default = ReconstructSettings().model_dump(mode="json")
        for entry in reversed(self._session.entries("maps")):
            maps = entry.subject
            if entry.stack is not stack or maps in self._outdated:
                continue
            if {**default, **maps.record.get("settings", {}), "slices": None} != wanted:
                continue
            # where somebody has deleted one of the layers, new ones are made
            roles = [role for role in ("T1", "T2", "PD", "residual") if map_values(maps, role) is not None]
            if all(self._session.layers("maps", maps, role) for role in roles):
                return maps
        return None

    def _fill_in(self, latest: EstimatorRun) -> None:
        job = self._panel.jobs.job
        # what comes while the window is still busy with the last is drawn with the next
        if self._layers is not None:
            task = self._layers.task
            task.here = places.current_slice(self._session, task.stack)
        if self._layers is not None and job is not None and not job.is_showing:
            self.run_steps(self._layers.fill_in(latest))

    @in_steps
    def _put_back(self, _failure: object) -> Steps[None]:
        if self._layers is not None:
            yield from self._layers.put_back()

    @in_steps
    def _finish(self, done: list[EstimatorRun]) -> Steps[None]:
        seconds = time.perf_counter() - self._started
        yield from self._settled(done)
        sentences = [f"Mapped {_voxels(done)} in {seconds:.1f} s."]
        sentences += [summary(run.result, run.errors) for run in done if run.result is not None]
        # a line for each estimator
        self._panel.jobs.say("\n".join(filter(None, sentences)), "good")
        if recorded_misfits(run.result for run in done if run.result is not None):
            # nothing is well with maps that do not fit
            restyle(self._panel.jobs.message, "state", "")

    @in_steps
    def _settle(self, done: list[EstimatorRun] | None) -> Steps[None]:
        yield from self._settled(done or [])

    def _settled(self, done: list[EstimatorRun]) -> Steps[None]:
        if self._layers is None:
            return
        yield from self._layers.settle(done)
        made = [run.result for run in done if run.result is not None]
        if made:
            # a slice more changes nothing in how the maps are looked at
            if not all(run.is_merged for run in done):
                yield from canvas.show_result(self._session, made, self._layers.task.truth)
            self._session.mapped = weakref.WeakSet(made)
            self._session.added.emit(made[-1])

    def _on_ended(self) -> None:
        self._layers = None
        self.ended.emit()


def _voxels(done: list[EstimatorRun]) -> str:
    """Return how much was mapped: every voxel counts once, however many estimators mapped it."""
    voxels = counted(max((run.voxels for run in done), default=0), "voxel", ",")
    return voxels if len(done) < 2 else f"{voxels} with each of {len(done)} estimators"
