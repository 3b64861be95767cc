"""The rooms of the house: who may import whom, how large a room is, and what loading costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import napari_blochnet

SOURCE = Path(napari_blochnet.__file__).parent

# From the ground up, a floor a line. Rooms on one floor stand apart by "|"; a room is a folder, or the modules named.
# What is imported lies in the same room or on a floor further down. The longest name that fits says where a module is.
FLOORS = """
    common
    io.sets
    io
    physics.pulse_simulation
    schedules
    physics.tissue_values physics.preparation_maps
    physics.kernels | physics.reference
    physics
    phantoms.formats
    phantoms
    fingerprints
    sampling.trajectories sampling.coils sampling.fourier sampling.scanning sampling.density_compensation
    sampling.trajectory_files sampling.scans
    sampling.residuals
    estimators.base estimators.estimates estimators.memory estimators.projected estimators.threads estimators.kept
    estimators.matching.grid
    estimators.declared
    estimators.matching.subspace estimators.matching.search estimators.matching.atoms
    estimators.matching.component_bases
    estimators.fitting.sums estimators.fitting.noise_models estimators.fitting.fit estimators.fitting.on_top
    estimators.fitting.density estimators.fitting.known_b1
    estimators.matching | estimators.networks
    estimators.fitting
    estimators.universal | estimators.brought
    estimators.training
    estimators
    sampling
    evaluation.map_sets
    evaluation
    evaluation.drawing
    evaluation.comparison evaluation.regions evaluation.report
    evaluation.agreement
    jobs.declaring
    jobs.settings jobs.settings_arrays jobs.settings_coefficients jobs.settings_comparing jobs.settings_figures
    jobs.settings_schedules jobs.settings_training jobs.records jobs.packing jobs.estimating
    jobs.operations
    jobs.catalogue
    jobs
    engines
    cohorts
    studies | benchmarks
    cli
    __main__
    napari_ui.background | napari_ui.benchmark
    napari_ui.state
    napari_ui.canvas
    napari_ui.forms
    napari_ui.widgets
    napari_ui.printing
    napari_ui.sessions | napari_ui.saving | napari_ui.inspector | napari_ui.next_step | napari_ui.view_bar
    napari_ui.panels.amounts | napari_ui.panels.schedule
    napari_ui.panels | napari_ui.panels.data | napari_ui.panels.map | napari_ui.panels.compare | napari_ui.panels.train
    napari_ui.workbench
    napari_ui.napari_calls
"""
# The window and the command line are two faces of the same jobs: neither imports the other, whatever its floor.
COMMAND_LINE = ("engines", "cohorts", "studies", "benchmarks", "cli", "__main__")

# Modules of one name that mean one thing: why each pair may share it.
SHARED_NAMES: dict[str, str] = {}

MOST_MODULES = 16
MOST_LINES = 400

WINDOW = ("napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "pyqtgraph", "superqt", "magicgui")


def _name(path: Path) -> str:
    """``physics.kernels.math`` for that file; a package's own name for its ``__init__``."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


PATHS = sorted(SOURCE.rglob("*.py"))
# a package's __init__ gathers names from its modules and holds nothing of its own
MODULES = {_name(path): path for path in PATHS if path.name != "__init__.py"}
PACKAGES = {_name(path): path for path in PATHS if path.name == "__init__.py"}

FLOOR_OF: dict[str, int] = {}
ROOM_OF: dict[str, str] = {}
for _floor, _line in enumerate(FLOORS.split("\n")):
    for _room in filter(str.strip, _line.split("|")):
        for _part in _room.split():
            FLOOR_OF[_part], ROOM_OF[_part] = _floor, _room.strip()


def _part(module: str) -> str:
    """Return the name in `FLOORS` that a module falls under."""
    while module and module not in FLOOR_OF:
        module = module.rpartition(".")[0]
    return module


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Every module a file imports at run time, wherever in the file it does so."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found += [text.value for text in node.args[:1] if isinstance(text, ast.Constant)]
    return tuple(found)


@cache
def _imported(module: str) -> frozenset[str]:
    """Modules of this package that a module of it imports."""
    found = set()
    for name in _imports((MODULES | PACKAGES)[module]):
        first, _, rest = name.partition(".")
        if first != "napari_blochnet" or rest in ("", "__version__"):
            continue
        while rest and rest not in MODULES and rest not in PACKAGES:
            rest = rest.rpartition(".")[0]
        assert rest, f"{module} imports {name} from the package's door; expected the module that it is in"
        found.add(rest)
    return frozenset(found - {module})


def test_every_module_has_a_room_and_every_room_a_module():
    parts = {_part(module) for module in MODULES}
    assert "" not in parts
    # what is not built yet has no line either
    assert parts == {*FLOOR_OF}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downwards(path):
    module = _name(path)
    if module in PACKAGES:
        # what a package gathers is its own; the public door gathers from every room
        assert all(other.startswith(f"{module}." if module else "") for other in _imported(module))
        return
    part = _part(module)
    for other in _imported(module):
        its = _part(other)
        if ROOM_OF[its] == ROOM_OF[part]:
            continue
        assert FLOOR_OF[its] < FLOOR_OF[part], f"{module} imports {other}, which is not below it"
        if part.startswith("napari_ui"):
            assert its.split(".")[0] not in COMMAND_LINE, f"{module} imports {other}"


def _reached(start: str) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for other in _imported(ahead.pop()) & MODULES.keys() - seen:
            seen.add(other)
            ahead.append(other)
    return seen


def test_no_files_import_each_other_in_a_circle():
    reached = {module: _reached(module) for module in MODULES}
    circles = {
        tuple(sorted(other for other in seen if module in reached[other]))
        for module, seen in reached.items()
        if module in seen
    }
    assert not circles, "\n".join(" ↔ ".join(circle) for circle in sorted(circles))


def test_no_folder_is_crowded():
    modules = defaultdict(list)
    for path in MODULES.values():
        modules[str(path.parent.relative_to(SOURCE))].append(path.stem)
    assert {folder: len(found) for folder, found in modules.items() if len(found) > MOST_MODULES} == {}


def test_no_module_is_long():
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: lines for module, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_two_modules_share_a_name():
    named = defaultdict(list)
    for module in MODULES:
        named[module.rpartition(".")[2]].append(module)
    shared = {name: modules for name, modules in named.items() if len(modules) > 1}
    assert shared.keys() == SHARED_NAMES.keys(), shared


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_napari_face_knows_of_windows(path):
    if "napari_ui" in path.relative_to(SOURCE).parts:
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
