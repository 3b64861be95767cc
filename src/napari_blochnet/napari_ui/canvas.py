"""What the canvas shows: which of our layers are visible, alone or side by side, and at which slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.layers import Image, Layer

from napari_blochnet.arrays import BoolArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.errors import part_of_truth
from napari_blochnet.napari_ui.session import Session, entry_of
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["look_at", "show_only", "show_quantity", "show_result", "side_by_side", "truth_layers"]


def look_at(session: Session, layers: Sequence[Layer], mask: BoolArray) -> None:
    """Go to the slice with most voxels inside the mask, and show the last layer alone."""
    viewer = session.viewer
    if viewer is None or not layers:
        return
    show_only(session, layers[-1:])
    z = int(np.argmax(mask.sum(axis=(1, 2))))
    point = layers[-1].data_to_world([0] * (layers[-1].ndim - 3) + [z, 0, 0])
    viewer.dims.set_point(viewer.dims.ndim - 3, point[-3])
    side_by_side(session, False)


def show_only(session: Session, layers: Sequence[Layer]) -> None:
    """Show these of our layers and hide our others; layers of other people, and regions, stay as they are."""
    chosen = set(map(id, layers))
    for layer in session.layers():
        entry = entry_of(layer)
        if entry is not None and entry.kind != "region":
            layer.visible = id(layer) in chosen
    viewer = session.viewer
    if viewer is not None and layers:
        viewer.layers.selection.active = layers[-1]
        for layer in session.layers():
            if isinstance(layer, Image):
                layer.name_overlay.visible = len(layers) > 1
    session.view_changed.emit()


def truth_layers(session: Session, other: FingerprintStack | ParameterMaps, role: str) -> list[Layer]:
    """Return the layers of phantoms that cover a stack or maps, in one role."""
    return [layer for layer in session.layers("phantom", role=role)
            if part_of_truth(entry_of(layer).subject, other) is not None]  # fmt: skip


def show_result(session: Session, maps: Sequence[ParameterMaps], truth: Phantom | None) -> None:
    """Show maps side by side: T1 and T2, each as truth, estimates and errors where there is a truth."""
    viewer = session.viewer
    if viewer is None or not maps:
        return
    rows: list[list[Layer]] = []
    for role in ("T1", "T2"):
        row = truth_layers(session, maps[0], role)[-1:] if truth is not None else []
        row += [layer for item in maps for layer in session.layers("maps", item, role)]
        row += [layer for item in maps for layer in session.layers("maps", item, f"{role} error")]
        rows.append(row)
    shown = [layer for row in rows for layer in row]
    if not shown:
        return
    # the grid fills its cells in the order of the layers, the lowest first
    if list(viewer.layers)[-len(shown) :] != shown:
        for layer in shown:
            viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))
    show_only(session, shown)
    viewer.canvas.grid.shape = (2, len(rows[0])) if len(rows[0]) == len(rows[1]) else _grid_shape(len(shown))
    side_by_side(session, True)


def _grid_shape(count: int) -> tuple[int, int]:
    """Return rows and columns for some layers, with as few free cells as may be."""
    columns = next((n for n in (4, 3) if count % n == 0), count) if count > 3 else count
    return (max(1, count // max(1, columns)), max(1, columns))


def show_quantity(session: Session, role: str, *, beside: bool) -> None:
    """Show one quantity: the newest layer of it, or all layers of it side by side."""
    found = session.layers(role=role)
    if role in ("T1", "T2"):
        found += session.layers(role=f"{role} error") if beside else []
    if not found:
        return
    show_only(session, found if beside else found[-1:])
    if session.viewer is not None:
        session.viewer.canvas.grid.shape = _grid_shape(len(found))
    side_by_side(session, beside)


def side_by_side(session: Session, beside: bool) -> None:
    """Switch napari's grid on or off, and fit the view."""
    viewer = session.viewer
    if viewer is None:
        return
    if viewer.canvas.grid.enabled != beside:
        viewer.canvas.grid.enabled = beside
    viewer.reset_view()
