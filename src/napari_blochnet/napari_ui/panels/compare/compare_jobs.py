"""What the Compare tab does in worker threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.agreement.series import RegionSeries
from napari_blochnet.evaluation.beside_truth import signed_errors, turned_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.jobs.operations.compare import region_means
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings
from napari_blochnet.napari_ui.panels.compare.plot_view import region_series
from napari_blochnet.napari_ui.state.comparing import agree_with, compare_with
from napari_blochnet.napari_ui.state.session import Compared
from napari_blochnet.phantoms.laying import lay_phantom
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari_blochnet.common.progress import CancelEvent, ProgressCallback
    from napari_blochnet.evaluation.agreement.agreeing import Agreement
    from napari_blochnet.evaluation.comparison import Comparison

__all__ = ["Found", "read_chosen", "run_agreement", "run_comparison", "write_made", "write_means"]


@dataclass(frozen=True, eq=False)
class Found:
    """What a comparison found, and what is drawn of it."""

    compared: Compared
    #: of each of the maps, in their order: errors, or differences from the model that is the reference
    apart: list[dict[str, FloatArray]]
    #: of the plots' region, by parameter
    series: tuple[str, dict[str, RegionSeries]]


def run_comparison(
    truth: Phantom | None,
    reference: ParameterMaps | None,
    maps: list[ParameterMaps],
    settings: tuple[CompareSettings, AgreementSettings],
    region: str,
    *,
    progress: ProgressCallback,
    cancelled: CancelEvent,
) -> Found:
    """Compare, and compute errors or differences for the layers; worker thread."""
    compared = compare_with(truth, reference, maps, *settings, progress=progress, cancelled=cancelled)
    apart = []
    for item in maps:
        if reference is not None:
            apart.append(difference_maps(turned_maps(reference, item.shape, item.geometry), item))
        elif truth is not None:
            part = lay_phantom(truth, item.shape, item.geometry, onto=f"the maps of {item.estimator}")
            apart.append(signed_errors(part, item))
    return Found(compared, apart, _series(compared, region))


def run_agreement(
    compared: Compared,
    regions: Sequence[Region] | None,
    settings: AgreementSettings,
    region: str,
    *,
    progress: ProgressCallback,
    cancelled: CancelEvent,
) -> Found:
    """Compute agreement in other regions; worker thread."""
    found = agree_with(compared, regions, settings, progress=progress, cancelled=cancelled)
    return Found(found, [], _series(found, region))


def _series(compared: Compared, region: str) -> tuple[str, dict[str, RegionSeries]]:
    assert compared.agreement is not None
    return region_series(compared.agreement, region)[1:]


def read_chosen(
    paths: list[str], *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None
) -> ParameterMaps:
    """Read maps that a person chose; worker thread."""
    return read_maps(paths)


def write_made(
    made: Comparison | Agreement,
    path: str,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[str]:
    """Write a comparison; worker thread, for figures take seconds."""
    target = Path(path)
    ending = check_ending(target, (".csv", ".html", ".htm", ".png", ".svg", ".pdf"), "comparisons")
    try:
        if ending in (".png", ".svg", ".pdf"):
            return [file.name for file in made.to_figures(target)]
        (made.to_csv if ending == ".csv" else made.to_html)(target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).", field="path") from None
    return [str(target)]


def write_means(
    maps: Sequence[ParameterMaps],
    regions: Sequence[Region],
    truth: Phantom | None,
    path: str,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[str]:
    """Write means over regions with their record; worker thread, for pages take seconds."""
    ending = check_ending(path, (".csv", ".html", ".htm"), "means over regions")
    means = region_means(maps, regions, truth)
    try:
        (means.to_csv if ending == ".csv" else means.to_html)(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).", field="path") from None
    return [path]
