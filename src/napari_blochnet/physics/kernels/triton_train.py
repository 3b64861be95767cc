"""The extended phase graph as one fused Triton kernel: device code only, imported where Triton is there.

One program, a warp, carries a tile of voxels through the whole train. A voxel is spread over L lanes of the warp with R
registers each for f⁺, f⁻ and Z: order k is in register k mod R of lane k div R. The gradient's shift then renames
registers and passes one value from lane to lane, a warp shuffle; nothing of the states ever leaves the registers (where
R is too large for them, the compiler spills to scratch memory). L = 1, a thread for a voxel, needs no shuffle at all.

The frame is that of `kernels_real`: F⁺ = −i·e^{iφ}·f⁺, F⁻ = i·e^{−iφ}·f⁻, in which a pulse turns ((f⁺ + f⁻)/2, Z) by
its flip angle and leaves f⁺ − f⁻ alone. Where the recursion is real, f and Z are real. Where it is not, their real and
imaginary parts are two *channels* that pulses and relaxation treat alike, and between two pulses the frame is turned by
the difference of their phases, which is where the two mix. Tangents are further channels, T1²·∂/∂T1, T2²·∂/∂T2 and
∂/∂B1, whose sources are the relaxed states times TR, and the turned states times the flip angle.
"""

# Triton's language is not Python's: tuples are joined by +, loops over them are unrolled with types of their own.
# ruff: noqa: RUF005, SIM108
# mypy: disable-error-code="no-untyped-def,untyped-decorator,assignment,misc,var-annotated"

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

__all__ = ["epg_train"]

_jit: Any = triton.jit


@_jit
def _one_minus_exp(x, DOUBLE: tl.constexpr):
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
def _sine_and_versine(angle, DOUBLE: tl.constexpr):
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
def _turn(plus, minus, z, sine, versine, R: tl.constexpr):
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
def _add_flip_source(plus, minus, z, of_plus, of_minus, of_z, angle, R: tl.constexpr):
    """What a change of the flip angle adds to a tangent: the turned states, turned by another 90°, times the angle."""
    new_plus, new_minus, new_z = (), (), ()
    for r in tl.static_range(R):
        change = angle * of_z[r]
        new_plus = new_plus + (plus[r] + change,)
        new_minus = new_minus + (minus[r] + change,)
        new_z = new_z + (z[r] - 0.5 * angle * (of_plus[r] + of_minus[r]),)
    return new_plus, new_minus, new_z


@_jit
def _relax(x, loss, R: tl.constexpr):
    result = ()
    for r in tl.static_range(R):
        result = result + (x[r] - loss * x[r],)
    return result


@_jit
def _add_scaled(x, y, factor, R: tl.constexpr):
    result = ()
    for r in tl.static_range(R):
        result = result + (x[r] + factor * y[r],)
    return result


@_jit
def _add_to_first(x, amount, R: tl.constexpr):
    result = (x[0] + amount,)
    for r in tl.static_range(1, R):
        result = result + (x[r],)
    return result


@_jit
def _rotate_frame(real, imaginary, sine, versine, R: tl.constexpr):
    """Multiply by exp(−iδ), sine and versine (1 − cos) of δ given."""
    new_real, new_imaginary = (), ()
    for r in tl.static_range(R):
        new_real = new_real + (real[r] - versine * real[r] + sine * imaginary[r],)
        new_imaginary = new_imaginary + (imaginary[r] - versine * imaginary[r] - sine * real[r],)
    return new_real, new_imaginary


@_jit
def _shift(plus, minus, lane, conjugate: tl.constexpr, K: tl.constexpr, L: tl.constexpr, R: tl.constexpr):
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
def _accumulate(at, value, write, position):
    """Add to what earlier slice positions left."""
    before = tl.load(at, mask=write & (position > 0), other=0.0)
    tl.store(at, before + value, mask=write)


