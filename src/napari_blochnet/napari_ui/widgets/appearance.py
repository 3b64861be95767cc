"""Colours of panels and plots, taken from napari's theme, so that both faces of the window agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme

if TYPE_CHECKING:
    import pyqtgraph as pg

__all__ = ["Palette", "button_style", "palette", "panel_style", "style_plot"]


@dataclass(frozen=True)
class Palette:
    """Colours as ``#rrggbb``.

    The traces are legible on the theme's background and told apart by people with colour-vision deficiency
    (after Okabe and Ito's set, the light ones on dark, the dark ones on light). None is green, as the truth is.
    """

    background: str
    text: str
    faint: str
    edge: str
    accent: str
    accent_text: str
    error: str
    good: str
    warning: str
    traces: tuple[str, ...]
    measured: str

    def trace(self, slot: int) -> str:
        """Return the colour of a model by its number; beyond the last they start again."""
        return self.traces[slot % len(self.traces)]


def palette(theme: str) -> Palette:
    """Return the colours that go with a napari theme, by its name."""
    found = get_theme(theme)
    dark = sum(found.background.as_rgb_tuple()[:3]) < 384
    return Palette(
        background=found.background.as_hex(format="long"),
        text=found.text.as_hex(format="long"),
        faint="#9aa0aa" if dark else "#63676e",
        edge="#4a505c" if dark else "#b9b5b2",
        accent="#4f7cff" if dark else "#2f5be0",
        accent_text="#ffffff",
        error="#ff8a80" if dark else "#b3261e",
        good="#6fd6a5" if dark else "#1b7f52",
        warning="#f2b84b" if dark else "#8a5a00",
        traces=(
            ("#56b4e9", "#f0a63a", "#e89ac7", "#f0e442", "#ff7043", "#b9a4ff", "#c0c4cc", "#b98a5a")
            if dark
            else ("#0072b2", "#b86e00", "#b0508a", "#7a7000", "#c03a00", "#5a3fc0", "#55585e", "#6b3f12")
        ),
        measured=found.text.as_hex(format="long"),
    )


def button_style(colours: Palette) -> str:
    """Return the style of small buttons that switch something on."""
    return f"""
    QPushButton {{ padding: 3px 5px; border-radius: 3px; border: 1px solid {colours.edge}; color: {colours.text};
        background: transparent; }}
    QPushButton:hover {{ border-color: {colours.accent}; }}
    QPushButton:checked {{ background: {colours.accent}; color: {colours.accent_text}; }}
    QPushButton:disabled {{ color: {colours.faint}; border-color: transparent; background: transparent; }}
    """


def panel_style(colours: Palette) -> str:
    """Return the style of what panels are built from."""
    return f"""
    QLabel#blochnetHeading {{ font-weight: 600; color: {colours.text}; padding-top: 4px; }}
    QLabel#blochnetNote {{ color: {colours.faint}; }}
    QLabel#blochnetError, QLabel[state="error"] {{ color: {colours.error}; }}
    QLabel[state="good"] {{ color: {colours.good}; }}
    QLabel#blochnetSet {{ color: {colours.warning}; padding-left: 16px; }}
    QLabel#blochnetWarning {{ color: {colours.warning}; }}
    QPushButton#blochnetPrimary {{
        background: {colours.accent}; color: {colours.accent_text}; font-weight: 600; padding: 6px 14px;
        border-radius: 4px; }}
    QPushButton#blochnetPrimary:disabled {{ background: {colours.edge}; color: {colours.faint}; }}
    QToolButton#blochnetFold {{ border: none; background: transparent; color: {colours.text}; padding: 2px 0; }}
    QFrame#blochnetCard {{ border: 1px solid {colours.edge}; border-radius: 4px; }}
    QFrame#blochnetPath {{ border: 2px solid transparent; border-radius: 5px; }}
    QFrame#blochnetPath[target="true"] {{ border: 2px dashed {colours.accent}; }}
    """


def style_plot(plot: pg.PlotItem, colours: Palette, **labels: Any) -> None:
    """Give a plot the theme's colours, quiet axes and a grid.

    Parameters
    ----------
    plot : PlotItem
        What to style.
    colours : Palette
        The theme's colours.
    **labels
        Text by axis (``left="flip angle (°)"``), units in it: pyqtgraph's own unit prefixes would write "kms".
    """
    import pyqtgraph as pg

    for side in ("left", "bottom", "right"):
        if side not in plot.axes:
            continue
        axis = plot.getAxis(side)
        axis.setPen(pg.mkPen(colours.faint, width=1))
        axis.setTextPen(pg.mkPen(colours.text))
        # switching it off scales the axis by its present range once more, so that this is done before there is a label
        if axis.autoSIPrefix:
            axis.enableAutoSIPrefix(False)
        if side in labels:
            axis.setLabel(labels[side], color=colours.text)
    plot.showGrid(x=True, y=True, alpha=0.12)
    plot.setMenuEnabled(False)
    plot.hideButtons()
