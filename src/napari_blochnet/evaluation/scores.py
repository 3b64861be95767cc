"""Scores of estimates against the truth, voxel by voxel, with no notion of maps or models."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray

__all__ = ["FAILURE_DECADES", "Score", "best_constant", "mean_of_logs", "score"]

#: What a rejected voxel counts as in log10 scores: wrong by a factor of ten, worse than any constant answer.
FAILURE_DECADES = 1.0


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well one parameter was estimated in one set of voxels; a row of a tidy table.

    Parameters
    ----------
    model, tissue, parameter, unit : str
        What was scored. ``parameter`` is T1, T2, PD, or "T1, T2" for the mean of their log10 scores.
    voxels, failures : int
        Voxels scored, and those of them without an estimate. A failure counts in every score: as an estimate of 0
        (an error of −100 %), in log10 scores as wrong by `FAILURE_DECADES`.
    bias, mae, rmse : float or None
        Mean error, mean absolute error and root mean square error, in ``unit``.
    bias_percent, median_percent, mae_percent : float or None
        Mean, median absolute and mean absolute of the relative error (estimate − truth)/truth, per cent.
    mse_log10 : float
        Mean of (Δlog10)².
    constant_mse_log10 : float
        The same score of the best constant: the one value, the same in all tissues, that scores best on all voxels.
    bound, rmse_per_bound : float or None
        Root mean square of the Cramér–Rao bound over the voxels, in ``unit``, and ``rmse`` over it; None where the
        noise is not known.
    """

    model: str
    tissue: str
    parameter: str
    unit: str
    voxels: int
    failures: int
    bias: float | None = None
    bias_percent: float | None = None
    median_percent: float | None = None
    mae: float | None = None
    mae_percent: float | None = None
    rmse: float | None = None
    mse_log10: float
    constant_mse_log10: float
    bound: float | None = None
    rmse_per_bound: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the score as a JSON-ready dictionary."""
        return asdict(self)

    def with_bound(self, bound: float | None) -> Score:
        """Return the score beside a bound, in ``unit``; beside none where the bound is not a number above 0."""
        if bound is None or self.rmse is None or not (math.isfinite(bound) and bound > 0):
            return self
        return replace(self, bound=bound, rmse_per_bound=self.rmse / bound)


def best_constant(truth: FloatArray) -> float:
    """Return the constant with the least MSE of log10: the geometric mean."""
    return float(np.exp(np.mean(np.log(truth.astype(np.float64)))))


def score(
    truth: FloatArray,
    estimate: FloatArray,
    failed: BoolArray,
    constant: float,
    *,
    model: str,
    tissue: str,
    parameter: str,
    unit: str,
) -> Score:
    """Score estimates of one parameter.

    Parameters
    ----------
    truth, estimate : array of shape (voxel,)
        In ``unit``; the truth above 0, at least one voxel.
    failed : bool array of shape (voxel,)
        Voxels without an estimate.
    constant : float
        The best constant, see `best_constant`.
    model, tissue, parameter, unit : str
        Entered in the result.

    Returns
    -------
    Score
    """
    true = truth.astype(np.float64)
    made = np.where(failed, 0.0, estimate.astype(np.float64))
    error = made - true
    percent = 100.0 * error / true
    decades = np.full(len(true), FAILURE_DECADES)
    decades[~failed] = np.log10(made[~failed] / true[~failed])
    return Score(
        model=model,
        tissue=tissue,
        parameter=parameter,
        unit=unit,
        voxels=len(true),
        failures=int(failed.sum()),
        bias=float(error.mean()),
        bias_percent=float(percent.mean()),
        median_percent=float(np.median(np.abs(percent))),
        mae=float(np.abs(error).mean()),
        mae_percent=float(np.abs(percent).mean()),
        rmse=float(np.sqrt(np.mean(error**2))),
        mse_log10=float(np.mean(decades**2)),
        constant_mse_log10=float(np.mean(np.log10(constant / true) ** 2)),
    )


def mean_of_logs(t1: Score, t2: Score) -> Score:
    """Return the row of "the" MSE: the mean of the log10 scores of T1 and T2."""
    return Score(
        model=t1.model,
        tissue=t1.tissue,
        parameter="T1, T2",
        unit="",
        voxels=t1.voxels,
        failures=max(t1.failures, t2.failures),
        mse_log10=(t1.mse_log10 + t2.mse_log10) / 2,
        constant_mse_log10=(t1.constant_mse_log10 + t2.constant_mse_log10) / 2,
    )
