"""The plots of the Compare tab: which plot, of which region, in which unit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from napari_blochnet.evaluation.agreement.series import RegionSeries, series_of
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.panels.compare.agreement_plots import (
    BlandAltmanPlot,
    BoxPlot,
    HistogramPlot,
    PlainScatter,
)
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.appearance import Palette
from napari_blochnet.napari_ui.widgets.plots import ScatterPlot
from napari_blochnet.napari_ui.widgets.rows import row_of

if TYPE_CHECKING:
    from napari_blochnet.common.progress import CancelEvent, ProgressCallback
    from napari_blochnet.evaluation.agreement.agreeing import Agreement

__all__ = ["BLAND_ALTMAN", "SCATTER", "PlotView", "region_series"]

SCATTER, BLAND_ALTMAN, HISTOGRAM, BOXES, APART = "Scatter", "Bland–Altman", "Histogram", "Boxes", "Difference boxes"
_MEANINGS = {
    SCATTER: "Each model's values over the reference's.",
    BLAND_ALTMAN: "Differences from the reference over the mean of both, with bias and limits of agreement.",
    HISTOGRAM: "How the values are distributed.",
    BOXES: "Quartiles of the values of each model, and of the reference.",
    APART: "Quartiles of the differences of each model from the reference.",
}
# Letters of a choice that are seen in the narrowest dock.
_SHORTEST = 6
_UNITS = {"percent": "%", "ms": "ms"}


def region_series(
    agreement: Agreement,
    region: str,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> tuple[Agreement, str, dict[str, RegionSeries]]:
    """Return what the plots show of one region, by parameter; worker thread."""
    chosen = next((each for each in agreement.regions if each.name == region), agreement.regions[0])
    return (
        agreement,
        chosen.name,
        {parameter: series_of(agreement, parameter, chosen) for parameter in agreement.parameters},
    )


class PlotView(QWidget):
    """T1 above T2 in one kind of plot, and below what else was compared; what is chosen belongs to the session.

    Parameters
    ----------
    session : Session
    """

    #: the unit of differences is another one
    unit_changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._agreement: Agreement | None = None
        self._colours: Mapping[str, str] = {}
        self._theme: Palette | None = None
        self._found: dict[str, dict[str, RegionSeries]] = {}
        self.kind = _combo("Kind of plot", [(name, name) for name in _MEANINGS], _MEANINGS)
        self.region = _combo("Region of the plots", [])
        self.region.setToolTip("The plots show this tissue or region; each can be named in the table of regions below.")
        self.unit = _combo("Unit of differences", [(text, unit) for unit, text in _UNITS.items()])
        self.unit.setMinimumContentsLength(2)
        self.kind.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.unit.setToolTip("Differences in per cent of the mean of both, or in ms.")
        #: by kind and parameter, made when they are first shown
        self.plots: dict[tuple[str, str], Any] = {}
        self._stack = filled(QVBoxLayout(), spacing=4)
        # a region has a person's name, which is seen in full
        where = row_of(QLabel("Region"), self.region)
        where.setStretch(1, 100)
        filled(QVBoxLayout(self), row_of(self.kind, self.unit), where, self._stack, spacing=4)
        self.kind.currentIndexChanged.connect(self._on_choice)
        self.region.currentIndexChanged.connect(self._on_choice)
        self.unit.currentIndexChanged.connect(self._on_choice)
        self.unit.currentIndexChanged.connect(self.unit_changed)
        self.hide()

    def choose(self, kind: str, region: str) -> None:
        """Choose what `show_agreement` will show, as far as it is there."""
        for box, text in ((self.kind, kind), (self.region, region)):
            index = box.findText(text)
            if index >= 0:
                # nobody has chosen it here
                with QSignalBlocker(box):
                    box.setCurrentIndex(index)

    def choose_unit(self, unit: str) -> None:
        """Choose the unit of differences, "percent" or "ms"."""
        with QSignalBlocker(self.unit):
            self.unit.setCurrentIndex(max(0, self.unit.findData(unit)))

    def show_agreement(
        self,
        agreement: Agreement | None,
        theme: Palette,
        colours: Mapping[str, str],
        known: tuple[str, dict[str, RegionSeries]] | None = None,
    ) -> None:
        """Show agreement; ``known`` is what was computed of one of its regions already."""
        self.setVisible(agreement is not None)
        if agreement is not self._agreement:
            self._found = {}
        self._agreement, self._theme, self._colours = agreement, theme, colours
        if agreement is None:
            return
        if known is not None:
            self._found[known[0]] = known[1]
        names = [region.name for region in agreement.regions]
        if names != [self.region.itemText(index) for index in range(self.region.count())]:
            wanted = self._session.plot_choice.get("region") or self.region.currentText()
            with QSignalBlocker(self.region):
                self.region.clear()
                self.region.addItems(names)
                self.region.setCurrentIndex(max(0, self.region.findText(wanted)))
        self._draw()

    def apply_theme(self, theme: Palette, colours: Mapping[str, str]) -> None:
        """Take the theme's colours, and the models'."""
        self._theme, self._colours = theme, colours
        self._draw()

    def _on_choice(self, _index: int) -> None:
        self._session.plot_choice |= {"kind": self.kind.currentText(), "region": self.region.currentText()}
        self._draw()

    def _draw(self) -> None:
        kind, region, agreement = self.kind.currentText(), self.region.currentText(), self._agreement
        self.unit.setEnabled(kind in (BLAND_ALTMAN, APART))
        if agreement is None or self._theme is None or not region:
            return
        if region not in self._found:
            job = self._session.start("Plotting", functools.partial(region_series, agreement, region))
            job.returned.connect(self._receive)
            job.start()
            return
        for (other, parameter), plot in self.plots.items():
            plot.setVisible(other == kind and parameter in agreement.parameters)
        for parameter in agreement.parameters:
            self._draw_one(kind, parameter, self._found[region][parameter])

    def _receive(self, result: tuple[Agreement, str, dict[str, RegionSeries]]) -> None:
        agreement, region, found = result
        if agreement is self._agreement:
            self._found[region] = found
            if region == self.region.currentText():
                self._draw()

    def _draw_one(self, kind: str, parameter: str, found: RegionSeries) -> None:
        theme, agreement = self._theme, self._agreement
        assert theme is not None
        assert agreement is not None
        colours = self._colours
        if (kind, parameter) not in self.plots:
            kinds: dict[str, Callable[[str], Any]] = {
                SCATTER: _scatter if found.is_time else PlainScatter,
                BLAND_ALTMAN: BlandAltmanPlot,
                HISTOGRAM: HistogramPlot,
            }
            made = kinds.get(kind, BoxPlot)(parameter)
            self.plots[kind, parameter] = made
            self._stack.addWidget(made)
        plot = self.plots[kind, parameter]
        plot.show()
        unit = self.unit.currentData()
        if kind == SCATTER and not found.is_time:
            plot.show_series(found, colours, theme)
        elif kind == SCATTER:
            plot.name_axes(agreement.reference, theme)
            plot.show_points([(each.name, each.reference, each.values, colours[each.name]) for each in found.models])
        elif kind == BLAND_ALTMAN:
            names = agreement.models_of(parameter)
            rows = {model: agreement.row(model, parameter, self.region.currentText()) for model in names}
            plot.show_series(found, rows, unit, colours, theme)
        elif kind == HISTOGRAM:
            plot.show_series(found, colours, theme)
        else:
            plot.show_series(found, unit if kind == APART else "", colours, theme)


def _scatter(parameter: str) -> ScatterPlot:
    return ScatterPlot(parameter, "ms")


def _combo(name: str, items: list[tuple[str, str]], meanings: Mapping[str, str] | None = None) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setToolTip(name + "." + "".join(f"\n{text}: {meaning}" for text, meaning in (meanings or {}).items()))
    for text, value in items:
        box.addItem(text, value)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(_SHORTEST)
    return box
