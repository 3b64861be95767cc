"""Agreement of two methods that measure the same: bias, limits of agreement, concordance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError

__all__ = ["BlandAltman", "bland_altman", "concordance", "differences"]

#: Of a normal distribution 95 % lie within so many standard deviations of its mean; Bland and Altman's number.
COVERAGE = 1.96


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement, in the unit of the differences; ``*_interval`` are confidence intervals.

    Parameters
    ----------
    pairs : int
        How many values of both methods there are.
    bias : float
        Mean difference; NaN where there is no pair.
    sd : float
        Standard deviation of the differences (n − 1); NaN, as are limits and intervals, where there are no two pairs.
    lower, upper : float
        Limits of agreement, bias ∓ 1.96 sd.
    bias_interval, lower_interval, upper_interval : (float, float)
        Of the three, at the confidence that was asked for.
    """

    pairs: int
    bias: float
    sd: float
    lower: float
    upper: float
    bias_interval: tuple[float, float]
    lower_interval: tuple[float, float]
    upper_interval: tuple[float, float]


def bland_altman(
    reference: ArrayLike, other: ArrayLike, *, percent: bool = False, confidence: float = 95.0
) -> BlandAltman:
    """Return the bias of one method against another, and their limits of agreement.

    The differences are ``other − reference``. The limits, bias ± 1.96 standard deviations, hold 95 % of the differences
    where these are normally distributed. The standard error of the bias is s/√n, that of a limit is
    s·√(1/n + 1.96²/(2(n − 1))); the intervals take Student's t with n − 1 degrees of freedom, and all pairs as
    independent.

    Parameters
    ----------
    reference, other : array_like of the same shape
        What either method measured, pair by pair.
    percent : bool
        Whether differences are in per cent of the mean of both, which must not be 0.
    confidence : float
        Of the intervals, per cent.

    Returns
    -------
    BlandAltman

    Raises
    ------
    InputError
        Arrays of different shapes, values that are not finite, or a confidence that is not between 0 and 100.

    References
    ----------
    Bland and Altman, Lancet 327:307 (1986), doi 10.1016/S0140-6736(86)90837-8: the method, and both axes.
    Bland and Altman, Stat Methods Med Res 8:135 (1999), doi 10.1177/096228029900800204: the limits' standard error, and
    differences in per cent.
    """
    from scipy.special import stdtrit

    if not 0 < confidence < 100:
        raise InputError(f"The confidence is {confidence:g} %", "more than 0 and less than 100", field="confidence")
    found = differences(reference, other, percent=percent)
    pairs = found.size
    bias = float(found.mean()) if pairs else math.nan
    if pairs < 2:
        nothing = (math.nan, math.nan)
        return BlandAltman(pairs, bias, math.nan, math.nan, math.nan, nothing, nothing, nothing)
    sd = float(found.std(ddof=1))
    lower, upper = bias - COVERAGE * sd, bias + COVERAGE * sd
    quantile = float(stdtrit(pairs - 1, 0.5 + confidence / 200))
    of_bias = quantile * sd / math.sqrt(pairs)
    of_limit = quantile * sd * math.sqrt(1 / pairs + COVERAGE**2 / (2 * (pairs - 1)))
    return BlandAltman(
        pairs,
        bias,
        sd,
        lower,
        upper,
        (bias - of_bias, bias + of_bias),
        (lower - of_limit, lower + of_limit),
        (upper - of_limit, upper + of_limit),
    )


def differences(reference: ArrayLike, other: ArrayLike, *, percent: bool = False) -> FloatArray:
    """Return ``other − reference``, as it is or in per cent of the mean of both.

    Parameters
    ----------
    reference, other : array_like of the same shape
    percent : bool

    Returns
    -------
    float64 array of that shape

    Raises
    ------
    InputError
        Arrays of different shapes, or values that are not finite.
    """
    first, second = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape:
        raise InputError(f"The methods have values of shapes {first.shape} and {second.shape}", "pairs", field="other")
    found: FloatArray = second - first
    if percent:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 200.0 * found / (first + second)
    if not np.isfinite(found).all():
        what = "or whose mean is 0 " if percent else ""
        raise InputError(f"There are pairs that hold a value that is not finite {what}", "numbers", field="reference")
    return found


def concordance(reference: ArrayLike, other: ArrayLike) -> float:
    """Return Lin's concordance correlation coefficient: 1 where all pairs lie on the line of identity.

    Parameters
    ----------
    reference, other : array_like of the same shape

    Returns
    -------
    float
        From −1 to 1; NaN where a method has the same value in all pairs, as a truth has in a tissue.

    References
    ----------
    Lin, Biometrics 45:255 (1989), doi 10.2307/2532051; variances and covariance with 1/n.
    """
    first, second = np.asarray(reference, np.float64).ravel(), np.asarray(other, np.float64).ravel()
    if not first.size or not np.ptp(first) or not np.ptp(second):
        return math.nan
    one, two = first - first.mean(), second - second.mean()
    apart = first.mean() - second.mean()
    return float(2 * (one * two).mean() / ((one**2).mean() + (two**2).mean() + apart**2))
