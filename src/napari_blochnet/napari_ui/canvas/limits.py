"""The colour limits of layers: of one quantity all the same, from all that is open, until somebody chooses others.

What is open determines them, whatever the order in which it came. A person chooses by the menu of the view bar or by
napari's own slider, which is noticed here.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from napari.layers import Image, Layer

from napari_blochnet.common.colour_limits import Limits, error_limits, value_limits, widest
from napari_blochnet.evaluation.error_maps import limits_of_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.canvas.layer_data import map_values
from napari_blochnet.napari_ui.canvas.looks import STYLES, style_of
from napari_blochnet.napari_ui.state.entries import Entry, entry_of, is_derived
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["Family", "LimitsOfLayers", "family_of", "limits_of"]

#: What is read against each other: a role, and of PD, whose scale is each stack's own, whose it is; of maps without a
#: stack their own.
Family = tuple[str, int]


def family_of(entry: Entry) -> Family | None:
    """Return the family of a layer by what it shows; None of fingerprints, labels and regions."""
    others = {"B1", *entry.subject.others} if isinstance(entry.subject, ParameterMaps) else set()
    if entry.kind not in ("phantom", "maps"):
        return None
    if entry.role not in STYLES and entry.role.removesuffix(" difference") not in others:
        return None
    if entry.role != "PD" or entry.kind != "maps":
        return entry.role, 0
    return entry.role, id(entry.subject if entry.stack is None else entry.stack)


def _own_limits(layer: Layer, entry: Entry) -> Limits:
    """Return the limits that one layer asks for; of maps with a truth these are the truth's."""
    fixed = style_of(entry.role).limits
    if fixed is not None:
        return fixed
    if is_derived(entry.role):
        return error_limits(layer.data, percent=entry.role in STYLES)
    subject = entry.subject
    if isinstance(subject, Phantom):
        return value_limits(getattr(subject, entry.role.lower()), subject.mask)
    assert isinstance(subject, ParameterMaps)
    if entry.role in ("T1", "T2"):
        return limits_of_maps(entry.role, [subject], entry.truth)
    return value_limits(map_values(subject, entry.role), subject.mask & ~subject.failed)


class LimitsOfLayers:
    """The limits of one viewer's layers.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._own: weakref.WeakKeyDictionary[Layer, Limits] = weakref.WeakKeyDictionary()
        self._chosen: set[Family] = set()
        # of these, by a form, which can take it back by saying nothing
        self._by_form: set[Family] = set()
        self._is_setting = False

    def layers(self, family: Family) -> list[Layer]:
        """Return the layers of a family."""
        return [layer for layer, entry in self._session.pairs(role=family[0]) if family_of(entry) == family]

    def families(self) -> dict[Family, list[Layer]]:
        """Return all families with their layers."""
        found: dict[Family, list[Layer]] = {}
        for layer, entry in self._session.pairs():
            family = family_of(entry)
            if family is not None:
                found.setdefault(family, []).append(layer)
        return found

    def is_chosen(self, family: Family) -> bool:
        """Whether somebody has chosen the limits."""
        return family in self._chosen

    def automatic(self, family: Family) -> Limits | None:
        """Return the limits that follow from what is open; None where nothing is."""
        found = self.layers(family)
        own = [self._own[layer] for layer in found if layer in self._own]
        return widest(own) if own else None

    def add(self, layer: Image, entry: Entry) -> None:
        """Take up a layer that has just come."""
        family = family_of(entry)
        if family is None:
            return
        layer.events.contrast_limits.connect(self._on_limits)
        self._own[layer] = _own_limits(layer, entry)
        peers = [other for other in self.layers(family) if other is not layer]
        if family in self._chosen and peers:
            self._set([layer], tuple(peers[0].contrast_limits))
        elif not self._is_setting:
            self._follow(family)

    def update(self, layers: Sequence[Layer]) -> None:
        """Look at the values of layers again."""
        families: dict[Family, None] = {}
        for layer in layers:
            entry = entry_of(layer)
            family = None if entry is None else family_of(entry)
            if entry is not None and family is not None:
                self._own[layer] = _own_limits(layer, entry)
                families[family] = None
        for family in families:
            self._follow(family)

    def drop_lost(self) -> None:
        """Look again after layers have gone."""
        there = self.families()
        self._chosen &= there.keys()
        self._by_form &= self._chosen
        for family in there:
            self._follow(family)

    def choose(self, family: Family, limits: Limits | None) -> None:
        """Give a family limits, the lower first, or let them follow again from what is open.

        Raises
        ------
        ValueError
            Limits that are no range; nothing has changed.
        """
        if limits is not None and not limits[0] < limits[1]:
            raise ValueError(f"expected the lower limit first, not {limits}")
        self._by_form.discard(family)
        if limits is None:
            self._chosen.discard(family)
            self._follow(family)
        else:
            self._chosen.add(family)
            self._set(self.layers(family), limits)

    def choose_by_form(self, family: Family, limit: float | None) -> None:
        """Take what a form says is shown above and below 0; None takes back what it said before, and nothing else."""
        if limit is not None:
            self.choose(family, (-limit, limit))
            self._by_form.add(family)
        elif family in self._by_form:
            self.choose(family, None)

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Let limits be set as they were saved, which is nobody's choice yet; see `keep`."""
        before, self._is_setting = self._is_setting, True
        try:
            yield
        finally:
            self._is_setting = before

    def keep(self) -> None:
        """Take limits that differ from what follows from what is open for chosen: a session's that was opened."""
        for family, layers in self.families().items():
            if tuple(layers[0].contrast_limits) != self.automatic(family):
                self._chosen.add(family)

    def shown(self) -> dict[str, Limits]:
        """Return the limits of T1, T2, their errors and their differences, by role, as far as there are layers."""
        return {
            role: tuple(layers[0].contrast_limits)
            for (role, _), layers in self.families().items()
            if role in ("T1", "T2") or is_derived(role)
        }

    def _follow(self, family: Family) -> None:
        limits = self.automatic(family)
        if limits is not None and family not in self._chosen:
            self._set(self.layers(family), limits)

    def _set(self, layers: Sequence[Layer], limits: Limits) -> None:
        changed = [layer for layer in layers if tuple(layer.contrast_limits) != limits]
        before, self._is_setting = self._is_setting, True
        try:
            for layer in layers:
                low, high = layer.contrast_limits_range
                # a chosen part of the range leaves the rest to be chosen from
                if layer in changed and not (low <= limits[0] < limits[1] <= high and self._is_chosen_layer(layer)):
                    layer.contrast_limits_range = limits
            for layer in changed:
                layer.contrast_limits = limits
        finally:
            self._is_setting = before

    def _is_chosen_layer(self, layer: Layer) -> bool:
        entry = entry_of(layer)
        return entry is not None and family_of(entry) in self._chosen

    def _on_limits(self, event: Any) -> None:
        """Notice what a person does with napari's slider."""
        entry = entry_of(event.source)
        family = None if entry is None or self._is_setting else family_of(entry)
        if family is not None:
            self._chosen.add(family)
            self._by_form.discard(family)


def limits_of(session: Session) -> LimitsOfLayers:
    """Return what knows the limits of a session's layers."""
    return session.part(LimitsOfLayers)
