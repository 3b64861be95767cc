"""Played sequences against the published list, and against a Bloch simulation of the file's own waveforms."""

from functools import cache

import numpy as np
import pypulseq
import pytest
import torch
from scipy.linalg import expm

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.pulseq.read_pulseq import read_pulseq

TISSUES = torch.tensor([[800.0, 1400.0, 300.0, 2500.0], [70.0, 110.0, 30.0, 800.0]], dtype=torch.float64)


def _nrmse(found, right):
    return float(torch.linalg.norm(found - right, dim=-1).div(torch.linalg.norm(right, dim=-1)).max())


@pytest.fixture(scope="module")
def fisp(shared_data):
    return read_pulseq(shared_data / "pulseq" / "fisp_yun.seq")


@pytest.fixture(scope="module")
def cardiac(shared_data):
    return read_pulseq(shared_data / "pulseq" / "cardiac.seq", spin_lock="t2", slice_positions=0)


class TestFisp:
    def test_is_the_published_list_as_played(self, fisp, shared_data):
        flip, repetition = (np.loadtxt(shared_data / "schedules" / f"yun_{key}.txt") for key in ("fa", "tr"))
        schedule = fisp.schedule
        np.testing.assert_allclose(schedule.flip_angle, flip, atol=1e-3)
        np.testing.assert_allclose(schedule.repetition_time, repetition, atol=0.02)
        np.testing.assert_allclose(schedule.echo_time, 2.021, atol=1e-9)
        assert schedule.is_real
        assert schedule.receiver_phase == "follows"
        assert fisp.noise == 100

    def test_tr_is_that_of_the_files_own_timeline(self, fisp, shared_data):
        blocks = [
            line.split()
            for line in (shared_data / "pulseq" / "fisp_yun.seq")
            .read_text()
            .split("[BLOCKS]")[1]
            .split("[RF]")[0]
            .splitlines()
            if line[:4].strip().isdigit()
        ]
        durations, pulses = np.array([[int(row[1]), int(row[2])] for row in blocks]).T
        # in units of 10 µs; every excitation lies alike in its block
        starts = np.concatenate([[0], np.cumsum(durations)])
        excited = np.append(starts[:-1][pulses > 1], starts[-1])
        np.testing.assert_allclose(fisp.schedule.repetition_time, np.diff(excited) * 0.01, atol=1e-6)

    def test_its_inversion_is_said(self, fisp):
        assert fisp.preparations == ((pytest.approx(716.1), "adiabatic inversion", 0),)
        said = " ".join(fisp.sentences)
        for words in (
            "100 noise acquisitions passed over",
            "18.02 ms after the middle of the adiabatic inversion",
            "TE 2.021 ms",
        ):
            assert words in said

    def test_fingerprints_are_those_of_the_list(self, shared_data):
        played = read_pulseq(
            shared_data / "pulseq" / "fisp_yun.seq", preparation_model="ideal", slice_positions=0
        ).schedule
        flip = np.loadtxt(shared_data / "schedules" / "yun_fa.txt")
        assert played.inversion_time == pytest.approx(18.02)
        listed = nb.Schedule(flip, played.repetition_time, 2.021, inversion_time=18.02,
                             inversion_efficiency=played.inversion_efficiency)  # fmt: skip
        found, right = (nb.EPGDecoder(each)(*TISSUES) for each in (played, listed))
        assert _nrmse(found, right) <= 1e-5

    def test_slice_profile_states_how_far_other_flip_angles_are(self, fisp):
        assert len(fisp.schedule.slice_profile) == 10
        assert fisp.schedule.slice_profile[0] == pytest.approx(1.0, abs=0.005)
        assert "5 mm wide" in " ".join(fisp.sentences) or "4.99 mm wide" in " ".join(fisp.sentences)
        assert "whose own differ from it by at most 4.8 %" in " ".join(fisp.sentences)

    def test_opens_wherever_a_schedule_does(self, fisp, shared_data):
        assert nb.read_schedule(shared_data / "pulseq" / "fisp_yun.seq") == fisp.schedule
        with pytest.raises(InputError, match="states the whole schedule itself; leave inversion_time out"):
            nb.read_schedule(shared_data / "pulseq" / "fisp_yun.seq", inversion_time=20.0)


class TestCardiac:
    def test_spin_locks_are_taken_as_t2_only_where_asked_for(self, shared_data):
        with pytest.raises(MissingHintError, match=r"cardiac\.seq: has 4 spin locks.*give spin_lock as 't2'") as caught:
            read_pulseq(shared_data / "pulseq" / "cardiac.seq")
        assert caught.value.asked.keys() == {"spin_lock"}

    def test_everything_is_recognised_at_its_time(self, cardiac):
        # ms from the file's beginning, of the first waveform, by the file's own blocks
        table = {
            "adiabatic inversion": [1125.28, 5065.32, 8990.36, 12881.36],
            "adiabatic T2 preparation": [3080.64, 4040.65],
            "adiabatic half passage (saturation)": [6027.91, 9927.95],
            "spin lock": [7082.39, 8042.40],
            "adiabatic spin lock, a train of 4 full passages": [11080.74],
            "adiabatic spin lock, a train of 8 full passages": [12019.95],
            "T2 preparation of 16 refocusing pulses (MLEV)": [15066.81],
            "T2 preparation of 32 refocusing pulses (MLEV)": [15999.46],
            "fat saturation": [2142.64 + 1000.01 * n for n in (0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14)],
        }
        found = {}
        for time, name, _ in cardiac.preparations:
            found.setdefault(name, []).append(time)
        for name, times in table.items():
            np.testing.assert_allclose(found[name], times, atol=1e-6)
        assert len(cardiac.schedule) == 768
        assert cardiac.noise == 100
        assert sum(len(times) for times in found.values()) == len(cardiac.preparations)

    def test_its_fingerprint_is_that_of_its_waveforms(self, cardiac, shared_data):
        t1, t2, b1 = 1100.0, 45.0, 0.9
        played = _bloch(shared_data / "pulseq" / "cardiac.seq", t1, t2, b1)
        decoder = nb.EPGDecoder(cardiac.schedule)
        given = [torch.tensor([value], dtype=torch.float64) for value in (t1, t2)]
        found = decoder(*given, b1=torch.tensor([b1], dtype=torch.float64))[0]
        found = -1j * found.numpy()
        played = played * np.exp(-1j * np.radians(cardiac.schedule.rf_phase))
        assert np.linalg.norm(found - played) / np.linalg.norm(played) < 1e-3


