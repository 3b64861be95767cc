"""Figure…: the maps that are looked at, as a figure for a paper, with the colours and the slice on the screen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton

from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.jobs.operations.draw import draw_maps
from napari_blochnet.jobs.settings_figures import MapFigureSettings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.printing.figure_dialog import FigureDialog
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure
    from napari_blochnet.napari_ui.state.session import Session
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["FROM_SCREEN", "MapFigureButton", "as_on_screen"]

#: Settings that are taken from the viewer.
FROM_SCREEN = ("slice", "t1_limits", "t2_limits", "error_limit")


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
        super().__init__("Figure…")
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
    for role, name in (("T1", "t1_limits"), ("T2", "t2_limits")):
        limits = [layer.contrast_limits for item in maps for layer in session.layers("maps", item, role)]
        if limits:
            found[name] = (min(low for low, _ in limits), max(high for _, high in limits))
    errors = [
        float(max(abs(edge) for edge in layer.contrast_limits))
        for item in maps
        for role in ("T1 error", "T2 error")
        for layer in session.layers("maps", item, role)
    ]
    if errors:
        found["error_limit"] = max(errors)
    return found


def _said(seen: dict[str, Any]) -> str:
    said = [f"slice z {seen['slice']}"] if "slice" in seen else []
    said += [
        f"{name} {seen[key][0]:g} to {seen[key][1]:g} ms"
        for name, key in (("T1", "t1_limits"), ("T2", "t2_limits"))
        if key in seen
    ]
    if "error_limit" in seen:
        said.append(f"errors ±{seen['error_limit']:g} %")
    return f"As the viewer shows them: {', '.join(said)}." if said else ""


def _title(session: Session, maps: ParameterMaps) -> str:
    entry = session.entry(maps)
    return maps.estimator if entry is None else entry.title


def _prepared(
    maps: Sequence[ParameterMaps], truth: Phantom | None, seen: dict[str, Any], chosen: dict[str, Any]
) -> Callable[..., DrawnFigure]:
    return functools.partial(draw_maps, maps, truth, **seen, **chosen)
