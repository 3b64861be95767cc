"""The GPU kernels without a GPU: interpreted against the clear version and the Numba kernels, and compiled."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.kernels import triton_launch as triton_kernels
from napari_blochnet.physics.kernels.triton_launch import choose_layout
from napari_blochnet.physics.reference.epg import epg_signal
from napari_blochnet.physics.truncation import fixed_states, states_for_tolerance
from napari_blochnet.schedules.schedule import Schedule

T1 = [300.0, 800.0, 1500.0, 4000.0, 90.0]
T2 = [30.0, 70.0, 200.0, 1800.0, 80.0]
B1 = [0.8, 1.0, 1.2, 1.1, 0.9]
PULSES = 12

# Each case: real path, slice profile, B1, states (0: by tolerance), orders a lane may hold (0: the usual), dtype.
CASES = [
    (True, False, False, 4, 0, "float32"),
    (True, True, True, 6, 0, "float32"),
    (True, False, True, 5, 2, "float32"),
    (True, False, False, 6, 1, "float32"),
    (True, False, True, 0, 3, "float32"),
    (True, True, True, 6, 2, "float64"),
    (False, False, False, 6, 0, "float32"),
    (False, True, True, 5, 2, "float32"),
    (False, False, True, 0, 1, "float32"),
    (False, False, True, 6, 2, "float64"),
]

# What is played around the pulses and again: spoiled, trains, B1, states, orders a lane may hold, dtype.
PLAYED = [
    (False, 1, True, 40, 2, "float64"),
    (False, "steady", True, 60, 2, "float64"),
    (False, 4, False, 0, 3, "float32"),
    (True, "steady", False, 60, 2, "float64"),
]
PLAYED_TISSUE = {"t1": [300.0, 900.0], "t2": [30.0, 45.0], "b1": [0.8, 1.15]}

SCRIPT = """
import json, sys
import numpy as np, torch
from napari_blochnet.physics import decoder
from napari_blochnet.physics.kernels import triton_launch as triton_kernels
from napari_blochnet.physics.kernels.triton_launch import triton_signal
from napari_blochnet.physics.truncation import states_for_tolerance
from napari_blochnet.schedules.schedule import Schedule

usual = dict(triton_kernels._ORDERS_PER_LANE)
results = {}
for number, case in enumerate(json.loads(sys.argv[1])):
    schedule = Schedule.from_dict(case["schedule"])
    b1 = None if case["b1"] is None else torch.tensor(case["b1"], dtype=torch.float64)
    states = case["states"] or states_for_tolerance(schedule, 1e-7, with_b1=b1 is not None)
    triton_kernels._ORDERS_PER_LANE = {key: case["orders"] or value for key, value in usual.items()}
    t1, t2 = (torch.tensor(case[key], dtype=torch.float64) for key in ("t1", "t2"))
    arguments = (schedule, t1, t2, b1)
    options = {"states": states, "dtype": getattr(torch, case["dtype"])}
    signal = triton_signal(*arguments, **options)
    again, derivatives = triton_signal(*arguments, **options, tangents=True)
    results[f"cotangent{number}"] = cotangent = torch.sin(torch.arange(signal.numel())).reshape(signal.shape).to(signal)
    products = triton_signal(*arguments, **options, cotangent=cotangent)
    results |= {f"signal{number}": signal, f"again{number}": again, f"derivatives{number}": derivatives}
    results[f"products{number}"] = products

# The decoder as on a machine with a GPU: both ways of its backward pass go through the kernels.
triton_kernels._ORDERS_PER_LANE = usual
triton_kernels.triton_available = decoder.triton_available = lambda device: True
t1, t2, b1 = (torch.tensor(case[key], requires_grad=True) for key in ("t1", "t2", "b1"))
for kept in (2**20, 0):
    decoder._KEPT_BYTES = kept
    signal = decoder.EPGDecoder(schedule)(t1, t2, b1=b1)
    signal.abs().square().sum().backward()
    results |= {f"decoded{kept}": signal.detach()}
    results |= {f"{key}_gradient{kept}": value.grad.clone() for key, value in zip(("t1", "t2", "b1"), (t1, t2, b1))}
    t1.grad = t2.grad = b1.grad = None
