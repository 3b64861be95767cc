"""Fitting T1 and T2 by the physics itself: from an estimator's answer to the best explanation of a fingerprint.

Gauss–Newton steps with Levenberg–Marquardt damping in ln T1 and ln T2 (and ln B1 where asked), all voxels side by side
with the decoder's Jacobian. The proton density is eliminated by variable projection for complex and real data;
magnitudes are fitted by their Rician likelihood. A step is taken only where it lowers the misfit, so that no voxel ends
worse than it started.

References
----------
Marquardt, J Soc Indust Appl Math 11:431 (1963); Golub and Pereyra, SIAM J Numer Anal 10:413 (1973), in Kaufman's
approximation (BIT 15:49, 1975); Sijbers et al., IEEE Trans Med Imaging 17:357 (1998), on Rician likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray, IntArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.fitting.noise_models import Batch, LeastSquares, Look, Rician
from napari_blochnet.fingerprints.freedom import spare_numbers
from napari_blochnet.phantoms.quantities import B1_RANGE

__all__ = ["LIMITS", "Fit", "fit", "least_squares", "refine", "standard_errors_at"]

#: Ranges in which fits stay: T1 and T2 in ms, B1 relative. A fit that ends on an edge has not converged.
LIMITS = {"t1": (1.0, 20_000.0), "t2": (0.1, 10_000.0), "b1": B1_RANGE}
#: Largest standard error of a logarithm that is reported; it stands for "the data do not tell".
LARGEST_ERROR = 10.0

# Looks at the data a voxel may take.
_LOOKS = 40
# A fit has converged where its next step would be shorter than this part of the standard error …
_STEP_IN_ERRORS = 0.03
# … where rounding allows no step any more, this part …
_STUCK_IN_ERRORS = 0.1
# … or, without noise, change no parameter by more than this, or no energy by more than rounding can tell.
_STEP = 1e-5
_ROUNDING = 1e-14
# Largest step, in logarithms.
_LONGEST = 0.7
# Gauss–Newton steps without damping from a start that is near, and the length of one that is the last.
_NEAR_STEPS = 3
_SHORT = 0.02
_DAMPING = 1e-4
_MOST_DAMPING = 1e6


@dataclass(frozen=True, eq=False)
class Fit:
    """The end of a fit.

    Parameters
    ----------
    theta : array of shape (V, P)
        ln T1 and ln T2 (ms), and ln B1 where fitted.
    pd : array of shape (V,)
        Proton density; complex for complex data.
    residual : array of shape (V,)
        ‖x − ŝ‖/‖x‖ over the samples that count.
    sigma : array of shape (V,)
        Standard deviation of the noise in each real channel, given or from the residual.
    standard_error : array of shape (V, P)
        Of the logarithms; `LARGEST_ERROR` where the data do not tell.
    converged : bool array of shape (V,)
        Whether a minimum was reached inside `LIMITS`.
    looks : int array of shape (V,)
        How often a voxel was simulated.
    """

    theta: FloatArray
    pd: np.ndarray
    residual: FloatArray
    sigma: FloatArray
    standard_error: FloatArray
    converged: BoolArray
    looks: IntArray


def refine(batch: Batch, start: FloatArray, sigma: FloatArray | None = None, watch: Watch = UNWATCHED) -> Fit:
    """Fit all voxels of a batch from a start.

    Parameters
    ----------
    batch : Batch
    start : array of shape (V, P)
        ln T1 and ln T2 (and ln B1); finite.
    sigma : array of shape (V,), optional
        Standard deviation of the noise in each real channel. None: from each voxel's residual, 2N − P − 2 degrees of
        freedom for complex data, N − P − 1 for real data and magnitudes.
    watch : Watch
        Looked at before each step.

    Returns
    -------
    Fit
    """
    low, high = _edges(batch)
    theta: FloatArray = np.clip(np.asarray(start, np.float64), low, high)
    freedom = _freedom(batch)

    def spread(look: Look, which: IntArray) -> FloatArray:
        return look.cost / freedom[which] if sigma is None else np.square(sigma[which])

    if batch.kind != "magnitude":
        theta, look, converged, looks = fit(batch, LeastSquares(), theta, low, high, spread, watch=watch)
        known = np.sqrt(spread(look, np.arange(len(theta))))
        return _finished(batch, theta, look, known if sigma is not None else _told(batch, known), converged, looks)

    begun = theta
    theta, look, converged, looks = fit(batch, LeastSquares(), theta, low, high, spread, watch=watch)
    # without a number to spare the fit is exact, and nothing tells a noise by which another would be likelier
    positive = np.flatnonzero((look.pd > 0) & (True if sigma is not None else np.isfinite(_told(batch, look.cost))))
    noise: FloatArray = np.sqrt(np.maximum(look.cost / freedom, 1e-14 * np.maximum(look.pd, 1e-30) ** 2))
    if sigma is None:
        if positive.size:
            noise[positive] = Rician.noise(batch, theta[positive], look.pd[positive], positive, noise[positive])
    else:
        noise = np.array(sigma, np.float64)
    found = _rician(batch, begun, theta, look, noise, converged, looks, positive, watch)
    if sigma is None and not np.isfinite(told := _told(batch, found.sigma)).all():
        return replace(found, sigma=told, standard_error=np.where(np.isfinite(told)[:, None], found.standard_error,
                                                                  LARGEST_ERROR))  # fmt: skip
    return found


def least_squares(
    batch: Batch,
    start: FloatArray,
    within: tuple[FloatArray, FloatArray] | None = None,
    watch: Watch = UNWATCHED,
) -> tuple[FloatArray, FloatArray]:
    """Return where the sum of squares is smallest from a start that is near, of magnitudes as of other data.

    A voxel is done with a Gauss–Newton step so short that what it leaves is its square, which is not looked at any
    more. What does not come near in a few steps is fitted with damping.

    Parameters
    ----------
    batch : Batch
    start : array of shape (V, P)
        ln T1 and ln T2 (and ln B1); finite.
    within : tuple of two arrays of shape (P,), optional
        Lowest and highest logarithms. None: `LIMITS`.
    watch : Watch
        Looked at before each step.

    Returns
    -------
    theta : array of shape (V, P)
    fisher : array of shape (V, P, P)
        Half the curvature of the sum of squares, where it was looked at last.
    """
    low, high = _edges(batch) if within is None else within
    start = np.clip(start, low, high)
    theta, fisher = start.copy(), np.empty((*start.shape, start.shape[1]))
    active, before = np.argsort(start[:, 1], kind="stable"), np.full(len(start), np.inf)
    lost: list[IntArray] = []
    for _ in range(_NEAR_STEPS):
        watch.check("fitting")
        look = LeastSquares()(batch, theta[active], active)
        fisher[active] = look.fisher
        step, _ = _step(look, theta[active], low, high, np.zeros(len(active)))
        length, worse = np.abs(step).max(axis=1), look.cost > before[active]
        on = ~worse & (length <= _LONGEST)
        theta[active[on]] = np.clip(theta[active[on]] + step[on], low, high)
        before[active] = look.cost
        lost.append(active[~on])
        active = active[on & (length > _SHORT)]
        if not active.size:
            break
    far = np.sort(np.concatenate([*lost, active]))
    if far.size:
        freedom = _freedom(batch)
        theta[far], look, *_ = fit(batch, LeastSquares(), start[far], low, high,
                                   lambda look, which: look.cost / freedom[which], far, watch=watch)  # fmt: skip
        fisher[far] = look.fisher
    return theta, fisher


def _rician(
    batch: Batch,
    begun: FloatArray,
    theta: FloatArray,
    look: Look,
    noise: FloatArray,
    converged: BoolArray,
    looks: IntArray,
    positive: IntArray,
    watch: Watch,
) -> Fit:
    """Go on from the least-squares answer ``theta`` by likelihood; never end below the likelihood of ``begun``."""
    model, (low, high) = Rician(noise), _edges(batch)
    final = _rows(look, np.arange(len(theta)))
    if positive.size:
        size = np.log(look.pd[positive])
        wide = np.column_stack([theta[positive], size])
        edges = np.append(low, size.min() - 3.0), np.append(high, size.max() + 3.0)
        moved, likely, arrived, more = fit(
            batch, model, wide, *edges, lambda _, which: np.square(noise[which]), positive, watch=watch
        )
        first = LeastSquares()(batch, begun[positive], positive)
        known = first.pd > 0
        was = np.full(len(positive), np.inf)
        was[known] = model(
            batch, np.column_stack([begun[positive], np.log(np.where(known, first.pd, 1.0))])[known], positive[known]
        ).cost
        worse = was < likely.cost
        theta[positive] = np.where(worse[:, None], begun[positive], moved[:, :-1])
        converged[positive] = arrived & ~worse
        looks[positive] += more
        reduced = _without_amplitude(likely)
        reduced = Look(reduced.cost, reduced.score, reduced.fisher, np.where(worse, first.pd, likely.pd),
                       np.where(worse, first.residual, likely.residual))  # fmt: skip
        final.put(positive, reduced, np.arange(len(positive)))
    return _finished(batch, theta, final, noise, converged, looks)


def fit(
    batch: Batch,
    model: Callable[[Batch, FloatArray, IntArray], Look],
    theta: FloatArray,
    low: FloatArray,
    high: FloatArray,
    spread: Callable[[Look, IntArray], FloatArray],
    which: IntArray | None = None,
    *,
    watch: Watch = UNWATCHED,
) -> tuple[FloatArray, Look, BoolArray, IntArray]:
    """Minimise a model's cost from a start (Levenberg–Marquardt), each voxel with its own damping.

    Parameters
    ----------
    batch : Batch
    model : callable
        From batch, parameters (V, P) and voxels (V,) to a `Look`.
    theta : array of shape (V, P)
        Start, between ``low`` and ``high``, which have shape (P,).
    spread : callable
        From a look and its voxels to the variance of the noise, which says how long a step matters.
    which : int array of shape (V,), optional
        Voxels of the batch that are fitted. None: all.

    Returns
    -------
    theta, look : the end, and what the model says there
    converged : bool array of shape (V,)
    looks : int array of shape (V,)
    """
    voxels = np.arange(len(theta)) if which is None else which
    # voxels of similar T2 are simulated together: each block keeps as many orders as its longest needs
    active = np.argsort(theta[:, 1], kind="stable")
    theta = theta.copy()
    watch.check("refining")
    look = model(batch, theta, voxels)
    damping = np.full(len(theta), _DAMPING)
    converged, looks = np.zeros(len(theta), bool), np.ones(len(theta), np.int64)
    for _ in range(_LOOKS):
        here = _rows(look, active)
        step, decrease = _step(here, theta[active], low, high, np.zeros(len(active)))
        energy = here.cost / np.maximum(here.residual, 1e-30)
        near = decrease <= _STEP_IN_ERRORS**2 * spread(here, voxels[active])
        near |= (np.abs(step) <= _STEP).all(axis=1)
        near |= decrease <= _ROUNDING * np.maximum(energy, 0.0)
        stuck = damping[active] > _MOST_DAMPING
        # damped to a standstill: only rounding stands between this and a minimum, or it is none
        near |= stuck & (decrease <= 1e-6 * np.maximum(here.cost, 0.0))
        near |= stuck & (decrease <= _STUCK_IN_ERRORS**2 * spread(here, voxels[active]))
        converged[active[near]] = True
        active, here = active[~(near | stuck)], _rows(here, ~(near | stuck))
        if not active.size:
            break
        watch.check("refining")
        step, _ = _step(here, theta[active], low, high, damping[active])
        longest = np.abs(step).max(axis=1, keepdims=True)
        trial = np.clip(theta[active] + step * np.minimum(1.0, _LONGEST / np.maximum(longest, 1e-30)), low, high)
        found = model(batch, trial, voxels[active])
        looks[active] += 1
        better = found.cost < here.cost
        theta[active[better]] = trial[better]
        look.put(active[better], found, better)
        damping[active] = np.where(
            better, np.maximum(0.1 * damping[active], 1e-9), np.maximum(10.0 * damping[active], 1e-2)
        )
    else:
        # to and fro within rounding
        here = _rows(look, active)
        _, decrease = _step(here, theta[active], low, high, np.zeros(len(active)))
        converged[active[decrease <= _STUCK_IN_ERRORS**2 * spread(here, voxels[active])]] = True
    return theta, look, converged, looks


def _step(
    look: Look, theta: FloatArray, low: FloatArray, high: FloatArray, damping: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the step, and by how much it would lower the cost; parameters on an edge do not step across it."""
    size = np.sqrt(np.maximum(np.diagonal(look.fisher, axis1=1, axis2=2), 0.0))
    blocked = ((theta <= low) & (look.score < 0)) | ((theta >= high) & (look.score > 0)) | (size <= 0)
    unit = np.where(blocked, 1.0, size)
    score = np.where(blocked, 0.0, look.score) / unit
    matrix = np.where(blocked[:, :, None] | blocked[:, None, :], 0.0, look.fisher) / unit[:, :, None] / unit[:, None, :]
    k = np.arange(theta.shape[1])
    matrix[:, k, k] = 1.0 + 1e-10 + damping[:, None]
    solution = np.linalg.solve(matrix, score[..., None])[..., 0]
    return solution / unit, np.maximum((solution * score).sum(axis=1), 0.0)


