"""Coefficients of fingerprints that are open, and whole fingerprints of coefficients: a fold of the Data tab."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_blochnet.common.plain_text import counted
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.coefficients.compressing import compress, expand
from napari_blochnet.jobs.settings_coefficients import CompressSettings
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.saving.save_buttons import SaveFingerprints
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.widgets.choices import subject_choice
from napari_blochnet.napari_ui.widgets.parts import Foldable, note, primary_button
from napari_blochnet.napari_ui.widgets.rows import fill, named_rows, row_of

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.panels.data.data_tab import DataPanel

__all__ = ["CompressFold"]

_OPERATIONS = ("compress", "expand")
# Of the button, what it says and what it does.
_COMPRESS = ("Compress", "Keep a few coefficients of each fingerprint, with the time courses they belong to.")
_EXPAND = ("Expand", "Write out the whole fingerprints that these coefficients stand for.")


class CompressFold(QWidget):
    """Compresses a stack that is open, or expands one of coefficients; not to be seen while none is open.

    Parameters
    ----------
    panel : DataPanel
        Shows the job and what became of it.
    """

    #: a `FingerprintStack` was made
    made = Signal(object)

    def __init__(self, panel: DataPanel) -> None:
        super().__init__()
        self._panel, self._session = panel, panel.session
        self.stack = subject_choice(
            panel.session, FingerprintStack, "no fingerprints are open",
            "Which fingerprints: whole ones are compressed, coefficients expanded.", called="Fingerprints to compress",
        )  # fmt: skip
        self.form = SettingsForm(CompressSettings)
        self.said = note()
        self.run = primary_button(*_COMPRESS)
        self.save = SaveFingerprints(panel, self.update_session)
        self.copy = CopyRow(panel.session)
        content = QWidget()
        rows = QVBoxLayout(content)
        rows.setContentsMargins(0, 0, 0, 0)
        fill(rows, named_rows(("Fingerprints", self.stack)), self.form, self.said)
        fill(rows, row_of(self.run, last=self.save), self.copy)
        self.fold = Foldable("Coefficients: compress, expand", content)
        filled(QVBoxLayout(self), self.fold)
        self._source: Entry[FingerprintStack] | None = None
        self._latest: weakref.ref[FingerprintStack] | None = None
        self.stack.changed.connect(self._on_stack)
        self.run.clicked.connect(self._run)
        panel.remember(compress=self.form)

    def update_session(self) -> None:
        """Look again at what is open."""
        self.stack.reset_choices()
        self.setVisible(self.stack.value is not None)
        self._on_stack()
        made = [
            entry for entry in self._session.entries("stack") if entry.subject.record.get("operation") in _OPERATIONS
        ]
        latest = None if self._latest is None else self._latest()
        made = [entry for entry in made if entry.subject is latest] or made[-1:]
        self.save.offer(made)
        self.save.setVisible(bool(made))
        self.copy.show_results([(entry.title, entry.subject.record) for entry in made])

    def choose(self, stack: FingerprintStack | None) -> bool:
        """Unfold, with a stack chosen where one is given; return whether there is one to choose."""
        self.update_session()
        if stack is not None and any(stack is known for known in self.stack.choices):
            self.stack.value = stack
        if self.stack.value is None:
            return False
        self.fold.open()
        self._panel.bring_into_view(self)
        return True

    def expand(self) -> None:
        """Make whole fingerprints of the chosen coefficients."""
        self._start("Expanding", lambda: expand)

    def compress(self) -> None:
        """Make coefficients of the chosen fingerprints."""
        self._start("Compressing", lambda: functools.partial(compress, settings=self.form.settings()))

    def _on_stack(self) -> None:
        stack = self.stack.value
        if stack is None:
            return
        self.form.setVisible(not stack.is_compressed)
        text, tooltip = _EXPAND if stack.is_compressed else _COMPRESS
        self.run.setText(text)
        self.run.setToolTip(tooltip)
        self.run.setVisible(stack.schedule is not None)
        if stack.schedule is None:
            self.said.setText("These coefficients have no schedule, and whole fingerprints need one: map them as they "
                              "are.")  # fmt: skip
        elif stack.is_compressed:
            self.said.setText(
                f"For each voxel, {counted(stack.pulses, 'time point')} of {counted(stack.shape[0], 'coefficient')}."
            )
        else:
            self.said.setText("Coefficients are mapped as they are: by dictionary or universal, in a fraction of the "
                              "time and memory.")  # fmt: skip

    def _run(self) -> None:
        if self.stack.value is not None:
            (self.expand if self.stack.value.is_compressed else self.compress)()

    def _start(self, title: str, operation: Callable[[], Callable[..., FingerprintStack]]) -> None:
        entry = self.stack.entry
        if entry is None or not self._panel.begin():
            return
        with self._panel.reading_forms():
            job = self._panel.start(f"{title} {entry.title}", functools.partial(operation(), entry.subject))
            self._source = entry
            job.returned.connect(self._on_made)
            job.ended.connect(self.update_session)
            job.start()

    def _on_made(self, stack: FingerprintStack) -> None:
        self._panel.run_steps(self._show(stack))

    def _show(self, stack: FingerprintStack) -> Steps[None]:
        source, self._source, self._latest = self._source, None, weakref.ref(stack)
        if source is None:
            return
        what = counted(stack.shape[0], "coefficient") if stack.is_compressed else "expanded"
        yield from layers.stack_steps(self._session, stack, source.truth, f"{source.title}, {what}")
        self._panel.jobs.say(f"{_made_in_words(stack)} Next: the Map tab.", "good")
        self._session.added.emit(stack)
        self.made.emit(stack)


def _made_in_words(stack: FingerprintStack) -> str:
    record: dict[str, Any] = stack.record
    if not stack.is_compressed:
        return f"Expanded {counted(record['components'], 'coefficient')} to {counted(stack.pulses, 'time point')}."
    return (
        f"Compressed {counted(stack.pulses, 'time point')} to {counted(stack.shape[0], 'coefficient')}, which "
        f"leave{'s' if stack.shape[0] == 1 else ''} out "
        f"{100 * record['left_out']:.2g} % of the energy, noise included."
    )