np.savez(sys.argv[2], **{key: value.numpy() for key, value in results.items()})
"""


def _schedule(real: bool, profile: bool, pulses: int = PULSES) -> Schedule:
    rng = np.random.default_rng(4)
    tr = rng.uniform(9.0, 15.0, pulses)
    number = np.arange(pulses)
    return Schedule(
        flip_angle=rng.uniform(5.0, 150.0, pulses),
        repetition_time=tr,
        echo_time=tr * rng.uniform(0.0, 1.0, pulses),
        rf_phase=20.0 + 33.0 * number + 180.0 * (number % 3 == 1) if real else number * (number - 1) / 2 * 117.0,
        inversion_time=20.0,
        inversion_efficiency=0.9,
        slice_profile=[0.4, 1.0, 0.4] if profile else None,
    )


def _played(played: Callable[..., Schedule], case: tuple) -> Schedule:
    return played(case[1], case[0], pulses=10).replace(slice_profile=[1.0, 0.6] if case[2] else None)


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory, played: Callable[..., Schedule]) -> dict[str, np.ndarray]:
    pytest.importorskip("triton", reason="Triton is not available on this platform")
    trains = [(_played(played, case), PLAYED_TISSUE, case[2:]) for case in PLAYED]
    trains += [(_schedule(*case[:2]), {"t1": T1, "t2": T2, "b1": B1}, case[2:]) for case in CASES]
    cases = [
        {**tissue, "schedule": schedule.to_dict(), "b1": tissue["b1"] if b1 else None, "states": states,
         "orders": orders, "dtype": dtype}
        for schedule, tissue, (b1, states, orders, dtype) in trains
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("triton") / "results.npz"
    # The variable counts when Triton is imported, so another process is needed.
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(cases), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(path, allow_pickle=False) as results:
        return dict(results)


def _clear(schedule: Schedule, tissue: list[list[float]], states: int) -> tuple[np.ndarray, np.ndarray]:
    """Signal and derivatives of the clear version, by PyTorch's own derivatives."""

    def parts(*values: torch.Tensor) -> torch.Tensor:
        b1 = values[2] if len(values) == 3 else None
        return torch.view_as_real(epg_signal(schedule, values[0], values[1], b1=b1, states=states or None))

    leaves = tuple(torch.tensor(values, dtype=torch.float64) for values in tissue)
    signal = torch.view_as_complex(parts(*leaves)).numpy()
    # Voxels do not mix: the Jacobian of the sum over voxels holds every voxel's.
    jacobian = torch.autograd.functional.jacobian(lambda *v: parts(*v).sum(dim=0), leaves)
    slopes = torch.stack([slope.movedim(-1, 0) for slope in jacobian], dim=-1).numpy()
    derivatives = slopes[..., 0, :] + 1j * slopes[..., 1, :]
    return (signal.real, derivatives.real) if schedule.is_real else (signal, derivatives)


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


@pytest.mark.parametrize("number", range(len(CASES)))
def test_interpreted_against_the_clear_version(interpreted: dict[str, np.ndarray], number: int) -> None:
    real, profile, b1, states, _, dtype = CASES[number]
    clear = _clear(_schedule(real, profile), [T1, T2, *([B1] if b1 else [])], states)
    _check(interpreted, len(PLAYED) + number, *clear, 1e-13 if dtype == "float64" else 1e-6)


@pytest.mark.parametrize("number", range(len(PLAYED)))
def test_interpreted_trains_that_are_prepared_and_repeat(
    interpreted: dict[str, np.ndarray], played: Callable[..., Schedule], number: int
) -> None:
    *_, b1, _, _, dtype = PLAYED[number]
    tissue = [values for key, values in PLAYED_TISSUE.items() if b1 or key != "b1"]
    _check(
        interpreted, number, *_clear(_played(played, PLAYED[number]), tissue, 0), 1e-10 if dtype == "float64" else 1e-6
    )


def _check(
    interpreted: dict[str, np.ndarray], number: int, signal: np.ndarray, derivatives: np.ndarray, tolerance: float
) -> None:
    assert _error(interpreted[f"signal{number}"], signal) < tolerance
    assert _error(interpreted[f"derivatives{number}"], derivatives) < 5 * tolerance
    # states of earlier plays are made by sums, which may be cut differently
    again = np.testing.assert_array_equal if number >= len(PLAYED) else np.testing.assert_allclose
    again(interpreted[f"again{number}"], interpreted[f"signal{number}"])
    whole = np.concatenate([signal[..., None], derivatives], axis=-1)
    expected = np.einsum("vn,vnp->vp", interpreted[f"cotangent{number}"].conj(), whole).real
    scale = np.linalg.norm(interpreted[f"cotangent{number}"], axis=1)[:, None] * np.linalg.norm(whole, axis=1)
    assert np.abs((interpreted[f"products{number}"] - expected) / scale).max() < 5 * tolerance


@pytest.mark.parametrize("number", [i for i, case in enumerate(CASES) if case[3]])
def test_interpreted_against_the_processor(interpreted: dict[str, np.ndarray], number: int) -> None:
    real, profile, b1, states, _, dtype = CASES[number]
    decoder = EPGDecoder(_schedule(real, profile), states=states, threads=1).to(getattr(torch, dtype))
    signal, derivatives = decoder.jacobian(np.array(T1), np.array(T2), np.array(B1) if b1 else None)
    number += len(PLAYED)
    assert _error(interpreted[f"signal{number}"], signal.numpy()) < 1e-5
    assert _error(interpreted[f"derivatives{number}"], derivatives.numpy()) < 1e-5


