"""The benchmark measures what it says it measures."""

import threading

import pytest

from napari_blochnet import Cancelled, InputError
from napari_blochnet.benchmarks.decoder_speed import benchmark_decoder, format_rows
from napari_blochnet.common.progress import Watch


def test_rows_and_table():
    seen = []
    rows = benchmark_decoder(
        8, 2, states=(20,), watch=Watch(lambda done, total, message="": seen.append((done, total)))
    )
    assert seen[-1][0] == seen[-1][1]
    by_name = {(row.method, row.work, row.states): row for row in rows}
    ours, plain = by_name["decoder", "signal", "20"], by_name["plain PyTorch", "signal", "20"]
    # The same truncation, the same error; the promised one without truncation.
    assert ours.nrmse_worst == pytest.approx(plain.nrmse_worst, rel=0.05)
    assert ours.nrmse_worst > 1e-4
    assert by_name["decoder", "signal", "1e-6"].nrmse_worst < 2e-6
    assert ours.times_faster["plain PyTorch"] == pytest.approx(plain.milliseconds / ours.milliseconds)
    assert all(row.milliseconds > 0 and row.repeats == 2 for row in rows)
    table = format_rows(rows).splitlines()
    assert len(table) == 1 + len(rows)
    assert "plain PyTorch" in table[1]


def test_counts_and_cancel():
    with pytest.raises(InputError, match="fingerprints is 0"):
        benchmark_decoder(0)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        benchmark_decoder(4, 1, states=(5,), peers=False, watch=Watch(cancelled=stop))
