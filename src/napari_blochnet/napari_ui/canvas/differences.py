"""Layers of differences between a model and the reference, as error layers are of the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS
from napari_blochnet.evaluation.error_maps import quantities_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas.layer_data import image_data
from napari_blochnet.napari_ui.canvas.layers import hidden_steps
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["difference_steps", "drop_others_steps"]

_DIFFERENCE = " difference"


def drop_others_steps(session: Session, compared: Sequence[ParameterMaps]) -> Steps[None]:
    """Take away layers of differences from an earlier reference: of other maps than those that were compared now.

    Parameters
    ----------
    session : Session
    compared : sequence of ParameterMaps
        Whose layers stay.
    """
    kept = set(map(id, compared))
    yield from _drop_steps(session, lambda entry: id(entry.subject) not in kept)


def _drop_steps(session: Session, is_old: Callable[[Entry], bool]) -> Steps[None]:
    for layer, entry in session.pairs("maps"):
        if not entry.role.endswith(_DIFFERENCE) or not is_old(entry):
            continue
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
        By parameter, of "T1" and "T2" in per cent of the mean of both, of others in their unit; NaN where there is
        nothing to compare. Layers of what is not among them are taken away.
    limit : float, optional
        Of T1 and T2, shown above and below 0, per cent, for all models. None: what is shown so far, or what follows
        from the differences of all models.
    """
    entry = session.entry(maps)
    if entry is None:
        return
    yield from _drop_steps(
        session, lambda old: old.subject is maps and old.role.removesuffix(_DIFFERENCE) not in differences
    )
    units = quantities_of(maps)
    # T1 comes last, on top
    for parameter, values in reversed(differences.items()):
        role = f"{parameter}{_DIFFERENCE}"
        unit = "%" if parameter in PARAMETERS else units[parameter]
        name = f"Δ{parameter}{f' ({unit})' if unit else ''} – {entry.title} − {reference}"
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
        if parameter in PARAMETERS:
            limits_of(session).choose_by_form((role, 0), limit)
        yield
