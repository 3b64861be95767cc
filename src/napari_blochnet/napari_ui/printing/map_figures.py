"""Paper figure…: the maps that are looked at, as a figure for a paper, with the colours and the slice on the screen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton

from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.jobs.operations.draw import draw_maps
from napari_blochnet.jobs.settings_figures import MapFigureSettings
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.canvas.looks import style_of
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.printing.figure_dialog import FigureDialog
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure
    from napari_blochnet.napari_ui.state.session import Session
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["FROM_SCREEN", "MapFigureButton", "as_on_screen"]

# Settings of what the view bar sets.
_LIMITS = {
    "T1": "t1_limits",
    "T2": "t2_limits",
    "T1 error": "t1_error_limits",
    "T2 error": "t2_error_limits",
}
#: Settings that are taken from the viewer.
FROM_SCREEN = ("slice", "error_limit", *_LIMITS.values())


class MapFigureButton(QPushButton):
    """Draws maps in a grid for a paper.

    Parameters
    ----------
    panel : Panel
        Shows the job and what became of it.
    maps : callable
        Returns the maps that are drawn, one per model.
    truth : callable
        Returns what is true of them, or None.
    """

    def __init__(
        self, panel: Panel, maps: Callable[[], Sequence[ParameterMaps]], truth: Callable[[], Phantom | None]
    ) -> None:
        super().__init__("Paper figure…")
        self.setToolTip(
            "Draw the maps in a grid for a paper (PDF, SVG, PNG): colour bars with units and a scale bar, as wide as a "
            "column of a journal, with the slice and the colours that the viewer shows."
        )
        self._panel, self._maps, self._truth = panel, maps, truth
        self._form: SettingsForm | None = None
        self.dialog: FigureDialog | None = None
        self.clicked.connect(self.ask)

    def ask(self) -> None:
        """Open the dialog."""
        maps = sorted(self._maps(), key=self._panel.session.slot)
        if not maps or self._panel.is_busy:
            return
        session, truth = self._panel.session, self._truth()
        if truth is not None and part_of_truth(truth, maps[0]) is None:
            truth = None
        if self._form is None:
            self._form = SettingsForm(MapFigureSettings, leave_out=FROM_SCREEN)
            self._panel.remember(figure=self._form)
        self._form.set_row_visible("errors", truth is not None)
        seen = as_on_screen(session, maps)
        if truth is None:
            seen = {name: value for name, value in seen.items() if not name.endswith("error_limits")}
        # as the window calls them
        named = [item.replace(estimator=_title(session, item)) for item in maps]
        draw = functools.partial(_prepared, named, truth, seen)
        self.dialog = FigureDialog(self._panel, "Figure of maps", self._form, _said(seen), "maps", draw)
        self.dialog.open()


def as_on_screen(session: Session, maps: Sequence[ParameterMaps]) -> dict[str, Any]:
    """Return the slice and the colour limits with which the viewer shows maps, as settings of a figure."""
    found: dict[str, Any] = {}
    viewer = session.viewer
    layers = session.layers("maps", maps[0], "T1")
    if viewer is not None and layers and viewer.dims.ndisplay == 2:
        world = [0.0] * layers[0].ndim
        world[-3:] = viewer.dims.point[-3:]
        z = round(float(layers[0].world_to_data(world)[-3]))
        if 0 <= z < maps[0].shape[0]:
            found["slice"] = z
    shown = limits_of(session).shown()
    return found | {name: shown[role] for role, name in _LIMITS.items() if role in shown}


def _said(seen: dict[str, Any]) -> str:
    said = [f"slice z {seen['slice']}"] if "slice" in seen else []
    for role, name in _LIMITS.items():
        if name in seen:
            low, high = (f"{end:g}".replace("-", "−") for end in seen[name])
            said.append(f"{role} {low} to {high} {style_of(role).unit}")
    return f"As the viewer shows them: {', '.join(said)}." if said else ""


def _title(session: Session, maps: ParameterMaps) -> str:
    entry = session.entry(maps)
    return maps.estimator if entry is None else entry.title


def _prepared(
    maps: Sequence[ParameterMaps], truth: Phantom | None, seen: dict[str, Any], chosen: dict[str, Any]
) -> Callable[..., DrawnFigure]:
    return functools.partial(draw_maps, maps, truth, **seen, **chosen)
