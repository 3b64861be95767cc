"""Where it is computed, as a choice."""

from __future__ import annotations

import re
import sys

from napari_blochnet.jobs.operations.devices import available_devices
from napari_blochnet.napari_ui.widgets.choices import OpenChoice

__all__ = ["DeviceChoice"]


class DeviceChoice(OpenChoice):
    """Automatic, the CPU, and each GPU by its name once something has loaded torch."""

    def __init__(self) -> None:
        self._earlier: list[str] = []
        tooltip = "Where it is computed; automatic takes a GPU where there is one."
        super().__init__(self._devices, called="Device", tooltip=tooltip)

    def _devices(self) -> list[tuple[str, str]]:
        # naming GPUs needs torch, which opening a panel must not load
        if "torch" in sys.modules:
            return [(name, key) for key, name in available_devices().items()]
        return [("automatic", "auto"), ("CPU", "cpu"), *((key, key) for key in self._earlier)]

    def restore(self, key: str) -> None:
        """Choose a device of an earlier session; whether a GPU is still there shows once torch is loaded."""
        if re.fullmatch(r"cuda:\d{1,2}", key):
            self._earlier = [key]
        with self.changed.blocked():
            self.reset_choices()
            if key in self.choices:
                self.value = key

    def update_devices(self) -> None:
        """Look for GPUs, if that costs nothing; where one has gone, nobody has chosen another."""
        with self.changed.blocked():
            self.reset_choices()
