"""Where it is computed, as a choice."""

from __future__ import annotations

import re
import sys

from qtpy.QtWidgets import QComboBox

from napari_blochnet.jobs.operations.devices import available_devices

__all__ = ["DeviceChoice"]


class DeviceChoice(QComboBox):
    """Automatic, the CPU, and each GPU by its name once something has loaded torch."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("Where it is computed; automatic takes a GPU where there is one.")
        self.setAccessibleName("Device")
        self.addItem("automatic", "auto")
        self.addItem("CPU", "cpu")

    def restore(self, key: str) -> None:
        """Choose a device of an earlier session; whether a GPU is still there shows once torch is loaded."""
        if self.findData(key) < 0 and re.fullmatch(r"cuda:\d{1,2}", key):
            self.addItem(key, key)
        self.setCurrentIndex(max(0, self.findData(key)))

    def update_devices(self) -> None:
        """Look for GPUs, if that costs nothing: naming them needs torch, which opening a panel must not load."""
        if "torch" not in sys.modules:
            return
        before = self.currentData()
        self.blockSignals(True)
        self.clear()
        for key, name in available_devices().items():
            self.addItem(name, key)
        self.setCurrentIndex(max(0, self.findData(before)))
        self.blockSignals(False)
