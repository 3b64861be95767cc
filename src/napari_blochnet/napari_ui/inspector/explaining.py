"""Who explains voxels to the inspector: at once where that takes milliseconds, in the background before that."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.signal_scale import stack_scale
from napari_blochnet.evaluation.voxel import Decoders, Explanation, Explanations, explain_voxel, explanation_of
from napari_blochnet.napari_ui.state.pins import Voxel

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["Explainer"]


class Explainer(QObject):
    """Explains voxels by the truth and by the maps that are open, and keeps what it found of pinned ones.

    Parameters
    ----------
    panel : Panel
        Shows the jobs and what goes wrong.
    wanted : callable
        Returns the voxel that is to be shown now, or None.
    """

    #: an `Explanations`
    explained = Signal(object)

    def __init__(self, panel: Panel, wanted: Callable[[], Voxel | None]) -> None:
        super().__init__(panel)
        self._panel, self._session, self._wanted = panel, panel.session, wanted
        self._decoders = Decoders()
        #: what was found of pinned voxels, perhaps before the latest maps
        self.kept: dict[Voxel, Explanations] = {}
        self._waiting: Voxel | None = None

    def known(self, voxel: Voxel) -> Explanations | None:
        """Return what was found of a pinned voxel, if nothing has changed since."""
        kept = self.kept.get(voxel)
        return kept if kept is not None and kept.items == self.items(voxel) else None

    def forget_but(self, voxels: Container[Voxel]) -> None:
        """Keep what was found of these voxels alone."""
        self.kept = {voxel: kept for voxel, kept in self.kept.items() if voxel in voxels}

    def items(self, voxel: Voxel) -> tuple[Explanation, ...]:
        """Return what the truth and the maps say of a voxel."""
        truth = self._session.truth_of(voxel.stack)
        maps = [known for known in self._session.entries("maps") if known.stack is voxel.stack]
        found: list[Explanation | None] = []
        if truth is not None:
            scale = stack_scale(truth, voxel.stack.record, [known.subject for known in maps])
            found.append(explanation_of("truth", truth, voxel.index, -1, scale=scale))
        for known in maps:
            slot = self._session.slot(known.subject)
            found.append(explanation_of(known.title, known.subject, voxel.index, slot))
        return tuple(item for item in found if item is not None)

    def ask(self, voxel: Voxel) -> None:
        """Explain a voxel, now or soon; of those asked for while a job runs, the last."""
        self._waiting = None
        known = self.known(voxel)
        if known is not None:
            self.explained.emit(known)
            return
        # looked up here: a worker must not touch layers
        items, decoders = self.items(voxel), self._decoders

        def answer(**_watch: object) -> Explanations:
            return explain_voxel(decoders.get(voxel.stack.schedule), voxel, items)

        if decoders.is_warm(voxel.stack):
            try:
                self._tell(answer())
            except InputError as error:
                self._panel.show_input_error(error)
        elif self._panel.is_busy:
            self._waiting = voxel
        else:
            job = self._session.start("Explaining the voxel", answer)
            self._panel.jobs.job = job
            job.returned.connect(self._tell)
            job.failed.connect(self._panel.show_failure)
            job.ended.connect(self._ask_again)
            job.start()

    def _ask_again(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting == self._wanted():
            self.ask(waiting)

    def _tell(self, found: Explanations) -> None:
        if found.voxel in self._session.pins:
            self.kept[found.voxel] = found
        self.explained.emit(found)
