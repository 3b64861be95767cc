"""Figures for a paper: one voxel, or maps in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.evaluation.beside_truth import turned_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import numbered_names
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.records import make_record
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_figures import MapFigureSettings, VoxelFigureSettings
from napari_blochnet.phantoms.laying import lay_phantom
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure

__all__ = ["draw_maps", "draw_voxel"]

_STEPS = "Drawing"


def draw_voxel(
    stack: FingerprintStack,
    maps: ParameterMaps | Sequence[ParameterMaps] = (),
    truth: Phantom | None = None,
    settings: VoxelFigureSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> DrawnFigure:
    """Draw one voxel for a paper: fingerprints, residuals, and the T1–T2 plane.

    Parameters
    ----------
    stack : FingerprintStack
    maps : ParameterMaps or sequence of them
        One per model, on the stack's grid.
    truth : Phantom, optional
        Its PD is taken as the stack's where the stack was simulated from it, and scaled to the fingerprint otherwise.
    settings : VoxelFigureSettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    **fields
        Fields of `VoxelFigureSettings`.

    Returns
    -------
    DrawnFigure
        ``.save`` writes it as PDF, SVG or PNG; ``.figure`` is matplotlib's.

    Raises
    ------
    InputError
        A voxel or TR index that is not there, or maps on another grid.
    """
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure
    from napari_blochnet.evaluation.drawing.voxel_figure import voxel_caption, voxel_figure
    from napari_blochnet.evaluation.signal_scale import stack_scale
    from napari_blochnet.evaluation.voxel import Decoders, Voxel, explain_voxel, explanation_of

    given = settings_from(VoxelFigureSettings, settings, **fields)
    watch = Watch(progress, cancelled)
    several = _on_grid(maps, stack)
    inputs: dict[str, Any] = {"stack": stack.record or {"operation": "given", "stack": stack.name}}
    inputs["maps"] = _records(several)
    index = _voxel(stack, given.voxel)
    pulses = _pulses(stack, given.pulses)
    watch.report(0, 3, _STEPS)
    items = []
    if truth is not None:
        inputs["truth"] = truth.record or {"operation": "given", "phantom": truth.name}
        laid = lay_phantom(truth, stack.mask.shape, stack.geometry, onto=f"the fingerprints of {stack.name}")
        scale = stack_scale(laid, stack.record, several)
        items.append(explanation_of("truth", laid, index, -1, scale=scale))
    names = numbered_names([source.estimator for source in several])
    unwanted = _left_out(given.leave_out, names)
    for slot, (name, source) in enumerate(zip(names, several, strict=True)):
        if name not in unwanted:
            items.append(explanation_of(name, source, index, slot))
    decoder = Decoders().get(stack.schedule)
    watch.report(1, 3, _STEPS)
    watch.check()
    shown = explain_voxel(decoder, Voxel(stack, index), [item for item in items if item is not None])
    watch.report(2, 3, _STEPS)
    watch.check()
    figure = voxel_figure(shown, content=given.content, width=given.width, pulses=pulses)
    watch.report(3, 3, _STEPS)
    return DrawnFigure(figure, voxel_caption(shown), make_record("draw_voxel", given, inputs))


def draw_maps(
    maps: ParameterMaps | Sequence[ParameterMaps],
    truth: Phantom | None = None,
    settings: MapFigureSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> DrawnFigure:
    """Draw maps of one or several models for a paper, in a grid with colour bars and a scale bar.

    Parameters
    ----------
    maps : ParameterMaps or sequence of them
        One per model, all on one grid; those stored in other directions than the first are turned.
    truth : Phantom, optional
        Drawn as the first column, and the errors against it.
    settings : MapFigureSettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    **fields
        Fields of `MapFigureSettings`.

    Returns
    -------
    DrawnFigure
        ``.save`` writes it as PDF, SVG or PNG; ``.figure`` is matplotlib's.

    Raises
    ------
    InputError
        No maps, maps on different grids, a truth that lies elsewhere, or a slice that is not there.
    """
    from napari_blochnet.evaluation.drawing.map_figure import map_caption, map_figure, slice_of
    from napari_blochnet.evaluation.drawing.sheets import DrawnFigure

    given = settings_from(MapFigureSettings, settings, **fields)
    watch = Watch(progress, cancelled)
    several = [maps] if isinstance(maps, ParameterMaps) else list(maps)
    if not several:
        raise InputError("There are no maps; expected at least one model's.", field="maps")
    first = several[0]
    inputs: dict[str, Any] = {"maps": _records(several)}
    several = [first, *(turned_maps(item, first.shape, first.geometry) for item in several[1:])]
    watch.report(0, 2, _STEPS)
    if truth is not None:
        inputs["truth"] = truth.record or {"operation": "given", "phantom": truth.name}
        truth = lay_phantom(truth, first.shape, first.geometry, onto=f"the maps of {first.estimator}")
    names = numbered_names([source.estimator for source in several])
    z = slice_of(several, given.slice)
    of_errors = None if given.error_limit is None else (-given.error_limit, given.error_limit)
    limits = {
        "T1": given.t1_limits,
        "T2": given.t2_limits,
        "T1 error": given.t1_error_limits or of_errors,
        "T2 error": given.t2_error_limits or of_errors,
    }
    watch.report(1, 2, _STEPS)
    watch.check()
    figure = map_figure(
        several,
        names,
        truth,
        parameters=given.parameters.split(" and "),
        errors=given.errors,
        limits={name: pair for name, pair in limits.items() if pair},
        z=z,
        width=given.width,
        scale_bar=given.scale_bar,
    )
    watch.report(2, 2, _STEPS)
    return DrawnFigure(figure, map_caption(names, truth, z, given.errors), make_record("draw_maps", given, inputs))


def _records(maps: Sequence[ParameterMaps]) -> list[dict[str, Any]]:
    return [item.record or {"operation": "given", "maps": item.estimator} for item in maps]


def _on_grid(maps: ParameterMaps | Sequence[ParameterMaps], stack: FingerprintStack) -> list[ParameterMaps]:
    several = [maps] if isinstance(maps, ParameterMaps) else list(maps)
    found = [turned_maps(item, stack.mask.shape, stack.geometry) for item in several]
    for item in found:
        if item.shape != stack.mask.shape:
            raise InputError(
                f"The maps of {item.estimator} have {item.shape} voxels (z, y, x), the fingerprints {stack.mask.shape}",
                "maps of these fingerprints",
                field="maps",
            )
    return found


def _voxel(stack: FingerprintStack, voxel: tuple[int, int, int] | None) -> tuple[int, int, int]:
    if voxel is None:
        inside = np.argwhere(stack.mask if stack.mask.any() else np.ones(stack.mask.shape, bool))
        nearest = np.square(inside - inside.mean(axis=0)).sum(axis=1).argmin()
        z, y, x = (int(place) for place in inside[nearest])
        return z, y, x
    if not all(0 <= place < length for place, length in zip(voxel, stack.mask.shape, strict=True)):
        last = ", ".join(str(length - 1) for length in stack.mask.shape)
        raise InputError(f"There is no voxel {voxel} (z, y, x)", f"one from (0, 0, 0) to ({last})", field="voxel")
    return voxel


def _left_out(text: str, names: Sequence[str]) -> set[str]:
    unwanted = {name for part in text.split(";") if (name := part.strip())}
    unknown = sorted(unwanted - set(names))
    if unknown:
        raise InputError(
            f"No model is called {unknown[0]!r}", f"of {'; '.join(names) or 'none'}, those left out", field="leave_out"
        )
    return unwanted


def _pulses(stack: FingerprintStack, pulses: tuple[int, int] | None) -> tuple[int, int] | None:
    if pulses is not None and not 1 <= pulses[0] < pulses[1] <= stack.pulses:
        raise InputError(
            f"TR index {pulses[0]} to {pulses[1]} is not there", f"from 1 to {stack.pulses}", field="pulses"
        )
    return pulses
