"""The Compare tab: maps against the truth or against each other, as a table, as plots and as maps of differences."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel

from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.agreement.series import RegionSeries
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import numbered_names
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings
from napari_blochnet.napari_ui.background.turns import Steps, at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.canvas.differences import difference_steps, drop_others_steps
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.panels.compare.compare_jobs import Found, read_chosen, run_comparison, write_made
from napari_blochnet.napari_ui.panels.compare.compare_words import AGREEMENT_EXPORT, EXPORTS, missing
from napari_blochnet.napari_ui.panels.compare.live_agreement import LiveAgreement
from napari_blochnet.napari_ui.panels.compare.plot_view import BLAND_ALTMAN, SCATTER, PlotView
from napari_blochnet.napari_ui.panels.compare.region_statistics import RegionStatistics
from napari_blochnet.napari_ui.panels.compare.score_table import (
    LIMITS,
    ComparisonTable,
    Measure,
    current_name,
    measures_of,
)
from napari_blochnet.napari_ui.printing.map_figures import MapFigureButton
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.comparing import can_be_compared, covering_truth
from napari_blochnet.napari_ui.state.session import Compared
from napari_blochnet.napari_ui.widgets.choices import CheckList, OpenChoice
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.rows import ExportButton, button, fill, named_rows, row_of
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

    from napari_blochnet.evaluation.agreement.agreeing import Agreement
    from napari_blochnet.evaluation.comparison import Comparison

__all__ = ["ComparePanel"]

# The view bar sets the limits of each quantity.
_IN_VIEW_BAR = ("t1_limits", "t2_limits", "t1_error_limits", "t2_error_limits")
_OF_AGREEMENT = ("t1_limits", "t2_limits", "t1_difference_limits", "t2_difference_limits")


class ComparePanel(Panel):
    """Compares maps with the truth, or with one of them."""

    title = "Compare"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.comparison: Comparison | None = None
        self.reference = OpenChoice(
            self._references,
            "no phantom and no maps are open",
            called="Reference",
            tooltip="What the maps are compared with: a phantom whose T1 and T2 count as true, or one model's maps.",
        )
        # a person's choice stays; else a truth that comes later is the reference
        self._is_chosen = False
        self.maps = CheckList("No maps yet: make some in the Map tab.")
        self.maps.setToolTip("Which maps are compared with the reference; one column for each model.")
        self.form = SettingsForm(CompareSettings, leave_out=_IN_VIEW_BAR)
        self.agreement_form = SettingsForm(AgreementSettings, leave_out=("reference", "radius", "unit", *_OF_AGREEMENT))
        self.add = button("Add maps…", "Open T1 and T2 maps (NIfTI) of another program, or written earlier.")
        self.run = primary_button(
            "Compare", "Compare T1 and T2 with the reference per model and tissue, and show maps of what is different."
        )
        self.measure = QComboBox()
        self.measure.setAccessibleName("What the table shows")
        self.measure.setToolTip("Which score of the models the table shows.")
        self.measure.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._measure_label = QLabel("Show")
        self.table = ComparisonTable()
        self.caption = note()
        self.plots = PlotView(self.session)
        self.csv, self.html, self.figures = (ExportButton(*how, self.save) for how in EXPORTS)
        self.paper = MapFigureButton(self, self._maps_drawn, lambda: self.truth)
        self.copy = CopyRow(self.session)
        self.save_agreement_button = ExportButton(*AGREEMENT_EXPORT, self.save_agreement)
        self.copy_agreement = CopyRow(self.session)
        self.regions = RegionStatistics(self.session, lambda: self.truth, self._all_chosen, self._write)

        choices = named_rows(("Reference", self.reference))
        measures = row_of(self._measure_label, self.measure)
        # the choice takes the room, and not what follows it
        measures.setStretch(1, 100)
        fill(
            self.body,
            heading("Reference and maps"),
            choices,
            self.maps,
            named_rows(("Regions", self.regions.row)),
            Foldable("Report and error maps", self.form),
            Foldable("Differences and agreement", self.agreement_form),
            row_of(self.run, self.add),
            self.jobs,
            measures,
            self.table,
            self.caption,
            row_of(self.csv, self.html),
            row_of(self.figures, self.paper),
            self.copy,
            self.plots,
            row_of(self.save_agreement_button),
            self.copy_agreement,
            self.regions,
        )
        self.body.addStretch(1)

        self.reference.changed.connect(self._update_maps)
        self.reference.native.activated.connect(self._on_chosen)
        self.maps.changed.connect(self._update_buttons)
        self.maps.changed.connect(self.regions.later)
        self.measure.currentIndexChanged.connect(self._on_measure)
        self._live = LiveAgreement(
            self.session, self.regions.regions_on, self._settings, lambda: self.plots.region.currentText()
        )
        self._live.agreed.connect(self._show_agreed)
        self.plots.unit_changed.connect(self._live.update)
        self.regions.found.connect(self._live.update)
        self.run.clicked.connect(self._compare)
        self.add.clicked.connect(self._ask_for_maps)
        self.remember(settings=self.form, agreement=self.agreement_form)
        self._update_buttons()

    @property
    def truth(self) -> Phantom | None:
        """What is true: the reference, or beside a model that is the reference a phantom that covers its maps."""
        chosen = self.reference.value
        if isinstance(chosen, ParameterMaps):
            return covering_truth(self.session, chosen)
        return chosen if isinstance(chosen, Phantom) else None

    def _references(self) -> list[tuple[str, Any]]:
        phantoms = [(f"{entry.title} (truth)", entry.subject) for entry in self.session.entries("phantom")]
        return [*reversed(phantoms), *((entry.title, entry.subject) for entry in self.session.entries("maps"))]

    def _all_chosen(self) -> list[ParameterMaps]:
        """Return the maps whose regions are averaged: those that are compared, and their reference."""
        chosen = self.reference.value
        return [*([chosen] if isinstance(chosen, ParameterMaps) else []), *self.maps.chosen]

    def forms(self) -> list[SettingsForm]:
        return [self.form, self.agreement_form]

    def apply_theme(self) -> None:
        super().apply_theme()
        self.plots.apply_theme(self.colours, self._model_colours())
        if self.session.compared is not None and self.session.compared.comparison is self.comparison:
            # the models' colours are the theme's
            self._show_table()
        self.regions.apply_theme(self.colours)

    def attach(self, viewer: Viewer) -> None:
        self.regions.attach(viewer)

    def detach(self, viewer: Viewer) -> None:
        self.regions.detach(viewer)

    def update_session(self) -> None:
        self.reference.reset_choices()
        self._choose_reference()
        self._update_maps()
        self.regions.update_layers()
        if self.session.compared is not None and self._shown is not self.session.compared:
            self.show_compared()

    def _on_chosen(self, _index: int) -> None:
        self._is_chosen = True

    def _choose_reference(self) -> None:
        """Choose the newest truth of maps that are open, or else the first of these, where nobody has chosen."""
        maps = [entry.subject for entry in self.session.entries("maps")]
        phantoms = [entry.subject for entry in self.session.entries("phantom")]
        if self._is_chosen and (self.reference.value in maps or self.reference.value in phantoms):
            return
        self._is_chosen = False
        truths = (truth for item in reversed(maps) if (truth := covering_truth(self.session, item)) is not None)
        wanted: Any = next(truths, None)
        if wanted is None:
            wanted = maps[0] if len(maps) > 1 or (maps and not phantoms) else phantoms[-1] if phantoms else None
        if wanted is not None and wanted is not self.reference.value:
            self.reference.value = wanted

    def _update_maps(self) -> None:
        reference = self.reference.value
        entries = [entry for entry in self.session.entries("maps") if entry.subject is not reference]
        fitting = [] if reference is None else [each for each in entries if can_be_compared(reference, each.subject)]
        self.maps.say_of_nothing(missing(reference, len(entries)))
        self.maps.set_items([(entry.title, entry.subject) for entry in fitting], checked=lambda _: True)
        self._update_buttons()

    def _update_buttons(self) -> None:
        self.add.setEnabled(not self.is_busy)
        self.paper.setVisible(bool(self._maps_drawn()))
        self.paper.setEnabled(not self.is_busy)
        self.run.setEnabled(self.reference.value is not None and bool(self.maps.chosen) and not self.is_busy)
        for export in (self.csv, self.html, self.figures):
            export.setVisible(self.comparison is not None)
        compared = self._shown
        self.save_agreement_button.setVisible(compared is not None and compared.agreement is not None)
        for part in (self.measure, self._measure_label):
            part.setVisible(compared is not None)

    def _maps_drawn(self) -> list[ParameterMaps]:
        """Return the maps of a figure: those chosen; all where there is no truth to compare them with."""
        return self.maps.chosen or [entry.subject for entry in self.session.entries("maps")]

    def _ask_for_maps(self) -> None:
        kinds = "NIfTI (*.nii *.nii.gz);;All files (*)"
        names, _ = QFileDialog.getOpenFileNames(self, "T1 and T2 maps", preferences.folder("maps"), kinds)
        if names:
            preferences.set_folder("maps", names[0])
            self.open_maps(names)

    def open_maps(self, paths: list[str]) -> None:
        """Open maps in the background: a folder, one T1 map beside its others, or the files of a set."""
        if self.is_busy:
            return
        job = self.start("Opening maps", functools.partial(read_chosen, paths))
        job.returned.connect(self._show_brought)
        job.ended.connect(self._update_buttons)
        job.start()
        self._update_buttons()

    @in_steps
    def _show_brought(self, maps: ParameterMaps) -> Steps[None]:
        names = numbered_names([*(entry.title for entry in self.session.entries("maps")), maps.estimator])
        yield from layers.maps_steps(self.session, maps, None, None, names[-1])
        reference = self.reference.value
        lies_elsewhere = reference is not None and reference is not maps and not can_be_compared(reference, maps)
        note = f" They lie on another grid than {self.reference.current_choice}." if lies_elsewhere else ""
        self.jobs.say(f"{names[-1]}: {counted(int(maps.mask.sum()), 'voxel', ',')} opened.{note}", "good")

    def _settings(self) -> AgreementSettings:
        """Return the settings of agreement."""
        chosen: AgreementSettings = self.agreement_form.settings(unit=self.plots.unit.currentData())
        return chosen

    def _compare(self) -> None:
        reference, maps = self.reference.value, self.maps.chosen
        if reference is None or not maps or self.is_busy:
            return
        with self.reading_forms():
            settings = self.form.settings(), self._settings()
            model = reference if isinstance(reference, ParameterMaps) else None
            work = functools.partial(run_comparison, self.truth, model, maps, settings, self._region())
            job = self.start("Comparing", work)
            job.returned.connect(self._show)
            job.ended.connect(self._update_buttons)
            job.start()
            self._update_buttons()

    def _region(self) -> str:
        return self.session.plot_choice.get("region", "")

    @in_steps
    def _show(self, found: Found) -> Steps[None]:
        compared, reference = found.compared, found.compared.reference
        if reference is None:
            wanted = self.form.values()["error_limit"]
            for maps, values in zip(compared.maps, found.apart, strict=True):
                yield from layers.error_steps(self.session, maps, values, wanted)
        else:
            entry = self.session.entry(reference)
            title = reference.estimator if entry is None else entry.title
            wanted = self.agreement_form.values()["difference_limit"]
            yield from drop_others_steps(self.session, compared.maps)
            for maps, values in zip(compared.maps, found.apart, strict=True):
                yield from difference_steps(self.session, maps, title, values, wanted)
        self.session.compared = compared
        yield from canvas.show_result(self.session, compared.maps, reference or compared.truth)
        yield from self._compared_steps(found.series)
        # the inspector takes its truth from a comparison where it knows of no other
        self.session.changed.emit()
        what = "Error" if reference is None else "Difference"
        self.jobs.say(f"Compared. {what} layers (%) are in the layer list, black where there is none.", "good")
        self._live.update()

    def show_compared(self) -> None:
        """Show the session's comparison as table and plots; the canvas stays as it is."""
        compared = self.session.compared
        reference = None if compared is None else compared.reference
        if reference is not None and reference in self.reference.choices:
            self._is_chosen = True
            self.reference.value = reference
        at_once(self._compared_steps())

    _shown: Compared | None = None

    def _compared_steps(self, series: tuple[str, dict[str, RegionSeries]] | None = None) -> Steps[None]:
        compared = self._shown = self.session.compared
        self.comparison = None if compared is None else compared.comparison
        if compared is None:
            return
        agreement = compared.agreement
        self._show_table()
        notes = [*(self.comparison.notes if self.comparison is not None else ())]
        if self.comparison is None and agreement is not None:
            notes += agreement.notes
        self.caption.setText(" ".join(notes))
        self.caption.setVisible(bool(notes))
        yield
        choice = self.session.plot_choice
        usual = SCATTER if compared.reference is None else BLAND_ALTMAN
        self.plots.choose(choice.get("kind") or usual, choice.get("region", ""))
        if agreement is not None:
            self.plots.choose_unit(agreement.unit)
        self.plots.show_agreement(agreement, self.colours, self._model_colours(), series)
        yield
        self.copy.show_record(self.comparison.record if self.comparison is not None else {})
        self.copy_agreement.show_record(agreement.record if agreement is not None else {})
        self._update_buttons()

    def _show_table(self) -> None:
        compared = self._shown
        if compared is None:
            return
        measures = measures_of(compared)
        names = [measure.name for measure in measures]
        usual = LIMITS if compared.comparison is None else names[0]
        wanted = current_name(self.session.plot_choice.get("measure") or self.measure.currentText())
        if names != [self.measure.itemText(index) for index in range(self.measure.count())]:
            with QSignalBlocker(self.measure):
                self.measure.clear()
                for measure in measures:
                    self.measure.addItem(measure.name, measure)
                self.measure.setCurrentIndex(names.index(wanted if wanted in names else usual))
        chosen: Measure = measures[self.measure.currentIndex()]
        self.measure.setToolTip(chosen.column.meaning or chosen.name)
        self.table.show_measure(compared, chosen, self._model_colours())

    def _on_measure(self, _index: int) -> None:
        self.session.plot_choice["measure"] = self.measure.currentText()
        self._show_table()

    def _model_colours(self) -> dict[str, str]:
        """Return the colours of models, those of the curves in the inspector, and of the reference."""
        compared = self._shown
        if compared is None or compared.agreement is None:
            return {}
        agreement = compared.agreement
        found = {
            name: self.colours.trace(self.session.slot(maps))
            for name, maps in zip(agreement.models, compared.maps, strict=True)
        }
        reference = compared.reference
        own = self.colours.good if reference is None else self.colours.trace(self.session.slot(reference))
        return {**found, agreement.reference: own}

    def _show_agreed(self, found: Found) -> None:
        self.session.compared = found.compared
        at_once(self._compared_steps(found.series))

    def save_agreement(self, path: str) -> None:
        """Write agreement, in the background; page, table or figures by the ending."""
        if self._shown is not None and self._shown.agreement is not None:
            self._save(self._shown.agreement.with_limits(limits_of(self.session).shown()), path)

    def save(self, path: str) -> None:
        """Write the comparison, in the background; table, page or figures by the ending."""
        if self.comparison is not None:
            # the colours of the screen are those of the report and of the figures
            self._save(self.comparison.with_limits(limits_of(self.session).shown()), path)

    def _save(self, made: Comparison | Agreement, path: str) -> None:
        self._write(functools.partial(write_made, made, path), path)

    def _write(self, writing: Callable[..., list[str]], path: str) -> None:
        if self.is_busy:
            self.jobs.refuse()
            return
        job = self.start(f"Saving {Path(path).name}", writing)
        job.returned.connect(lambda files: self.jobs.say(f"Saved {' and '.join(files)}.", "good"))
        job.ended.connect(self._update_buttons)
        job.start()
