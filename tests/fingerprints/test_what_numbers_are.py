"""What the numbers of a stack are: magnitudes, signed values, phases, parts in two files or on an axis of two.

NumPy, nibabel and SciPy make the files, as scanners, dcm2niix and people do.
"""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from scipy.io import savemat

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.progress import UNWATCHED
from napari_blochnet.fingerprints.complex_parts import joined_polar

N = 24
SCHEDULE = nb.Schedule(np.linspace(10, 60, N), 12.0, 4.0, inversion_time=20.0)
SHAPE = (6, 5, 3)  # x, y, z
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
RNG = np.random.default_rng(0)
# signals of both signs under a phase that varies over the object, with noise
SIGNAL = (RNG.normal(size=(*SHAPE, N)) + 1j * RNG.normal(size=(*SHAPE, N))).astype(np.complex64)
SIGNAL *= np.exp(1j * np.linspace(-3, 3, 6)).astype(np.complex64)[:, None, None, None]
AS_STACK = SIGNAL.T  # (time, z, y, x)


def save(path, data, affine=AFFINE, **sidecar):
    nib.save(nib.Nifti1Image(data, affine), path)
    if sidecar:
        path.with_name(path.name.split(".")[0] + ".json").write_text(json.dumps(sidecar))
    return path


def read(path, **hints):
    return nb.read_fingerprints(path, SCHEDULE, **hints)


def said(stack, *words):
    return any(all(word in note for word in words) for note in stack.notes)


# -- magnitudes


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint16])
def test_without_a_sample_below_0_numbers_are_magnitudes_and_that_is_said(tmp_path, dtype):
    stack = read(save(tmp_path / "a.nii.gz", (1000 * np.abs(SIGNAL)).astype(dtype)))
    assert stack.kind == "magnitude"
    assert said(stack, "magnitude")
    # and the kind can be given
    if dtype != np.uint16:
        assert read(tmp_path / "a.nii.gz", kind="real").kind == "real"


def test_magnitudes_map_to_the_truth():
    t1, t2 = np.array([600.0, 900.0, 1400.0, 2500.0]), np.array([60.0, 80.0, 110.0, 300.0])
    schedule = nb.Schedule(20 + 40 * np.sin(np.linspace(0, 6, 120)) ** 2, 12.0, 4.0, inversion_time=20.0)
    signal = nb.bloch_signal(schedule, t1, t2)
    stack = nb.FingerprintStack(np.abs(np.asarray(signal)).T[:, None, None].astype(np.float32), schedule)
    maps = nb.reconstruct(stack, t1_range=(400, 3000), t2_range=(40, 400), step=0.05, device="cpu")
    # 95 % off where magnitudes pass for signed values
    np.testing.assert_allclose(maps.t1[0, 0], t1, rtol=0.04)
    np.testing.assert_allclose(maps.t2[0, 0], t2, rtol=0.06)


def test_signed_values_are_real_and_that_is_said(tmp_path):
    stack = read(save(tmp_path / "a.nii", SIGNAL.real.copy()))
    assert stack.kind == "real"
    assert said(stack, "below 0", "real, signed")


def test_what_lies_outside_the_mask_does_not_count(tmp_path):
    data = np.abs(SIGNAL)
    data[0] *= -1
    inside = np.ones(SHAPE, np.uint8)
    inside[0] = 0
    save(tmp_path / "a_mask.nii.gz", inside)
    assert read(save(tmp_path / "a.nii.gz", data)).kind == "magnitude"


def test_complex_numbers_without_imaginary_parts_may_be_magnitudes():
    stack = nb.FingerprintStack(np.abs(AS_STACK).astype(np.complex64), SCHEDULE)
    assert stack.kind == "magnitude"
    assert stack.data.dtype == np.float32
    assert said(stack, "without imaginary parts")
    assert nb.FingerprintStack(AS_STACK.real.astype(np.complex64), SCHEDULE).kind == "complex"
    # all signals of a train without inversion may have one sign
    plain = SCHEDULE.replace(inversion_time=None)
    assert nb.FingerprintStack(np.abs(AS_STACK).astype(np.complex64), plain).kind == "complex"