def test_the_decoder_uses_them_both_ways(interpreted: dict[str, np.ndarray]) -> None:
    real, profile, *_ = CASES[-1]
    tissue = [torch.tensor(values, requires_grad=True) for values in (T1, T2, B1)]
    signal = EPGDecoder(_schedule(real, profile), threads=1)(tissue[0], tissue[1], b1=tissue[2])
    signal.abs().square().sum().backward()
    for kept in (2**20, 0):
        assert _error(interpreted[f"decoded{kept}"], signal.detach().numpy()) < 1e-5
        for key, value in zip(("t1", "t2", "b1"), tissue, strict=True):
            assert value.grad is not None
            expected = value.grad.numpy()
            np.testing.assert_allclose(
                interpreted[f"{key}_gradient{kept}"], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
            )


def _compile(architecture: int, *, mode: int, complex_path: bool, tangents: int, states: int, product: bool, b1: bool):
    from triton import compile as triton_compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from napari_blochnet.physics.kernels.triton_train import epg_train

    layout = choose_layout(states, (1 + tangents) * (2 if complex_path else 1))
    constants = {
        "MODE": mode, "COMPLEX": complex_path, "TANGENTS": tangents, "PRODUCT": product, "HAS_B1": b1, "DOUBLE": False,
        "K": layout.states, "L": layout.lanes, "R": layout.registers, "BLOCK": 32 // layout.lanes,
    }  # fmt: skip
    sizes = dict.fromkeys(("count", "pulses", "positions", "voxels"), "i32")
    kinds = {"voxel_ptr": "*i32", "gap_ptr": "*i32", **sizes}
    signature = {
        name: "constexpr" if name in constants else kinds.get(name, "*fp32") for name in epg_train.arg_names
    }  # fmt: skip
    source = ASTSource(epg_train, signature, constexprs=constants)
    return triton_compile(
        source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": 1, "enable_fp_fusion": True}
    )


@pytest.mark.parametrize(
    ("architecture", "mode", "complex_path", "tangents", "states", "product", "b1"),
    [
        (80, "PLAIN", False, 0, 20, False, False),
        (80, "PLAIN", False, 0, 500, False, False),
        (80, "PLAIN", False, 2, 32, False, False),
        (80, "PLAIN", False, 3, 32, True, True),
        (80, "PLAIN", True, 0, 64, False, False),
        (80, "PLAIN", True, 2, 32, False, False),
        (90, "PLAIN", False, 0, 20, False, False),
        (90, "PLAIN", False, 0, 500, False, False),
        (90, "PLAIN", False, 2, 32, False, False),
        (90, "PLAIN", False, 3, 32, True, True),
        (90, "PLAIN", True, 0, 64, False, False),
        (90, "PLAIN", True, 2, 32, False, False),
        (90, "PREPARED", False, 2, 32, False, False),
        (90, "AGAIN", True, 0, 64, False, False),
        (90, "OFFSET", False, 3, 32, False, True),
    ],
)
def test_compiled_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    architecture: int,
    mode: str,
    complex_path: bool,
    tangents: int,
    states: int,
    product: bool,
    b1: bool,
) -> None:
    triton = pytest.importorskip("triton", reason="Triton is not available on this platform")
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("Triton is in its interpreter here")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from napari_blochnet.physics.kernels import triton_train

    kernel = _compile(
        architecture, mode=getattr(triton_train, mode).value, complex_path=complex_path, tangents=tangents,
        states=states, product=product, b1=b1,
    )  # fmt: skip
    ptx, cubin = kernel.asm["ptx"], kernel.asm["cubin"]
    assert re.search(rf"\.target sm_{architecture}", ptx)
    assert cubin[:4] == b"\x7fELF"
    # Lanes talk by shuffles, for F⁺ and for F⁻ of each channel, and states never go to shared memory.
    channels = (1 + tangents) * (2 if complex_path else 1)
    shuffles = ptx.count("shfl.sync.idx")
    assert shuffles > 0
    assert shuffles % (2 * channels) == 0
    assert kernel.metadata.shared == 0
    assert "bar.sync" not in ptx
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    if not tool.exists():
        pytest.skip("this Triton brings no cuobjdump to read registers with")
    (tmp_path / "kernel.cubin").write_bytes(cubin)
    usage = subprocess.run([tool, "-res-usage", tmp_path / "kernel.cubin"], capture_output=True, text=True, check=True)
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", usage.stdout).groups())
    print(f"sm_{architecture}, {channels} channels, {states} states: {registers} registers")
    assert stack == 0, "states were spilled to scratch memory"
    assert registers <= (176 if mode == "PLAIN" else 255)


