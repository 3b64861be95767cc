"""What all tests share: where the real data is, and a display and settings of their own for every process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# a process that has drawn a window with Mesa cannot load Triton any more
# (`napari_blochnet.napari_ui.background.llvm`), and trainings load it: here windows and trainings share processes
with contextlib.suppress(ImportError):
    import triton  # noqa: F401


class _Hidden:
    """Makes a package look as if it were not installed, in the way of `sys.meta_path`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.name:
            raise ModuleNotFoundError(f"{name} is hidden from these tests", name=name)


# Qt's other binding lies beside the first, which qtpy, vispy and pyqtgraph would take where they find it.
if os.environ.get("QT_API", "").lower() == "pyside6":
    sys.meta_path.insert(0, _Hidden("PyQt6"))


_DISPLAY = pytest.StashKey[subprocess.Popen]()


def _start_display() -> subprocess.Popen:
    """Start an X server that picks a number nobody has, and make it this process's display.

    It ends after this process, however that ends: Xlib takes a server that goes first for a fault, and exits.
    """
    here, there = os.pipe()
    server = subprocess.Popen(
        # the pipe to the shell's input closes with this process
        ["sh", "-c", 'Xvfb "$@" & read -r _; kill $!', "sh", "-displayfd", str(there), "-screen", "0", "1920x1080x24",
         "-nolisten", "tcp", "-noreset"],
        pass_fds=[there], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(there)
    with os.fdopen(here) as answer:
        number = answer.readline().strip()
    if not number:
        raise pytest.UsageError("Xvfb ended before it had a display")
    os.environ["DISPLAY"] = f":{number}"
    return server


def pytest_configure(config):
    """Give every process that runs tests what windows of two processes must not share."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        return  # hands out tests and runs none
    # nothing of the user's own napari settings may change what is tested, nor one process's what another reads
    folder = tempfile.mkdtemp(prefix="napari-blochnet-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["NAPARI_CONFIG"] = str(Path(folder) / "napari-settings.yaml")
    # on one X server the windows of two processes take the focus and the pointer from each other
    if os.environ.get("BLOCHNET_TEST_DISPLAY") == "own" and shutil.which("Xvfb"):
        config.stash[_DISPLAY] = _start_display()


# Files of several minutes, the longest first.
_LONGEST = ("test_equality.py", "test_rough_jobs.py", "test_sessions.py", "test_end_to_end.py")


def pytest_collection_modifyitems(items):
    """Windows first: their files are the longest, and the last file to end decides how long all cores are needed."""

    def place(item):
        name = item.path.name
        is_window = "napari_ui" in item.path.parts
        return not is_window, _LONGEST.index(name) if is_window and name in _LONGEST else len(_LONGEST)

    items.sort(key=place)


def pytest_runtest_setup(item):
    """Skip a window's tests without a display, except in continuous integration, which starts a virtual one."""
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if item.get_closest_marker("gui") and sys.platform.startswith("linux") and not has_display:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("no display: run the tests under xvfb-run")
        pytest.skip("no display: run these tests under xvfb-run")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data that is not part of the project; its tests are skipped where it is absent."""
    default = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("BLOCHNET_TEST_DATA", default))
    if not folder.is_dir():
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"BLOCHNET_TEST_DATA: no test data at {folder}, which continuous integration must have")
        pytest.skip(f"no real test data at {folder}; name its folder in BLOCHNET_TEST_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_store(tmp_path_factory):
    """Keep the user's own networks out of what the tests of a module share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """Keep the networks a test trains out of the user's own store, and of other tests."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "napari-blochnet" / "models"


@pytest.fixture(scope="session")
def write_dicom():
    """Write one DICOM image with pydicom: ``write(path, values, position, **elements)`` returns the dataset."""
    import numpy as np
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    def write(path, values, position=(0, 0, 0), *, orientation=(1, 0, 0, 0, 1, 0), spacing=(2.0, 1.5), **elements):
        item = pydicom.Dataset()
        item.file_meta = pydicom.dataset.FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.SOPClassUID = item.file_meta.MediaStorageSOPClassUID = MRImageStorage
        item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        item.Modality = "MR"
        item.Rows, item.Columns = values.shape
        item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
        item.BitsAllocated = 16
        item.BitsStored = elements.pop("bits", 16)
        item.HighBit, item.PixelRepresentation = item.BitsStored - 1, int(values.dtype.kind == "i" and values.min() < 0)
        item.ImagePositionPatient = [float(value) for value in position]
        item.ImageOrientationPatient = [float(value) for value in orientation]
        item.PixelSpacing = list(spacing)
        item.SliceThickness = 3.0
        item.SeriesInstanceUID = elements.pop("series", "1.2.3")
        private = elements.pop("private", ())
        for name, value in elements.items():
            setattr(item, name, value)
        for tag, kind, value in private:
            item.add_new(tag, kind, value)
        item.PixelData = values.astype(np.int16 if item.PixelRepresentation else np.uint16).tobytes()
        item.save_as(path, enforce_file_format=True)
        return item

    return write
