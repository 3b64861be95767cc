"""Comparing maps with the truth or with each other, or averaging them over regions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.evaluation.beside_truth import turned_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.jobs.packing import pack_regions
from napari_blochnet.jobs.records import make_record, plain_path
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings, RegionSettings
from napari_blochnet.phantoms.laying import lay_phantom
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari_blochnet.evaluation.agreement.agreeing import Agreement
    from napari_blochnet.evaluation.comparison import Comparison
    from napari_blochnet.evaluation.regions import RegionMeans
    from napari_blochnet.evaluation.result_tables import Region

__all__ = ["agreement", "compare", "region_means"]

PathLike = str | os.PathLike[str]


@tells_of_compiling
def compare(
    truth: Phantom,
    maps: ParameterMaps | Sequence[ParameterMaps],
    settings: CompareSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Comparison:
    """Compare maps with the truth.

    Parameters
    ----------
    truth : Phantom
        On the maps' grid, or with more slices. Stored in other directions it is turned; on another grid each voxel
        takes the nearest one's tissue. A `DataWarning` tells.
    maps : ParameterMaps or sequence of them
        One per model, all on one grid; those stored in other directions than the first are turned.
    settings : CompareSettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in tissues.
    **fields
        Fields of `CompareSettings`.

    Returns
    -------
    Comparison
        ``.table`` has a row per model, tissue and parameter; ``.to_html`` and ``.to_csv`` write it.

    Raises
    ------
    InputError
        A truth that lies elsewhere, maps on different grids, or no maps.
    """
    from napari_blochnet.evaluation.comparison import compare_maps

    given = settings_from(CompareSettings, settings, **fields)
    several = _several(maps)
    inputs = {"truth": truth.record or {"operation": "given", "phantom": truth.name}, "maps": _records(several)}
    record = make_record("compare", given, inputs)
    truth = lay_phantom(truth, several[0].shape, several[0].geometry, onto=f"the maps of {several[0].estimator}")
    return compare_maps(truth, several, record=record, watch=Watch(progress, cancelled), **given.model_dump())


def region_means(
    maps: ParameterMaps | Sequence[ParameterMaps],
    regions: PathLike | Sequence[Region],
    truth: Phantom | None = None,
    settings: RegionSettings | None = None,
    **fields: Any,
) -> RegionMeans:
    """Average maps, and the truth where there is one, over regions of interest.

    Parameters
    ----------
    maps : ParameterMaps or sequence of them
        One per model, all on one grid.
    regions : path, or sequence of Region
        A label image (NIfTI), or spheres in a CSV file with columns ``sphere,x,y[,z,radius]`` in voxels and, where
        known, reference values such as ``t1_true_ms``; or regions already made, painted ones for example.
    truth : Phantom, optional
        On the maps' grid, or with more slices. Estimated PD is then scaled to it by one number per stack.
    settings : RegionSettings, optional
    **fields
        Fields of `RegionSettings`.

    Returns
    -------
    RegionMeans
        ``.table`` has a row per model, region and parameter; ``.to_html`` and ``.to_csv`` write it.
    """
    from napari_blochnet.evaluation.regions import region_means as average

    given = settings_from(RegionSettings, settings, **fields)
    several = _several(maps)
    inputs: dict[str, Any] = {"maps": _records(several)}
    found, inputs["regions"] = _regions(regions, several[0], given.radius)
    if truth is not None:
        inputs["truth"] = truth.record or {"operation": "given", "phantom": truth.name}
        truth = lay_phantom(truth, several[0].shape, several[0].geometry, onto=f"the maps of {several[0].estimator}")
    return average(several, found, truth=truth, title=given.title, record=make_record("region_means", given, inputs))


def agreement(
    maps: ParameterMaps | Sequence[ParameterMaps],
    truth: Phantom | None = None,
    regions: PathLike | Sequence[Region] | None = None,
    settings: AgreementSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Agreement:
    """Compare models with each other, or with the truth, by bias and limits of agreement (Bland and Altman).

    No truth is needed: one model is the reference, by default the first. The differences are model − reference, in ms
    and in per cent of the mean of both, at the voxels that all models have.

    Parameters
    ----------
    maps : ParameterMaps or sequence of them
        One per model, all on one grid; those stored in other directions than the first are turned.
    truth : Phantom, optional
        As in `compare`. The reference, unless the setting ``reference`` names a model: then its tissues alone are used.
    regions : path or sequence of Region, optional
        As in `region_means`; the pairs are taken in each, beside all voxels and the truth's tissues (pure voxels).
    settings : AgreementSettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in models.
    **fields
        Fields of `AgreementSettings`.

    Returns
    -------
    Agreement
        ``.table`` has a row per model, region and parameter, with confidence intervals; ``.to_html``, ``.to_csv``
        and ``.to_figures`` write it.

    Raises
    ------
    InputError
        Fewer than two sources of maps, maps on different grids, a reference that is not among them, or no voxel in
        common.

    References
    ----------
    Bland and Altman, Lancet 327:307 (1986), doi 10.1016/S0140-6736(86)90837-8; Stat Methods Med Res 8:135 (1999), doi
    10.1177/096228029900800204. Lin, Biometrics 45:255 (1989), doi 10.2307/2532051.
    """
    from napari_blochnet.evaluation.agreement.agreeing import agree

    given = settings_from(AgreementSettings, settings, **fields)
    several = _several(maps)
    inputs: dict[str, Any] = {"maps": _records(several)}
    found: Sequence[Region] | None = None
    if regions is not None:
        found, inputs["regions"] = _regions(regions, several[0], given.radius)
    if truth is not None:
        inputs["truth"] = truth.record or {"operation": "given", "phantom": truth.name}
        truth = lay_phantom(truth, several[0].shape, several[0].geometry, onto=f"the maps of {several[0].estimator}")
    record = make_record("agreement", given, inputs)
    chosen = given.model_dump(exclude={"radius"})
    return agree(several, truth, found, record=record, watch=Watch(progress, cancelled), **chosen)


def _regions(
    regions: PathLike | Sequence[Region], maps: ParameterMaps, radius: float
) -> tuple[Sequence[Region], str | dict[str, Any]]:
    """Return regions on the grid of maps, and what a record says of them."""
    from napari_blochnet.evaluation.regions import read_regions

    if isinstance(regions, (str, os.PathLike)):
        return read_regions(regions, maps.shape, radius, maps.geometry), plain_path(regions)
    return regions, {"operation": "given", "regions": pack_regions(regions)}


def _several(maps: ParameterMaps | Sequence[ParameterMaps]) -> list[ParameterMaps]:
    several = [maps] if isinstance(maps, ParameterMaps) else list(maps)
    if not several:
        raise InputError("There are no maps; expected at least one model's.", field="maps")
    first = several[0]
    return [first, *(turned_maps(item, first.shape, first.geometry) for item in several[1:])]


def _records(maps: list[ParameterMaps]) -> list[dict[str, Any]]:
    return [item.record or {"operation": "given", "maps": item.estimator} for item in maps]
