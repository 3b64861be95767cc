"""The cut between the rooms: who may import whom, and what loading costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_blochnet

SOURCE = Path(napari_blochnet.__file__).parent

# each room may import those before it; common modules hold no knowledge of any room
ORDER = [
    "common",
    "io",
    "schedules",
    "physics",
    "phantoms",
    "fingerprints",
    "estimators",
    "evaluation",
    "jobs",
    "faces",
]
COMMON: set[str] = set()
FACES = {"benchmarks", "cli", "napari_ui", "studies", "__main__"}
WINDOW = ("napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "pyqtgraph", "superqt", "magicgui")


def _room(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "faces" if first in FACES else first


def _imports(path: Path):
    """Every module a file imports at run time, wherever it does so."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = sorted(SOURCE.rglob("*.py"))


def test_all_rooms_are_seen():
    assert {_room(path) for path in MODULES} >= {*ORDER}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downwards(path):
    room = _room(path)
    if room == "__init__":
        return
    for module in _imports(path):
        parts = module.split(".")
        if parts[0] != "napari_blochnet" or len(parts) < 2 or parts[1] == "__version__":
            continue
        other = "faces" if parts[1] in FACES else parts[1]
        if other in COMMON:
            continue
        assert room not in COMMON, f"a common module imports {module}"
        assert ORDER.index(other) <= ORDER.index(room), f"{room} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_napari_face_knows_of_windows(path):
    if _room(path) == "faces" and "napari_ui" in path.parts:
        return
    for module in _imports(path):
        assert module.split(".")[0] not in WINDOW, module


def _loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(' '.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import napari_blochnet as nb; dir(nb); nb.Schedule; nb.Phantom; nb.FingerprintStack",
            {"torch", "pydantic", "nibabel"},
        ),
        (
            "import napari_blochnet.schedules.generators, napari_blochnet.schedules.schedule_files",
            {"torch", "pydantic", "nibabel"},
        ),
        (
            "import napari_blochnet.physics.decoder, napari_blochnet.estimators.matching.dictionary, "
            "napari_blochnet.estimators.training.loop, napari_blochnet.estimators.networks.store",
            {"pydantic", "nibabel", "napari"},
        ),
        (
            "import napari_blochnet.jobs.catalogue, napari_blochnet.jobs.operations.train, napari_blochnet.cli.main",
            {"torch", "numba", "matplotlib"},
        ),
    ],
)
def test_loading_a_room_does_not_load_what_it_does_not_need(code, absent):
    assert not _loaded_by(code) & {*absent, "napari", "qtpy"}
