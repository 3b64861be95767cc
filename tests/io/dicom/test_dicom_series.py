"""DICOM, written by pydicom itself; the geometry's witness are landmarks, that of the numbers acquired phantoms."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from scipy.optimize import least_squares

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.dicom.dicom_series import is_dicom, read_dicom

SIZE = (6, 8)  # rows, columns
ROTATION = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def _image(path, values, position, *, orientation=(1, 0, 0, 0, 1, 0), spacing=(2.0, 1.5), **more):
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.SOPClassUID = item.file_meta.MediaStorageSOPClassUID = MRImageStorage
    item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    item.Rows, item.Columns = values.shape
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.BitsAllocated = item.BitsStored = 16
    item.HighBit, item.PixelRepresentation = 15, 0
    item.ImagePositionPatient = [float(value) for value in position]
    item.ImageOrientationPatient = [float(value) for value in orientation]
    item.PixelSpacing = list(spacing)
    item.SliceThickness = 3.0
    item.SeriesInstanceUID = more.pop("series", "1.2.3")
    for name, value in more.items():
        if isinstance(name, str):
            setattr(item, name, value)
    item.PixelData = values.astype(np.uint16).tobytes()
    item.save_as(path, enforce_file_format=True)
    return item


def _values(t, z):
    return 1000 * t + 100 * z + np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)


@pytest.mark.parametrize("seed", [0, 1])
def test_images_in_any_order_become_time_and_slices_at_their_world_positions(tmp_path, seed):
    orientation = np.concatenate([ROTATION[:, 0], ROTATION[:, 1]])
    start, step = np.array([10.0, -20.0, 5.0]), 4.0 * ROTATION[:, 2]
    order = np.random.default_rng(seed).permutation(12)
    for name, index in zip("abcdefghijkl", order, strict=True):
        t, z = divmod(int(index), 3)
        _image(tmp_path / name, _values(t, z), start + z * step, orientation=orientation, InstanceNumber=int(index) + 1)
    (tmp_path / "notes.txt").write_text("scanned on a Tuesday")
    read = read_dicom(tmp_path)
    assert read.data.shape == (4, 3, *SIZE)
    for t, z in itertools.product(range(4), range(3)):
        np.testing.assert_array_equal(read.data[t, z], _values(t, z))
    # the voxel in row 2, column 5 of slice 1: DICOM's equation C.7.6.2.1-1, then left and posterior to right, anterior
    place = start + step + 5 * 1.5 * ROTATION[:, 0] + 2 * 2.0 * ROTATION[:, 1]
    np.testing.assert_allclose(read.geometry.affine @ [5, 2, 1, 1], [-place[0], -place[1], place[2], 1], atol=1e-9)
    np.testing.assert_allclose(read.geometry.voxel_size, [4.0, 2.0, 1.5])
    assert any("notes" not in note and "1 files" in note for note in read.notes)


def test_series_that_differ_in_ti_are_joined_in_its_order_and_a_varying_tr_is_told(tmp_path):
    for number, (ti, tr) in enumerate([(800, 2460), (50, 1000), (400, 1260)]):
        _image(tmp_path / f"{number}.dcm", np.full(SIZE, ti), (0, 0, 0), series=f"1.2.{number}",
               SeriesNumber=number, InversionTime=ti, RepetitionTime=tr, EchoTime=12, Manufacturer="SIEMENS")  # fmt: skip
    read = read_dicom(tmp_path)
    np.testing.assert_array_equal(read.data[:, 0, 0, 0], [50, 400, 800])
    np.testing.assert_array_equal(read.contrasts["TI"], [50, 400, 800])
    np.testing.assert_array_equal(read.contrasts["TR"], [1000, 1260, 2460])
    assert "TR varies: 1000, 1260, 2460 ms." in read.notes


def test_the_scale_of_each_image_is_taken(tmp_path):
    for index, (slope, scale) in enumerate([(2.0, 0.5), (4.0, 0.125)]):
        for folder, maker in (("philips", "Philips Medical Systems"), ("ge", "GE MEDICAL SYSTEMS")):
            (tmp_path / folder).mkdir(exist_ok=True)
            path = tmp_path / folder / f"{index}.dcm"
            item = _image(path, np.full(SIZE, 8), (0, 0, 0), InstanceNumber=index, Manufacturer=maker,
                          RescaleSlope=slope, RescaleIntercept=1.0)  # fmt: skip
            item.add_new((0x2005, 0x100E), "FL", scale)
            item.save_as(path, enforce_file_format=True)
    np.testing.assert_allclose(read_dicom(tmp_path / "philips").data[:, 0, 0, 0], [16.0, 64.0])
    np.testing.assert_allclose(read_dicom(tmp_path / "ge").data[:, 0, 0, 0], [17.0, 33.0])


def test_an_enhanced_file_is_read_frame_by_frame(tmp_path):
    frames = [(t, z) for z in (2, 0, 1) for t in (1, 0)]
    item = _image(tmp_path / "e.dcm", _values(0, 0), (0, 0, 0), Manufacturer="SIEMENS")
    item.SOPClassUID = item.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    del item.ImagePositionPatient, item.ImageOrientationPatient, item.PixelSpacing, item.SliceThickness
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
    plane.ImageOrientationPatient = [1.0, 0, 0, 0, 1.0, 0]
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    item.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for t, z in frames:
        position, content, echo, group = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, 3.0 * z]
        content.TemporalPositionIndex = t + 1
        echo.EffectiveEchoTime = 10.0 * (t + 1)
        group.PlanePositionSequence = Sequence([position])
        group.FrameContentSequence, group.MREchoSequence = Sequence([content]), Sequence([echo])
        groups.append(group)
    item.PerFrameFunctionalGroupsSequence = Sequence(groups)
    item.NumberOfFrames = len(frames)
    item.PixelData = np.stack([_values(t, z) for t, z in frames]).astype(np.uint16).tobytes()
    item.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    read = read_dicom(tmp_path / "e.dcm")
    for t, z in frames:
        np.testing.assert_array_equal(read.data[t, z], _values(t, z))
    np.testing.assert_array_equal(read.contrasts["TE"], [10.0, 20.0])


@pytest.mark.parametrize(("low", "scale"), [(-4096, np.pi / 4096), (0, 2 * np.pi / 4096)])
def test_magnitude_and_phase_become_complex(tmp_path, low, scale):
    stored = np.linspace(0, 4095, SIZE[0] * SIZE[1]).round().reshape(SIZE)
    _image(tmp_path / "m", np.full(SIZE, 50), (0, 0, 0), ImageType=["ORIGINAL", "PRIMARY", "M", "ND"])
    slope = 2 if low else 1
    _image(tmp_path / "p", stored, (0, 0, 0), ImageType=["ORIGINAL", "PRIMARY", "P", "ND"],
           RescaleSlope=slope, RescaleIntercept=low, series="1.9")  # fmt: skip
    read = read_dicom(tmp_path)
    assert read.part == "complex"
    expected = 50 * np.exp(1j * scale * (stored * slope + low))
    np.testing.assert_allclose(read.data[0, 0], expected, atol=1e-3)


def test_what_cannot_be_one_stack_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no DICOM image"):
        read_dicom(tmp_path / "empty")
    gap, two = tmp_path / "gap", tmp_path / "two"
    gap.mkdir()
    for z in (0, 1, 3):
        _image(gap / str(z), _values(0, z), (0, 0, 3.0 * z))
    with pytest.raises(InputError, match=r"slices lie 3 to 6 mm apart"):
        read_dicom(gap)
    two.mkdir()
    _image(two / "a", _values(0, 0), (0, 0, 0), series="1.1", SeriesNumber=3, SeriesDescription="fisp")
    _image(two / "b", _values(0, 0), (0, 0, 0), series="1.2", SeriesNumber=4, SeriesDescription="localizer",
           orientation=(0, 1, 0, 0, 0, -1))  # fmt: skip
    with pytest.raises(InputError, match=r"series 3 \(fisp\), series 4 \(localizer\)") as refused:
        read_dicom(two)
    assert refused.value.field == "variable"
    assert read_dicom(two, "4").data.shape == (1, 1, *SIZE)
    _image(two / "c", _values(0, 0), (0, 0, 3), series="1.1", SeriesNumber=3, SeriesDescription="fisp")
    _image(two / "d", _values(0, 0), (0, 0, 3), series="1.1", SeriesNumber=3, SeriesDescription="fisp")
    with pytest.raises(InputError, match="1 to 2 images of its 2 slices"):
        read_dicom(two, "fisp")


def test_a_damaged_image_is_one_sentence(tmp_path):
    _image(tmp_path / "a", _values(0, 0), (0, 0, 0))
    whole = (tmp_path / "a").read_bytes()
    for length in (140, 300, 500, len(whole) - 40):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"^(a|test_)"):
            read_dicom(tmp_path)
    (tmp_path / "a").write_bytes(whole.replace(b"CS\x0c\x00MONOCHROME2", b"CS\x0c\x00PALETTE CO "))
    item = pydicom.dcmread(tmp_path / "a")
    item.Rows = item.Columns = 65535
    item.save_as(tmp_path / "a")
    with pytest.raises(InputError, match="more than the file can hold"):
        read_dicom(tmp_path)


def test_a_folder_is_recognised_by_the_mark(tmp_path):
    assert not is_dicom(tmp_path)
    _image(tmp_path / "IM_0001", _values(0, 0), (0, 0, 0))
    assert is_dicom(tmp_path)
    assert is_dicom(tmp_path / "IM_0001")
    (tmp_path / "other.dcm").write_bytes(b"\x00" * 200)
    assert not is_dicom(tmp_path / "other.dcm")


@pytest.mark.parametrize("site", ["site1_20200218", "site4_philips"])
def test_inversion_series_of_a_plate_obey_an_inversion_recovery(shared_data, site):
    """|a − b·exp(−TI/T1)| in each sphere: a wrong scale of any image would leave a residual (23 % by rescaling alone)."""
    read = read_dicom(shared_data / "dicom" / "T1" / site / "plate5")
    assert read.data.shape == (6, 1, 192, 192)
    times = read.contrasts["TI"]
    with open(shared_data / "system_phantom" / "spheres.csv", encoding="utf-8") as file:
        spheres = [row for row in csv.DictReader(file) if row["array"].startswith("T1")]
    residuals = []
    for sphere in spheres:
        row, column = int(sphere["row"]), int(sphere["column"])
        signal = read.data[:, 0, row - 2 : row + 3, column - 2 : column + 3].mean(axis=(1, 2)).astype(float)
        scale = signal.max()

        def misfit(p, signal=signal, scale=scale):
            return np.abs(p[0] - p[1] * np.exp(-times / np.exp(p[2]))) - signal / scale

        best = min((least_squares(misfit, [1.0, 2.0, start]) for start in np.log([50, 200, 800, 2000])),
                   key=lambda fit: fit.cost)  # fmt: skip
        residuals.append(np.linalg.norm(best.fun) / np.linalg.norm(signal / scale))
    assert np.median(residuals) <= 0.01
    assert len(residuals) == 14


def test_echo_times_are_in_order(shared_data):
    read = read_dicom(shared_data / "dicom" / "T2" / "site4_philips" / "plate4")
    assert (np.diff(read.contrasts["TE"]) > 0).all()
    assert len(read.data) == 32
    decay = read.data[:, 0, 94, 134]
    assert decay.argmax() < 4