# Sizes that differ from call to call are not worth a compilation each.
@triton.jit(do_not_specialize=["count", "pulses"], do_not_specialize_on_alignment=["voxel_ptr"])
def epg_train(
    signal_ptr,
    derivative_ptr,
    cotangent_ptr,
    voxel_ptr,
    t1_ptr,
    t2_ptr,
    b1_ptr,
    angle_ptr,
    sine_ptr,
    versine_ptr,
    weight_ptr,
    tr_ptr,
    te_ptr,
    sign_ptr,
    frame_sine_ptr,
    frame_versine_ptr,
    inversion_ptr,
    count,
    pulses,
    positions,
    COMPLEX: tl.constexpr,
    TANGENTS: tl.constexpr,
    PRODUCT: tl.constexpr,
    HAS_B1: tl.constexpr,
    DOUBLE: tl.constexpr,
    K: tl.constexpr,
    L: tl.constexpr,
    R: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Carry BLOCK voxels through the train, once for each slice position, and write the weighted sums.

    ``voxel_ptr`` holds the row numbers of this launch's voxels. ``signal`` is (voxel, pulse), ``derivative`` (voxel,
    pulse, TANGENTS), both with a trailing axis (real, imaginary) where COMPLEX. With PRODUCT, ``derivative`` is (voxel,
    1 + TANGENTS), the products of signal and derivatives with ``cotangent`` (shaped as ``signal``) summed over time,
    and ``signal`` is not written. ``angle``, ``sine`` and ``versine`` (1 − cos) are (position, pulse), radians.
    """
    C: tl.constexpr = 2 if COMPLEX else 1
    CHANNELS: tl.constexpr = (1 + TANGENTS) * C
    dtype = tl.float64 if DOUBLE else tl.float32
    slot = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = slot < count
    voxel = tl.load(voxel_ptr + slot, mask=inside, other=0).to(tl.int64)
    lane = tl.zeros((BLOCK, L), tl.int32) + tl.arange(0, L)[None, :]
    zero = tl.zeros((BLOCK, L), dtype)
    first = tl.where(lane == 0, zero + 1.0, zero)
    write = (lane == 0) & inside[:, None]
    row = voxel[:, None] + tl.zeros((BLOCK, L), tl.int64)
    t1 = tl.load(t1_ptr + voxel)[:, None] + zero
    t2 = tl.load(t2_ptr + voxel)[:, None] + zero
    if DOUBLE:
        r1, r2 = 1.0 / t1, 1.0 / t2
    else:
        # The plain division is an approximate one in single precision.
        r1, r2 = tl.div_rn(zero + 1.0, t1), tl.div_rn(zero + 1.0, t2)
    b1 = zero + 1.0
    if HAS_B1:
        b1 = tl.load(b1_ptr + voxel)[:, None] + zero

    efficiency, delay = tl.load(inversion_ptr), tl.load(inversion_ptr + 1)
    lost = (1.0 + efficiency) * (_one_minus_exp(delay * r1, DOUBLE) - 1.0)
    products = ()
    for _ in tl.static_range(1 + TANGENTS):
        products = products + (zero,)

    for position in tl.range(positions):
        weight = tl.load(weight_ptr + position)
        plus, minus, z = (), (), ()
        for channel in tl.static_range(CHANNELS):
            start = zero
            if channel == 0:
                start = first * (1.0 + lost)
            if channel == C and TANGENTS > 0:
                start = first * delay * lost
            orders, longitudinal = (), (start,)
            for r in tl.static_range(R):
                orders = orders + (zero,)
                if r > 0:
                    longitudinal = longitudinal + (zero,)
            plus, minus, z = plus + (orders,), minus + (orders,), z + (longitudinal,)

        for n in tl.range(pulses):
            tr, te = tl.load(tr_ptr + n), tl.load(te_ptr + n)
            angle = tl.load(angle_ptr + position * pulses + n)
            if HAS_B1:
                sine, versine = _sine_and_versine(angle * b1, DOUBLE)
            else:
                sine = tl.load(sine_ptr + position * pulses + n)
                versine = tl.load(versine_ptr + position * pulses + n)
            q1, q2 = _one_minus_exp(tr * r1, DOUBLE), _one_minus_exp(tr * r2, DOUBLE)
            scale = weight * (1.0 - _one_minus_exp(te * r2, DOUBLE))
            if not COMPLEX:
                scale = scale * tl.load(sign_ptr + n)

            before_plus, before_minus, before_z = plus, minus, z
            plus, minus, z = (), (), ()
            for channel in tl.static_range(CHANNELS):
                up, down, along = _turn(
                    before_plus[channel], before_minus[channel], before_z[channel], sine, versine, R
                )
                if channel // C == 3:
                    up, down, along = _add_flip_source(
                        up, down, along, plus[channel - 3 * C], minus[channel - 3 * C], z[channel - 3 * C], angle, R
                    )
                plus, minus, z = plus + (up,), minus + (down,), z + (along,)

            sample = row * pulses + n
            for part in tl.static_range(C):
                value = plus[part][0]
                if PRODUCT:
                    received = scale * tl.load(cotangent_ptr + sample * C + part, mask=write, other=0.0)
                    summed = (products[0] + received * value,)
                else:
                    _accumulate(signal_ptr + sample * C + part, scale * value, write, position)
                for p in tl.static_range(TANGENTS):
                    slope = plus[(1 + p) * C + part][0]
                    if p == 0:
                        slope = slope * r1 * r1
                    if p == 1:
                        slope = (slope + te * value) * r2 * r2
                    if PRODUCT:
                        summed = summed + (products[1 + p] + received * slope,)
                    else:
                        at = derivative_ptr + (sample * TANGENTS + p) * C + part
                        _accumulate(at, scale * slope, write, position)
                if PRODUCT:
                    products = summed

            turned_plus, turned_minus, turned_z = plus, minus, z
            plus, minus, z = (), (), ()
            for channel in tl.static_range(CHANNELS):
                up, down = _relax(turned_plus[channel], q2, R), _relax(turned_minus[channel], q2, R)
                along = _relax(turned_z[channel], q1, R)
                if channel == 0:
                    along = _add_to_first(along, first * q1, R)
                if channel // C == 1:
                    along = _add_scaled(along, z[channel - C], tr, R)
                    if channel == C:
                        along = _add_to_first(along, -tr * first, R)
                if channel // C == 2:
                    up = _add_scaled(up, plus[channel - 2 * C], tr, R)
                    down = _add_scaled(down, minus[channel - 2 * C], tr, R)
                plus, minus, z = plus + (up,), minus + (down,), z + (along,)

            relaxed_plus, relaxed_minus = plus, minus
            plus, minus = (), ()
            if COMPLEX:
                sine, versine = tl.load(frame_sine_ptr + n), tl.load(frame_versine_ptr + n)
                for s in tl.static_range(1 + TANGENTS):
                    up, up_i = _rotate_frame(relaxed_plus[2 * s], relaxed_plus[2 * s + 1], sine, versine, R)
                    down, down_i = _rotate_frame(relaxed_minus[2 * s], relaxed_minus[2 * s + 1], -sine, versine, R)
                    up, down = _shift(up, down, lane, 1.0, K, L, R)
                    up_i, down_i = _shift(up_i, down_i, lane, -1.0, K, L, R)
                    plus, minus = plus + (up, up_i), minus + (down, down_i)
            else:
                for s in tl.static_range(1 + TANGENTS):
                    up, down = _shift(relaxed_plus[s], relaxed_minus[s], lane, 1.0, K, L, R)
                    plus, minus = plus + (up,), minus + (down,)

    if PRODUCT:
        for p in tl.static_range(1 + TANGENTS):
            tl.store(derivative_ptr + row * (1 + TANGENTS) + p, products[p], mask=write)
