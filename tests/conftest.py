"""What all tests share: where the real data is."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

# a process that has drawn a window with Mesa cannot load Triton any more
# (`napari_blochnet.napari_ui.background.llvm`), and trainings load it: here windows and trainings share processes
with contextlib.suppress(ImportError):
    import triton  # noqa: F401


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