def test_magnitudes_may_be_stored_as_complex_numbers():
    data = np.abs(AS_STACK).astype(np.complex64)
    stack = nb.FingerprintStack(data, SCHEDULE, "magnitude")
    np.testing.assert_array_equal(stack.data, data.real)
    with pytest.raises(InputError, match="complex64 samples and cannot be of kind magnitude; expected complex"):
        nb.FingerprintStack(AS_STACK, SCHEDULE, "magnitude")
    with pytest.raises(InputError, match="complex64 samples and cannot be of kind real; expected complex"):
        nb.FingerprintStack(data, SCHEDULE, "real")


# -- signs that alternate from pulse to pulse

PULSES = 500
ALTERNATING = nb.Schedule(
    np.full(PULSES, 30.0), 12.0, 4.0, rf_phase=180.0 * (np.arange(PULSES) % 2), receiver_phase="fixed"
)
SIGNS = np.where(np.arange(PULSES) % 2, -1, 1).astype(np.float32)
# so many samples that a look at a few of them goes over every other pulse
POSITIVE = RNG.uniform(1, 2, (PULSES, 128, 128)).astype(np.float32)


def test_the_phase_of_signed_values_that_alternate_is_taken_out(tmp_path):
    np.save(tmp_path / "a.npy", POSITIVE * SIGNS[:, None, None])
    stack = nb.read_fingerprints(tmp_path / "a.npy", ALTERNATING)
    assert stack.kind == "real"
    assert said(stack, "RF phase of each pulse was taken out")
    np.testing.assert_array_equal(stack.data[:, 0], POSITIVE)


def test_magnitudes_have_no_phase_to_be_taken_out(tmp_path):
    few = POSITIVE[:, :8, :8].copy()
    np.save(tmp_path / "a.npy", few)
    stack = nb.read_fingerprints(tmp_path / "a.npy", ALTERNATING)
    assert stack.kind == "magnitude"
    assert stack.schedule.receiver_phase == "follows"
    np.testing.assert_array_equal(stack.data[:, 0], few)
    # of interpolation: turned they would be signed values of both signs
    few[3, 0, 0] = -0.01
    np.save(tmp_path / "a.npy", few)
    with pytest.raises(InputError, match=r"small, down to -0\.01.* give the kind as magnitude or real"):
        nb.read_fingerprints(tmp_path / "a.npy", ALTERNATING)


def test_parts_whose_signs_alternate_are_asked_about(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([POSITIVE[:, :100, :100] * SIGNS[:, None, None]] * 2))
    with pytest.raises(InputError, match=r"a\.npy: axis 0 of .* give the kind as complex or as real"):
        nb.read_fingerprints(tmp_path / "a.npy", ALTERNATING)


def test_phases_whose_signs_alternate_are_no_samples(tmp_path):
    np.save(tmp_path / "a.npy", 180 * (POSITIVE - 1) * SIGNS[:, None, None])
    with pytest.raises(InputError, match=r"a\.npy: .*fill −180…180° evenly: they are a phase"):
        nb.read_fingerprints(tmp_path / "a.npy", ALTERNATING, receiver_phase="follows")


def test_magnitudes_that_interpolation_left_below_0_are_asked_about():
    data = np.abs(AS_STACK)
    data[3, 0, 0, 0] = -0.01 * data.max()
    with pytest.raises(InputError, match=r"small, down to .* give the kind as magnitude or real") as caught:
        nb.FingerprintStack(data, SCHEDULE)
    assert caught.value.field == "kind"
    with pytest.warns(DataWarning, match="taken as 0"):
        stack = nb.FingerprintStack(data, SCHEDULE, "magnitude")
    assert stack.fingerprints().min() == 0
    assert nb.FingerprintStack(data, SCHEDULE, "real").fingerprints().min() < 0


# -- phases


def _siemens(phase):
    return np.rint(phase / np.pi * 4096).clip(-4096, 4094)


PHASE = np.angle(SIGNAL)
PHASES = {
    "radians": PHASE.astype(np.float32),
    "0 to 2 pi": (PHASE % (2 * np.pi)).astype(np.float32),
    "degrees": np.degrees(PHASE).astype(np.float32),
    "4096": _siemens(PHASE).astype(np.int16),
    "4095": np.rint((PHASE + np.pi) / (2 * np.pi) * 4095).astype(np.uint16),
    "GE": np.rint(PHASE * 1000).astype(np.int16),
}


