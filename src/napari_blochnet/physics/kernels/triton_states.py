"""What a pulse, relaxation, the gradient and a gap do to states in registers: functions of the Triton kernel.

A channel's f⁺, f⁻ and Z are tuples of R registers each; see `triton_train`.
"""

# Triton's language is not Python's: tuples are joined by +, loops over them are unrolled with types of their own.
# ruff: noqa: RUF005, SIM108
# mypy: disable-error-code="no-untyped-def,untyped-decorator,assignment,misc,var-annotated"

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

__all__ = [
    "accumulate",
    "add_flip_source",
    "add_scaled",
    "add_to_first",
    "cross_gap",
    "one_minus_exp",
    "relax",
    "rotate_frame",
    "scaled",
    "shift",
    "sine_and_versine",
    "state_place",
    "turn",
]

_jit: Any = triton.jit


@_jit
def one_minus_exp(x, DOUBLE: tl.constexpr):
    """1 − exp(−x) without cancellation, so that rounding does not build up over a train of equal TRs."""
    x = tl.minimum(x, 80.0)
    if DOUBLE:
        result = 1.0 - tl.exp(-x)
    else:
        whole = tl.floor(x * 1.4426950408889634 + 0.5)
        # ln 2 in two parts, the first short enough for its product with a small integer to be exact.
        r = (x - whole * 0.693115234375) - whole * 3.194618598e-5
        q = 1.0 - r * (1.0 / 7.0)
        q = 1.0 - r * (1.0 / 6.0) * q
        q = 1.0 - r * (1.0 / 5.0) * q
        q = 1.0 - r * (1.0 / 4.0) * q
        q = 1.0 - r * (1.0 / 3.0) * q
        q = r - r * r * 0.5 * q
        # 2^−whole by its bits, exactly.
        scale = ((127 - whole.to(tl.int32)) << 23).to(tl.float32, bitcast=True)
        result = (1.0 - scale) + scale * q
    return result


@_jit
def sine_and_versine(angle, DOUBLE: tl.constexpr):
    """(sin, 1 − cos) by the half angle, of which both have period π."""
    half = 0.5 * angle
    if DOUBLE:
        s, c = tl.sin(half), tl.cos(half)
    else:
        whole = tl.floor(half * 0.3183098861837907 + 0.5)
        # π in two parts, as above; then Taylor series on |r| ≤ π/2.
        r = (half - whole * 3.140625) - whole * 9.676535897932e-4
        u = r * r
        s = 1.0 - u * (1.0 / 110.0)
        s = 1.0 - u * (1.0 / 72.0) * s
        s = 1.0 - u * (1.0 / 42.0) * s
        s = 1.0 - u * (1.0 / 20.0) * s
        s = r - r * u * (1.0 / 6.0) * s
        c = 1.0 - u * (1.0 / 132.0)
        c = 1.0 - u * (1.0 / 90.0) * c
        c = 1.0 - u * (1.0 / 56.0) * c
        c = 1.0 - u * (1.0 / 30.0) * c
        c = 1.0 - u * (1.0 / 12.0) * c
        c = 1.0 - u * 0.5 * c
    return 2.0 * s * c, 2.0 * s * s


@_jit
def turn(plus, minus, z, sine, versine, R: tl.constexpr):
    """RF pulse on the R registers of one channel."""
    half_sine, half_versine = 0.5 * sine, 0.5 * versine
    new_plus, new_minus, new_z = (), (), ()
    for r in tl.static_range(R):
        total = plus[r] + minus[r]
        change = sine * z[r] - half_versine * total
        new_plus = new_plus + (plus[r] + change,)
        new_minus = new_minus + (minus[r] + change,)
        new_z = new_z + (z[r] - versine * z[r] - half_sine * total,)
    return new_plus, new_minus, new_z


@_jit
def add_flip_source(plus, minus, z, of_plus, of_minus, of_z, angle, R: tl.constexpr):
    """What a change of the flip angle adds to a tangent: the turned states, turned by another 90°, times the angle."""
    new_plus, new_minus, new_z = (), (), ()
    for r in tl.static_range(R):
        change = angle * of_z[r]
        new_plus = new_plus + (plus[r] + change,)
        new_minus = new_minus + (minus[r] + change,)
        new_z = new_z + (z[r] - 0.5 * angle * (of_plus[r] + of_minus[r]),)
    return new_plus, new_minus, new_z


