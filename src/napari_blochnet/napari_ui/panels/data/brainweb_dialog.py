"""Asks which subject of BrainWeb to open, and says what is downloaded from where before anything is."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.settings import BrainWebSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.widgets.remembering import remember_controls
from napari_blochnet.phantoms.download import VOLUMES, brainweb_folder, download_address, is_cached

__all__ = ["BrainWebDialog"]

# Megabytes on the wire, by what is asked for, as the subjects that circulate have it.
_SIZES = {"tissues": 20, "labels": 3}


class BrainWebDialog(QDialog):
    """A choice of subject and volumes.

    Parameters
    ----------
    parent : QWidget
    """

    #: a `BrainWebSettings`: the person wants this one
    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("BrainWeb: one of 20 normal brains")
        self.form = SettingsForm(BrainWebSettings)
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setMinimumWidth(380)
        buttons = QDialogButtonBox()
        made = (
            buttons.addButton("Download", QDialogButtonBox.ButtonRole.AcceptRole),
            buttons.addButton(QDialogButtonBox.StandardButton.Cancel),
        )
        # Qt's type hints have them only perhaps
        self.accept_button, self.cancel_button = (button for button in made if button is not None)
        self.accept_button.setToolTip("Download what is not on this machine yet, and open the subject.")
        self.cancel_button.setToolTip("Download nothing.")
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(self.form)
        layout.addWidget(self.text)
        layout.addWidget(buttons)
        self.form.changed.connect(self._update)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        remember_controls("brainweb", settings=self.form)
        self._update()

    def _update(self) -> None:
        values = self.form.values()
        subject, volumes = values["subject"], values["volumes"]
        if is_cached(subject, volumes):
            self.accept_button.setText("Open")
            where = brainweb_folder(subject, volumes)
            self.text.setText(f"Subject {subject} is on this machine, in {where}; nothing is downloaded.")
            return
        count = len(VOLUMES[volumes])
        self.accept_button.setText("Download")
        self.text.setText(
            f"{count} volume{'s' if count > 1 else ''} of subject {subject}, about {_SIZES[volumes]} MB, will be "
            f"downloaded from {download_address()} into {brainweb_folder(subject, volumes)}, once. "
            "The data is under BrainWeb's own terms; cite Aubert-Broche et al. 2006."
        )

    def _accept(self) -> None:
        try:
            settings = self.form.settings()
        except InputError:
            # the sentence stands beside its field
            return
        self.accept()
        self.chosen.emit(settings)
