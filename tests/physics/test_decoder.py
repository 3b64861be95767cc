"""EPGDecoder as a layer: shapes, types, gradients, errors, threads, Cancel."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from napari_blochnet import Cancelled, EPGDecoder, InputError, Schedule
from napari_blochnet.physics import decoder as decoder_module
from napari_blochnet.physics.kernels import launch as blocks
from napari_blochnet.physics.reference.epg import epg_signal

PATHS = pytest.mark.parametrize("path", ["varied_schedule", "spoiled_schedule"])


@pytest.fixture(scope="module")
def short() -> Schedule:
    rng = np.random.default_rng(4)
    return Schedule(rng.uniform(5, 90, 14), rng.uniform(9, 15, 14), 3.0, inversion_time=12.0, inversion_efficiency=0.9)


def test_broadcasting_and_leading_shapes(short):
    decoder = EPGDecoder(short)
    t1 = torch.tensor([[300.0], [900.0], [2000.0]])
    t2 = torch.tensor([40.0, 80.0])
    pd = torch.tensor(0.5)
    signal = decoder(t1, t2, pd, b1=1.1)
    assert signal.shape == (3, 2, 14)
    assert signal.dtype == torch.float32
    for i in range(3):
        for j in range(2):
            one = decoder(float(t1[i, 0]), float(t2[j]), 0.5, 1.1)
            assert one.shape == (14,)
            torch.testing.assert_close(signal[i, j], one, rtol=1e-5, atol=1e-6)


def test_empty_batches(short):
    decoder = EPGDecoder(short)
    t1 = torch.empty(0, requires_grad=True)
    signal = decoder(t1, torch.empty(0))
    assert signal.shape == (0, 14)
    signal.sum().backward()
    assert t1.grad.shape == (0,)
    assert decoder.signal(np.empty((4, 0)), 50.0).shape == (4, 0, 14)


def test_precision_follows_tensors_and_the_module(short):
    decoder = EPGDecoder(short)
    assert decoder(np.array([500.0]), np.array([50.0])).dtype == torch.float32
    assert decoder(torch.tensor([500.0], dtype=torch.float64), 50.0).dtype == torch.float64
    assert decoder(torch.tensor([500.0], dtype=torch.float16), 50.0).dtype == torch.float32
    assert decoder.double()(500.0, 50.0).dtype == torch.float64
    assert decoder.float()(500.0, 50.0, 1j).dtype == torch.complex64


@PATHS
@pytest.mark.parametrize("kept", [0, 2**40])
def test_gradcheck(path, kept, request, monkeypatch):
    # Both ways back: derivatives kept from the forward pass, and made again.
    monkeypatch.setattr(decoder_module, "_KEPT_BYTES", kept)
    schedule = request.getfixturevalue(path)
    part = Schedule(
        schedule.flip_angle[:10], schedule.repetition_time[:10], 2.0, schedule.rf_phase[:10], 15.0, 0.9, [1.0, 0.5]
    )
    decoder = EPGDecoder(part, states=10)
    t1 = torch.tensor([[700.0], [90.0]], dtype=torch.float64, requires_grad=True)
    t2 = torch.tensor([60.0, 80.0, 300.0], dtype=torch.float64, requires_grad=True)
    pd = torch.tensor([0.3 + 1j, 1.0, -2.0j], dtype=torch.complex128, requires_grad=True)
    b1 = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(decoder, (t1, t2, pd, b1))
    assert torch.autograd.gradcheck(lambda first: decoder(first, t2.detach(), pd.detach()), (t1,))


def test_gradient_is_that_of_the_clear_version(spoiled_schedule):
    torch.manual_seed(0)
    decoder = EPGDecoder(spoiled_schedule, states=len(spoiled_schedule))
    target = torch.randn(len(spoiled_schedule), dtype=torch.complex128)
    gradients = []
    for simulate in (decoder, lambda *tissue: epg_signal(spoiled_schedule, *tissue)):
        tissue = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (800.0, 60.0, 0.7, 1.1)]
        (simulate(*tissue) - target).abs().square().sum().backward()
        gradients.append(torch.cat([value.grad for value in tissue]))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=0)


def test_second_derivatives_are_refused_plainly(short):
    t1 = torch.tensor([500.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(EPGDecoder(short)(t1, 50.0).sum(), t1, create_graph=True)


@PATHS
def test_jacobian_has_the_documented_shapes(path, request):
    decoder = EPGDecoder(request.getfixturevalue(path))
    t1, t2 = np.full((2, 3), 900.0), np.full((2, 3), 70.0)
    for b1, parameters in ((None, 2), (1.1, 3)):
        signal, derivatives = decoder.jacobian(t1, t2, b1)
        assert signal.shape == (2, 3, 80)
        assert derivatives.shape == (2, 3, 80, parameters)
        torch.testing.assert_close(signal, decoder(t1, t2, b1=b1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "field", "sentence"),
    [
        ((0.0, 50.0), "t1", "t1 is 0; expected a finite number above 0 ms"),
        ((500.0, -3.0), "t2", "t2 is -3; expected a finite number above 0 ms"),
        ((500.0, [50.0, np.nan, np.inf]), "t2", r"t2 is nan \(and 1 more\)"),
        ((500.0, 50.0, np.nan), "pd", "pd is nan"),
        ((500.0, 50.0, None, -0.1), "b1", "b1 is -0.1; expected a number from 0 to 100"),
        ((500.0, 50.0, None, 1e30), "b1", "b1 is 1e[+]30; expected a number from 0 to 100"),
        ((1e-20, 50.0), "t1", "t1 is 1e-20; expected a finite number above 0 ms"),
        (([500.0, 600.0], [50.0, 60.0, 70.0]), "t1", r"do not broadcast: t1 \(2,\), t2 \(3,\)"),
        (("long", 50.0), "t1", "t1 holds something that is not a number"),
        ((500.0 + 1j, 50.0), "t1", "t1 is complex"),
    ],
)
def test_bad_tissues_are_a_sentence(short, arguments, field, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        EPGDecoder(short)(*arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("arguments", "field"), [({"states": 0}, "states"), ({"tolerance": 0.0}, "tolerance"), ({"threads": -1}, "threads")]
)
def test_bad_settings_are_a_sentence(short, arguments, field):
    with pytest.raises(InputError, match=field) as caught:
        EPGDecoder(short, **arguments)
    assert caught.value.field == field


def test_absurd_flip_angles_are_a_sentence():
    with pytest.raises(InputError, match=r"flip_angle reaches 1e\+12°"):
        EPGDecoder(Schedule(1e12, 10.0, 5.0))(500.0, 50.0)


@pytest.mark.parametrize("t1", [1e-8, 1e-3, 1e8, 1e30])
@pytest.mark.parametrize("t2", [1e-8, 1e-3, 1e8, 1e30])
def test_nothing_is_nan_however_odd_the_tissue(short, t1, t2):
    signal, derivatives = EPGDecoder(short).jacobian(t1, t2, 1.0)
    assert torch.isfinite(signal).all()
    assert torch.isfinite(derivatives).all()


def test_absent_devices_are_a_sentence(short):
    absent = "mps" if not torch.backends.mps.is_available() else "xpu"
    with pytest.raises(InputError, match="cannot go to that device"):
        EPGDecoder(short).to(absent)
    on_meta = torch.empty(3, device="meta")
    with pytest.raises(InputError, match="different devices"):
        EPGDecoder(short)(torch.ones(3), on_meta)


def test_t2_longer_than_t1_is_allowed(short):
    signal = EPGDecoder(short).signal(100.0, 400.0, dtype=np.float64)
    np.testing.assert_allclose(signal, epg_signal(short, 100.0, 400.0).real, atol=1e-13)


def test_pickles_and_copies(short):
    decoder = EPGDecoder(short, states=5, threads=1).double()
    expected = decoder(500.0, 50.0)
    for twin in (pickle.loads(pickle.dumps(decoder)), copy.deepcopy(decoder)):
        assert torch.equal(twin(500.0, 50.0), expected)
        assert (twin.states, twin.threads, twin.schedule) == (5, 1, short)
    assert not decoder.state_dict()


def test_inside_a_compiled_module(short):
    class Autoencoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = torch.nn.Linear(14, 2)
            self.decoder = EPGDecoder(short)

        def forward(self, fingerprints: torch.Tensor) -> torch.Tensor:
            logarithms = self.encoder(fingerprints).tanh() + torch.tensor([6.5, 4.0])
            return self.decoder(*logarithms.exp().unbind(-1))

    torch.manual_seed(1)
    model, fingerprints = Autoencoder(), torch.randn(5, 14)
    compiled = torch.compile(model, backend="aot_eager")
    plain, captured = model(fingerprints), compiled(fingerprints)
    torch.testing.assert_close(captured, plain)
    gradients = [torch.autograd.grad(out.sum(), model.encoder.weight)[0] for out in (plain, captured)]
    torch.testing.assert_close(*gradients)


def test_numpy_entry_writes_where_it_is_told(short):
    decoder = EPGDecoder(short)
    out = np.full((3, 14), np.nan, np.float32)
    assert decoder.signal([300.0, 400.0, 500.0], 50.0, out=out) is out
    torch.testing.assert_close(torch.from_numpy(out), decoder([300.0, 400.0, 500.0], 50.0), rtol=0, atol=0)
    for wrong in (np.empty((3, 13), np.float32), np.empty((3, 14)), np.empty((14, 3), np.float32).T):
        with pytest.raises(InputError, match="out is"):
            decoder.signal([300.0, 400.0, 500.0], 50.0, out=wrong)
    with pytest.raises(InputError, match="dtype is int32"):
        decoder.signal(300.0, 50.0, dtype=np.int32)


def test_results_do_not_depend_on_threads(varied_schedule):
    rng = np.random.default_rng(0)
    t1, t2 = rng.uniform(300, 3000, 700), rng.uniform(20, 250, 700)
    one, three = (EPGDecoder(varied_schedule, threads=threads).signal(t1, t2) for threads in (1, 3))
    np.testing.assert_allclose(one, three, rtol=0, atol=1e-6)


def test_two_threads_at_once(varied_schedule, spoiled_schedule):
    decoders = [EPGDecoder(varied_schedule), EPGDecoder(spoiled_schedule)] * 2
    rng = np.random.default_rng(0)
    t1, t2 = rng.uniform(300, 3000, 3000), rng.uniform(20, 250, 3000)
    expected = [decoder.signal(t1, t2) for decoder in decoders]
    found: list[np.ndarray | None] = [None] * 4

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = decoders[number].signal(t1, t2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, alone in zip(found, expected, strict=True):
        assert np.array_equal(result, alone)


def test_a_small_call_does_not_wait_for_a_long_one(varied_schedule):
    decoder, released = EPGDecoder(varied_schedule, threads=2), threading.Event()
    t1 = np.full(1000, 800.0)
    expected = decoder.signal(t1, 60.0)
    # Another call's helper has the pool's only thread.
    busy = blocks._pool(1, os.getpid()).submit(released.wait, 30.0)
    try:
        assert np.array_equal(decoder.signal(t1, 60.0), expected)
        assert not busy.done()
    finally:
        released.set()
        busy.result()


def test_progress_counts_voxels_to_the_end(varied_schedule):
    seen = []
    EPGDecoder(varied_schedule, threads=1).signal(
        np.full(2000, 800.0), 60.0, progress=lambda done, total, message="": seen.append((done, total))
    )
    assert seen[-1] == (2000, 2000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) == 17


def test_cancel_stops_between_blocks_and_leaves_nothing_running(varied_schedule):
    decoder, event = EPGDecoder(varied_schedule), threading.Event()
    out = np.zeros((20000, 80), np.float32)
    with pytest.raises(Cancelled, match="of 20000 fingerprints were simulated"):
        decoder.signal(
            np.full(20000, 800.0), 60.0, out=out, cancelled=event, progress=lambda done, total, message="": event.set()
        )
    written = np.count_nonzero(out[:, 0])
    assert 0 < written < 20000
    before = out.copy()
    with pytest.raises(Cancelled, match="no fingerprint was simulated"):
        decoder.signal(np.full(10, 800.0), 60.0, cancelled=event)
    assert np.array_equal(out, before)
    # The pool still works.
    assert np.isfinite(decoder.signal(np.full(500, 800.0), 60.0)).all()


def test_an_error_in_progress_reaches_the_caller(varied_schedule):
    def fail(done: int, total: int, message: str = "") -> None:
        raise KeyError("shown")

    with pytest.raises(KeyError, match="shown"):
        EPGDecoder(varied_schedule).signal(np.full(3000, 800.0), 60.0, progress=fail)


def test_records_say_what_computes(varied_schedule, spoiled_schedule):
    assert EPGDecoder(varied_schedule, threads=2).backend == "Numba, real path, 2 CPU threads"
    assert "complex path" in EPGDecoder(spoiled_schedule).backend
    assert EPGDecoder(varied_schedule).describe_backend("meta").endswith("for tensors on meta")


def test_importing_the_package_loads_neither_numba_nor_torch():
    check = (
        "import sys, napari_blochnet, napari_blochnet.schedules.schedule;"
        "assert not {'torch', 'numba', 'qtpy', 'napari'} & set(sys.modules);"
        "import napari_blochnet.physics.decoder;"
        "assert not {'numba', 'triton', 'torch._dynamo', 'pydantic', 'nibabel', 'napari'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
