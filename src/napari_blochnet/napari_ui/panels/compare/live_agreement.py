"""Agreement in regions that follows them while they are painted or drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.jobs.settings_comparing import AgreementSettings
from napari_blochnet.napari_ui.background.workers import Job
from napari_blochnet.napari_ui.panels.compare.compare_jobs import Found, run_agreement
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["LiveAgreement"]


class LiveAgreement(QObject):
    """Computes the session's agreement anew, in the background, once regions or the unit are others.

    Parameters
    ----------
    session : Session
    regions_on : callable
        Returns the regions on a grid, given as shape and geometry.
    settings : callable
        Returns the settings of agreement; raises `InputError`.
    region : callable
        Returns the name of the region that is plotted.
    """

    #: a `Found` that takes the place of what the session's comparison was
    agreed = Signal(object)

    def __init__(
        self,
        session: Session,
        regions_on: Callable[[tuple[int, ...], Geometry], tuple[Region, ...]],
        settings: Callable[[], AgreementSettings],
        region: Callable[[], str],
    ) -> None:
        super().__init__()
        self._session, self._regions_on, self._settings, self._region = session, regions_on, settings, region
        self._job: Job | None = None
        self._again = False
        # those in which the session's agreement was computed here
        self._done: tuple[object, tuple[Region, ...]] = (None, ())

    @property
    def is_running(self) -> bool:
        """Whether agreement is being computed."""
        return self._job is not None

    def update(self) -> None:
        """Compute again where something has changed."""
        # what has changed while it was computed asks again, and the window may be gone since
        compared = None if self._session.viewer is None else self._session.compared
        agreement = None if compared is None else compared.agreement
        self._again = self._job is not None
        if compared is None or agreement is None or self._again:
            return
        found = self._regions_on(agreement.mask.shape, agreement.source.geometry)
        done = self._done[1] if self._done[0] is agreement else ()
        try:
            settings = self._settings()
        except InputError:  # it stands beside its field, and Compare says it
            return
        if _same(found, done) and settings.unit == agreement.unit:
            return

        def show(result: Found) -> None:
            # somebody may have compared other maps since
            if self._session.compared is compared:
                self._done = (result.compared.agreement, found)
                self.agreed.emit(result)

        work = functools.partial(run_agreement, compared, found or None, settings, self._region())
        self._job = self._session.start("Agreement in regions", work)
        self._job.returned.connect(show)
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _on_ended(self) -> None:
        self._job = None
        if self._again:
            self.update()


def _same(one: Sequence[Region], other: Sequence[Region]) -> bool:
    """Whether regions hold the same voxels under the same names."""
    return len(one) == len(other) and all(
        mine.name == theirs.name and np.array_equal(mine.mask, theirs.mask)
        for mine, theirs in zip(one, other, strict=True)
    )
