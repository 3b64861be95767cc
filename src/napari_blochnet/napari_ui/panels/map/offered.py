"""What can map the chosen stack: told by cards at once; what coefficients lack of it, by a look in the background."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_blochnet.estimators.declared import DeclaredNetwork
from napari_blochnet.estimators.offers import Offer, estimator_offers, networks_that_lack
from napari_blochnet.estimators.registry import declared
from napari_blochnet.napari_ui.background.workers import Job, is_any_working

if TYPE_CHECKING:
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.napari_ui.widgets.estimator_choice import EstimatorChoice
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["Offered"]

# Milliseconds that choices rest before anything is looked at, and between two looks whether other work has ended.
_REST, _WAIT = 400, 1000

# Of a stack of coefficients: its schedule, kind and subspace, and whether other schedules' networks are wanted.
_Key = tuple[str, str, str, bool]


def _is_network(offer: Offer) -> bool:
    return declared(offer.name) is DeclaredNetwork


class Offered(QObject):
    """Offers estimators for one stack after another.

    Parameters
    ----------
    panel : Panel
        While it is seen and nothing is worked on, networks are tried.
    choice : EstimatorChoice
    """

    def __init__(self, panel: Panel, choice: EstimatorChoice) -> None:
        super().__init__(panel)
        self._panel, self._choice = panel, choice
        self._asked: object = None
        self._offers: tuple[Offer, ...] = ()
        self._stack: FingerprintStack | None = None
        self._other_schedule = False
        self._job: Job | None = None
        # why networks cannot map such coefficients, by name; "" of those that can
        self._known: dict[_Key, dict[str, str]] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)

    def update(self, stack: FingerprintStack | None, values: Mapping[str, Any]) -> None:
        """Offer what can map a stack, under some settings of the mapping."""
        bearing = {name: values[name] for name in ("other_schedule", "saturation", "refine")}
        schedule, kind = (None, None) if stack is None else (stack.schedule, stack.kind)
        if stack is not None and stack.is_compressed:
            bearing |= {"without_schedule": schedule is None, "components": stack.shape[0]}
        self._stack, self._other_schedule = stack, bool(bearing["other_schedule"])
        asked = (schedule and schedule.digest, kind, tuple(bearing.values()), self._key())
        if asked != self._asked:
            self._asked = asked
            self._offers = estimator_offers(schedule, kind, **bearing)
            self._show()

    def forget(self) -> None:
        """Let what is known of the store's models be told anew."""
        self._asked = None
        self._known.clear()

    def look(self) -> None:
        """Look at what is not known yet, soon."""
        if self._unknown() and self._job is None and self._panel.isVisible():
            self._timer.start(_REST)

    def _key(self) -> _Key | None:
        stack = self._stack
        if stack is None or stack.schedule is None or stack.subspace is None:
            return None
        return stack.schedule.digest, stack.kind, stack.subspace.digest, self._other_schedule

    def _unknown(self) -> list[str]:
        key = self._key()
        if key is None:
            return []
        known = self._known.get(key, {})
        fitting = [each.name for each in self._offers if each.refusal is None and _is_network(each)]
        return [name for name in fitting if name not in known]

    def _show(self) -> None:
        key = self._key()
        lacks = {} if key is None else self._known.get(key, {})
        self._choice.set_offers(
            [replace(each, refusal=each.refusal or lacks.get(each.name) or None) for each in self._offers]
        )
        self.look()

    def _begin(self) -> None:
        stack, key, names = self._stack, self._key(), self._unknown()
        if stack is None or key is None or not names or self._job is not None or not self._panel.isVisible():
            return
        if self._panel.is_busy or is_any_working():
            self._timer.start(_WAIT)
            return
        schedule, subspace = stack.schedule, stack.subspace
        assert schedule is not None
        assert subspace is not None
        look = functools.partial(
            networks_that_lack, names, schedule, stack.kind, subspace, other_schedule=self._other_schedule
        )
        job = self._panel.session.start("Trying networks on coefficients", look)
        self._job = job
        job.returned.connect(functools.partial(self._note, key, names))
        # what is wrong, or was not waited for, is said once somebody maps by them
        for without in (job.failed, job.stopped):
            without.connect(functools.partial(self._note, key, names, {}))
        job.ended.connect(self._on_ended)
        job.start()

    def _note(self, key: _Key, names: list[str], found: dict[str, str], _end: object = None) -> None:
        self._known.setdefault(key, {}).update({name: found.get(name, "") for name in names})

    def _on_ended(self) -> None:
        self._job = None
        self._show()
