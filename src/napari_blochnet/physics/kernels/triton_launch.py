"""The extended phase graph on NVIDIA GPUs, through Triton; the same operations as the Numba kernels.

Triton is imported at the first call: machines without it (Windows, macOS) import this module all the same.

A kernel carries each voxel through the whole train with its states in registers (see `triton_recursion`). What the GPU
does for a voxel, an order and a TR is 10 floating-point instructions (35 with tangents in T1 and T2, 28 on the complex
path) besides about 100 for each lane and TR (exponentials, loads, loop); the only traffic to memory are the samples
themselves. 100,000 fingerprints × 500 TRs × 32 orders are 8.5·10⁸ instructions of 32 threads: 0.9 ms at the full rate
of an H100 (132 multiprocessors × 4 a cycle × 1.7 GHz), and 2.8 ms with both tangents, where writing the 0.2 GB of
samples takes 0.06 ms. These are counts from code compiled for sm_90. They are not measurements: latency adds to them.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.kernels.launch import StateCount
from napari_blochnet.physics.kernels.pulses import pulses_of
from napari_blochnet.physics.kernels.triton_plays import gap_table, start_of_play
from napari_blochnet.physics.tissue_values import TissueValue, as_tissues
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Layout", "choose_layout", "simulate_launches", "triton_available", "triton_signal"]

_LANES = 32
# Registers of a thread that hold states, by the number of channels: f⁺, f⁻ and Z of that many orders each. Larger
# numbers share the exponentials among more orders, smaller ones leave room for more warps; compiled for sm_90 these
# take 95 to 170 registers without spilling.
_ORDERS_PER_LANE = {1: 16, 2: 12, 3: 8, 4: 8, 6: 4, 8: 4}

# Magnetisation before the recorded play that is held at a time, bytes; its slopes and sums take a few times as much.
_STATE_BYTES = 256 * 2**20

# Beyond any T2 there is, ms: where thresholds between layouts are looked for.
_SHORTEST_T2, _LONGEST_T2 = 1e-6, 1e9


class Layout(NamedTuple):
    """How a voxel's orders lie in a warp: order k in register k mod R of lane k div R.

    Parameters
    ----------
    states : int
        K, orders kept; at most ``lanes * registers``.
    lanes : int
        L, a power of two up to 32.
    registers : int
        R.
    """

    states: int
    lanes: int
    registers: int


def triton_available(device: torch.device) -> bool:
    """Whether tensors on ``device`` can be simulated here: an NVIDIA GPU since Volta, and Triton since 3.4."""
    if device.type != "cuda" or torch.version.cuda is None or importlib.util.find_spec("triton") is None:
        return False
    import triton

    version = tuple(int(part) for part in triton.__version__.split(".")[:2])
    return version >= (3, 4) and torch.cuda.get_device_capability(device) >= (7, 0)


def triton_signal(
    schedule: Schedule,
    t1: TissueValue,
    t2: TissueValue,
    b1: TissueValue | None = None,
    *,
    states: int | StateCount,
    dtype: torch.dtype = torch.float32,
    tangents: bool = False,
    cotangent: Tensor | None = None,
) -> Any:
    """Simulate fingerprints on the GPU where T1 and T2 are.

    Parameters
    ----------
    schedule : Schedule
        N pulses; its slice profile is averaged over in the kernel.
    t1, t2, b1 : tensor of shape (...)
        ms, ms, relative to nominal.
    states : int or callable
        Orders kept for every voxel, or a rule from an array of T2 (ms) to their number that never falls with T2.
    dtype : torch.dtype
        float32, or float64 for reference.
    tangents : bool
        Return derivatives too.
    cotangent : Tensor of shape (..., N), optional
        An incoming gradient g: return Σ Re(g*·s) over time for the signal and each derivative instead.

    Returns
    -------
    signal : Tensor of shape (..., N)
        i·exp(−iφ)·F⁺0, real where the schedule's recursion is.
    derivatives : Tensor of shape (..., N, P), with ``tangents``
        ∂/∂T1, ∂/∂T2 (per ms) and, where ``b1`` is given, ∂/∂B1.
    products : Tensor of shape (..., 1 + P), with ``cotangent``, alone
        Real.

    Raises
    ------
    InputError
        Tissue values that are not finite or not positive, or a device that Triton cannot use.
    """
    tissues = as_tissues(t1, t2, None, b1, dtype=dtype)
    device, shape, pulses = tissues.t1.device, tissues.shape, len(schedule)
    if not triton_available(device) and not _interpreted():
        raise InputError(
            f"device is {str(device)!r}; the Triton kernels need an NVIDIA GPU and Triton installed.", field="device"
        )
    kind = dtype if schedule.is_real else dtype.to_complex()
    count = 2 if tissues.b1 is None else 3
    voxels = tissues.t1.numel()
    b1_flat = None if tissues.b1 is None else tissues.b1.reshape(-1)
    arguments = (schedule, tissues.t1.reshape(-1), tissues.t2.reshape(-1), b1_flat, states)
    if cotangent is not None:
        if cotangent.shape != (*shape, pulses):
            raise InputError(f"cotangent has shape {tuple(cotangent.shape)}", str((*shape, pulses)), field="cotangent")
        products = torch.empty((voxels, 1 + count), dtype=dtype, device=device)
        incoming = cotangent.to(kind).resolve_conj().reshape(voxels, pulses)
        simulate_launches(*arguments, tangents=count, cotangent=incoming, gradient=products)
        return products.reshape(*shape, 1 + count)
    signal = torch.empty((voxels, pulses), dtype=kind, device=device)
    if not tangents:
        simulate_launches(*arguments, signal=signal)
        return signal.reshape(*shape, pulses)
    jacobian = torch.empty((voxels, pulses, count), dtype=kind, device=device)
    simulate_launches(*arguments, tangents=count, signal=signal, jacobian=jacobian)
    return signal.reshape(*shape, pulses), jacobian.reshape(*shape, pulses, count)


def simulate_launches(
    schedule: Schedule,
    t1: Tensor,
    t2: Tensor,
    b1: Tensor | None,
    states: int | StateCount,
    *,
    tangents: int = 0,
    signal: Tensor | None = None,
    jacobian: Tensor | None = None,
    cotangent: Tensor | None = None,
    gradient: Tensor | None = None,
) -> None:
    """Simulate V voxels of N pulses into the tensors given: `blocks.simulate_blocks` for a GPU.

    Parameters
    ----------
    schedule : Schedule
    t1, t2, b1 : Tensor of shape (V,)
        Checked values of one type, float32 or float64, on one device.
    states : int or callable
        As in `triton_signal`. Voxels are sorted by T2 and launched in groups, each with the orders of its longest T2
        (rounded up to one of about fifteen layouts, at most half as many again).
    tangents, signal, jacobian, cotangent, gradient
        As in `simulate_blocks`: give ``signal`` (and ``jacobian``, with tangents), or ``cotangent`` and ``gradient``.

    Notes
    -----
    Besides the results this takes 16 bytes a voxel for the sorted index; what is played in G gaps takes
    8·G·(1 + tangents) bytes a voxel in float32. Groups run in streams of their own, so that a small group of long T2
    does not leave the GPU idle; the current stream waits for them. Trains that are played again, or until they repeat
    themselves, take three plays and a few times 256 MB for each group.
    """
    from napari_blochnet.physics.kernels import triton_train as modes

    voxels, device = t1.numel(), t1.device
    if voxels == 0:
        return
    channels = (1 + tangents) * (1 if schedule.is_real else 2)
    tables = _tables(schedule, t1.dtype, device)
    unused = tables.weight
    product = cotangent is not None
    derivative = gradient if product else jacobian
    t1, t2 = t1.contiguous(), t2.contiguous()
    fixed = {
        "signal_ptr": unused if signal is None else _real_view(signal),
        "derivative_ptr": unused if derivative is None else _real_view(derivative),
        "cotangent_ptr": unused if cotangent is None else _real_view(cotangent.contiguous()),
        "t1_ptr": t1,
        "t2_ptr": t2,
        "b1_ptr": unused if b1 is None else b1.contiguous(),
        **{f"{name}_ptr": table for name, table in tables._asdict().items()},
        "map_ptr": unused if schedule.is_plain else gap_table(schedule, t1, t2, b1, tangents),
        "pulses": len(schedule),
        "positions": len(tables.weight),
        "voxels": voxels,
        "COMPLEX": not schedule.is_real,
        "TANGENTS": tangents,
        "PRODUCT": product,
        "HAS_B1": b1 is not None,
        "DOUBLE": t1.dtype == torch.float64,
    }

    def play(mode: Any, layout: Layout, index: Tensor, held: Tensor) -> None:
        block = _LANES // layout.lanes
        modes.epg_train[(-(-len(index) // block),)](
            **fixed, voxel_ptr=index, state_ptr=held, count=len(index), MODE=mode.value, K=layout.states,
            L=layout.lanes, R=layout.registers, BLOCK=block, num_warps=1, enable_fp_fusion=True,
        )  # fmt: skip

    def launch(layout: Layout, index: Tensor) -> None:
        if schedule.trains == 1:
            play(modes.PLAIN if schedule.is_plain else modes.PREPARED, layout, index, unused)
            return
        # One play brings back no order from N on; of many plays more of them are told apart.
        orders, layout = layout.states, choose_layout(min(layout.states, len(schedule)), channels)
        row = len(tables.weight) * channels * layout.states
        room = 16 * len(tables.weight) * channels * orders
        for part in index.split(max(1, _STATE_BYTES // room)):
            kept, gained = (t1.new_empty((row, len(part))) for _ in range(2))
            play(modes.LINEAR, layout, part, kept)
            play(modes.OFFSET, layout, part, gained)
            parts = (len(tables.weight), 1 + tangents, 1 if schedule.is_real else 2, layout.states, len(part))
            start = start_of_play(kept.reshape(parts), gained.reshape(parts), schedule.trains, orders)
            play(modes.AGAIN, layout, part, start)

    groups = _groups(states, t2, _most_orders(schedule), channels)
    if device.type != "cuda":
        for layout, index in groups:
            launch(layout, index)
        return
    with torch.cuda.device(device):
        here = torch.cuda.current_stream()
        streams = [torch.cuda.Stream() for _ in groups[1:]]
        for stream in streams:
            stream.wait_stream(here)
        # The group of the longest T2 takes longest: it starts first.
        for stream, (layout, index) in zip([*streams, here], reversed(groups), strict=True):
            with torch.cuda.stream(stream):
                launch(layout, index)
        for stream in streams:
            here.wait_stream(stream)


def choose_layout(states: int, channels: int) -> Layout:
    """Return the layout that keeps ``states`` orders of ``channels`` channels: (1 + tangents), twice where complex."""
    target = _ORDERS_PER_LANE[channels]
    lanes = 1
    while lanes < _LANES and lanes * target < states:
        lanes *= 2
    return Layout(states, lanes, -(-states // lanes))


class _Tables(NamedTuple):
    """The schedule on the device; names are the kernel's."""

    angle: Tensor
    sine: Tensor
    versine: Tensor
    weight: Tensor
    tr: Tensor
    te: Tensor
    sign: Tensor
    frame_sine: Tensor
    frame_versine: Tensor
    inversion: Tensor
    gap: Tensor


