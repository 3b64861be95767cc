"""The few time courses that coefficients belong to: of the largest energy, or those that T1 and T2 are told by."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.atoms import AtomForm, schedule_subspace
from napari_blochnet.estimators.matching.grid import TissueGrid
from napari_blochnet.estimators.matching.subspace import find_subspace, unit_rows
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["efficient_scores", "informative_basis", "signal_basis"]

# Tissues that a basis is made of; a finer grid has the same subspace.
_TISSUES = TissueGrid((20.0, 6000.0), (2.0, 3000.0), 0.1)

# Those whose T1 and T2 are to be told by it: T1 (ms), T2 relative to it. Tissues of 20 ms, or without contrast between
# T1 and T2, take time courses that the others need.
_USUAL_T1, _USUAL_RATIO = (100.0, 6000.0), (0.015, 0.75)
# Scores weigh as this power of their standard errors: 0 spares every tissue the same share of its precision, 1 spares
# most where errors are largest, which costs all others much. A tissue counts at most so many times the median, which
# keeps those whose T2 cannot be told from ruling the basis. Signals of unit norm weigh less than mean scores. With a
# FISP train's six time courses the rms errors of T1 and T2 rise by 0.9 and 1.1 % (singular vectors of signals: 4 and
# 11 %), and 2 % of the energy are left out; with the same weight for all tissues of the grid 1.5 and 1.8 %, and 12 %.
_POWER, _MOST, _SIGNALS = 0.25, 2.0, 0.4
_BLOCK = 1024


def signal_basis(schedule: Schedule, form: AtomForm, rank: int, *, watch: Watch = UNWATCHED) -> AnyArray:
    """Return the first singular vectors of the signals of all tissues, of unit norm, under a schedule.

    Parameters
    ----------
    schedule : Schedule
    form : {"signal", "real part", "magnitude"}
        What of the signals.
    rank : int
        Number of time courses.
    watch : Watch

    Returns
    -------
    float64 or complex128 array of shape (time, rank)
        Orthonormal columns.

    References
    ----------
    McGivney et al., IEEE Trans Med Imaging 33:2311 (2014).
    """
    return schedule_subspace(schedule, _TISSUES, form, rank, watch=watch).basis


def informative_basis(schedule: Schedule, rank: int, *, watch: Watch = UNWATCHED) -> AnyArray:
    """Return time courses in which T1 and T2 can be estimated about as well as in all samples.

    An efficient estimate of a parameter reads the fingerprint along one time course, its score made orthogonal to
    what the other parameters do; the variance rises by the share of that course that a subspace leaves out. So the
    basis holds the singular vectors of the scores of usual tissues, nearly of unit norm, and, at a lesser weight, of
    their signals.

    Parameters
    ----------
    schedule : Schedule
    rank : int
        Number of time courses.
    watch : Watch
        Told, and looked at, once per block of tissues.

    Returns
    -------
    float64 or complex128 array of shape (time, rank)
        Orthonormal columns.

    References
    ----------
    Heavens, Jimenez and Lahav, Massive lossless data compression and multiple parameter estimation from galaxy
    spectra. Mon Not R Astron Soc 317:965 (2000); Alsing and Wandelt, Generalized massive optimal data compression.
    Mon Not R Astron Soc 476:L60 (2018); here one basis serves the scores of all tissues.
    """
    decoder = EPGDecoder(schedule, tolerance=1e-4)
    t1_index, t2_index = _TISSUES.atoms()
    t1, t2 = _TISSUES.t1_values[t1_index], _TISSUES.t2_values[t2_index]
    ratio = t2 / t1
    usual = (t1 >= _USUAL_T1[0]) & (t1 <= _USUAL_T1[1]) & (ratio >= _USUAL_RATIO[0]) & (ratio <= _USUAL_RATIO[1])
    t1, t2 = t1[usual], t2[usual]
    order = np.argsort(t2, kind="stable")

    signals: list[AnyArray] = []
    scores: tuple[list[AnyArray], list[AnyArray]] = ([], [])
    for start in range(0, len(order), _BLOCK):
        watch.check("finding the basis")
        watch.report(start, len(order), "finding the basis")
        where = order[start : start + _BLOCK]
        signal, derivatives = (part.numpy() for part in decoder.jacobian(t1[where], t2[where]))
        number = np.complex128 if np.iscomplexobj(signal) else np.float64
        per_log = derivatives.astype(number) * np.stack([t1[where], t2[where]], axis=-1)[:, None, :]
        unit, norms = unit_rows(signal.astype(number))
        signals.append(_SIGNALS * unit[norms > 0])
        for found, of_one in zip(scores, efficient_scores(unit[norms > 0], per_log[norms > 0]), strict=True):
            found.append(of_one)
    return find_subspace([*signals, *(_weighed(np.concatenate(of_one)) for of_one in scores)], 0.5, rank).basis


def _weighed(scores: AnyArray) -> AnyArray:
    """Return scores of unit norm times a power of their standard errors, whose mean square over the tissues is 1."""
    unit, norms = unit_rows(scores)
    told = norms > 0
    weights = norms[told] ** -_POWER
    weights = np.minimum(weights, _MOST * np.median(weights))
    rows: AnyArray = unit[told] * (weights / np.sqrt(np.square(weights).mean()))[:, None]
    return rows


def efficient_scores(unit: AnyArray, derivatives: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return what T1 alone, and T2 alone, does to fingerprints, beyond what the other and the proton density can do.

    Parameters
    ----------
    unit : array of shape (tissue, time)
        Signals of unit norm; a complex proton density moves along them.
    derivatives : array of shape (tissue, time, 2)
        In T1 and T2.

    Returns
    -------
    of_t1, of_t2 : arrays of shape (tissue, time)
        Their squared norms are the inverse of the Cramér–Rao bounds of T1 and T2 at unit noise.
    """
    along = np.einsum("it,itp->ip", unit.conj(), derivatives)
    left = derivatives - unit[:, :, None] * along[:, None, :]
    first, second = left[..., 0], left[..., 1]
    common = np.einsum("it,it->i", first.conj(), second).real

    def without(one: AnyArray, other: AnyArray) -> AnyArray:
        power = np.square(np.abs(other)).sum(axis=1)
        beside: AnyArray = one - other * (common / np.where(power > 0, power, 1.0))[:, None]
        return beside

    return without(first, second), without(second, first)