@pytest.mark.parametrize("unit", PHASES)
def test_phases_are_no_samples(tmp_path, unit):
    np.save(tmp_path / "a.npy", PHASES[unit])
    with pytest.raises(
        InputError, match=r"a\.npy: .* they are a phase.* give the magnitude image, with the phase"
    ) as e:
        read(tmp_path / "a.npy")
    assert e.value.field == "kind"
    assert "\n" not in str(e.value)


def test_phases_of_signals_without_noise_are_asked_about():
    with pytest.raises(InputError, match=r"0 to 3\.14159, as phases do"):
        nb.FingerprintStack(np.angle(AS_STACK.real).astype(np.float32), SCHEDULE)


@pytest.mark.parametrize(
    "data",
    [
        SIGNAL.real * 0.9,  # crosses ±π
        (4095 * np.abs(SIGNAL) / np.abs(SIGNAL).max()).astype(np.uint16),  # fills 12 bits
        (4095 * SIGNAL.real / np.abs(SIGNAL.real).max()).astype(np.float32),
    ],
)
def test_signals_in_the_range_of_phases_are_signals(tmp_path, data):
    assert read(save(tmp_path / "a.nii", data)).kind in ("real", "magnitude")


@pytest.mark.parametrize("name", ["sub-1_part-phase_MRF.nii.gz", "scan_ph.nii.gz", "scan_phase.nii.gz"])
def test_names_say_what_is_a_phase(tmp_path, name):
    path = save(tmp_path / name, (0.3 * PHASE).astype(np.float32))
    with pytest.raises(InputError, match=rf"^{name}: is a phase \(.* in its name\).* give the magnitude"):
        read(path)
    assert read(path, kind="real").kind == "real"


@pytest.mark.parametrize(("word", "what"), [("P", "a phase"), ("PHASE", "a phase"), ("IMAGINARY", "an imaginary part")])
def test_sidecars_say_what_is_a_phase(tmp_path, word, what):
    path = save(tmp_path / "a.nii.gz", SIGNAL.real.copy(), ImageType=["ORIGINAL", "PRIMARY", word, "ND"])
    with pytest.raises(InputError, match=rf"a\.nii\.gz: is {what} \(ImageType in the JSON file beside it\)"):
        read(path)


# -- pairs of files


PAIRS = [
    ("sub-1_part-mag_MRF.nii.gz", "sub-1_part-phase_MRF.nii.gz"),
    ("x.nii.gz", "x_ph.nii.gz"),
    ("x_mag.nii", "x_phase.nii"),
]


@pytest.mark.parametrize("unit", PHASES)
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_magnitude_and_phase_in_two_files_are_complex(tmp_path, first, second, unit):
    save(tmp_path / first, np.abs(SIGNAL))
    save(tmp_path / second, PHASES[unit])
    # rounded to 1/4096 of half a turn, and 0…4095 either way
    within = 4e-3 * np.abs(SIGNAL).max()
    for named in (first, second):
        stack = read(tmp_path / named)
        assert stack.kind == "complex"
        np.testing.assert_allclose(stack.data, AS_STACK, atol=within)
        assert said(stack, first, second, "magnitude and phase")
        np.testing.assert_allclose(stack.affine, AFFINE)
        alone = read(tmp_path / named, kind="magnitude")
        assert alone.kind == "magnitude"
        np.testing.assert_array_equal(alone.data, np.abs(AS_STACK))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("sub-1_part-real_MRF.nii.gz", "sub-1_part-imag_MRF.nii.gz"),
        ("x_real.nii.gz", "x_imaginary.nii.gz"),
        ("x_real.nii", "x_imag.nii"),
    ],
)
def test_real_and_imaginary_parts_in_two_files_are_complex(tmp_path, first, second):
    save(tmp_path / first, SIGNAL.real.copy())
    save(tmp_path / second, SIGNAL.imag.copy())
    for named in (first, second):
        stack = read(tmp_path / named)
        assert stack.kind == "complex"
        np.testing.assert_array_equal(stack.data, AS_STACK)
        assert said(stack, first, second, "real and imaginary parts")


