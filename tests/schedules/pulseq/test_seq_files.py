"""Small, odd and hostile Pulseq files: what is read, and the sentence that is said."""

import re

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.slice_profiles import sinc_profile
from napari_blochnet.schedules.pulseq.read_pulseq import read_pulseq


def _extent(sentences):
    """What the slice profile covers, mm."""
    return float(re.search(r"flip angle, ([\d.]+) mm in all", " ".join(sentences))[1])


def test_a_written_train_is_read_as_it_was_written(written):
    played = read_pulseq(written("plain", phase=lambda n: np.radians(117.0 * n * n / 2)))
    schedule = played.schedule
    np.testing.assert_allclose(schedule.flip_angle, np.arange(10.0, 20.0), atol=1e-3)
    np.testing.assert_allclose(schedule.rf_phase, 117.0 * np.arange(10.0) ** 2 / 2 % 360.0, atol=1e-9)
    assert np.ptp(schedule.repetition_time) < 1e-6
    # the middle of a symmetric readout, between its 50th and 51st sample
    assert np.ptp(schedule.echo_time) < 1e-9
    assert schedule.receiver_phase == "follows"
    assert schedule.is_plain
    # 10 of one half of the slice, where the profile of ours has 20 of all of it
    half = sinc_profile(20, extent=2.0 * _extent(played.sentences) / 10.0)[10:]
    np.testing.assert_allclose(schedule.slice_profile, half, atol=0.02)


def test_version_1_4_is_read_alike(written):
    right = read_pulseq(written("new"), slice_positions=0).schedule
    old = read_pulseq(written("old", v141=True), slice_positions=0).schedule
    np.testing.assert_allclose(old.flip_angle, right.flip_angle, atol=1e-4)
    np.testing.assert_allclose(old.repetition_time, right.repetition_time, atol=1e-6)
    np.testing.assert_allclose(old.echo_time, right.echo_time, atol=1e-3)


def _by_hand(minor, field_of_view):
    """Return six pulses as versions before 1.4 write them: delays are events, and a block lasts as its longest."""
    more = " 0" if minor >= 3 else ""
    blocks, number = [], 0
    for pulse in range(1, 7):
        # pulse, prewinder, readout, prewinder, spoiler, delay
        for events in (f"0 {pulse} 0 0 0 0", "0 0 1 0 0 0", "0 0 2 0 0 1", "0 0 1 0 0 0", "0 0 0 0 3 0", "1 0 0 0 0 0"):
            number += 1
            blocks.append(f"{number} {events}{more}")
    pulses = [f"{n + 1} {(10 + n) / 360 / 1e-3:.9g} 1 2 0 0 0" for n in range(6)]
    return "\n".join(
        ["[VERSION]", "major 1", f"minor {minor}", "revision 1", "", "[DEFINITIONS]", f"FOV {field_of_view}", "",
         "[BLOCKS]", *blocks, "", "[RF]", *pulses, "", "[TRAP]", "1 -500000 200 800 200 0", "2 500000 100 2000 100 0",
         "3 1000000 200 1600 200 0", "", "[ADC]", "1 100 20000 100 0 0", "", "[DELAYS]", "1 2000", "", "[SHAPES]", "",
         "shape_id 1", "num_samples 1000", "1", "0", "0", "997", "",
         "shape_id 2", "num_samples 1000", "0", "0", "998", ""]
    )  # fmt: skip


@pytest.mark.parametrize("minor", [2, 3])
@pytest.mark.parametrize("field_of_view", ["256 256 5", "0.256 0.256 0.005"])
def test_versions_before_1_4_are_read_and_their_field_of_view_in_mm(tmp_path, minor, field_of_view):
    file = tmp_path / "hand.seq"
    file.write_text(_by_hand(minor, field_of_view))
    played = read_pulseq(file)
    np.testing.assert_allclose(played.schedule.flip_angle, np.arange(10.0, 16.0), atol=1e-6)
    # 1 + 1.2 + 2.2 + 1.2 + 2 + 2 ms; half a pulse, the prewinder, and what winds its 500 cycles/m back
    np.testing.assert_allclose(played.schedule.repetition_time, 9.6, atol=1e-6)
    np.testing.assert_allclose(played.schedule.echo_time, 0.5 + 1.2 + 0.1 + 475 / 500, atol=1e-6)
    # 1800 cycles/m across 5 mm
    assert "dephases by 9 cycles" in " ".join(played.sentences)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        # the file ends where a shape's samples would follow: pypulseq would read on for ever
        ("num_samples 1000\n0\n0\n998\n", "num_samples 1000\n", "is cut off: its [SHAPES] end at 'num_samples 1000'"),
        ("num_samples 1000\n0\n0\n998\n", "", "is cut off: its [SHAPES] end at 'shape_id 2'"),
        # whatever the word before a number of samples, as many are made
        ("num_samples 1000\n0", "samples 99999999999\n0", "has shapes of up to 1e+11 samples"),
        ("2 500000 100 2000 100 0", "2 1e308 100 2000 100 0", "beyond all bounds"),
        ("2 500000 100 2000 100 0", "2 500000 -inf 2000 100 0", "whose times do not ascend"),
        ("minor 3", f"minor {'a' * 5000}", "is of Pulseq 1.aaaa"),
        ("1 -500000 200 800 200 0", f"1 {'z' * 5000} 200 800 200 0", "is damaged"),
        ("[VERSION]\nmajor 1\nminor 3\nrevision 1\n", "", "has no [VERSION]"),
    ],
)
def test_damage_is_told_in_one_short_sentence(tmp_path, recwarn, old, new, sentence):
    whole = _by_hand(3, "256 256 5")
    assert old in whole
    file = tmp_path / "hand.seq"
    file.write_text(whole.replace(old, new))
    with pytest.raises(InputError) as told:
        read_pulseq(file)
    assert sentence in str(told.value)
    assert len(str(told.value)) < 400
    assert "\n" not in str(told.value)
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_preparations_are_told_by_what_they_do(written):
    before = [(180.0, 0.0), "spoil", 0.02, (90.0, 0.0), 0.02, (180.0, np.pi / 2), 0.02, (90.0, np.pi), "spoil"]
    played = read_pulseq(written("prepared", before=before), preparation_model="ideal")
    assert [name for _, name, _ in played.preparations] == ["inversion", "T2 preparation"]
    inversion, preparation = played.schedule.preparations
    assert (inversion.kind, preparation.kind) == ("inversion", "t2")
    assert inversion.efficiency == pytest.approx(1.0, abs=1e-6)
    # two waits, the refocusing pulse, and of each tip, during which it turns, a half at most
    assert preparation.duration == pytest.approx(42.0, abs=0.5)


