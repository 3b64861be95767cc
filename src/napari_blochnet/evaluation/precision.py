"""What the noise allows: Cramér–Rao bounds of tissues, beside which errors of maps are read.

A record of maps says what fingerprints they were made from (``"acquisition"``): schedule, kind of signal and, where
somebody knows it, the noise. The bound is computed at the true T1, T2 and PD, voxel by voxel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.signal_scale import SignalScale
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Acquisition", "acquisition_of", "describe_acquisition", "said_of_b1", "tissue_bounds"]

# Fingerprints that tell stacks apart.
_FEW = 8


@dataclass(frozen=True)
class Acquisition:
    """What fingerprints tell T1, T2 and PD by.

    Parameters
    ----------
    schedule : Schedule
    kind : {"complex", "real", "magnitude"}
    noise_sigma : float
        Standard deviation of the noise in each real channel, in units of the signal of PD 1; above 0. A record has
        it in units of the samples: `in_units_of` brings it to those of a truth.
    fit_b1 : bool
        Whether B1 was estimated along from the same samples, which leaves less to tell T1 and T2 by.
    """

    schedule: Schedule
    kind: SignalKind
    noise_sigma: float
    fit_b1: bool = False

    def in_units_of(self, scale: SignalScale) -> Acquisition:
        """Return the same with its noise in units of the truth's PD, where ``scale`` is between it and the samples."""
        return replace(self, noise_sigma=self.noise_sigma / scale.signal_per_pd)


def describe_acquisition(stack: FingerprintStack) -> dict[str, Any]:
    """Return what `acquisition_of` reads from a record, JSON-ready; the schedule only where the noise is known.

    ``"samples"`` tells stacks apart, whose maps have PD in different units.
    """
    found: dict[str, Any] = {"kind": stack.kind, "noise_sigma": stack.noise_sigma, "samples": _told_apart_by(stack)}
    if stack.is_compressed:
        found["components"] = stack.shape[0]
    elif stack.noise_sigma:
        found["schedule"] = {key: value for key, value in stack.schedule.to_dict().items() if key != "record"}
    return found


