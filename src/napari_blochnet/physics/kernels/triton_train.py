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

A train is carried in one of five modes. PLAIN has at most an inversion before its first pulse. PREPARED crosses gaps,
from equilibrium, and AGAIN does from the longitudinal states in memory. LINEAR and OFFSET record nothing and leave in
memory the longitudinal states at the end of a play: of Z₀ = 1 without recovery, and of nothing with it. Of those two
`triton_launch` makes what AGAIN starts from.
"""

# Triton's language is not Python's: tuples are joined by +, loops over them are unrolled with types of their own.
# ruff: noqa: RUF005
# mypy: disable-error-code="no-untyped-def,untyped-decorator,assignment,misc,var-annotated"

from __future__ import annotations

import triton
import triton.language as tl

from napari_blochnet.physics.kernels.triton_states import (
    accumulate,
    add_flip_source,
    add_scaled,
    add_to_first,
    cross_gap,
    one_minus_exp,
    relax,
    rotate_frame,
    scaled,
    shift,
    sine_and_versine,
    state_place,
    turn,
)

__all__ = ["AGAIN", "LINEAR", "OFFSET", "PLAIN", "PREPARED", "epg_train"]

PLAIN = tl.constexpr(0)
PREPARED = tl.constexpr(1)
AGAIN = tl.constexpr(2)
LINEAR = tl.constexpr(3)
OFFSET = tl.constexpr(4)


# Sizes that differ from call to call are not worth a compilation each.
@triton.jit(do_not_specialize=["count", "pulses", "voxels"], do_not_specialize_on_alignment=["voxel_ptr"])
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
    gap_ptr,
    map_ptr,
    state_ptr,
    count,
    pulses,
    positions,
    voxels,
    MODE: tl.constexpr,
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
    ``gap`` has the number of the gap before each pulse, −1 where there is none; ``map`` is (gap, 2 · (1 + TANGENTS),
    voxel), A, its slopes, B and its slopes, those in T as T²·∂/∂T; ``state`` is (position, channel, order, slot), the
    longitudinal states of AGAIN, LINEAR and OFFSET.
    """
    RECORD: tl.constexpr = MODE <= AGAIN
    RECOVER: tl.constexpr = MODE != LINEAR
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
    lost = (1.0 + efficiency) * (one_minus_exp(delay * r1, DOUBLE) - 1.0)
    if MODE == OFFSET:
        lost = zero - 1.0
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
            orders, longitudinal = (), ()
            for r in tl.static_range(R):
                orders = orders + (zero,)
                if MODE == AGAIN:
                    at, held = state_place(state_ptr, position, channel, r, lane, slot, count, CHANNELS, K, R)
                    longitudinal = longitudinal + (tl.load(at, mask=held, other=0.0),)
                elif r == 0:
                    longitudinal = longitudinal + (start,)
                else:
                    longitudinal = longitudinal + (zero,)
            plus, minus, z = plus + (orders,), minus + (orders,), z + (longitudinal,)

        for n in tl.range(pulses):
            if MODE != PLAIN:
                gap = tl.load(gap_ptr + n)
                if gap >= 0:
                    rows = gap.to(tl.int64) * (2 * (1 + TANGENTS)) * voxels
                    z = cross_gap(z, first, map_ptr + rows, voxels, voxel, CHANNELS, C, RECOVER, R)
                    spoiled = ()
                    for channel in tl.static_range(CHANNELS):
                        spoiled = spoiled + (scaled(plus[channel], 0.0, R),)
                    plus, minus = spoiled, spoiled
            tr, te = tl.load(tr_ptr + n), tl.load(te_ptr + n)
            angle = tl.load(angle_ptr + position * pulses + n)
            if HAS_B1:
                sine, versine = sine_and_versine(angle * b1, DOUBLE)
            else:
                sine = tl.load(sine_ptr + position * pulses + n)
                versine = tl.load(versine_ptr + position * pulses + n)
            q1, q2 = one_minus_exp(tr * r1, DOUBLE), one_minus_exp(tr * r2, DOUBLE)
            scale = weight * (1.0 - one_minus_exp(te * r2, DOUBLE))
            if not COMPLEX:
                scale = scale * tl.load(sign_ptr + n)

            before_plus, before_minus, before_z = plus, minus, z
            plus, minus, z = (), (), ()
            for channel in tl.static_range(CHANNELS):
                up, down, along = turn(before_plus[channel], before_minus[channel], before_z[channel], sine, versine, R)
                if channel // C == 3:
                    up, down, along = add_flip_source(
                        up, down, along, plus[channel - 3 * C], minus[channel - 3 * C], z[channel - 3 * C], angle, R
                    )
                plus, minus, z = plus + (up,), minus + (down,), z + (along,)

            if RECORD:
                sample = row * pulses + n
                for part in tl.static_range(C):
                    value = plus[part][0]
                    if PRODUCT:
                        received = scale * tl.load(cotangent_ptr + sample * C + part, mask=write, other=0.0)
                        summed = (products[0] + received * value,)
                    else:
                        accumulate(signal_ptr + sample * C + part, scale * value, write, position)
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
                            accumulate(at, scale * slope, write, position)
                    if PRODUCT:
                        products = summed

            turned_plus, turned_minus, turned_z = plus, minus, z
            plus, minus, z = (), (), ()
            for channel in tl.static_range(CHANNELS):
                up, down = relax(turned_plus[channel], q2, R), relax(turned_minus[channel], q2, R)
                along = relax(turned_z[channel], q1, R)
                if channel == 0 and RECOVER:
                    along = add_to_first(along, first * q1, R)
                if channel // C == 1:
                    along = add_scaled(along, z[channel - C], tr, R)
                    if channel == C and RECOVER:
                        along = add_to_first(along, -tr * first, R)
                if channel // C == 2:
                    up = add_scaled(up, plus[channel - 2 * C], tr, R)
                    down = add_scaled(down, minus[channel - 2 * C], tr, R)
                plus, minus, z = plus + (up,), minus + (down,), z + (along,)

            relaxed_plus, relaxed_minus = plus, minus
            plus, minus = (), ()
            if COMPLEX:
                sine, versine = tl.load(frame_sine_ptr + n), tl.load(frame_versine_ptr + n)
                for s in tl.static_range(1 + TANGENTS):
                    up, up_i = rotate_frame(relaxed_plus[2 * s], relaxed_plus[2 * s + 1], sine, versine, R)
                    down, down_i = rotate_frame(relaxed_minus[2 * s], relaxed_minus[2 * s + 1], -sine, versine, R)
                    up, down = shift(up, down, lane, 1.0, K, L, R)
                    up_i, down_i = shift(up_i, down_i, lane, -1.0, K, L, R)
                    plus, minus = plus + (up, up_i), minus + (down, down_i)
            else:
                for s in tl.static_range(1 + TANGENTS):
                    up, down = shift(relaxed_plus[s], relaxed_minus[s], lane, 1.0, K, L, R)
                    plus, minus = plus + (up,), minus + (down,)

        if not RECORD:
            for channel in tl.static_range(CHANNELS):
                for r in tl.static_range(R):
                    at, held = state_place(state_ptr, position, channel, r, lane, slot, count, CHANNELS, K, R)
                    tl.store(at, z[channel][r], mask=held)

    if PRODUCT and RECORD:
        for p in tl.static_range(1 + TANGENTS):
            tl.store(derivative_ptr + row * (1 + TANGENTS) + p, products[p], mask=write)
