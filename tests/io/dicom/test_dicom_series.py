"""DICOM, written by pydicom; the geometry's witness is DICOM's own equation, that of the numbers acquired phantoms."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pydicom
import pytest
from pydicom.uid import (  # fmt: skip
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from scipy.optimize import least_squares

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.dicom.dicom_series import is_dicom, read_dicom

SIZE = (6, 8)  # rows, columns
ROTATION = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def _values(t, z):
    return 1000 * t + 100 * z + np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)


def _flat(value):
    return np.full(SIZE, value)


@pytest.mark.parametrize("seed", [0, 1])
def test_images_in_any_order_become_time_and_slices_at_their_world_positions(tmp_path, write_dicom, seed):
    orientation = np.concatenate([ROTATION[:, 0], ROTATION[:, 1]])
    start, step = np.array([10.0, -20.0, 5.0]), 4.0 * ROTATION[:, 2]
    order = np.random.default_rng(seed).permutation(12)
    for name, index in zip("abcdefghijkl", order, strict=True):
        t, z = divmod(int(index), 3)
        write_dicom(tmp_path / name, _values(t, z), start + z * step, orientation=orientation, InstanceNumber=1 + index)
    (tmp_path / "notes.txt").write_text("scanned on a Tuesday")
    read = read_dicom(tmp_path)
    assert read.data.shape == (4, 3, *SIZE)
    for t, z in itertools.product(range(4), range(3)):
        np.testing.assert_array_equal(read.data[t, z], _values(t, z))
    # the voxel in row 2, column 5 of slice 1: DICOM's equation C.7.6.2.1-1, then left and posterior to right, anterior
    place = start + step + 5 * 1.5 * ROTATION[:, 0] + 2 * 2.0 * ROTATION[:, 1]
    np.testing.assert_allclose(read.geometry.affine @ [5, 2, 1, 1], [-place[0], -place[1], place[2], 1], atol=1e-9)
    np.testing.assert_allclose(read.geometry.voxel_size, [4.0, 2.0, 1.5])
    assert any("1 no DICOM file" in note for note in read.notes)
    # one image names its series
    (one,) = (note for note in read_dicom(tmp_path / "c").notes if note.startswith("c "))
    assert one == "c is one of 12 images of its series in this folder; all were read."


def test_series_that_differ_in_ti_are_joined_in_its_order_and_a_varying_tr_is_told(tmp_path, write_dicom):
    for number, (ti, tr) in enumerate([(800, 2460), (50, 1000), (400, 1260)]):
        write_dicom(tmp_path / f"{number}.dcm", _flat(ti), series=f"1.2.{number}", SeriesNumber=number,
                    InversionTime=ti, RepetitionTime=tr, EchoTime=12, Manufacturer="SIEMENS")  # fmt: skip
    read = read_dicom(tmp_path)
    np.testing.assert_array_equal(read.data[:, 0, 0, 0], [50, 400, 800])
    np.testing.assert_array_equal(read.contrasts["TI"], [50, 400, 800])
    np.testing.assert_array_equal(read.contrasts["TR"], [1000, 1260, 2460])
    assert "TR varies: 1000, 1260, 2460 ms." in read.notes
    np.testing.assert_array_equal(read_dicom(tmp_path, order="acquisition").contrasts["TI"], [800, 50, 400])
    # chosen by their numbers
    np.testing.assert_array_equal(read_dicom(tmp_path, "0, 1").contrasts["TI"], [50, 800])


def test_a_fingerprint_keeps_the_order_of_its_pulses(tmp_path, write_dicom):
    angles, times = [10, 60, 30, 60, 20], [5.0, 2.0, 4.0, 2.5, 3.0]
    for pulse, (angle, time) in enumerate(zip(angles, times, strict=True)):
        write_dicom(tmp_path / f"{9 - pulse}", _flat(pulse), InstanceNumber=pulse + 1, FlipAngle=angle, EchoTime=time)
    read = read_dicom(tmp_path, order="acquisition")
    np.testing.assert_array_equal(read.data[:, 0, 0, 0], range(5))
    np.testing.assert_array_equal(read.contrasts["flip angle"], angles)
    assert "Images are in the order of their acquisition." in read.notes


@pytest.mark.parametrize(
    "differs", [{"PatientID": "2"}, {"FrameOfReferenceUID": "1.9"}, {"ScanningSequence": "GR"}, {"InversionTime": 50}]
)
def test_series_that_are_not_one_measurement_are_asked_for(tmp_path, write_dicom, differs):
    common = {"PatientID": "1", "FrameOfReferenceUID": "1.8", "ScanningSequence": "SE", "InversionTime": 100}
    write_dicom(tmp_path / "a", _flat(1), series="1.1", SeriesNumber=3, SeriesDescription="ir",
                **{**common, "InversionTime": 50})  # fmt: skip
    write_dicom(tmp_path / "b", _flat(2), series="1.2", SeriesNumber=4, SeriesDescription="again",
                **{**common, **differs})  # fmt: skip
    with pytest.raises(InputError, match=r"holds series 3 \(ir, magnitude\), series 4 \(again") as refused:
        read_dicom(tmp_path)
    assert refused.value.field == "variable"
    for named, value in (("4", 2), ("again", 2), ("1.1", 1)):
        assert (read_dicom(tmp_path, named).data == value).all()
    with pytest.raises(InputError, match="has no series '7'"):
        read_dicom(tmp_path, "7")


def test_the_scale_of_each_image_is_taken(tmp_path, write_dicom):
    for index, (slope, scale) in enumerate([(2.0, 0.5), (4.0, 0.125)]):
        for folder, maker, kind, stored in (
            ("philips", "Philips Medical Systems", "FL", scale),
            ("lost", "Philips", "UN", np.float32(scale).tobytes()),  # an anonymiser forgot the type
            ("ge", "GE MEDICAL SYSTEMS", "FL", scale),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_dicom(tmp_path / folder / f"{index}.dcm", _flat(8), InstanceNumber=index, Manufacturer=maker,
                        RescaleSlope=slope, RescaleIntercept=1.0,
                        private=[((0x2005, 0x100E), kind, stored)])  # fmt: skip
    # (stored · slope + intercept) / (slope · scale slope)
    for folder in ("philips", "lost"):
        np.testing.assert_allclose(read_dicom(tmp_path / folder).data[:, 0, 0, 0], [17.0, 66.0])
    read = read_dicom(tmp_path / "ge")
    np.testing.assert_allclose(read.data[:, 0, 0, 0], [17.0, 33.0])
    assert any("rescaled by its own slope" in note for note in read.notes)


def _enhanced(path, write_dicom, frames):
    item = write_dicom(path, _values(0, 0), Manufacturer="SIEMENS", ImageType=["ORIGINAL", "PRIMARY", "M", "NONE"])
    item.SOPClassUID = item.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    del item.ImagePositionPatient, item.ImageOrientationPatient, item.PixelSpacing, item.SliceThickness
    measures, plane, shared = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
    plane.ImageOrientationPatient = [1.0, 0, 0, 0, 1.0, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    item.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for t, z in frames:
        position, content, echo, group = (pydicom.Dataset() for _ in range(4))
        position.ImagePositionPatient = [0.0, 0.0, 3.0 * z]
        content.TemporalPositionIndex = t + 1
        echo.EffectiveEchoTime = 10.0 * (t + 1)
        group.PlanePositionSequence = [position]
        group.FrameContentSequence, group.MREchoSequence = [content], [echo]
        groups.append(group)
    item.PerFrameFunctionalGroupsSequence = groups
    item.NumberOfFrames = len(frames)
    item.PixelData = np.stack([_values(t, z) for t, z in frames]).astype(np.uint16).tobytes()
    item.save_as(path, enforce_file_format=True)
    return item


def test_an_enhanced_file_is_read_frame_by_frame(tmp_path, write_dicom):
    frames = [(t, z) for z in (2, 0, 1) for t in (1, 0)]
    item = _enhanced(tmp_path / "e.dcm", write_dicom, frames)
    for path in (tmp_path / "e.dcm", tmp_path):
        read = read_dicom(path)
        for t, z in frames:
            np.testing.assert_array_equal(read.data[t, z], _values(t, z))
        np.testing.assert_array_equal(read.contrasts["TE"], [10.0, 20.0])
        np.testing.assert_allclose(read.geometry.affine @ [1, 1, 2, 1], [-1.5, -2.0, 6.0, 1.0])
    # fewer images than it describes
    item.NumberOfFrames, item.PixelData = 4, item.PixelData[: 4 * 2 * SIZE[0] * SIZE[1]]
    item.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"e\.dcm: has \(4, 6, 8\) samples"):
        read_dicom(tmp_path)


def test_scale_and_part_of_each_frame_of_an_enhanced_file_are_taken(tmp_path, write_dicom):
    item = _enhanced(tmp_path / "e.dcm", write_dicom, [(t, 0) for t in (0, 1, 0, 1)])
    item.Manufacturer, item.BitsStored, item.HighBit = "Philips", 12, 11
    for number, group in enumerate(item.PerFrameFunctionalGroupsSequence):
        part = "MAGNITUDE" if number < 2 else "PHASE"
        kind, scaled, own = (pydicom.Dataset() for _ in range(3))
        kind.ComplexImageComponent = part
        scaled.RescaleSlope, scaled.RescaleIntercept = (4.0, 0.0) if number < 2 else (2.0, -4096.0)
        own.add_new((0x2005, 0x100E), "FL", 0.5 * (number + 1))
        group.MRImageFrameTypeSequence, group.PixelValueTransformationSequence = [kind], [scaled]
        group.add_new((0x2005, 0x140F), "SQ", [own])
    # magnitudes 10 and 10, phases of a quarter turn and none
    item.PixelData = np.stack([_flat(value) for value in (10, 10, 3072, 2048)]).astype(np.uint16).tobytes()
    item.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    read = read_dicom(tmp_path)
    np.testing.assert_allclose(read.data[:, 0, 0, 0], [20j, 10], atol=1e-5)


@pytest.mark.parametrize(
    ("maker", "scaled", "stored"),
    [
        ("SIEMENS", (2, -4096), lambda phase: phase * 2048 / np.pi + 2048),
        ("SIEMENS", (1, 0), lambda phase: phase * 2048 / np.pi + 2048),
        ("Philips", (2 * 3141.59265 / 4095, -3141.59265), lambda phase: (phase * 1000 + 3141.59) / 1.53435),
        ("GE MEDICAL SYSTEMS", (1, 0), lambda phase: phase * 1000),
    ],
)  # fmt: skip
def test_magnitude_and_phase_become_complex(tmp_path, write_dicom, maker, scaled, stored):
    phase = np.linspace(-3.0, 3.0, SIZE[0] * SIZE[1]).reshape(SIZE)
    is_ge = maker.startswith("GE")
    for part, letter, values in ((0, "M", _flat(50)), (1, "P", np.round(stored(phase)).astype(int))):
        write_dicom(
            tmp_path / letter, values, series=f"1.{part}", Manufacturer=maker, EchoTime=3, bits=16 if is_ge else 12,
            ImageType=["ORIGINAL", "PRIMARY", "OTHER" if is_ge else letter, "ND"],
            private=[((0x0043, 0x102F), "SS", part)] if is_ge else [((0x2005, 0x100E), "FL", 1.0)],
            RescaleSlope=scaled[0] if part else 1, RescaleIntercept=scaled[1] if part else 0,
        )  # fmt: skip
    read = read_dicom(tmp_path)
    assert read.part == "complex"
    np.testing.assert_allclose(read.data[0, 0], 50 * np.exp(1j * phase), atol=0.06)
    assert "Magnitude and phase images were joined to complex samples." in read.notes


def test_real_and_imaginary_become_complex_at_each_contrast(tmp_path, write_dicom):
    for number, time in enumerate((20.0, 10.0)):
        for part, value in (("R", 3), ("I", -4), ("M", 5)):
            write_dicom(tmp_path / f"{part}{number}", _flat(value * (number + 1)), series=f"1.{number}.{ord(part)}",
                        EchoTime=time, ImageType=["ORIGINAL", "PRIMARY", f"{part}_FFE"])  # fmt: skip
    read = read_dicom(tmp_path)
    np.testing.assert_array_equal(read.data[:, 0, 0, 0], [6 - 8j, 3 - 4j])
    assert "Magnitude images were left out." in read.notes
    (tmp_path / "I1").unlink()
    with pytest.raises(InputError, match="real and imaginary images that do not pair off"):
        read_dicom(tmp_path)


def test_a_phase_whose_unit_cannot_be_told_is_refused(tmp_path, write_dicom):
    write_dicom(tmp_path / "m", _flat(1), series="1.1", ImageType=["ORIGINAL", "PRIMARY", "M"], EchoTime=1)
    write_dicom(tmp_path / "p", _flat(360), series="1.2", ImageType=["ORIGINAL", "PRIMARY", "P"], EchoTime=1)
    with pytest.raises(InputError, match="phase images hold 360 to 360, whose unit cannot be told"):
        read_dicom(tmp_path)


def test_what_cannot_be_one_stack_is_named(tmp_path, write_dicom):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match="holds no DICOM image of a slice and no series of NIfTI files; expected a folder"
    ):
        read_dicom(tmp_path / "empty")
    gap, two, order, shifted = (tmp_path / name for name in ("gap", "two", "order", "shifted"))
    for folder in (gap, two, order, shifted):
        folder.mkdir()
    for z in (0, 1, 3):
        write_dicom(gap / str(z), _values(0, z), (0, 0, 3.0 * z))
    with pytest.raises(InputError, match=r"slices lie 3 to 6 mm apart"):
        read_dicom(gap)
    fisp = {"series": "1.1", "SeriesNumber": 3, "SeriesDescription": "fisp"}
    for number, (name, z) in enumerate((("a", 0), ("c", 3), ("d", 3))):
        write_dicom(two / name, _values(0, 0), (0, 0, z), InstanceNumber=number, **fisp)
    write_dicom(two / "b", _values(0, 0), series="1.2", SeriesNumber=4, orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(InputError, match="1 to 2 images of its 2 slices"):
        read_dicom(two, "fisp")
    with pytest.raises(InputError, match=r"series 3 \(fisp, magnitude\), series 4"):
        read_dicom(two)
    for name in "ab":
        write_dicom(order / name, _values(0, 0))
        write_dicom(shifted / name, _values(0, 0), (0, 20 * (name == "a"), 0), InstanceNumber=ord(name))
    with pytest.raises(InputError, match="a and b say nothing of their order"):
        read_dicom(order)
    with pytest.raises(InputError, match="images of one depth at"):
        read_dicom(shifted)


def test_what_is_no_image_of_a_slice_is_passed_over_with_a_word(tmp_path, write_dicom):
    write_dicom(tmp_path / "a", _values(0, 0), EchoTime=1)
    report = write_dicom(tmp_path / "report", _values(0, 0))
    del report.Rows, report.Columns, report.PixelData
    report.save_as(tmp_path / "report", enforce_file_format=True)
    picture = write_dicom(tmp_path / "picture", _values(0, 0), Modality="OT")
    del picture.ImagePositionPatient
    picture.save_as(tmp_path / "picture", enforce_file_format=True)
    write_dicom(tmp_path / "ct", _values(0, 0), Modality="CT")
    (tmp_path / "DICOMDIR").write_bytes((tmp_path / "report").read_bytes())
    (tmp_path / "copy").write_bytes((tmp_path / "a").read_bytes())
    (tmp_path / "link").symlink_to("/dev/zero")
    read = read_dicom(tmp_path)
    assert read.data.shape == (1, 1, *SIZE)
    (note,) = (note for note in read.notes if "passed over" in note)
    assert all(
        what in note
        for what in ("1 no image", "1 a picture that lies nowhere", "1 of the modality CT", "1 a copy of another image")
    )
    # the index of a disc is opened for the folder that it is in
    np.testing.assert_array_equal(read_dicom(tmp_path / "DICOMDIR").data, read.data)


def test_encodings(tmp_path, write_dicom):
    """Compressed where pydicom can, an old file without the mark, and one sentence where no decoder is there."""
    item = write_dicom(tmp_path / "a", _values(0, 3))
    item.compress(RLELossless)
    item.save_as(tmp_path / "a", enforce_file_format=True)
    np.testing.assert_array_equal(read_dicom(tmp_path).data[0, 0], _values(0, 3))
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        item = write_dicom(tmp_path / "a", _values(0, 2))
        del item.file_meta
        item.save_as(tmp_path / "a", implicit_vr=syntax.is_implicit_VR, little_endian=True)
        assert (tmp_path / "a").read_bytes()[128:132] != b"DICM"
        assert is_dicom(tmp_path)
        np.testing.assert_array_equal(read_dicom(tmp_path).data[0, 0], _values(0, 2))
    item = write_dicom(tmp_path / "a", _values(0, 2))
    item.file_meta.TransferSyntaxUID = JPEGLSLossless
    item.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7nothing"])
    item["PixelData"].is_undefined_length = True
    item.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(InputError, match=r"^a: its samples cannot be read .* expected an image that is not compressed"):
        read_dicom(tmp_path)


def test_a_mosaic_is_refused_and_a_deflated_file(tmp_path, write_dicom):
    write_dicom(tmp_path / "a", _values(0, 0), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    with pytest.raises(
        InputError,
        match=r"holds no DICOM image of a slice and no series of NIfTI files .its files: 1 a mosaic, .* dcm2niix",
    ):
        read_dicom(tmp_path)
    # nor is anything damaged in the way of what is wanted beside it
    write_dicom(tmp_path / "b", _values(0, 0), series="1.9", SeriesNumber=9)
    cut = write_dicom(tmp_path / "c", _values(0, 0), series="1.8", SeriesNumber=8)
    cut.PixelData = cut.PixelData[:-20]
    cut.save_as(tmp_path / "c", enforce_file_format=True)
    read = read_dicom(tmp_path, "9")
    np.testing.assert_array_equal(read.data[0, 0], _values(0, 0))
    assert "passed over: 1 a mosaic" in read.notes[0]
    with pytest.raises(InputError, match=r"c: its (samples cannot be read|header claims)"):
        read_dicom(tmp_path, "8")
    for name in "bc":
        (tmp_path / name).unlink()
    item = write_dicom(tmp_path / "a", _values(0, 0))
    item.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    item.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(InputError, match="a: is deflated"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("length", [140, 300, 500, -40])
def test_a_damaged_image_is_one_sentence(tmp_path, write_dicom, length):
    write_dicom(tmp_path / "a", _values(0, 0))
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:length])
    with pytest.raises(InputError, match=r"^(a|test_)"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_header_that_claims_more_than_its_file_holds_is_refused(tmp_path, write_dicom, syntax):
    item = write_dicom(tmp_path / "a", _values(0, 0))
    item.Rows = item.Columns = 65535
    item.file_meta.TransferSyntaxUID = syntax
    if syntax.is_compressed:
        item.PixelData = pydicom.encaps.encapsulate([bytes(64)])
        item["PixelData"].is_undefined_length = True
    item.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(InputError, match="more than the file can hold"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("bad", [{"orientation": (1, 0, 0, 1, 0, 0)}, {"spacing": (0.0, 1.0)}])
def test_a_place_that_cannot_be_is_refused(tmp_path, write_dicom, bad):
    write_dicom(tmp_path / "a", _values(0, 0), **bad)
    with pytest.raises(InputError, match=r"a: its (directions|voxels)"):
        read_dicom(tmp_path)


def test_a_folder_is_recognised_by_the_mark(tmp_path, write_dicom):
    assert not is_dicom(tmp_path)
    write_dicom(tmp_path / "IM_0001", _values(0, 0), SeriesInstanceUID=generate_uid())
    assert is_dicom(tmp_path)
    assert is_dicom(tmp_path / "IM_0001")
    (tmp_path / "other.dcm").write_bytes(bytes(200))
    assert not is_dicom(tmp_path / "other.dcm")
    assert not is_dicom(tmp_path / "none")


def _misfit(read, data, spheres):
    """Return what is left by |a·(1 − b·exp(−TI/T1) + (b − 1)·exp(−TR/T1))| of the signal in each sphere, and T1."""
    ti, tr = read.contrasts["TI"], read.contrasts["TR"]
    left, times = [], []
    for sphere in spheres:
        row, column = int(sphere["row"]), int(sphere["column"])
        signal = data[:, 0, row - 2 : row + 3, column - 2 : column + 3].mean(axis=(1, 2)).astype(float)
        signal /= np.linalg.norm(signal)

        def misfit(p, signal=signal):
            t1 = np.exp(p[2])
            return np.abs(p[0] * (1 - p[1] * np.exp(-ti / t1) + (p[1] - 1) * np.exp(-tr / t1))) - signal

        best = min((least_squares(misfit, [0.5, 2.0, start]) for start in np.log([50, 200, 800, 2000])),
                   key=lambda fit: fit.cost)  # fmt: skip
        left.append(np.linalg.norm(best.fun))
        times.append(np.exp(best.x[2]))
    return np.array(left), np.array(times)


@pytest.mark.parametrize(
    ("folder", "array", "near"),
    [("site1_20200218/plate5", "T1 (plate 5)", slice(6, None)), ("site4_philips/plate4", "T2 (plate 4)", slice(0, 10))],
)
def test_inversion_series_of_a_plate_obey_an_inversion_recovery(shared_data, folder, array, near):
    """A wrong scale of any image would leave a residual: 21 % where Philips' images are only rescaled."""
    read = read_dicom(shared_data / "dicom" / "T1" / folder)
    assert read.data.shape == (6, 1, 192, 192)
    np.testing.assert_array_equal(read.contrasts["TI"], [50, 100, 200, 400, 600, 800])
    with open(shared_data / "system_phantom" / "spheres.csv", encoding="utf-8") as file:
        spheres = [row for row in csv.DictReader(file) if row["array"] == array and row["sphere"] != "water"]
    assert len(spheres) == 14
    left, t1 = _misfit(read, read.data, spheres)
    assert np.median(left) <= 0.01
    true = np.array([float(row["t1_1.5T_ms"]) for row in spheres])
    # where TI up to 800 ms tells T1 well, it is the published one
    np.testing.assert_allclose(t1[near], true[near], rtol=0.12)
    if "philips" in folder:
        assert np.sqrt((left**2).mean()) <= 0.01
        files = [pydicom.dcmread(file) for file in sorted((shared_data / "dicom" / "T1" / folder).iterdir())]
        rescaled = np.stack([file.pixel_array * float(file.RescaleSlope) for file in files])[:, None]
        assert np.median(_misfit(read, rescaled, spheres)[0]) > 0.15


def test_echo_times_are_in_order_and_the_plate_lies_where_it_should(shared_data):
    folder = shared_data / "dicom" / "T2" / "site4_philips" / "plate4"
    read = read_dicom(folder)
    assert (np.diff(read.contrasts["TE"]) > 0).all()
    assert len(read.data) == 32
    # sphere 8, whose published T2 at 1.5 T is 64.84 ms; stimulated echoes lengthen it
    decay = read.data[4:24, 0, 106:111, 58:63].mean(axis=(1, 2))
    slope = np.polyfit(read.contrasts["TE"][4:24], np.log(decay), 1)[0]
    np.testing.assert_allclose(-1 / slope, 64.84, rtol=0.3)
    first = pydicom.dcmread(next(folder.iterdir()))
    corner = [float(value) for value in first.ImagePositionPatient]
    np.testing.assert_allclose(read.geometry.affine[:3, 3], [-corner[0], -corner[1], corner[2]])
    # a coronal plate: rows run to the left, columns to the feet
    np.testing.assert_allclose(read.geometry.affine[:3, :2].T, [[-1.30208, 0, 0], [0, 0, -1.30208]], atol=1e-4)
