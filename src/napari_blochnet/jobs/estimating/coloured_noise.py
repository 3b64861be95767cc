"""Noise of coefficients that is not white: what is mapped is weighed by its covariance, and errors follow from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaincinv

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.evaluation.explained import sample_of
from napari_blochnet.fingerprints.compressed.noise_covariance import noise_covariance
from napari_blochnet.fingerprints.freedom import spare_numbers
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import FingerprintsSettings, ReconstructSettings
from napari_blochnet.sampling.aliased import read_the_same

if TYPE_CHECKING:
    from napari_blochnet.evaluation.maps import ParameterMaps

__all__ = ["levelled", "weighed_by_noise"]

# Of the variance left in the object, relative to that of the covariance: beyond these it is of something else. Frames
# that alias and have no noise leave 2.9, of a 48-fold spiral; with noise, up to an SNR of 30, 1.1 to 1.9.
_LOWEST, _HIGHEST = 0.25, 2.0

_SAME_ALIASING = (
    "Both scans read k-space at the same places: their aliasing is the same, and not in that covariance; only the "
    "level of the standard errors knows of it."
)


def weighed_by_noise(
    stack: FingerprintStack, settings: ReconstructSettings, inside: Callable[[], BoolArray], watch: Watch
) -> tuple[FingerprintStack, tuple[str, ...]]:
    """Return a stack in whose coordinates the noise of its coefficients is white, and what was understood of it.

    ``inside`` returns where the object is, whatever part of it is mapped.

    Raises
    ------
    InputError
        See `napari_blochnet.fingerprints.compressed.noise_covariance.noise_covariance`; noise_sigma beside it.
    """
    if settings.noise_covariance is None:
        return stack, ()
    if settings.noise_sigma is not None:
        raise InputError("noise_sigma and noise_covariance are both given", "one of the two", field="noise_sigma")
    found = noise_covariance(stack, settings.noise_covariance, inside(), watch, _hints_of(stack))
    said: tuple[str, ...] = (found.said,)
    if found.repeat is not None and read_the_same(stack.record, found.repeat):
        said = (*said, _SAME_ALIASING)
    return stack.whitened(found.values), said


def _hints_of(stack: FingerprintStack) -> dict[str, Any]:
    """Return how the file of a stack was understood, as that of a repeated scan then is."""
    record = stack.record
    known = record.get("settings", {}) if record.get("operation") == "open_fingerprints" else {}
    # what the samples are, and where they lie, is told of each file by itself
    fields = {name: known[name] for name in FingerprintsSettings.model_fields if name in known}
    return FingerprintsSettings.model_validate(fields).model_dump()


def levelled(
    maps: ParameterMaps, stack: FingerprintStack, settings: ReconstructSettings
) -> tuple[ParameterMaps, tuple[str, ...]]:
    """Return maps whose standard errors have the noise level of the object itself, and what was found of it.

    Where the covariance of the noise is known, its level may be another inside the object than where it was measured.
    The median over mapped voxels of what is left, χ² in its degrees of freedom, tells by how much; where it is too
    far off, the noise inside is none of that covariance, and there are no standard errors.
    """
    subspace = stack.subspace
    if maps.t1_se is None or maps.t2_se is None or maps.residual is None or subspace is None or subspace.noise is None:
        return maps, ()
    chosen = sample_of(maps.mask & ~maps.failed)
    spare = spare_numbers(subspace.rank, stack.kind, fit_b1=settings.refine and settings.fit_b1)
    if spare < 1 or not chosen.any():
        return maps, ()
    rows = subspace.coordinates(stack.fingerprints(chosen))
    energy = np.square(np.abs(rows), dtype=np.float64).sum(axis=1)
    left = np.square(maps.residual[chosen].astype(np.float64)) * energy
    # the median of χ², by its incomplete gamma function
    level = float(np.median(left) / (2.0 * gammaincinv(spare / 2.0, 0.5) * subspace.noise**2))
    if not _LOWEST <= level <= _HIGHEST:
        said = f"What is left of the coefficients has {level:.2g} times the variance that their noise covariance says"
        return maps.replace(t1_se=None, t2_se=None), (f"{said}: they have no standard errors.",)
    root = np.float32(np.sqrt(level))
    said = f"Standard errors are {root:.2f} times what the noise covariance alone says: so much is left in the object."
    return maps.replace(t1_se=maps.t1_se * root, t2_se=maps.t2_se * root), (said,)
