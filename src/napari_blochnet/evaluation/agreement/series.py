"""What plots of agreement show of one region, for whoever draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.agreement.agreement_table import AgreementTable
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS
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
        Pairs of both, in the parameter's unit, at evenly spread voxels of the region, at most `MOST_POINTS`; of the
        reference twice its own.
    box : Box
        Of the values in all voxels.
    apart : dict of str to Box
        Of the differences, by their unit, "percent" or "ms"; both in the parameter's unit where it is no time; empty of
        the reference.
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
    """The reference and the models that have a parameter, in one region; the histograms share their edges.

    Parameters
    ----------
    reference : Series
    models : tuple of Series
    edges : array of shape (M + 1,)
        In ``unit``.
    unit : str
        Of the parameter.
    is_time : bool
        Whether it is T1 or T2: above 0, on logarithmic axes, its differences in per cent too.
    """

    reference: Series
    models: tuple[Series, ...]
    edges: FloatArray
    unit: str = "ms"
    is_time: bool = True

    def axis(self, name: str) -> str:
        """Return a label with the unit."""
        return f"{name} ({self.unit})" if self.unit else name

    def sign(self, unit: str) -> str:
        """Return in what differences are shown where "percent" or "ms" is asked for; empty of what has no unit."""
        return {"percent": "%", "ms": "ms"}[unit] if self.is_time else self.unit


def series_of(agreement: AgreementTable, parameter: str, region: Region) -> RegionSeries:
    """Return what plots show of a region.

    Parameters
    ----------
    agreement : AgreementTable
    parameter : str
        Of the agreement's.
    region : Region
        One of the agreement's.
    """
    is_time, names = parameter in PARAMETERS, agreement.models_of(parameter)
    pairs = [agreement.pairs(model, parameter, region) for model in names]
    # what a model rejected is in no pair of its own, and may be in another's
    own = max((first for first, _ in pairs), key=len)
    edges, (share, *shares) = histograms([own, *(second for _, second in pairs)])
    models = []
    for name, (first, second), each in zip(names, pairs, shares, strict=True):
        apart = {
            unit: box_of(differences(first, second, percent=is_time and unit == "percent"))
            for unit in ("percent", "ms")
        }
        models.append(Series(name, _thinned(first), _thinned(second), box_of(second), apart, each))
    few = _thinned(own)
    reference = Series(agreement.reference, few, few, box_of(own), {}, share)
    return RegionSeries(reference, tuple(models), edges, agreement.parameters[parameter], is_time)


def _thinned(values: FloatArray) -> FloatArray:
    return values if len(values) <= MOST_POINTS else values[np.linspace(0, len(values) - 1, MOST_POINTS).astype(int)]