@settings(deadline=None)
@given(st.integers(1, 4000), st.sampled_from([1, 2, 3, 4, 6, 8]))
def test_layout_holds_the_states_and_wastes_little(states: int, channels: int) -> None:
    layout = choose_layout(states, channels)
    assert layout.states == states
    assert layout.lanes in (1, 2, 4, 8, 16, 32)
    assert 0 <= layout.lanes * layout.registers - states < layout.lanes


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_groups_hold_every_voxel_once_with_the_states_it_needs(channels: int) -> None:
    rule = states_for_tolerance(_schedule(True, False, pulses=400), 1e-4)
    t2 = torch.from_numpy(np.exp(np.random.default_rng(0).uniform(np.log(2.0), np.log(3000.0), 500))).float()
    groups = triton_kernels._groups(rule, t2, 200, channels)
    every = torch.cat([index for _, index in groups])
    assert sorted(every.tolist()) == list(range(500))
    sizes = [layout.states for layout, _ in groups]
    assert sizes == sorted(set(sizes))
    for layout, index in groups:
        needed = rule(t2[index.long()].double().numpy())
        assert needed.max() <= layout.states
        assert layout.states <= max(1.5 * needed.min() + 1, triton_kernels._ORDERS_PER_LANE[channels])


def test_equal_positions_of_a_slice_profile_are_simulated_once() -> None:
    schedule = _schedule(True, False).replace(slice_profile=[0.1, 0.7, 1.0, 0.7, 0.1])
    tables = triton_kernels._tables(schedule, torch.float64, torch.device("cpu"))
    assert tables.weight.tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert tables.angle.shape == (3, PULSES)


def test_no_voxels_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="Triton is not available on this platform")

    def refuse(*_: object) -> None:
        raise LookupError("tables were made")

    monkeypatch.setattr(triton_kernels, "_tables", refuse)
    for voxels in (0, 1):
        tissue, signal = torch.full((voxels,), 100.0), torch.full((voxels, PULSES), 7.0)
        work = pytest.raises(LookupError) if voxels else contextlib.nullcontext()
        with work:
            triton_kernels.simulate_launches(_schedule(True, False), tissue, tissue, None, 5, signal=signal)
        assert (signal == 7.0).all()


def test_everything_else_works_without_triton() -> None:
    """Windows and macOS have no Triton: the module is imported all the same, and says so when asked."""
    script = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch\n"
        "from napari_blochnet import InputError, Schedule\n"
        "from napari_blochnet.physics.kernels.triton_launch import triton_available, triton_signal\n"
        "assert not triton_available(torch.device('cpu'))\n"
        "try:\n"
        "    triton_signal(Schedule(30.0, [10.0, 10.0], 5.0), 1000.0, 100.0, states=1)\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "device is 'cpu'; the Triton kernels need an NVIDIA GPU and Triton installed."


def test_importing_does_not_import_triton() -> None:
    script = "import sys, napari_blochnet.physics.kernels.triton_launch\nassert 'triton' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_fixed_states_as_a_number_or_a_rule() -> None:
    schedule, t2 = _schedule(True, False), torch.tensor(T2)
    [(layout, index)] = triton_kernels._groups(50, t2, 6, 1)
    assert (layout.states, index.tolist()) == (6, [0, 1, 2, 3, 4])
    [(layout, index)] = triton_kernels._groups(fixed_states(schedule, 5), t2, 6, 1)
    assert layout.states == 5
    assert sorted(index.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("real", [True, False])
def test_on_a_gpu_against_the_processor(real: bool) -> None:
    schedule, rng = _schedule(real, True, pulses=300), np.random.default_rng(0)
    t2 = np.exp(rng.uniform(np.log(5.0), np.log(2000.0), 3000))
    t1, b1 = t2 * rng.uniform(1.0, 10.0, 3000), rng.uniform(0.8, 1.2, 3000)
    rule = states_for_tolerance(schedule, 1e-6, with_b1=True)
    tissue = [torch.from_numpy(values).to("cuda", torch.float32) for values in (t1, t2, b1)]
    signal, derivatives = triton_kernels.triton_signal(schedule, *tissue, states=rule, tangents=True)
    decoder = EPGDecoder(schedule, tolerance=1e-6)
    on_processor = decoder.jacobian(*(values.cpu() for values in tissue))
    assert _error(signal.cpu().numpy(), on_processor[0].numpy()) < 1e-5
    assert _error(derivatives.cpu().numpy(), on_processor[1].numpy()) < 5e-5
    cotangent = torch.ones_like(signal)
    products = triton_kernels.triton_signal(schedule, *tissue, states=rule, cotangent=cotangent)
    expected = derivatives.real.sum(dim=1)
    assert torch.allclose(products[:, 1:], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