def _told_apart_by(stack: FingerprintStack) -> str:
    """Return a digest of a few fingerprints, of one slice: a stack on disk is read in slices."""
    slices = np.flatnonzero(stack.mask.any(axis=(1, 2)))
    few = np.zeros_like(stack.mask)
    if len(slices):
        middle = slices[len(slices) // 2]
        index = np.flatnonzero(stack.mask[middle])
        few[middle].reshape(-1)[index[np.linspace(0, len(index) - 1, _FEW).astype(np.intp)]] = True
    samples = stack.fingerprints(few)
    return hashlib.sha256(f"{stack.shape}".encode() + samples.tobytes()).hexdigest()[:16]


def acquisition_of(maps: ParameterMaps) -> Acquisition | str:
    """Return what maps were made from, or why there is no bound for them, as the end of a sentence."""
    known = maps.record.get("acquisition")
    if not isinstance(known, Mapping) or known.get("noise_sigma") is None:
        return "the noise in its fingerprints is not known"
    sigma, kind = known["noise_sigma"], known.get("kind")
    if sigma == 0:
        return "its fingerprints are noise-free"
    if known.get("components"):
        return "its fingerprints are coefficients of a basis"
    unclear = "its record does not say what noise and schedule its fingerprints had"
    if not (isinstance(sigma, (int, float)) and math.isfinite(sigma) and sigma > 0) or kind not in get_args(SignalKind):
        return unclear
    settings = maps.record.get("settings")
    fitted = isinstance(settings, Mapping) and settings.get("fit_b1") is True and settings.get("refine") is True
    try:
        return Acquisition(Schedule.from_dict(known["schedule"]), cast(SignalKind, kind), float(sigma), fitted)
    except (InputError, KeyError, TypeError):
        return unclear


def tissue_bounds(
    truth: Phantom,
    sets: Mapping[str, BoolArray],
    acquisition: Acquisition,
    voxels: int,
    seed: int = 0,
    *,
    watch: Watch = UNWATCHED,
) -> dict[str, dict[str, float]]:
    """Return the root mean square of the Cramér–Rao bound of each tissue.

    Parameters
    ----------
    truth : Phantom
        T1, T2, PD, and B1 where it has one, which counts as known unless it was estimated along.
    sets : mapping of str to bool array of shape (Z, Y, X)
        Voxels by tissue, at least one each.
    acquisition : Acquisition
        Its noise in units of the truth's PD.
    voxels : int
        Looked at in each tissue, at most; above 0. Of more, this many are drawn at random.
    seed : int
        Of the draw.
    watch : Watch
        Counts tissues.

    Returns
    -------
    dict of str to dict of str to float
        By tissue, then by parameter: T1 and T2 in ms, PD in the truth's unit; infinite where the data do not tell the
        parameter in some voxel.

    Raises
    ------
    Cancelled
        Nothing is kept.
    """
    from napari_blochnet.physics.bounds import cramer_rao_bound

    random = np.random.default_rng(seed)
    found: dict[str, dict[str, float]] = {}
    for done, (tissue, chosen) in enumerate(sets.items()):
        watch.check("the Cramér–Rao bound")
        watch.report(done, len(sets), "Cramér–Rao bound by tissue")
        index = np.flatnonzero(chosen)
        if len(index) > voxels:
            index = np.sort(random.choice(index, voxels, replace=False))
        maps = [truth.t1, truth.t2, truth.pd, *([] if truth.b1 is None else [truth.b1])]
        # crisp tissues repeat a few values many times
        values, counts = np.unique(_rows(maps, index), axis=0, return_counts=True)
        bound = cramer_rao_bound(
            acquisition.schedule,
            *values.T,
            sigma=acquisition.noise_sigma,
            kind=acquisition.kind,
            fit_b1=acquisition.fit_b1,
            cancelled=watch.cancelled,
        )
        found[tissue] = {
            name: float(np.sqrt(np.average(getattr(bound, name.lower()) ** 2, weights=counts)))
            for name in ("T1", "T2", "PD")
        }
    watch.report(len(sets), len(sets), "Cramér–Rao bound by tissue")
    return found


def _rows(maps: list[AnyArray], index: AnyArray) -> AnyArray:
    return np.stack([values.reshape(-1)[index] for values in maps], axis=1).astype(np.float64)


def said_of_b1(maps: ParameterMaps, stack: FingerprintStack, *, fitted: bool) -> str | None:
    """Return what B1 does to T1 and T2 of maps, in a sentence; None where there is nothing to say it of.

    Parameters
    ----------
    maps : ParameterMaps
        With ``b1``.
    stack : FingerprintStack
    fitted : bool
        Whether B1 was fitted along: what that costs in precision. Otherwise: what an error of the map does.

    Notes
    -----
    At the median tissue, by the bound for T1, T2 and B1 together, C: least squares with B1 off by δ end off by
    C[T, B1]/C[B1, B1]·δ, to first order, and the standard error of T with B1 known is smaller by the square root of
    1 − C[T, B1]²/(C[T, T]·C[B1, B1]).
    """
    from napari_blochnet.physics.bounds import cramer_rao_bound

    answered = maps.mask & ~maps.failed
    if maps.b1 is None or not answered.any() or stack.schedule is None:
        return None
    t1, t2, b1 = (float(np.median(values[answered])) for values in (maps.t1, maps.t2, maps.b1))
    covariance = cramer_rao_bound(stack.schedule, t1, t2, 1.0, b1, sigma=1e-6, kind=stack.kind, fit_b1=True,
                                  tolerance=1e-4).covariance  # fmt: skip
    where = f"at the median tissue (T1 {t1:.0f} ms, T2 {t2:.0f} ms, B1 {b1:.2f})"
    with_b1, own = covariance[:2, 2], np.diagonal(covariance)
    if not np.isfinite(own).all():
        return f"These data do not tell T1, T2 and B1 apart {where}." if fitted else None
    if fitted:
        times = 1.0 / np.sqrt(np.maximum(1.0 - with_b1**2 / (own[:2] * own[2]), 1e-12))
        return (
            f"B1 was fitted along, which makes the standard errors of T1 and T2 {times[0]:.1f} and {times[1]:.1f} "
            f"times what they would be with a B1 map {where}."
        )
    percent = 100.0 * with_b1 / own[2] * 0.05 * b1 / np.array([t1, t2])
    return (
        f"A B1 map 5 % too high changes T2 by {percent[1]:+.1f} % and T1 by {percent[0]:+.1f} % {where}; no standard "
        "error holds that."
    )