def _rows(look: Look, chosen: IntArray | BoolArray) -> Look:
    return Look(look.cost[chosen], look.score[chosen], look.fisher[chosen], look.pd[chosen], look.residual[chosen])


def _edges(batch: Batch) -> tuple[FloatArray, FloatArray]:
    names = ("t1", "t2", "b1")[: batch.columns]
    return np.log([LIMITS[name][0] for name in names]), np.log([LIMITS[name][1] for name in names])


def _finished(
    batch: Batch,
    theta: FloatArray,
    look: Look,
    noise: FloatArray,
    converged: BoolArray,
    looks: IntArray,
) -> Fit:
    low, high = _edges(batch)
    inside = ((theta > low) & (theta < high)).all(axis=1)
    return Fit(
        theta,
        look.pd,
        np.sqrt(np.clip(look.residual, 0.0, None)),
        noise,
        _standard_errors(look.fisher, noise),
        converged & inside & (np.abs(look.pd) > 0),
        looks,
    )


def standard_errors_at(batch: Batch, theta: FloatArray, sigma: FloatArray | None = None) -> FloatArray:
    """Return the standard errors (V, P) that the data allow of the logarithms at given parameters, without a fit.

    Parameters
    ----------
    batch : Batch
    theta : array of shape (V, P)
        ln T1 and ln T2.
    sigma : array of shape (V,), optional
        Standard deviation of the noise in each real channel. None: from what the parameters leave unexplained.
    """
    every = np.arange(len(theta))
    look = LeastSquares()(batch, theta, every)
    noise = np.sqrt(look.cost / _freedom(batch)) if sigma is None else np.asarray(sigma, np.float64)
    explained = np.flatnonzero(np.abs(look.pd) > 0)
    if batch.kind == "magnitude" and explained.size:
        if sigma is None:
            noise[explained] = Rician.noise(batch, theta[explained], look.pd[explained], explained,
                                            np.maximum(noise[explained], 1e-7 * look.pd[explained]))  # fmt: skip
        wide = np.column_stack([theta[explained], np.log(look.pd[explained])])
        look.put(explained, _without_amplitude(Rician(noise)(batch, wide, explained)), np.arange(len(explained)))
    return _standard_errors(look.fisher, noise if sigma is not None else _told(batch, noise))