@lru_cache(maxsize=32)
def _tables(schedule: Schedule, dtype: torch.dtype, device: torch.device) -> _Tables:
    pulses = pulses_of(schedule, np.dtype(np.float64))
    # Profiles are symmetric as a rule: positions of equal flip angle are simulated once.
    position, number = np.unique(np.round(pulses.positions, 12), return_counts=True)
    angle = np.outer(position, pulses.flip_angle)
    sign = np.sign(pulses.weight)
    columns = {
        "angle": angle,
        "sine": np.sin(angle),
        "versine": 2.0 * np.sin(angle / 2.0) ** 2,
        "weight": number / number.sum(),
        "tr": pulses.repetition_time,
        "te": pulses.echo_time,
        "sign": sign,
        "frame_sine": -pulses.phase_step.imag,
        "frame_versine": 1.0 - pulses.phase_step.real,
        "inversion": np.array([pulses.inversion_efficiency, pulses.inversion_time]),
    }
    tables = {name: torch.from_numpy(column).to(device, dtype) for name, column in columns.items()}
    return _Tables(**tables, gap=torch.from_numpy(pulses.gap_of_pulse.copy()).to(device))


def _most_orders(schedule: Schedule) -> int | None:
    """Return how many orders can come back to be sampled in one train; of more, the rule by T2 alone says."""
    return (len(schedule) + 1) // 2 if schedule.trains == 1 else None


