"""What pyproject.toml declares is what is imported, and the other way round."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import napari_blochnet

ROOT = Path(__file__).parent.parent
SOURCE = Path(napari_blochnet.__file__).parent
TESTS = Path(__file__).parent

# declared and never imported, and what each is for
SERVES = {
    "npe2": "reads the manifest",
    "mypy": "checks types",
    "ruff": "checks and formats",
    "scipy-stubs": "SciPy's types, for mypy",
    "pytest-xdist": "runs tests side by side",
    "pytest-qt": "brings the fixture qtbot",
}
# imported where it is there, and never declared for everyone
WHERE_THERE = {
    "blochsim": "the benchmark's other simulator, which whoever compares installs",
    "mrpro": "the experiment's other reconstruction, which whoever compares installs",
    "napari-blochnet": "itself",
    "pyside6": "Qt's other binding",
    "shiboken6": "Qt's other binding",
    "triton": "arrives with PyTorch on Linux",
}
# what a declared package hands out as part of its own interface: its values, its types, its files
BROUGHT = {
    "app-model": "napari",
    "dask": "napari",
    "llvmlite": "numba",
    "numcodecs": "zarr",
    "pillow": "matplotlib",
    "pint": "napari",
    "pyyaml": "napari",
    "scikit-image": "napari",
    "vispy": "napari",
}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
    return {_normal(re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0]) for line in lines}


@cache
def _imported(folder: Path) -> dict[str, set[str]]:
    """Distributions that the files below a folder import, each with the files that do."""
    owners = importlib.metadata.packages_distributions()
    neighbours = {path.stem for path in folder.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            for name in {name.split(".")[0] for name in names} - {*sys.stdlib_module_names} - neighbours:
                for owner in owners.get(name, [name]):
                    found.setdefault(_normal(owner), set()).add(str(path.relative_to(folder)))
    return found


def test_what_the_package_imports_is_declared():
    missing = _imported(SOURCE).keys() - _declared("distributed", "cuda") - WHERE_THERE.keys() - BROUGHT.keys()
    assert not missing, {name: _imported(SOURCE)[name] for name in missing}


def test_what_the_tests_import_is_declared():
    missing = _imported(TESTS).keys() - _declared("test") - WHERE_THERE.keys() - BROUGHT.keys()
    assert not missing, {name: _imported(TESTS)[name] for name in missing}


def test_what_is_declared_is_imported():
    assert _declared() - _imported(SOURCE).keys() - SERVES.keys() == set()
    # the test extra may bring what the package only uses where it is there
    assert _declared("test") - _declared() - _imported(TESTS).keys() - _imported(SOURCE).keys() - SERVES.keys() == set()


@pytest.mark.parametrize("name", [*SERVES, *BROUGHT.values()])
def test_what_excuses_is_declared(name):
    assert name in _declared("test")


@pytest.mark.parametrize("name", [*WHERE_THERE, *BROUGHT])
def test_what_is_excused_is_imported(name):
    # of the package itself and of Qt's binding no file need speak
    assert name in {*_imported(SOURCE), *_imported(TESTS), "napari-blochnet", "pyside6"}