@_jit
def relax(x, loss, R: tl.constexpr):
    """Return x − loss·x."""
    result = ()
    for r in tl.static_range(R):
        result = result + (x[r] - loss * x[r],)
    return result


@_jit
def scaled(x, factor, R: tl.constexpr):
    """Return factor·x."""
    result = ()
    for r in tl.static_range(R):
        result = result + (factor * x[r],)
    return result


@_jit
def add_scaled(x, y, factor, R: tl.constexpr):
    """Return x + factor·y."""
    result = ()
    for r in tl.static_range(R):
        result = result + (x[r] + factor * y[r],)
    return result


@_jit
def add_to_first(x, amount, R: tl.constexpr):
    """Return x with ``amount`` added to its first register."""
    result = (x[0] + amount,)
    for r in tl.static_range(1, R):
        result = result + (x[r],)
    return result


@_jit
def rotate_frame(real, imaginary, sine, versine, R: tl.constexpr):
    """Multiply by exp(−iδ), sine and versine (1 − cos) of δ given."""
    new_real, new_imaginary = (), ()
    for r in tl.static_range(R):
        new_real = new_real + (real[r] - versine * real[r] + sine * imaginary[r],)
        new_imaginary = new_imaginary + (imaginary[r] - versine * imaginary[r] - sine * real[r],)
    return new_real, new_imaginary


@_jit
def shift(plus, minus, lane, conjugate: tl.constexpr, K: tl.constexpr, L: tl.constexpr, R: tl.constexpr):
    """Gradient: f⁺ one order up, f⁻ one down, f₀⁺ the conjugate of f₀⁻ (``conjugate``: −1 for an imaginary part)."""
    from_below, from_above = plus[R - 1], minus[0]
    if L > 1:
        from_below = tl.gather(from_below, tl.maximum(lane - 1, 0), axis=1)
        from_above = tl.gather(from_above, tl.minimum(lane + 1, L - 1), axis=1)
    new_minus = ()
    for r in tl.static_range(1, R):
        new_minus = new_minus + (minus[r],)
    new_minus = new_minus + (tl.where(lane == L - 1, 0.0, from_above),)
    new_plus = ()
    for r in tl.static_range(R):
        if r == 0:
            value = tl.where(lane == 0, conjugate * new_minus[0], from_below)
        else:
            value = plus[r - 1]
        if K < L * R and r == K % R:
            # Nothing may reach order K; what no pulse finds there stays 0 in all orders beyond.
            value = tl.where(lane == K // R, 0.0, value)
        new_plus = new_plus + (value,)
    return new_plus, new_minus


@_jit
def cross_gap(
    z, first, map_ptr, voxels, voxel,
    CHANNELS: tl.constexpr, C: tl.constexpr, RECOVER: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    """Z₀ ↦ A·Z₀ + B, Z_k ↦ A·Z_k, and their tangents; ``map_ptr`` has rows of A, its slopes, B and its slopes."""
    sets: tl.constexpr = CHANNELS // C
    kept = tl.load(map_ptr + voxel)[:, None]
    new_z = ()
    for channel in tl.static_range(CHANNELS):
        along = scaled(z[channel], kept, R)
        if channel >= C:
            slope = tl.load(map_ptr + (channel // C) * voxels + voxel)[:, None]
            along = add_scaled(along, z[channel % C], slope, R)
        if RECOVER and channel % C == 0:
            gained = tl.load(map_ptr + (sets + channel // C) * voxels + voxel)[:, None]
            along = add_to_first(along, first * gained, R)
        new_z = new_z + (along,)
    return new_z


@_jit
def state_place(state_ptr, position, channel, r: tl.constexpr, lane, slot, count,
                 CHANNELS: tl.constexpr, K: tl.constexpr, R: tl.constexpr):  # fmt: skip
    """Where in memory (position, channel, order, slot) an order lies, and which lanes have one there."""
    order = lane * R + r
    row = (position * CHANNELS + channel) * K + order
    return state_ptr + row.to(tl.int64) * count + slot[:, None], (order < K) & (slot < count)[:, None]


@_jit
def accumulate(at, value, write, position):
    """Add to what earlier slice positions left."""
    before = tl.load(at, mask=write & (position > 0), other=0.0)
    tl.store(at, before + value, mask=write)