def test_the_unit_of_a_phase_may_be_stated_and_one_that_cannot_be_told_is_asked_for(tmp_path):
    save(tmp_path / "x.nii.gz", np.abs(SIGNAL))
    small = (0.1 * PHASE).astype(np.float32)
    save(tmp_path / "x_ph.nii.gz", small)
    with pytest.raises(InputError, match=r"x_ph\.nii\.gz: reaches from .* 'Units': 'rad' or 'deg'"):
        read(tmp_path / "x.nii.gz")
    for unit, radian in (("rad", 1.0), ("deg", np.pi / 180)):
        save(tmp_path / "x_ph.nii.gz", small, Units=unit)
        np.testing.assert_allclose(
            read(tmp_path / "x.nii.gz").data, (np.abs(SIGNAL) * np.exp(1j * small * radian)).T, atol=1e-5
        )


def test_a_unit_that_the_phase_does_not_have_is_refused(tmp_path):
    save(tmp_path / "x.nii.gz", np.abs(SIGNAL))
    save(tmp_path / "x_ph.nii.gz", PHASES["4096"], Units="rad")
    with pytest.raises(InputError, match=r"x_ph\.nii\.gz: fills −4096…4095, but the JSON .* states radians"):
        read(tmp_path / "x.nii.gz")


def test_two_files_that_are_no_pair_are_refused(tmp_path):
    path = save(tmp_path / "x.nii.gz", np.abs(SIGNAL))
    save(tmp_path / "x_ph.nii.gz", PHASES["radians"][:-1])
    with pytest.raises(InputError, match=r"x_ph\.nii\.gz: has shape 24 × 3 × 5 × 5; x\.nii\.gz.* 24 × 3 × 5 × 6"):
        read(path)
    moved = AFFINE.copy()
    moved[0, 3] = 20
    save(tmp_path / "x_ph.nii.gz", PHASES["radians"], moved)
    with pytest.raises(InputError, match=r"x_ph\.nii\.gz: lies elsewhere than x\.nii\.gz"):
        read(path)
    assert read(path, kind="magnitude").kind == "magnitude"
    save(path, SIGNAL.real.copy())
    save(tmp_path / "x_ph.nii.gz", PHASES["radians"])
    with pytest.raises(InputError, match=r"x\.nii\.gz: lies beside the phase x_ph\.nii\.gz, but holds samples below 0"):
        read(path)


def test_complex_samples_need_no_file_beside_them(tmp_path):
    save(tmp_path / "x_ph.nii.gz", PHASES["radians"])
    np.testing.assert_array_equal(read(save(tmp_path / "x.nii.gz", SIGNAL)).data, AS_STACK)


@pytest.mark.parametrize("named", ["x.nii.gz", "x_ph.nii.gz"])
def test_schedule_and_mask_lie_beside_the_first_of_two_files(tmp_path, named):
    inside = np.ones(SHAPE, np.uint8)
    inside[0] = 0
    save(tmp_path / "x_mask.nii.gz", inside)
    save(tmp_path / "x_ph.nii.gz", PHASES["radians"])
    save(tmp_path / "x.nii.gz", np.abs(SIGNAL))
    with pytest.raises(InputError, match="does not say what schedule made it; give schedule"):
        nb.read_fingerprints(tmp_path / named)
    np.testing.assert_array_equal(read(tmp_path / named).mask, inside.T.astype(bool))


def test_turns_of_12_bits_begin_at_minus_pi():
    magnitude = np.ones((1, 3))
    phase = np.array([[0, 2048, 4095]], np.uint16)
    joined, words = joined_polar(magnitude, phase, "", "a", UNWATCHED, "")
    assert words == "0…4095"
    np.testing.assert_allclose(joined, [[-1, 1, -1]], atol=2e-3)


# -- an axis of two


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_of_five_axes_that_of_two_holds_real_and_imaginary_parts(tmp_path, axis, dtype):
    parts = np.stack([AS_STACK.real, AS_STACK.imag], axis) * 1000
    np.save(tmp_path / "a.npy", parts.astype(dtype))
    stack = read(tmp_path / "a.npy")
    assert stack.kind == "complex"
    np.testing.assert_allclose(stack.data, 1000 * AS_STACK, atol=1.5 if dtype == np.int16 else 1e-3)
    assert said(stack, "of 2 × 24" if axis == 0 else "× 6 × 2", "real and imaginary parts")


