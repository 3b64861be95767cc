"""Means over painted or drawn regions, read while they are drawn: the lower part of the Compare tab."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget
from superqt.utils import qdebounced

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.regions import RegionMeans, region_means
from napari_blochnet.evaluation.result_tables import TRUTH, Region
from napari_blochnet.evaluation.signal_scale import signal_scales
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.panels.compare.compare_jobs import write_means
from napari_blochnet.napari_ui.panels.compare.region_row import RegionRow
from napari_blochnet.napari_ui.panels.compare.region_table import RegionTable
from napari_blochnet.napari_ui.state import drawn_regions as regions
from napari_blochnet.napari_ui.state.laid_masks import REST, edits_of
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.appearance import Palette
from napari_blochnet.napari_ui.widgets.parts import heading, note
from napari_blochnet.napari_ui.widgets.rows import ExportButton, row_of
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["RegionStatistics"]


class RegionStatistics(QWidget):
    """A choice of region layers, and mean ± SD of every model and of the truth in each region.

    Parameters
    ----------
    session : Session
    truth : callable
        Returns the phantom that counts as true, or None.
    chosen : callable
        Returns the maps to show; none: all that are open.
    write : callable
        Called with what writes a file on a worker thread, and the file's path.
    """

    #: other regions, or other voxels in them
    found = Signal()

    def __init__(
        self,
        session: Session,
        truth: Callable[[], Phantom | None],
        chosen: Callable[[], Sequence[ParameterMaps]],
        write: Callable[[Callable[..., list[str]], str], None],
    ) -> None:
        super().__init__()
        self._session, self._truth, self._chosen, self._write = session, truth, chosen, write
        self._watched: Layer | None = None
        self._attached = False
        self._colours: Palette | None = None
        self._found: tuple[list[ParameterMaps], tuple[Region, ...], Phantom | None] | None = None
        self.means: RegionMeans | None = None
        self._scales: tuple[Callable[[], Phantom | None], list[tuple[Any, int]], list[float]] | None = None
        #: the layer with regions, and the name of the one in hand: stands where maps are chosen
        self.row = RegionRow(session)
        self.layer, self.paint, self.draw = self.row.layer, self.row.paint, self.row.draw
        self._offered: tuple[Layer | None, ...] = ()
        self.table = RegionTable()
        self.hint = note()
        self.save_button = ExportButton(
            "Save regions…",
            "Write means and standard deviations as CSV, or as an HTML page with the maps.",
            ("Save means over regions", "regions.csv", "CSV (*.csv);;HTML (*.html)"),
            self.save,
        )
        filled(QVBoxLayout(self), heading("Mean ± SD in regions"), self.table, self.hint, row_of(self.save_button))
        self._update_later = qdebounced(self.update_table, timeout=REST, parent=self)
        self.layer.changed.connect(self._watch)
        self.row.named.connect(self.later)
        self.table.named.connect(self._name)
        self.paint.clicked.connect(lambda: self._add(layers.add_region))
        self.draw.clicked.connect(lambda: self._add(layers.add_drawing))

    def attach(self, viewer: Viewer) -> None:
        """Follow the viewer's layers; the panel is visible."""
        self._attached = True
        viewer.layers.events.inserted.connect(self.update_layers)
        viewer.layers.events.removed.connect(self.update_layers)
        self.update_layers()
        self._watch()

    def detach(self, viewer: Viewer) -> None:
        """Follow nothing any more; the panel is hidden."""
        self._attached = False
        viewer.layers.events.inserted.disconnect(self.update_layers)
        viewer.layers.events.removed.disconnect(self.update_layers)
        self._watch()

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self._colours = colours
        self.update_table()

    def choose(self, layer: Layer) -> None:
        """Show the regions of a layer."""
        self.update_layers()
        if layer in self.layer.choices:
            self.layer.value = layer

    def ensure_visible(self) -> None:
        """Scroll the panel so that the table is seen."""
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QScrollArea):
            parent = parent.parentWidget()
        if parent is not None:
            # the layout gives rooms to what was just filled or opened only in the next turn of the event loop
            QTimer.singleShot(0, lambda: parent.ensureWidgetVisible(self, 0, 0))

    def update_layers(self, event: Any = None) -> None:
        """Offer the layers that hold regions; the newest that a person made is chosen where the old choice is gone."""
        known = self._offered
        with self.layer.changed.blocked():
            self.layer.reset_choices()
            found = self._offered = self.layer.choices
            own = [layer for layer in found if layer is not None and not regions.is_tissue(layer)]
            if own and found != known and (own[0] not in known or self.layer.value is None):
                self.layer.value = own[0]
        if found != known:
            self._watch()
        else:
            self.later()

    def later(self, event: Any = None) -> None:
        """Compute again once the hand rests."""
        if self._attached:
            self._update_later()

    def _watch(self, _chosen: Any = None) -> None:
        chosen = self.layer.value if self._attached else None
        if chosen is not self._watched:
            for emitter in _edits_of(self._watched):
                emitter.disconnect(self.later)
            for emitter in _edits_of(chosen):
                emitter.connect(self.later)
            self._watched = chosen
            self.row.follow(chosen)
        if self._attached:
            self.update_table()

    def _target(self) -> tuple[Layer | None, list[ParameterMaps]]:
        """Return a layer on the newest maps' grid, and the maps on that grid."""
        maps = list(self._chosen()) or [entry.subject for entry in self._session.entries("maps")]
        if not maps:
            return None, []
        newest = maps[-1]
        affine = newest.geometry.affine
        same = [item for item in maps if item.shape == newest.shape and np.array_equal(item.geometry.affine, affine)]
        found = self._session.layers("maps", newest)
        return (found[-1] if found else None), same

    def update_table(self) -> None:
        """Compute the means and show them."""
        self._update_later.cancel()
        self.means = self._found = None
        target, maps = self._target()
        layer = self.layer.value
        self.row.let_make(target is not None)
        sentence = ""
        if target is None:
            sentence = "Map fingerprints first; then paint or draw a region and read its means here."
        elif layer is None:
            sentence = "Paint or draw a region above, or choose a layer that holds one."
        else:
            try:
                laid = regions.regions_on(layer, target)
                found, sentence = laid.regions, laid.note
                phantom = self._truth()
                part = None if phantom is None else part_of_truth(phantom, maps[0])
                scales = None if part is None else self._scales_of(phantom, part, maps)
                self.means = region_means(maps, found, truth=part, scales=scales)
                self._found = (maps, found, phantom if part is not None else None)
            except InputError as error:
                sentence = str(error)
        can_be_named = layer is not None and not regions.is_tissue(layer)
        if self.means is not None and can_be_named:
            sentence = f"{sentence} Double-click a region's name to change it, or name it above.".lstrip()
        self.hint.setText(sentence)
        self.hint.setVisible(bool(sentence))
        self.table.setVisible(self.means is not None)
        self.save_button.setVisible(self.means is not None)
        if self.means is not None:
            self.table.show_means(self.means, self._model_colours(self.means), can_be_named=can_be_named)
            self.table.fit(self.width())
        self.found.emit()

    def _scales_of(self, phantom: Phantom | None, part: Phantom, maps: list[ParameterMaps]) -> list[float]:
        """Return the scales of PD, which take longer than the means: kept until others are compared or voxels come."""
        state = [(item, int(np.count_nonzero(item.mask))) for item in maps]
        known = self._scales
        is_known = known is not None and known[0]() is phantom and len(known[1]) == len(state) and all(
            ref() is item and count == now for (ref, count), (item, now) in zip(known[1], state, strict=True)
        )  # fmt: skip
        if known is None or not is_known:
            found = [scale.pd_scale for scale in signal_scales(part, maps)]
            refs = [(weakref.ref(item), count) for item, count in state]
            known = self._scales = (weakref.ref(phantom) if phantom is not None else lambda: None, refs, found)
        return known[2]

    def _name(self, old: str, new: str) -> None:
        layer = self.layer.value
        if layer is not None and regions.name_region(layer, old, new):
            self.later()

    def regions_on(self, shape: tuple[int, ...], geometry: Geometry) -> tuple[Region, ...]:
        """Return the regions that a person painted or drew, if they lie on this grid; tissues are none."""
        if self._found is None or self.layer.value is None or regions.is_tissue(self.layer.value):
            return ()
        maps, found, _ = self._found
        fits = maps[0].shape == shape and np.array_equal(maps[0].geometry.affine, geometry.affine)
        return found if fits else ()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.table.fit(self.width())

    def _model_colours(self, means: RegionMeans) -> dict[str, str]:
        """Return the models' colours, those of the curves in the inspector and of the points in the plots."""
        if self._colours is None or self._found is None:
            return {}
        return {TRUTH: self._colours.good} | {
            named.estimator: self._colours.trace(self._session.slot(maps))
            for named, maps in zip(means.maps, self._found[0], strict=True)
        }

    def _add(self, add: Callable[[Session, ParameterMaps], Layer | None]) -> None:
        """Add an empty layer for regions on the newest maps' grid, and choose it."""
        target, maps = self._target()
        if target is not None:
            # in a grid the region would lie in a cell of its own, beside the map that it is painted on
            at_once(canvas.show_quantity(self._session, "T1", beside=False))
            self.choose(add(self._session, maps[-1]))

    def save(self, path: str) -> None:
        """Write the means with their record, in the background; the format by the ending."""
        if self._found is not None:
            self._write(functools.partial(write_means, *self._found, path), path)


def _edits_of(layer: Layer | None) -> list[Any]:
    return [*edits_of(layer), *([] if layer is None else [layer.events.set_data])]
