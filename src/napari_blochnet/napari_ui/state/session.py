"""What one viewer knows: which layer shows what, the current schedule, the pinned voxels, the running jobs.

Layers carry what they show. `Entry` stands in a layer's metadata and names the phantom, the stack or the maps behind
it; the session only listens to the layer list and finds its way by layer objects and domain objects, never by names,
so that renaming, deleting and reordering layers are harmless.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from napari.layers import Layer
from qtpy.QtCore import QObject, Signal

from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.background.workers import Job
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.entries import Entry, Kind, Subject, entry_of
from napari_blochnet.napari_ui.state.pins import Pins, Voxel
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_blochnet.evaluation.agreement.agreeing import Agreement
    from napari_blochnet.evaluation.comparison import Comparison

__all__ = ["Compared", "Session", "every_session", "session_of"]

Of = TypeVar("Of", bound=Subject)
Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Compared:
    """What was compared: the objects that layers show, and what was found.

    Parameters
    ----------
    comparison : Comparison or None
        The scores, where the truth is the reference.
    truth : Phantom or None
        As it is open; the comparison holds the part of it that the maps cover. Beside a reference that is a model it
        only gives its tissues.
    maps : tuple of ParameterMaps
        What was compared with the reference.
    reference : ParameterMaps, optional
        None: the truth.
    agreement : Agreement, optional
        With the reference, in all voxels, tissues and regions.
    """

    comparison: Comparison | None
    truth: Phantom | None
    maps: tuple[ParameterMaps, ...]
    reference: ParameterMaps | None = None
    agreement: Agreement | None = None

    @property
    def subjects(self) -> tuple[Phantom | ParameterMaps, ...]:
        """All of which it was made."""
        return tuple(each for each in (self.truth, self.reference, *self.maps) if each is not None)


class Session(QObject):
    """The state of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Held weakly: the session must not keep a closed viewer alive.
    """

    #: the viewer has one more layer of ours, before `changed`: (viewer, layer)
    layer_added = Signal(object, object)
    #: layers of ours were added, removed or renamed
    changed = Signal()
    #: other layers of ours are visible
    view_changed = Signal()
    #: there is another current schedule
    schedule_changed = Signal()
    #: the current `Voxel`, or None
    pinned = Signal(object)
    #: voxels were pinned or given up, or another one is the current one; before `pinned`
    pins_changed = Signal()
    #: another choice of what the inspector hides
    hidden_changed = Signal()
    #: a `Phantom`, `FingerprintStack` or `ParameterMaps` that has just been added by a panel
    added = Signal(object)
    #: the model store holds other models than before
    models_changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._schedule: Schedule | None = None
        self._jobs: set[Job] = set()
        self._is_watching = False
        self._pins = Pins()
        #: what the Compare tab shows
        self.compared: Compared | None = None
        #: what its plots and its table show, by their names: "kind", "region", "measure"
        self.plot_choice: dict[str, str] = {}
        #: what the last mapping made, one of each estimator, as long as it is open
        self.mapped: weakref.WeakSet[ParameterMaps] = weakref.WeakSet()
        #: what the inspector does not draw
        self.hidden_maps: weakref.WeakSet[ParameterMaps] = weakref.WeakSet()
        self.is_truth_hidden = False
        self._slots: dict[ParameterMaps, int] = {}
        self._parts: dict[Callable[[Session], Any], Any] = {}
        self.is_closed = False
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.renamed.connect(self._on_layers)

    @property
    def viewer(self) -> Viewer | None:
        """The viewer, or None once it is closed."""
        viewer = self._viewer()
        # napari drops the Qt window of a viewer that is closed, the model may live on
        if viewer is None or self.is_closed or getattr(viewer.window, "_qt_window", None) is None:
            return None
        return viewer

    def window(self) -> QWidget | None:
        """Return the viewer's window, or None once it is closed."""
        viewer = self.viewer
        return None if viewer is None else viewer.window._qt_window

    def part(self, kind: Callable[[Session], Part]) -> Part:
        """Return what a room above keeps for this viewer, one of each class; made of the session at the first call."""
        if kind not in self._parts:
            self._parts[kind] = kind(self)
        found: Part = self._parts[kind]
        return found

    # -- layers

    def _on_inserted(self, event: Any) -> None:
        entry = entry_of(event.value)
        if entry is not None:
            # as they come, whatever is looked at first
            if isinstance(entry.subject, ParameterMaps):
                self.slot(entry.subject)
            self.layer_added.emit(self._viewer(), event.value)
        self.changed.emit()

    def _on_layers(self, event: Any = None) -> None:
        with contextlib.suppress(RuntimeError):  # the last events of a viewer that is being deleted
            self.changed.emit()

    def _on_removed(self, event: Any = None) -> None:
        with contextlib.suppress(RuntimeError):
            self._drop_lost_pins()
            self._drop_lost_slots()
        self._on_layers()

    def pairs(
        self, kind: Kind | None = None, subject: Subject | None = None, role: str | None = None
    ) -> list[tuple[Layer, Entry]]:
        """Return our layers, newest last, of one kind, of one subject, in one role, each with what it shows."""
        viewer = self.viewer
        return [
            (layer, entry)
            for layer in ([] if viewer is None else list(viewer.layers))
            if (entry := entry_of(layer)) is not None
            and kind in (None, entry.kind)
            and role in (None, entry.role)
            and (subject is None or entry.subject is subject)
        ]

    def layers(self, kind: Kind | None = None, subject: Subject | None = None, role: str | None = None) -> list[Layer]:
        """Return our layers, newest last, of one kind, of one subject, in one role."""
        return [layer for layer, _ in self.pairs(kind, subject, role)]

    @overload
    def entries(self, kind: Literal["phantom"]) -> list[Entry[Phantom]]: ...
    @overload
    def entries(self, kind: Literal["stack"]) -> list[Entry[FingerprintStack]]: ...
    @overload
    def entries(self, kind: Literal["maps"]) -> list[Entry[ParameterMaps]]: ...
    @overload
    def entries(self, kind: Kind) -> list[Entry]: ...
    def entries(self, kind: Kind) -> list[Any]:
        """Return one entry per subject of a kind that still has a layer, oldest first."""
        seen: dict[int, Entry] = {}
        for _, entry in self.pairs(kind):
            seen.setdefault(id(entry.subject), entry)
        return list(seen.values())

    def entry(self, subject: Of | None) -> Entry[Of] | None:
        """Return an entry of a subject, or None where its layers are gone."""
        return None if subject is None else next((entry for _, entry in self.pairs(subject=subject)), None)

    def is_open(self, *subjects: Subject) -> bool:
        """Return whether each of these still has a layer."""
        return all(self.pairs(subject=subject) for subject in subjects)

    def truth_of(self, subject: FingerprintStack | ParameterMaps) -> Phantom | None:
        """Return what is true of a stack or of maps, on their grid, as far as it is known.

        That is the phantom that their own layers name: what a stack was simulated from or opened with, what maps were
        mapped beside. Of a stack it is else what its maps name. Where no layer names one, it is the phantom of the
        comparison that is shown, if these maps, or maps of this stack, were compared.
        """
        known = [entry for _, entry in self.pairs() if entry.subject is subject or entry.stack is subject]
        known.sort(key=lambda entry: entry.subject is not subject)
        named = next((entry.truth for entry in known if entry.truth is not None), None)
        compared = self.compared
        truth = None if compared is None else compared.truth
        if named is not None or compared is None or truth is None:
            return named
        if any(entry.subject in compared.subjects for entry in known):
            return part_of_truth(truth, subject)
        return None

    def latest_maps(self) -> list[Entry[ParameterMaps]]:
        """Return an entry of each of the maps that were made last and are open, or else of those of one stack."""
        found = self.entries("maps")
        latest = [entry for entry in found if entry.subject in self.mapped]
        return latest or [entry for entry in found if entry.stack is found[-1].stack]

    def slot(self, maps: ParameterMaps) -> int:
        """Return the number of a model's colour, alike in plots, tables and inspector; kept while others come."""
        if maps not in self._slots:
            # maps that were replaced by finished ones give their number to these
            self._drop_lost_slots()
            taken = set(self._slots.values())
            self._slots[maps] = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        return self._slots[maps]

    def hand_over_slot(self, old: ParameterMaps, new: ParameterMaps) -> None:
        """Let maps that take the place of others have their colour."""
        self._slots[new] = self.slot(old)

    def restore_slots(self, slots: Mapping[ParameterMaps, int]) -> None:
        """Give maps that are about to be opened the colours they had, as far as nothing that is open has them."""
        self._drop_lost_slots()
        taken = set(self._slots.values())
        for maps, slot in slots.items():
            free = next(number for number in itertools.count() if number not in taken | set(slots.values()))
            self._slots[maps] = free if slot in taken else slot
            taken.add(self._slots[maps])

    def set_hidden(self, maps: ParameterMaps | None, is_hidden: bool) -> None:
        """Hide a model, or the truth (None), in the inspector, or show it again."""
        if maps is None:
            self.is_truth_hidden = is_hidden
        elif is_hidden:
            self.hidden_maps.add(maps)
        else:
            self.hidden_maps.discard(maps)
        self.hidden_changed.emit()

    def hidden_slots(self) -> frozenset[int]:
        """Return the colours' numbers of what is hidden in the inspector; the truth's is -1."""
        truth = {-1} if self.is_truth_hidden else set()
        return frozenset(truth | {self.slot(maps) for maps in self.hidden_maps if self.is_open(maps)})

    def _drop_lost_slots(self) -> None:
        """Free the colours of maps that are gone, and the maps' memory with them."""
        open_now = {id(entry.subject) for entry in self.entries("maps")}
        self._slots = {known: slot for known, slot in self._slots.items() if id(known) in open_now}

    # -- schedule and voxel

    @property
    def schedule(self) -> Schedule | None:
        """The schedule that simulation and opening of stacks use."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule | None) -> None:
        self._schedule = schedule
        self.schedule_changed.emit()

    @property
    def pins(self) -> tuple[Voxel, ...]:
        """The pinned voxels, oldest first."""
        return self._pins.voxels

    @property
    def voxel(self) -> Voxel | None:
        """The current one of them: what the inspector shows."""
        return self._pins.current

    def pin_number(self, voxel: Voxel) -> int:
        """Return the number that a pin keeps from when it is set until it is given up, from 1 to `MAX_PINS`."""
        return self._pins.number(voxel)

    def pin(self, voxel: Voxel | None) -> None:
        """Move the current pin to a voxel, or set the first; None gives up all pins."""
        self._tell(self._pins.move(voxel) if voxel is not None else self._pins.clear())

    def add_pin(self, voxel: Voxel) -> bool:
        """Pin one more voxel and make it the current one; return False where there are `MAX_PINS` already."""
        self._tell(self._pins.add(voxel))
        return self.voxel == voxel

    def select_pin(self, voxel: Voxel) -> None:
        """Make a pinned voxel the current one."""
        self._tell(self._pins.select(voxel))

    def remove_pin(self, voxel: Voxel) -> None:
        """Give a pin up; where it was the current one, its neighbour is next."""
        self._tell(self._pins.remove(voxel))

    def restore_pins(self, numbers: Mapping[Voxel, int], current: Voxel | None) -> None:
        """Pin voxels with the numbers they had; those that are pinned give way."""
        self._tell(self._pins.restore(numbers, current))

    def _tell(self, changed: bool) -> None:
        if changed:
            self.pins_changed.emit()
            self.pinned.emit(self.voxel)

    def _drop_lost_pins(self) -> None:
        """Give up pins in stacks of which no layer is left."""
        known = {id(entry.stack) for _, entry in self.pairs()}
        for voxel in self.pins:
            if id(voxel.stack) not in known:
                self.remove_pin(voxel)

    # -- jobs

    def start(self, title: str, function: Callable[..., Any], **wants: bool) -> Job:
        """Return a job (with the ``wants_…`` of `Job`) that ends with the viewer; connect to it, then start it."""
        job = Job(title, function, window=self.window, **wants)
        self._jobs.add(job)
        job.ended.connect(self._forget_ended)
        return job

    def _forget_ended(self) -> None:
        self._jobs = {job for job in self._jobs if job.is_running}

    @property
    def jobs(self) -> list[Job]:
        """Jobs that are running."""
        return [job for job in self._jobs if job.is_running]

    def stop_telling(self, slot: Callable[..., Any], *signals: str) -> None:
        """Disconnect a slot from signals of this session.

        Parameters
        ----------
        slot : callable
        *signals : str
            Their names.
        """
        # Qt may delete this object before widgets that are hidden last, as when an error ends the viewer
        with contextlib.suppress(RuntimeError):
            for name in signals:
                getattr(self, name).disconnect(slot)

    def watch(self, window: QObject | None) -> None:
        """Notice the closing of the viewer's window; every panel calls this when it is shown."""
        if window is not None and not self._is_watching:
            # the window is not kept: it holds the viewer, which is the key under which this session lives
            self._is_watching = True
            window.destroyed.connect(self.close)

    def close(self, _window: object = None) -> None:
        """End all jobs; the viewer is gone."""
        self.is_closed = True
        self._pins.clear()
        preferences.write_now()
        for job in self._jobs:
            job.close()


_sessions: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()
_followers: list[Callable[[Session], None]] = []


def every_session(follow: Callable[[Session], None]) -> Callable[[Session], None]:
    """Call a function with every session, those that are there and those to come: how rooms above follow it."""
    _followers.append(follow)
    for session in list(_sessions.values()):
        follow(session)
    return follow


def session_of(viewer: Viewer) -> Session:
    """Return the viewer's session; made at the first call."""
    # napari hands widgets a proxy of the viewer
    plain = getattr(viewer, "__wrapped__", viewer)
    if plain not in _sessions:
        _sessions[plain] = session = Session(plain)
        for follow in _followers:
            follow(session)
    return _sessions[plain]