def _without_amplitude(look: Look) -> Look:
    """Take what is known of ln|PD|, the last parameter, off what is known of the others."""
    last = look.fisher[:, -1:, -1:]
    cross = look.fisher[:, :-1, -1:]
    inner = look.fisher[:, :-1, :-1] - cross @ cross.transpose(0, 2, 1) / np.where(last > 0, last, 1.0)
    return Look(look.cost, look.score[:, :-1], inner, look.pd, look.residual)


def _freedom(batch: Batch) -> FloatArray:
    return np.asarray(np.maximum(1.0, spare_numbers(batch.samples, batch.kind, fit_b1=batch.fit_b1)))


def _told(batch: Batch, noise: FloatArray) -> FloatArray:
    """Return the noise, infinite where no number is left over to estimate it from."""
    return np.where(spare_numbers(batch.samples, batch.kind, fit_b1=batch.fit_b1) > 0, noise, np.inf)


def _standard_errors(fisher: FloatArray, noise: FloatArray) -> FloatArray:
    size = np.sqrt(np.maximum(np.diagonal(fisher, axis1=1, axis2=2), 0.0))
    unit = np.where(size > 0, size, 1.0)
    matrix = fisher / unit[:, :, None] / unit[:, None, :]
    k = np.arange(fisher.shape[1])
    matrix[:, k, k] = 1.0 + 1e-12
    variance = np.diagonal(np.linalg.inv(matrix), axis1=1, axis2=2)
    error = np.sqrt(np.maximum(variance, 0.0)) * noise[:, None] / np.where(size > 0, size, 1e-300)
    return np.where(np.isfinite(error), np.minimum(error, LARGEST_ERROR), LARGEST_ERROR)
