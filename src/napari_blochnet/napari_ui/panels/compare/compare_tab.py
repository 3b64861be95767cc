"""The Compare tab: maps against truth, as a table and as estimated-against-true plots."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.beside_truth import part_of_truth, signed_errors
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.evaluation.result_tables import numbered_names
from napari_blochnet.jobs.operations.compare import compare
from napari_blochnet.jobs.settings_comparing import CompareSettings
from napari_blochnet.napari_ui.background.turns import Steps, at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.panels.compare.region_statistics import RegionStatistics
from napari_blochnet.napari_ui.panels.compare.score_table import ComparisonTable
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.session import Compared
from napari_blochnet.napari_ui.widgets.choices import CheckList, subject_choice
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.plots import ScatterPlot
from napari_blochnet.napari_ui.widgets.rows import ExportButton, button, fill, named_rows, row_of
from napari_blochnet.phantoms.laying import lay_phantom
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

    from napari_blochnet.common.progress import CancelEvent, ProgressCallback
    from napari_blochnet.evaluation.comparison import Comparison

__all__ = ["ComparePanel"]

_IN_VIEW_BAR = ("t1_limits", "t2_limits", "t1_error_limits", "t2_error_limits")
# Text and tooltip of a button; title, file and kinds of files of its dialog.
_EXPORTS = (
    ("Save table…", "Write the table as CSV, one tidy row per model, tissue and parameter.",
     ("Save the table", "comparison.csv", "CSV (*.csv)")),
    ("Save report…", "Write a page with table, maps, errors, and how they were made.",
     ("Save the report", "report.html", "HTML (*.html)")),
    ("Save figures…", "Draw maps with errors, and estimated against true values, as PNG, SVG or PDF.",
     ("Save the figures", "comparison.png", "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)")),
)  # fmt: skip


def _compare(
    truth: Phantom,
    maps: list[ParameterMaps],
    settings: CompareSettings,
    *,
    progress: ProgressCallback,
    cancelled: CancelEvent,
) -> tuple[Compared, list[dict[str, FloatArray]]]:
    """Compare, and compute error maps for the layers; worker thread."""
    part = lay_phantom(truth, maps[0].shape, maps[0].geometry, onto=f"the maps of {maps[0].estimator}")
    comparison = compare(part, maps, settings, progress=progress, cancelled=cancelled)
    return Compared(comparison, truth, tuple(maps)), [signed_errors(part, item) for item in maps]


def _read(
    paths: list[str], *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None
) -> ParameterMaps:
    """Read maps that a person chose; worker thread."""
    return read_maps(paths)


def _write(
    comparison: Comparison, path: str, *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None
) -> list[str]:
    """Write a comparison; worker thread, for figures take seconds."""
    target = Path(path)
    try:
        if target.suffix.lower() in (".png", ".svg", ".pdf"):
            return [file.name for file in comparison.to_figures(target)]
        (comparison.to_html if target.suffix.lower() in (".html", ".htm") else comparison.to_csv)(target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).", field="path") from None
    return [str(target)]


class ComparePanel(Panel):
    """Scores maps against the truth."""

    title = "Compare"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.comparison: Comparison | None = None
        self.truth = subject_choice(
            self.session, Phantom, "no phantom is open", "The phantom whose T1 and T2 count as true."
        )
        self.maps = CheckList("No maps yet: make some in the Map tab.")
        self.maps.setToolTip("Which maps are compared; one row per model and tissue.")
        # the view bar sets the limits of each quantity
        self.form = SettingsForm(CompareSettings, leave_out=_IN_VIEW_BAR)
        self.add = button("Add maps…", "Open T1 and T2 maps (NIfTI) of another program, or written earlier.")
        self.run = primary_button("Compare", "Score T1 and T2 per model and tissue, and show signed error maps.")
        self.table = ComparisonTable()
        self.caption = note()
        self.scatter = {"T1": ScatterPlot("T1", "ms"), "T2": ScatterPlot("T2", "ms")}
        self.csv, self.html, self.figures = (ExportButton(*how, self.save) for how in _EXPORTS)
        self.copy = CopyRow(self.session)
        self.regions = RegionStatistics(self.session, lambda: self.truth.value, lambda: self.maps.chosen, self.jobs.say)

        choices = named_rows(("Truth", self.truth)), self.maps, Foldable("Report and error maps", self.form)
        fill(
            self.body,
            heading("Truth and maps"),
            *choices,
            row_of(self.run, self.add),
            self.jobs,
            self.table,
            self.caption,
        )
        for plot in self.scatter.values():
            plot.hide()
        fill(self.body, *self.scatter.values(), row_of(self.csv, self.html, self.figures), self.copy, self.regions)
        self.body.addStretch(1)

        self.truth.changed.connect(self._update_maps)
        self.maps.changed.connect(self._update_buttons)
        self.maps.changed.connect(self.regions.later)
        self.run.clicked.connect(self._compare)
        self.add.clicked.connect(self._ask_for_maps)
        self.remember(settings=self.form)
        self._update_buttons()

    def forms(self) -> list[SettingsForm]:
        return [self.form]

    def apply_theme(self) -> None:
        super().apply_theme()
        for plot in self.scatter.values():
            plot.apply_theme(self.colours)
        if self.session.compared is not None and self.session.compared.comparison is self.comparison:
            # the models' colours are the theme's
            for name in self.scatter:
                self._fill_scatter(name, self.session.compared)
        self.regions.apply_theme(self.colours)

    def attach(self, viewer: Viewer) -> None:
        self.regions.attach(viewer)

    def detach(self, viewer: Viewer) -> None:
        self.regions.detach(viewer)

    def update_session(self) -> None:
        self.truth.reset_choices()
        self._update_maps()
        self.regions.update_layers()
        if self.session.compared is not None and self.comparison is not self.session.compared.comparison:
            self.show_compared()

    def _update_maps(self) -> None:
        truth = self.truth.value
        entries = [] if truth is None else self.session.entries("maps")
        fitting = [entry for entry in entries if part_of_truth(truth, entry.subject) is not None]
        self.maps.set_items([(entry.title, entry.subject) for entry in fitting], checked=lambda _: True)

    def _update_buttons(self) -> None:
        self.add.setEnabled(not self.is_busy)
        self.run.setEnabled(self.truth.value is not None and bool(self.maps.chosen) and not self.is_busy)
        for export in (self.csv, self.html, self.figures):
            export.setVisible(self.comparison is not None)

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
        job = self.start("Opening maps", functools.partial(_read, paths))
        job.returned.connect(self._show_brought)
        job.ended.connect(self._update_buttons)
        job.start()
        self._update_buttons()

    @in_steps
    def _show_brought(self, maps: ParameterMaps) -> Steps[None]:
        names = numbered_names([*(entry.title for entry in self.session.entries("maps")), maps.estimator])
        yield from layers.maps_steps(self.session, maps, None, None, names[-1])
        truth = self.truth.value
        lies_elsewhere = truth is not None and part_of_truth(truth, maps) is None
        note = f" They lie on another grid than {truth.name}." if lies_elsewhere else ""
        self.jobs.say(f"{names[-1]}: {int(maps.mask.sum()):,} voxels opened.{note}", "good")

    def _compare(self) -> None:
        truth, maps = self.truth.value, self.maps.chosen
        if truth is None or not maps or self.is_busy:
            return
        with self.reading_forms():
            job = self.start("Comparing", functools.partial(_compare, truth, maps, self.form.settings()))
            job.returned.connect(self._show)
            job.ended.connect(self._update_buttons)
            job.start()
            self._update_buttons()

    @in_steps
    def _show(self, result: tuple[Compared, list[dict[str, FloatArray]]]) -> Steps[None]:
        compared, found = result
        limit = compared.comparison.error_limit
        for maps, values in zip(compared.maps, found, strict=True):
            yield from layers.error_steps(self.session, maps, values, limit)
        yield from canvas.show_result(self.session, compared.maps, compared.truth)
        self.session.compared = compared
        yield from self._compared_steps()
        # the inspector takes its truth from a comparison where it knows of no other
        self.session.changed.emit()
        self.jobs.say("Compared. Error layers (%) are in the layer list, black where there is no error.", "good")

    def show_compared(self) -> None:
        """Show the session's comparison as table and plots; the canvas stays as it is."""
        at_once(self._compared_steps())

    def _compared_steps(self) -> Steps[None]:
        compared = self.session.compared
        self.comparison = None if compared is None else compared.comparison
        if compared is None:
            return
        self.table.show_scores(compared.comparison)
        self.caption.setText(" ".join(compared.comparison.notes))
        self.caption.setVisible(bool(compared.comparison.notes))
        yield
        for name in self.scatter:
            self._fill_scatter(name, compared)
            yield
        self.copy.show_record(compared.comparison.record)
        self._update_buttons()

    def _fill_scatter(self, name: str, compared: Compared) -> None:
        clouds = []
        for maps in compared.maps:
            part = part_of_truth(compared.truth, maps)
            if part is None:
                continue
            scored = maps.mask & part.mask & ~maps.failed
            entry = self.session.entry(maps)
            title = entry.title if entry else maps.estimator
            colour = self.colours.trace(self.session.slot(maps))
            clouds.append((title, getattr(part, name.lower())[scored], getattr(maps, name.lower())[scored], colour))
        self.scatter[name].show_points(clouds)
        self.scatter[name].show()

    def save(self, path: str) -> None:
        """Write the comparison, in the background; table, page or figures by the ending."""
        if self.comparison is None or self.is_busy:
            return
        # the colours of the screen are those of the report and of the figures
        shown = self.comparison.with_limits(limits_of(self.session).shown())
        job = self.start(f"Saving {Path(path).name}", functools.partial(_write, shown, path))
        job.returned.connect(lambda files: self.jobs.say(f"Saved {' and '.join(files)}.", "good"))
        job.ended.connect(self._update_buttons)
        job.start()
