"""Controls of the Map tab that need no more than their words."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton

from napari_blochnet.napari_ui.widgets.rows import button

__all__ = ["SWITCHES", "click_button"]

#: Settings of a mapping that are switches beside the estimators.
SWITCHES = {
    "refine": "Refine by physics, with standard errors",
    "fit_b1": "and fit B1 along",
    "uncertainty": "Standard errors by the Cramér–Rao bound",
}


def click_button() -> QPushButton:
    """Return the button that lets clicks in the viewer map."""
    click = button(
        "Click to map",
        "While it is on, a click in the viewer maps the slice under the cursor with all ticked estimators; a drag "
        "still pans. Slices mapped one after another grow into the same maps. Alt+M switches it.",
        checkable=True,
    )
    click.setShortcut("Alt+M")
    click.setAccessibleName("Click to map")
    return click
