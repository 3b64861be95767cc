"""The Bloch decoder: fingerprints from T1, T2, PD and B1, fast, exact to a stated tolerance, and differentiable."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike
from torch import Tensor

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, CancelEvent, ProgressCallback, Watch
from napari_blochnet.physics.kernels.launch import StateCount, available_threads, simulate_blocks
from napari_blochnet.physics.kernels.pulses import Pulses, pulses_of
from napari_blochnet.physics.kernels.triton_launch import triton_available, triton_signal
from napari_blochnet.physics.tissue_values import TissueValue, as_tissues
from napari_blochnet.physics.truncation import fixed_states, states_for_tolerance
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["EPGDecoder"]

# Derivatives of a training batch are kept from the forward pass up to this size; beyond it the backward pass makes
# them again, block by block.
_KEPT_BYTES = 64 * 2**20


class EPGDecoder(torch.nn.Module):
    """Extended phase graph of a gradient-spoiled train as a layer without weights.

    Parameters
    ----------
    schedule : Schedule
        N pulses, what is played around them, and how often. The last train is simulated as it is recorded.
    states : int, optional
        Configuration orders kept for every voxel. None: as many as ``tolerance`` needs, by T2.
    tolerance : float
        NRMSE by truncation that is promised for every fingerprint; derivatives lose about ten times as much. Rounding
        of float32 adds 1e-6, at constant TR up to 3e-6.
    threads : int, optional
        CPU threads. None: all cores that this process may use.

    Raises
    ------
    InputError
        ``states`` or ``threads`` below 1, ``tolerance`` not between 0 and 1.

    Notes
    -----
    Derivatives go forward beside the states (tangents), so that nothing is recorded over the TRs. Voxels are sorted by
    T2 and simulated in blocks; beyond input and output a call takes about 40 bytes a voxel and, for each thread, the
    states of 128 voxels: 1 MB at 100 orders in float32 with three tangents, two thirds more where the train is played
    more than twice. What lies before pulses takes 8·(1 + tangents) bytes a voxel for each preparation or run of them
    that differs. For a backward pass the derivatives of up to 64 MiB are kept; larger ones are made again.

    Two plays of a train tell what any number of them leaves: the last of many, or a steady state, costs three times a
    single train.

    The module has no parameters; ``.to()`` moves where arrays and numbers given to it go, and their precision.
    Derivatives of derivatives are not available: asking for them is an error.

    References
    ----------
    Weigel, J Magn Reson Imaging 41:266–295 (2015).

    Examples
    --------
    >>> from napari_blochnet import EPGDecoder, Schedule
    >>> decoder = EPGDecoder(Schedule(30.0, [10.0, 10.0, 10.0], 5.0))
    >>> decoder(t1=1000.0, t2=100.0)
    tensor([0.4756, 0.4125, 0.3358])
    """

    reference: Tensor

    def __init__(
        self, schedule: Schedule, states: int | None = None, tolerance: float = 1e-6, *, threads: int | None = None
    ) -> None:
        super().__init__()
        for key, value in (("states", states), ("threads", threads)):
            if value is not None and value < 1:
                raise InputError(f"{key} is {value}", "at least 1, or None", field=key)
        if not 0.0 < tolerance < 1.0:
            raise InputError(f"tolerance is {tolerance:g}", "a number between 0 and 1", field="tolerance")
        self.schedule = schedule
        self.states = states
        self.tolerance = tolerance
        self.threads = threads
        self._rules: dict[bool, StateCount] = {}
        self._pulses: dict[str, Pulses] = {}
        # Where arrays and numbers go; not a weight, not saved.
        self.register_buffer("reference", torch.zeros(()), persistent=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rules": {}, "_pulses": {}}

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        try:
            return cast(Self, super()._apply(fn, recurse))  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise InputError(
                f"The decoder cannot go to that device: {reason}", "one that is here", field="device"
            ) from None

    def extra_repr(self) -> str:
        kept = f"tolerance={self.tolerance:g}" if self.states is None else f"states={self.states}"
        return f"{self.schedule.describe()}; {kept}"

    @property
    def is_real(self) -> bool:
        """Whether signals are real (for real PD)."""
        return self.schedule.is_real

    @property
    def backend(self) -> str:
        """What computes for tensors where this module is, in words, for records."""
        return self.describe_backend(self.reference.device)

    def describe_backend(self, device: str | torch.device = "cpu") -> str:
        """Return what computes for tensors on ``device``: an accelerator without our kernels has the CPU do it.

        There a train of PyTorch operations would be slower than the trip: a thousand TRs of thirty launches each take
        0.3 s for a single block, in which two CPU cores simulate 30,000 fingerprints.
        """
        device, path = torch.device(device), "real" if self.is_real else "complex"
        if triton_available(device):
            return f"Triton, {path} path, {torch.cuda.get_device_name(device)}"
        away = "" if device.type == "cpu" else f", for tensors on {device}"
        return f"Numba, {path} path, {self.threads or available_threads()} CPU threads{away}"

    def state_counts(self, t2: ArrayLike, *, with_b1: bool = False) -> AnyArray:
        """Return how many orders are kept at each T2 (ms); a block keeps what its longest T2 needs."""
        return self._rule(with_b1)(np.asarray(t2, dtype=np.float64))

    def forward(
        self, t1: TissueValue, t2: TissueValue, pd: TissueValue | None = None, b1: TissueValue | None = None
    ) -> Tensor:
        """Simulate fingerprints.

        Parameters
        ----------
        t1, t2 : tensor, array or number of shape (...)
            ms, above 0; T2 may be longer than T1. They broadcast against each other and against ``pd`` and ``b1``.
        pd : tensor, array or number of shape (...), optional
            Proton density, real or complex; 1 where not given.
        b1 : tensor, array or number of shape (...), optional
            Transmit field relative to nominal: scales the flip angles and the preparations that are not adiabatic.

        Returns
        -------
        Tensor of shape (..., N)
            i·exp(−iφ)·F⁺0·PD; real where the schedule and PD are. In float64 where a tensor given is, otherwise in the
            precision of this module (float32 unless changed by ``.to()``). Differentiable in all four arguments.

        Raises
        ------
        InputError
            Values that are not finite, T1 or T2 not above 0, B1 negative, shapes that do not broadcast.
        """
        # Graph capture stops here and goes on behind: the kernels are opaque to a compiler. Only a capture asks for
        # this: it loads Dynamo and, where it is installed, Triton, whose LLVM crashes a process in which Mesa's OpenGL
        # has loaded its own, as napari does without a vendor's driver.
        simulate = _simulate
        if torch.compiler.is_compiling():
            simulate = torch.compiler.disable(_simulate)  # type: ignore[no-untyped-call]
        return simulate(self, t1, t2, pd, b1)

    @torch.no_grad()
    def jacobian(
        self, t1: TissueValue, t2: TissueValue, b1: TissueValue | None = None, *, is_b1_known: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Simulate fingerprints with PD 1 and their derivatives.

        Parameters
        ----------
        t1, t2, b1 : tensor, array or number of shape (...)
            As in `forward`.
        is_b1_known : bool
            Leave out the derivative in B1, at well over half the time.

        Returns
        -------
        signal : Tensor of shape (..., N)
        derivatives : Tensor of shape (..., N, P)
            ∂/∂T1 and ∂/∂T2 (per ms), and ∂/∂B1 where ``b1`` is given and not known: P is 2 or 3. Not themselves
            differentiable.
        """
        tissues = as_tissues(t1, t2, None, b1, like=self.reference)
        return self._with_derivatives(tissues.t1, tissues.t2, tissues.b1, 2 if b1 is None or is_b1_known else 3)

    def signal(
        self,
        t1: ArrayLike,
        t2: ArrayLike,
        b1: ArrayLike | None = None,
        *,
        dtype: DTypeLike = np.float32,
        out: AnyArray | None = None,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> AnyArray:
        """Simulate fingerprints of NumPy arrays on the CPU, with progress and Cancel between blocks.

        Parameters
        ----------
        t1, t2, b1 : array_like of shape (...)
            As in `forward`.
        dtype : numpy.dtype
            float32 or float64: the precision.
        out : ndarray of shape (..., N), optional
            Where to write, C-contiguous, of the result's type.
        progress, cancelled : optional
            Called, and looked at, between blocks; they count voxels.

        Returns
        -------
        ndarray of shape (..., N)
            ``out``, or a new array of ``dtype``, or the complex type of that precision on the complex path.

        Raises
        ------
        InputError
            As in `forward`; ``out`` of another shape or type.
        Cancelled
            Once ``cancelled`` is set.
        """
        precision = {"f4": torch.float32, "f8": torch.float64}.get(np.dtype(dtype).str[1:])
        if precision is None:
            raise InputError(f"dtype is {np.dtype(dtype)}", "float32 or float64", field="dtype")
        tissues = as_tissues(t1, t2, None, b1, dtype=precision)
        samples = _sample_type(self.is_real, np.dtype(dtype))
        shape = (*tissues.shape, len(self.schedule))
        if out is None:
            out = np.empty(shape, samples)
        elif out.shape != shape or out.dtype != samples or not out.flags.c_contiguous or not out.flags.writeable:
            raise InputError(
                f"out is {out.dtype} of shape {out.shape}",
                f"writable, contiguous {samples} of shape {shape}",
                field="out",
            )
        self._run(tissues.t1, tissues.t2, tissues.b1, signal=out, watch=Watch(progress, cancelled))
        return out

    def _rule(self, with_b1: bool) -> StateCount:
        if with_b1 not in self._rules:
            self._rules[with_b1] = (
                states_for_tolerance(self.schedule, self.tolerance, with_b1=with_b1)
                if self.states is None
                else fixed_states(self.schedule, self.states)
            )
        return self._rules[with_b1]

    def _run(
        self,
        t1: Tensor,
        t2: Tensor,
        b1: Tensor | None,
        *,
        tangents: int = 0,
        signal: AnyArray | None = None,
        jacobian: AnyArray | None = None,
        cotangent: AnyArray | None = None,
        gradient: FloatArray | None = None,
        watch: Watch = UNWATCHED,
    ) -> None:
        """Simulate into arrays of shape (..., N), seen as (voxel, N)."""
        tissue = [None if value is None else _flat(value) for value in (t1, t2, b1)]
        dtype = cast(FloatArray, tissue[0]).dtype
        if dtype.str not in self._pulses:
            self._pulses[dtype.str] = pulses_of(self.schedule, dtype)
        pulses, voxels = len(self.schedule), t1.numel()
        simulate_blocks(
            self._pulses[dtype.str],
            cast(FloatArray, tissue[0]),
            cast(FloatArray, tissue[1]),
            tissue[2],
            self._rule(b1 is not None),
            tangents=tangents,
            signal=None if signal is None else signal.reshape(voxels, pulses),
            jacobian=None if jacobian is None else jacobian.reshape(voxels, tangents, pulses),
            cotangent=None if cotangent is None else cotangent.reshape(voxels, pulses),
            gradient=gradient,
            threads=self.threads,
            watch=watch,
        )

    def _plain(self, t1: Tensor, t2: Tensor, b1: Tensor | None) -> Tensor:
        if triton_available(t1.device):
            return cast(
                Tensor, triton_signal(self.schedule, t1, t2, b1, states=self._rule(b1 is not None), dtype=t1.dtype)
            )
        signal = np.empty((*t1.shape, len(self.schedule)), _sample_type(self.is_real, _numpy_type(t1)))
        self._run(t1, t2, b1, signal=signal)
        return torch.from_numpy(signal).to(t1.device)

    def _with_derivatives(
        self, t1: Tensor, t2: Tensor, b1: Tensor | None, tangents: int | None = None
    ) -> tuple[Tensor, Tensor]:
        tangents = tangents or (2 if b1 is None else 3)
        if triton_available(t1.device):
            rule = self._rule(b1 is not None)
            both = triton_signal(self.schedule, t1, t2, b1, states=rule, dtype=t1.dtype, tangents=True)
            signal_there, derivatives = cast(tuple[Tensor, Tensor], both)
            return signal_there, derivatives[..., :tangents]
        samples = _sample_type(self.is_real, _numpy_type(t1))
        pulses = len(self.schedule)
        signal = np.empty((*t1.shape, pulses), samples)
        # Time runs fastest in memory, for the kernels and for every sum over time to come.
        jacobian = np.empty((*t1.shape, tangents, pulses), samples)
        self._run(t1, t2, b1, tangents=tangents, signal=signal, jacobian=jacobian)
        return torch.from_numpy(signal).to(t1.device), torch.from_numpy(jacobian).to(t1.device).mT

    def _pull_back(self, t1: Tensor, t2: Tensor, b1: Tensor | None, cotangent: Tensor) -> Tensor:
        """Return Σ Re(g*·∂s) over time, shape (..., P)."""
        if triton_available(t1.device):
            rule = self._rule(b1 is not None)
            products = triton_signal(self.schedule, t1, t2, b1, states=rule, dtype=t1.dtype, cotangent=cotangent)
            return cast(Tensor, products)[..., 1:]
        tangents = 2 if b1 is None else 3
        gradient = np.empty((t1.numel(), 1 + tangents), _numpy_type(t1))
        incoming = np.ascontiguousarray(cotangent.detach().cpu().resolve_conj().resolve_neg().numpy())
        self._run(t1, t2, b1, tangents=tangents, cotangent=incoming, gradient=gradient)
        return torch.from_numpy(gradient[:, 1:]).reshape(*t1.shape, tangents).to(t1.device)


class _Signal(torch.autograd.Function):
    """Signal with PD 1; the backward pass multiplies the incoming gradient with the tangents."""

    @staticmethod
    def forward(ctx: Any, decoder: EPGDecoder, t1: Tensor, t2: Tensor, b1: Tensor | None) -> Tensor:
        ctx.decoder = decoder
        itemsize = t1.element_size() * (1 if decoder.is_real else 2)
        size = t1.numel() * len(decoder.schedule) * (2 if b1 is None else 3) * itemsize
        if size <= _KEPT_BYTES and any(ctx.needs_input_grad):
            signal, jacobian = decoder._with_derivatives(t1, t2, b1)
            ctx.save_for_backward(jacobian)
            return signal
        ctx.save_for_backward(t1, t2, b1)
        return decoder._plain(t1, t2, b1)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("EPGDecoder has first derivatives only; take them without create_graph=True.")
        if len(ctx.saved_tensors) == 1:
            (jacobian,) = ctx.saved_tensors
            if jacobian.is_complex():
                jacobian, cotangent = torch.view_as_real(jacobian), torch.view_as_real(cotangent.resolve_conj())
                gradient = torch.einsum("...nc,...npc->...p", cotangent, jacobian)
            else:
                gradient = torch.einsum("...n,...np->...p", cotangent, jacobian)
        else:
            gradient = ctx.decoder._pull_back(*ctx.saved_tensors, cotangent)
        parts = [*gradient.unbind(-1), None]
        return (
            None,
            *(part if needed else None for part, needed in zip(parts, ctx.needs_input_grad[1:], strict=False)),
        )


def _simulate(
    decoder: EPGDecoder, t1: TissueValue, t2: TissueValue, pd: TissueValue | None, b1: TissueValue | None
) -> Tensor:
    tissues = as_tissues(t1, t2, pd, b1, like=decoder.reference)
    signal = cast(Tensor, _Signal.apply(decoder, tissues.t1, tissues.t2, tissues.b1))  # type: ignore[no-untyped-call]
    return signal if tissues.pd is None else signal * tissues.pd[..., None]


def _flat(values: Tensor) -> FloatArray:
    return np.ascontiguousarray(values.detach().cpu().numpy()).reshape(-1)


def _numpy_type(values: Tensor) -> np.dtype:
    return np.dtype(np.float64 if values.dtype == torch.float64 else np.float32)


def _sample_type(is_real: bool, dtype: np.dtype) -> np.dtype:
    return dtype if is_real else np.result_type(dtype, np.complex64)
