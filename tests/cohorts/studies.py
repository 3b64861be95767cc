"""Small stacks, and a package with an estimator that waits, for tests of studies."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np

import napari_blochnet as nb
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.io.nifti import read_nifti

SCHEDULE = nb.Schedule(20 + 30 * np.sin(np.linspace(0, 6, 60)) ** 2, 12.0, 3.0, inversion_time=15.0)
QUICK = {"estimator": "dictionary", "step": 0.25}


def phantom(number: int) -> nb.Phantom:
    """A phantom of 48 voxels, of one slice."""
    values = np.random.default_rng(number).uniform(0.8, 1.2, (1, 6, 8))
    return nb.Phantom(t1=1000 * values, t2=80 * values, pd=values, name=f"phantom {number}")


def write_stack(path: Path, number: int, snr: float | None = 50.0) -> Path:
    """Write the fingerprints of a phantom, which carry their schedule."""
    write_fingerprints(nb.simulate(phantom(number), SCHEDULE, snr=snr, seed=number), path)
    return path


def recipe(folder: Path, **settings) -> Path:
    """Map a stack, and return the JSON beside its T1 map."""
    stack = nb.simulate(phantom(99), SCHEDULE, snr=50.0, seed=99)
    nb.reconstruct_to(folder, stack, **{**QUICK, **settings})
    return folder / "sub-01_T1map.json"


def images(folder: Path) -> dict[str, bytes]:
    """The samples of all maps below a folder."""
    return {
        str(path.relative_to(folder)): read_nifti(path)[0].tobytes()
        for path in sorted(folder.rglob("*.nii.gz"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


# Of each stack it begins, it writes a line into a log; of the one named in "wait" it waits for the file "go".
_ESTIMATOR = """
import os, time
from pathlib import Path
import numpy as np
from napari_blochnet.common.errors import Cancelled
from napari_blochnet.estimators.base import Estimates, Estimator

class Waiting(Estimator):
    name = "waiting"
    about = "For tests."

    def estimate(self, block):
        place = Path({place!r})
        with open(place / "log", "a") as log:
            log.write(f"{{os.getpid()}} {{abs(block.data).sum():.6f}}\\n")
        if (place / "wait").exists() and not (place / "go").exists():
            with open(place / "waits", "a") as file:
                file.write(f"{{os.getpid()}}\\n")
            while not (place / "go").exists():
                try:
                    block.watch.check("waiting")
                except Cancelled:
                    (place / "cancelled").touch()
                    raise
                time.sleep(0.02)
        size = np.linalg.norm(block.data, axis=1)
        return Estimates.where(size > 0, 1000 * size, 100 * size, block.data[:, 5], 0 * size, block.kind)
"""


def waiting_package(folder: Path, place: Path) -> Path:
    """Make a package with the estimator "waiting", to be put on a path; its files lie in ``place``."""
    about = folder / "waiting_estimator-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: waiting-estimator\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[napari_blochnet.estimators]\nwaiting = waiting_estimator:Waiting\n")
    (folder / "waiting_estimator.py").write_text(_ESTIMATOR.format(place=str(place)))
    return folder


def version_package(folder: Path, name: str, version: str) -> Path:
    """Make what says that a package has another version, to be put on a path."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    entries = importlib.metadata.distribution(name).read_text("entry_points.txt")
    if entries is not None:  # as the true one has them: commands
        (about / "entry_points.txt").write_text(entries)
    return folder


def edited(path: Path, target: Path, **settings) -> Path:
    """Write a record with other settings of its last step."""
    record = json.loads(path.read_text())["Record"]
    record["settings"] |= settings
    target.write_text(json.dumps(record))
    return target
