"""Layers of differences between a model and the reference, as error layers are of the truth."""

from __future__ import annotations

from dataclasses import replace

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas.layer_data import image_data
from napari_blochnet.napari_ui.canvas.layers import hidden_steps
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["difference_steps"]


def difference_steps(
    session: Session, maps: ParameterMaps, reference: str, differences: dict[str, FloatArray], limits: dict[str, float]
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
    limits : dict of str to float
        Shown above and below 0, per cent; the same for all models.
    """
    entry = session.entry(maps)
    if entry is None:
        return
    for parameter in ("T2", "T1"):
        role = f"{parameter} difference"
        values, high = differences[parameter], limits[parameter]
        name = f"Δ{parameter} (%) – {entry.title} − {reference}"
        found = session.layers("maps", maps, role)
        for layer in found:
            layer.data = values
            layer.name = name
            layer.contrast_limits_range = layer.contrast_limits = (-high, high)
            yield
        if not found:
            shown = replace(entry, role=role)
            item = image_data(values, shown, maps.record, (-high, high), visible=False, name=name)
            yield from hidden_steps(session, [item])
            for layer in session.layers("maps", maps, role):
                # it took the limits of those that were there before
                layer.contrast_limits_range = layer.contrast_limits = (-high, high)
            yield
