"""Layers of differences between a model and the reference, as error layers are of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas.layer_data import image_data
from napari_blochnet.napari_ui.canvas.layers import hidden_steps
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["difference_steps", "drop_others_steps"]

_ROLES = ("T2 difference", "T1 difference")


def drop_others_steps(session: Session, compared: Sequence[ParameterMaps]) -> Steps[None]:
    """Take away layers of differences of other maps than those that were compared: from an earlier reference.

    Parameters
    ----------
    session : Session
    compared : sequence of ParameterMaps
        Whose layers stay.
    """
    for entry in session.entries("maps"):
        if any(entry.subject is maps for maps in compared):
            continue
        for role in _ROLES:
            for layer in session.layers("maps", entry.subject, role):
                viewer = session.viewer
                if viewer is not None and layer in viewer.layers:
                    viewer.layers.remove(layer)
                yield


def difference_steps(
    session: Session,
    maps: ParameterMaps,
    reference: str,
    differences: dict[str, FloatArray],
    limit: float | None = None,
) -> Steps[None]:
    """Show a model's differences from the reference, in its layers of earlier differences if there are any.

    Parameters
    ----------
    session : Session
    maps : ParameterMaps
        The model's.
    reference : str
        What people call the reference.
    differences : dict of str to array of shape (Z, Y, X)
        Of "T1" and "T2", per cent of the mean of both, NaN where there is nothing to compare.
    limit : float, optional
        Shown above and below 0, per cent, for all models. None: what is shown so far, or what follows from the
        differences of all models.
    """
    entry = session.entry(maps)
    if entry is None:
        return
    for role in _ROLES:
        parameter = role.removesuffix(" difference")
        values = differences[parameter]
        name = f"Δ{parameter} (%) – {entry.title} − {reference}"
        found = session.layers("maps", maps, role)
        for layer in found:
            layer.data = values
            layer.name = name
            yield
        if not found:
            shown = replace(entry, role=role)
            # once it is there its limits follow
            item = image_data(values, shown, maps.record, (-1.0, 1.0), visible=False, name=name)
            yield from hidden_steps(session, [item])
        limits_of(session).update(found)
        limits_of(session).choose_by_form((role, 0), limit)
        yield
