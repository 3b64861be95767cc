"""Exponentials, sines and cosines that the compiler can run on all lanes at once.

Calls into the C library are made one number at a time; these few lines of arithmetic are not, and they are written in
the form the recursion needs: 1 − exp(−x) and 1 − cos(x) without cancellation, so that rounding does not build up over
a train of a thousand equal TRs.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, call-arg, var-annotated, import-untyped"
# mypy: no-warn-unreachable
from __future__ import annotations

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["at", "decay", "gather", "jit", "one_minus_exp", "rotation"]


def jit(function):
    """Compile with the GIL released, cached on disk; products and sums may fuse, nothing else may be reordered.

    The cache looks at the file of the compiled function alone: after a change to a function that others call, touch
    their files too.
    """
    return nb.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})(function)


@intrinsic
def _power_of_half(typing_context, exponent, like):
    """2^(−exponent) for a 32-bit integer from 0 to 126, in the type of ``like``, by writing the exponent's bits."""
    if not (exponent == types.int32 and like in (types.float32, types.float64)):
        return None

    def build(context, builder, signature, arguments):
        number = arguments[0]
        if like == types.float32:
            biased = builder.sub(ir.Constant(ir.IntType(32), 127), number)
            return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), ir.FloatType())
        wide = builder.zext(number, ir.IntType(64))
        biased = builder.sub(ir.Constant(ir.IntType(64), 1023), wide)
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(64), 52)), ir.DoubleType())

    return like(exponent, like), build


def at(values, lane):
    """``values[lane]`` of an array; of a number, that number: loops over lanes are written once for both."""
    raise NotImplementedError("compiled code only")


def one_minus_exp(x):
    """1 − exp(−x) for x ≥ 0, to rounding, in the type of x; 1 beyond x = 80."""
    raise NotImplementedError("compiled code only")


def versine_and_sine(x):
    """(1 − cos x, sin x) for |x| up to some tens, to rounding, in the type of x."""
    raise NotImplementedError("compiled code only")


_NUMPY = {types.float32: np.float32, types.float64: np.float64}


def _typed(kind, *values: float):
    return tuple(_NUMPY[kind](value) for value in values)


def gather(values, chosen):
    """``values[chosen]``, or None for None."""
    raise NotImplementedError("compiled code only")


def rotation(angle, transmit, lanes):
    """1 − cos and sin: of ``angle``, two numbers; of ``angle * transmit[j]``, two rows of ``lanes``, repeated there."""
    raise NotImplementedError("compiled code only")


@overload(gather)
def _gather(values, chosen):
    if isinstance(values, types.NoneType):
        return lambda values, chosen: None
    return lambda values, chosen: values[chosen]


@overload(rotation)
def _rotation(angle, transmit, lanes):
    if isinstance(transmit, types.NoneType):
        return lambda angle, transmit, lanes: versine_and_sine(angle)

    def by_lane(angle, transmit, lanes):
        sets = lanes.reshape(2, lanes.shape[1] // len(transmit), len(transmit))
        for j in range(len(transmit)):
            sets[0, 0, j], sets[1, 0, j] = versine_and_sine(angle * transmit[j])
        for p in range(1, sets.shape[1]):
            for j in range(len(transmit)):
                sets[0, p, j] = sets[0, 0, j]
                sets[1, p, j] = sets[1, 0, j]
        return lanes[0], lanes[1]

    return by_lane


@overload(at)
def _at(values, lane):
    if isinstance(values, types.Array):
        return lambda values, lane: values[lane]
    return lambda values, lane: values


@overload(one_minus_exp, inline="never")
def _one_minus_exp(x):
    if x not in (types.float32, types.float64):
        return None
    real = _NUMPY[x]
    one, half, limit, per_ln2 = _typed(x, 1.0, 0.5, 80.0, 1.0 / np.log(2.0))
    # ln 2 in two parts: the first has trailing zeros, so that its product with a small integer is exact.
    ln2_high, ln2_low = _typed(x, *_split(np.log(2.0), x))
    if x == types.float32:
        # Taylor series of 1 − exp(−r) = r·(1 − r/2·(1 − r/3·(…))), |r| ≤ ln(2)/2
        k2, k3, k4, k5, k6, k7 = _typed(x, *(1.0 / k for k in range(2, 8)))

        def single(x):
            x = min(x, limit)
            n = np.int32(x * per_ln2 + half)
            whole = real(n)
            r = (x - whole * ln2_high) - whole * ln2_low
            q = one - r * k7
            q = one - r * k6 * q
            q = one - r * k5 * q
            q = one - r * k4 * q
            q = one - r * k3 * q
            q = r - r * r * k2 * q
            scale = _power_of_half(n, x)
            return (one - scale) + scale * q

        return single
    c = tuple(1.0 / k for k in range(15, 1, -1))

    def double(x):
        x = min(x, limit)
        n = np.int32(x * per_ln2 + half)
        whole = real(n)
        r = (x - whole * ln2_high) - whole * ln2_low
        q = one
        for k in nb.literal_unroll(c):
            q = one - r * k * q
        q = r * q
        scale = _power_of_half(n, x)
        return (one - scale) + scale * q

    return double


def _split(value: float, kind) -> tuple[float, float]:
    bits = 12 if kind == types.float32 else 30
    scale = 2.0**bits
    high = float(np.floor(value * scale) / scale)
    return high, value - high


@overload(versine_and_sine, inline="never")
def _versine_and_sine(x):
    if x not in (types.float32, types.float64):
        return None
    real = _NUMPY[x]
    one, half, two, per_quarter = _typed(x, 1.0, 0.5, 2.0, 2.0 / np.pi)
    high, low = _typed(x, *_split(np.pi / 2, x))
    terms = 5 if x == types.float32 else 9
    # Taylor series on |r| ≤ π/4: sin r = r·(1 − r²/(2·3)·(1 − …)), 1 − cos r = r²/2·(1 − r²/(3·4)·(1 − …))
    sine_terms = tuple(_typed(x, 1.0 / (2 * k * (2 * k + 1)))[0] for k in range(terms, 0, -1))
    versine_terms = tuple(_typed(x, 1.0 / ((2 * k + 1) * (2 * k + 2)))[0] for k in range(terms, 0, -1))

    def both(x):
        n = np.int32(np.floor(x * per_quarter + half))
        whole = real(n)
        r = (x - whole * high) - whole * low
        square = r * r
        sine = one
        for k in nb.literal_unroll(sine_terms):
            sine = one - square * k * sine
        sine = r * sine
        versine = one
        for k in nb.literal_unroll(versine_terms):
            versine = one - square * k * versine
        versine = half * square * versine
        # Quarter turns: n odd swaps sine and cosine, the second bit changes signs.
        odd = (n & np.int32(1)) != 0
        new_sine = one - versine if odd else sine
        new_versine = one + sine if odd else versine
        turned = (n & np.int32(2)) != 0
        new_sine = -new_sine if turned else new_sine
        new_versine = two - new_versine if turned else new_versine
        return new_versine, new_sine

    return both


@jit
def decay(duration, rates, lost):
    """1 − exp(−duration·rate) of each voxel into ``lost``, whose lanes repeat the voxels."""
    sets = lost.reshape(len(lost) // len(rates), len(rates))
    for j in range(len(rates)):
        lost[j] = one_minus_exp(duration * rates[j])
    for p in range(1, len(sets)):
        for j in range(len(rates)):
            sets[p, j] = lost[j]