def _groups(states: int | StateCount, t2: Tensor, most: int | None, channels: int) -> list[tuple[Layout, Tensor]]:
    """Return voxel numbers by layout, T2 rising; ``most``: orders beyond which none is needed."""
    if isinstance(states, int):
        kept = states if most is None else min(states, most)
        return [(choose_layout(kept, channels), torch.arange(t2.numel(), dtype=torch.int32, device=t2.device))]
    ladder, thresholds = _ladder(states, most, channels)
    ordered, order = torch.sort(t2)
    bounds = torch.from_numpy(thresholds).to(t2.device, t2.dtype)
    ends = [0, *torch.searchsorted(ordered, bounds, right=True).tolist(), t2.numel()]
    order = order.to(torch.int32)
    return [
        (layout, order[start:end])
        for layout, start, end in zip(ladder, ends[:-1], ends[1:], strict=True)
        if end > start
    ]  # fmt: skip


@lru_cache(maxsize=64)
def _ladder(states: StateCount, most: int | None, channels: int) -> tuple[tuple[Layout, ...], FloatArray]:
    """Return layouts, K rising, and for each but the last the longest T2 (ms, float32) that it holds."""
    needed = int(states(np.array([_LONGEST_T2]))[0])
    most = needed if most is None else min(needed, most)
    target = _ORDERS_PER_LANE[channels]
    sizes = [target // 2, target]
    while sizes[-1] < most:
        sizes += [sizes[-1] * 3 // 2, sizes[-1] * 2]
    sizes = [size for size in sizes if size < most] + [most]
    limits = np.array(sizes[:-1])
    # The rule rises with T2: halve an interval in the logarithm for all sizes at once.
    low, high = (np.full(len(limits), np.log(end)) for end in (_SHORTEST_T2, _LONGEST_T2))
    for _ in range(48):
        middle = 0.5 * (low + high)
        fits = states(np.exp(middle)) <= limits
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return tuple(choose_layout(size, channels) for size in sizes), np.exp(low)


def _real_view(samples: Tensor) -> Tensor:
    return torch.view_as_real(samples) if samples.is_complex() else samples


def _interpreted() -> bool:
    """Whether Triton runs in its interpreter, on the CPU: TRITON_INTERPRET=1 before it is imported."""
    # Asked first: where napari draws through Mesa, importing Triton for nothing would bring a second LLVM in.
    if os.environ.get("TRITON_INTERPRET", "0").lower() not in ("1", "true", "on", "yes"):
        return False
    if importlib.util.find_spec("triton") is None:
        return False
    import triton

    from napari_blochnet.physics.kernels.triton_train import epg_train

    return not isinstance(epg_train, triton.JITFunction)