def test_dummies_are_pulses_and_said(written):
    played = read_pulseq(written("dummies", dummies=3))
    assert len(played.schedule) == 13
    assert "3 excitations without samples (dummies) are pulses of the schedule, too." in played.sentences


def test_a_receiver_that_does_not_follow_is_told_from_one_that_does(written, tmp_path):
    path = written("fixed", phase=lambda n: np.pi * (n % 2))
    text = path.read_text()
    head, adc = text.split("[ADC]\n")
    events, shapes = adc.split("\n\n", 1)
    rows = [line.split() for line in events.splitlines()]
    still = "\n".join(" ".join([*row[:7], "0", row[8]]) for row in rows)
    (tmp_path / "still.seq").write_text(f"{head}[ADC]\n{still}\n\n{shapes}")
    assert read_pulseq(path).schedule.receiver_phase == "follows"
    assert read_pulseq(tmp_path / "still.seq").schedule.receiver_phase == "fixed"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"excites": False}, "has no RF pulses; expected pulses followed by samples"),
        ({"apart": 20e-3}, "excites slices at 2 places; expected one slice or slab"),
        ({"samples": False}, "has no samples; expected pulses followed by samples"),
        ({"spoiler": -300.0}, "leaves states half refocused: its TRs dephase by"),
        ({"spoiler": 800.0, "vary": 80.0}, "between excitations 5 and 6 gradients dephase by 0.4 cycles"),
        ({"before": [(90.0, 0.0), -400]}, "the saturation, is followed by gradients of"),
        ({"spoiler": 0}, "is a balanced train"),
    ],
)
def test_what_is_no_fisp_is_refused_in_a_sentence(written, options, sentence):
    with pytest.raises(InputError, match=sentence):
        read_pulseq(written("wrong", **options))


def _changed(path, tmp_path, *changes):
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "changed.seq").write_text(text)
    return tmp_path / "changed.seq"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([("major 1", "major 2")], r"changed.seq: is of Pulseq 2\.5; expected Pulseq 1\.2 to 1\.5\."),
        ([("[VERSION]", "[VERSIONS]")], r"has no \[VERSION\]"),
        ([("[BLOCKS]", "[BLOCK]")], r"has no \[BLOCKS\]"),
        ([("[SHAPES]\n", "[SHAPES]\n\nshape_id 99\nnum_samples 999999999999\n1\n1\n5\n")], "has shapes of up to"),
        ([("BlockDurationRaster 1e-05", "BlockDurationRaster 0")], "BlockDurationRaster of 0"),
        ([("[RF]", "[RFS]")], "is damaged: pulseq says|is damaged"),
        ([("[BLOCKS]\n", "[BLOCKS]\n0 1e99 x\n")], "is damaged"),
        ([("[TRAP]", "[EXTENSIONS]\n1 1 1 2\n2 1 1 1\n\n[TRAP]")], "has extensions that lead back to themselves"),
    ],
)
def test_damage_is_said_in_a_sentence(written, tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        read_pulseq(_changed(written("whole"), tmp_path, *changes))


def test_a_file_cut_anywhere_is_refused_and_never_waited_for(written, tmp_path):
    whole = written("cut").read_text()
    cut = tmp_path / "cut.seq"
    for share in np.linspace(0.02, 0.98, 25):
        cut.write_text(whole[: int(share * len(whole))])
        try:
            read_pulseq(cut)
        except InputError as error:
            sentence = str(error)
            assert sentence.startswith("cut.seq: "), sentence


def test_hints_of_pulseq_are_refused_elsewhere(tmp_path):
    nb.write_schedule(nb.Schedule([10.0, 20.0], 10.0, 5.0), tmp_path / "plain.csv")
    with pytest.raises(InputError, match="is no Pulseq file; leave"):
        nb.read_schedule(tmp_path / "plain.csv", spin_lock="t2")
