"""What plots of agreement show of one region, for whoever draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.agreement.agreement_table import AgreementTable
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.agreement.distributions import Box, box_of, histograms
from napari_blochnet.evaluation.result_tables import Region

__all__ = ["RegionSeries", "Series", "series_of"]

#: More points than this add ink, not information, and slow a view down.
MOST_POINTS = 6000


@dataclass(frozen=True, eq=False)
class Series:
    """One model in one region, or the reference.

    Parameters
    ----------
    name : str
    reference, values : array of shape (n,)
        Pairs of both, ms, at evenly spread voxels of the region, at most `MOST_POINTS`; of the reference twice its own.
    box : Box
        Of the values in all voxels, ms.
    apart : dict of str to Box
        Of the differences, by their unit, "percent" or "ms"; empty of the reference.
    share : array of shape (M,)
        Of a histogram, per cent of the voxels.
    """

    name: str
    reference: FloatArray
    values: FloatArray
    box: Box
    apart: dict[str, Box]
    share: FloatArray


@dataclass(frozen=True, eq=False)
class RegionSeries:
    """The reference and all models in one region; the histograms share their edges, ms."""

    reference: Series
    models: tuple[Series, ...]
    edges: FloatArray


def series_of(agreement: AgreementTable, parameter: str, region: Region) -> RegionSeries:
    """Return what plots show of a region.

    Parameters
    ----------
    agreement : AgreementTable
    parameter : {"T1", "T2"}
    region : Region
        One of the agreement's.
    """
    pairs = [agreement.pairs(model, parameter, region) for model in agreement.models]
    # what a model rejected is in no pair of its own, and may be in another's
    own = max((first for first, _ in pairs), key=len)
    edges, (share, *shares) = histograms([own, *(second for _, second in pairs)])
    models = []
    for name, (first, second), each in zip(agreement.models, pairs, shares, strict=True):
        apart = {unit: box_of(differences(first, second, percent=unit == "percent")) for unit in ("percent", "ms")}
        models.append(Series(name, _thinned(first), _thinned(second), box_of(second), apart, each))
    few = _thinned(own)
    return RegionSeries(Series(agreement.reference, few, few, box_of(own), {}, share), tuple(models), edges)


def _thinned(values: FloatArray) -> FloatArray:
    return values if len(values) <= MOST_POINTS else values[np.linspace(0, len(values) - 1, MOST_POINTS).astype(int)]
