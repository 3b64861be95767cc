"""Comparing maps with the truth, or averaging them over regions."""

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
from napari_blochnet.jobs.settings_comparing import CompareSettings, RegionSettings
from napari_blochnet.phantoms.laying import lay_phantom
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari_blochnet.evaluation.comparison import Comparison
    from napari_blochnet.evaluation.regions import RegionMeans
    from napari_blochnet.evaluation.result_tables import Region

__all__ = ["compare", "region_means"]

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
    from napari_blochnet.evaluation.regions import read_regions
    from napari_blochnet.evaluation.regions import region_means as average

    given = settings_from(RegionSettings, settings, **fields)
    several = _several(maps)
    inputs: dict[str, Any] = {"maps": _records(several)}
    if isinstance(regions, (str, os.PathLike)):
        found: Sequence[Region] = read_regions(regions, several[0].shape, given.radius, several[0].geometry)
        inputs["regions"] = plain_path(regions)
    else:
        found = regions
        inputs["regions"] = {"operation": "given", "regions": pack_regions(found)}
    if truth is not None:
        inputs["truth"] = truth.record or {"operation": "given", "phantom": truth.name}
        truth = lay_phantom(truth, several[0].shape, several[0].geometry, onto=f"the maps of {several[0].estimator}")
    return average(several, found, truth=truth, title=given.title, record=make_record("region_means", given, inputs))


def _several(maps: ParameterMaps | Sequence[ParameterMaps]) -> list[ParameterMaps]:
    several = [maps] if isinstance(maps, ParameterMaps) else list(maps)
    if not several:
        raise InputError("There are no maps; expected at least one model's.", field="maps")
    first = several[0]
    return [first, *(turned_maps(item, first.shape, first.geometry) for item in several[1:])]


def _records(maps: list[ParameterMaps]) -> list[dict[str, Any]]:
    return [item.record or {"operation": "given", "maps": item.estimator} for item in maps]