def test_of_five_axes_of_nifti_too(tmp_path):
    parts = np.stack([SIGNAL.real, SIGNAL.imag], -1)  # (x, y, z, time, 2)
    stack = read(save(tmp_path / "a.nii.gz", parts))
    np.testing.assert_array_equal(stack.data, AS_STACK)
    np.testing.assert_allclose(stack.affine, AFFINE)


def test_of_five_axes_of_matlab_too(tmp_path):
    matlab = SIGNAL.transpose(1, 0, 2, 3)  # (y, x, z, time)
    savemat(tmp_path / "a.mat", {"s": np.stack([matlab.real, matlab.imag], -1)})
    np.testing.assert_array_equal(read(tmp_path / "a.mat").data, AS_STACK)


def test_magnitude_and_phase_may_share_an_array(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([np.abs(AS_STACK), np.angle(AS_STACK)], -1))
    stack = read(tmp_path / "a.npy")
    np.testing.assert_allclose(stack.data, AS_STACK, atol=1e-5)
    assert said(stack, "magnitude and phase")
    # two echoes, say
    np.save(tmp_path / "b.npy", np.stack([np.abs(AS_STACK)] * 2, -1))
    with pytest.raises(InputError, match="neither half holds a sample below 0"):
        read(tmp_path / "b.npy")


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_of_four_axes_that_of_two_is_asked_about(tmp_path, axis):
    plane = AS_STACK[:, 0]
    np.save(tmp_path / "a.npy", np.stack([plane.real, plane.imag], axis))
    with pytest.raises(InputError, match=rf"a\.npy: axis {axis} of .* give the kind as complex or as real") as caught:
        read(tmp_path / "a.npy")
    assert caught.value.field == "kind"
    np.testing.assert_array_equal(read(tmp_path / "a.npy", kind="complex").data[:, 0], plane)
    if axis == 1:
        slices = read(tmp_path / "a.npy", kind="real")
        np.testing.assert_array_equal(slices.data[:, 1], plane.imag)


def test_two_slices_of_magnitudes_are_no_parts(tmp_path):
    data = np.abs(AS_STACK[:, :2])
    data[:, 0, 0] = np.nan
    np.save(tmp_path / "a.npy", data)
    assert read(tmp_path / "a.npy").shape == (N, 2, 5, 6)
    assert read(tmp_path / "a.npy").kind == "magnitude"


def test_parts_side_by_side_stay_on_disk(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([AS_STACK.real, AS_STACK.imag], -1))
    data = read(tmp_path / "a.npy").data
    while data.base is not None and not isinstance(data, np.memmap):
        data = data.base
    assert isinstance(data, np.memmap)


def test_two_axes_of_two_cannot_be_told_apart(tmp_path):
    np.save(tmp_path / "a.npy", RNG.normal(size=(2, N, 5, 6, 2)))
    with pytest.raises(InputError, match="axes 0 and 4 of 2 × 24 × 5 × 6 × 2 have length two"):
        read(tmp_path / "a.npy")
    # only one of them lies at an end
    np.save(tmp_path / "b.npy", np.stack([AS_STACK.real, AS_STACK.imag], -1)[:, :2])
    np.testing.assert_array_equal(read(tmp_path / "b.npy").data, AS_STACK[:, :2])


# -- other types


@pytest.mark.parametrize(("dtype", "taken"), [("f2", "f4"), ("g", "f4"), ("G", "c8")])
def test_other_precisions_become_common_ones_and_that_is_said(tmp_path, dtype, taken):
    data = (AS_STACK if dtype == "G" else np.abs(AS_STACK)).astype(dtype)
    np.save(tmp_path / "a.npy", data)
    stack = read(tmp_path / "a.npy")
    assert stack.data.dtype == np.dtype(taken)
    np.testing.assert_array_equal(stack.data, data.astype(taken))
    assert said(stack, "stored as", data.dtype.name)