def _bloch(path, t1, t2, b1):
    """Every block by pypulseq, isochromats by matrices: 800 along z, three along x and y, spoiled by real gradients.

    Preparation pulses by the exponential of the Bloch equations, 5 µs a step; excitations at their centre.
    """
    sequence = pypulseq.Sequence()
    sequence.read(str(path), remove_duplicates=False)
    # a slice of Gaussian weight, in which every gradient moment but 0 averages to nothing
    place = np.linspace(-15e-3, 15e-3, 800)
    weight = np.repeat(np.exp(-0.5 * (place / 3e-3) ** 2), 3)
    weight /= weight.sum()
    z, xy = (each.ravel() for each in np.meshgrid(place, np.arange(3) / 3 / 2285.7123, indexing="ij"))
    magnetisation = np.zeros((3, len(z)))
    magnetisation[2] = 1.0
    ids = list(sequence.block_events)
    has_samples = [sequence.block_events[n][5] > 0 for n in ids]

    def relaxed(m, seconds):
        e1, e2 = np.exp(-1e3 * seconds / t1), np.exp(-1e3 * seconds / t2)
        return np.stack([m[0] * e2, m[1] * e2, 1 + (m[2] - 1) * e1])

    def dephased(m, areas):
        phase = 2 * np.pi * (areas[2] * z + (areas[0] + areas[1]) * xy)
        turned = (m[0] + 1j * m[1]) * np.exp(1j * phase)
        return np.stack([turned.real, turned.imag, m[2]])

    @cache
    def waveform(number):
        rf = sequence.rf_from_lib_data(sequence.rf_library.data[number], "u")
        signal = b1 * rf.signal * np.exp(1j * (rf.phase_offset + 2 * np.pi * rf.freq_offset * rf.t))
        # a constant one has two points
        signal = signal[:1] if len(signal) == 2 else signal.reshape(-1, 5).mean(axis=1)
        x, y = 2e-3 * np.pi * signal.real, 2e-3 * np.pi * signal.imag
        generator = np.zeros((len(x), 4, 4))
        generator[:, 0, 0] = generator[:, 1, 1] = -1 / t2
        generator[:, 2, 2], generator[:, 2, 3] = -1 / t1, 1 / t1
        generator[:, 0, 2], generator[:, 2, 0], generator[:, 1, 2], generator[:, 2, 1] = y, -y, -x, x
        whole = np.eye(4)
        for step in expm(1e3 * rf.shape_dur / len(signal) * generator):
            whole = step @ whole
        return whole

    samples = []
    phase = 0.0
    is_first = False
    for at, n in enumerate(ids):
        block, events = sequence.get_block(n), sequence.block_events[n]
        areas = np.array([0.0 if axis is None else axis.area for axis in (block.gx, block.gy, block.gz)])
        seconds = block.block_duration
        if block.rf is not None:
            excites = any(has_samples[at : at + 4])
            rf = block.rf
            if excites:
                before = rf.delay + rf.center
                magnetisation = dephased(relaxed(magnetisation, before), areas / 2)
                flip, phase = (
                    2 * np.pi * b1 * np.abs(rf.signal.sum()) * 1e-6,
                    rf.phase_offset + np.angle(rf.signal.sum()),
                )
                turned = (magnetisation[0] + 1j * magnetisation[1]) * np.exp(-1j * phase)
                c, s = np.cos(flip), np.sin(flip)
                across, along = turned.imag, magnetisation[2]
                turned = (turned.real + 1j * (c * across - s * along)) * np.exp(1j * phase)
                magnetisation = np.stack([turned.real, turned.imag, s * across + c * along])
                magnetisation = dephased(relaxed(magnetisation, seconds - before), areas / 2)
                is_first = True
            else:
                whole = waveform(int(events[1]))
                length = rf.shape_dur
                magnetisation = relaxed(magnetisation, rf.delay)
                magnetisation = whole[:3, :3] @ magnetisation + whole[:3, 3:]
                magnetisation = dephased(relaxed(magnetisation, seconds - rf.delay - length), areas)
            continue
        if block.adc is not None and is_first:
            # the first sample is the centre of k-space
            until = block.adc.delay + 0.5 * block.adc.dwell
            samples.append((weight @ (magnetisation[0] + 1j * magnetisation[1])) * np.exp(-1e3 * until / t2))
            is_first = False
        magnetisation = dephased(relaxed(magnetisation, seconds), areas)
    return np.array(samples)
