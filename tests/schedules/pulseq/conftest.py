"""Small sequences written by pypulseq, and the played ones."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Write a FISP train of ten pulses; what is left out or played instead is named. `apart`: of two slices, m."""
    pypulseq = pytest.importorskip("pypulseq")
    system = pypulseq.Opts(max_grad=80, grad_unit="mT/m", max_slew=200, slew_unit="T/m/s", rf_ringdown_time=0,
                           rf_dead_time=0, adc_dead_time=0)  # fmt: skip

    def write(name, *, samples=True, spoiler=800.0, vary=0.0, pulses=10, phase=lambda n: 0.0, before=(), dummies=0,
              v141=False, excites=True, apart=0.0):  # fmt: skip
        sequence = pypulseq.Sequence(system)
        block = pypulseq.make_block_pulse
        for part in before:
            if part == "spoil":
                sequence.add_block(pypulseq.make_trapezoid("z", area=4000.0, system=system))
            elif isinstance(part, int):
                sequence.add_block(pypulseq.make_trapezoid("z", area=part, system=system))
            elif isinstance(part, float):
                sequence.add_block(pypulseq.make_delay(part))
            else:
                angle, turned = part
                sequence.add_block(
                    block(np.radians(angle), duration=1e-3, phase_offset=turned, system=system, use="preparation")
                )
        for n in range(dummies + pulses):
            pulse, select, rephase = pypulseq.make_sinc_pulse(
                np.radians(10 + n), duration=2e-3, slice_thickness=5e-3, time_bw_product=4, apodization=0.5,
                phase_offset=phase(n), system=system, return_gz=True, use="excitation",
            )  # fmt: skip
            pulse.freq_offset = select.amplitude * apart * (n % 2)
            sequence.add_block(*([pulse, select] if excites else [select]))
            sequence.add_block(rephase)
            readout = pypulseq.make_trapezoid("x", flat_area=1000.0, flat_time=2e-3, system=system)
            adc = pypulseq.make_adc(100, duration=2e-3, delay=readout.rise_time, phase_offset=phase(n), system=system)
            pre = pypulseq.make_trapezoid("x", area=-readout.area / 2, duration=1e-3, system=system)
            sequence.add_block(pre)
            sequence.add_block(*([readout, adc] if samples and n >= dummies else [readout]))
            sequence.add_block(pre)
            if spoiler:
                area = spoiler + (vary if n == 4 else 0.0)
                sequence.add_block(pypulseq.make_trapezoid("z", area=area, duration=2e-3, system=system))
            elif spoiler == 0:
                sequence.add_block(rephase)
            sequence.add_block(pypulseq.make_delay(2e-3))
        path = tmp_path_factory.mktemp("seq") / f"{name}.seq"
        sequence.write(str(path), create_signature=False, v141_compat=v141)
        return path

    return write
