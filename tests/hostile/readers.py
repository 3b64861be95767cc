"""Every door of the package by which somebody else's file comes in, and the seeds that fit through it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import seed_files
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.common.geometry import Geometry

SHAPE = (2, 5, 4)


@dataclass(frozen=True)
class Door:
    """One reader: what it is called with, and by a pattern the seeds it takes."""

    name: str
    seeds: str
    read: Callable[[Path], Any]
    often: int = 1


def _schedule() -> nb.Schedule:
    return nb.Schedule.from_dict(seed_files.schedule_dict())


def _stack(path: Path) -> None:
    known = None if path.name == "stack.nii.gz" else _schedule()
    stack = nb.read_fingerprints(path, known)
    np.array(stack.data[:, 0])


def _contrasts(path: Path) -> None:
    np.array(nb.read_contrasts(path).data[:1])


def _mask(path: Path) -> None:
    from napari_blochnet.fingerprints.masks import read_mask

    read_mask(path, SHAPE, Geometry(), "the stack")


def _b1(path: Path) -> None:
    from napari_blochnet.jobs.operations.b1_maps import read_b1

    stack = nb.FingerprintStack(np.ones((12, *SHAPE), np.float32), _schedule(), "real")
    read_b1(path, stack)


def _maps(path: Path) -> None:
    from napari_blochnet.evaluation.maps_io import read_maps

    read_maps(path)


def _regions(path: Path) -> None:
    from napari_blochnet.evaluation.regions import read_regions

    read_regions(path, SHAPE if path.suffix != ".csv" else (1, 12, 10))


def _tissues(path: Path) -> None:
    from napari_blochnet.phantoms.tissues import load_tissues

    load_tissues(path)


def _recipe(path: Path) -> None:
    from napari_blochnet.jobs.history.recipes import check_results, read_recipe, run_recipe

    recipe = read_recipe(path)
    check_results(recipe, path.parent / "out")
    if path.parent.name == "recipe-given" or "given" in path.read_text(errors="replace")[:4000]:
        run_recipe(recipe)


def _record(path: Path) -> None:
    """What is copied of a record: Python and commands."""
    from napari_blochnet.io.json_files import read_json
    from napari_blochnet.jobs.history.scripts import as_command, as_python

    content = read_json(path)
    record = content.get("Record", content.get("record")) if isinstance(content, dict) else None
    if isinstance(record, dict):
        for words in (as_python, as_command):
            try:
                words(record)
            except nb.InputError:
                continue


def _model(path: Path) -> None:
    nb.load_estimator(str(path))


def _store(path: Path) -> None:
    """A store with one bad model: all others are listed."""
    from unittest.mock import patch

    from napari_blochnet.estimators.networks import cards

    with patch.object(cards, "user_folder", lambda: path.parent):
        found = cards.stored_models()
        assert any(model.packaged for model in found)
        for model in found:
            model.describe()


def _checkpoint(path: Path) -> None:
    from napari_blochnet.estimators.training.state import read_state

    modules, optimizer = seed_files.training()
    read_state(path, {"estimator": "fc"}, modules, optimizer)


def _session(path: Path) -> None:
    from napari_blochnet.jobs.sessions import read_session

    read_session(path)


def _recognised(path: Path) -> None:
    """A look at what something is never fails."""
    from napari_blochnet.jobs import recognise

    recognise.what_is_in([path])
    for look in ("is_phantom", "is_our_stack", "has_own_schedule", "is_series_of_contrasts", "unreadable"):
        getattr(recognise, look)(path)


_NUMBERS = ("nan", "inf", "-inf", "-1", "0", "1e-320", "1e-300", "1e300", "1e308", "9" * 400, "9" * 5000, "1e9", "x",
            "", "1_000", "٣", " 5", "5 ", "0x10", "2147483648", "9223372036854775808", "1e-5", "0.001")  # fmt: skip


_SPLINE = ("length", "control-points", "noise-variance", "max-flip-angle", "seed", "echo-time", "inversion-time",
           "inversion-efficiency")  # fmt: skip
_SCHEDULE = ("flip-angle", "repetition-time", "echo-time", "inversion-time", "rf-phase")
_SIMULATE = ("snr", "seed", "tolerance", "noise-sigma")


def command_line(r: random.Random, folder: Path) -> str:
    """Run a small command with one number that cannot be; return it."""
    from napari_blochnet.cli.main import blochnet

    head = str(seed_files.STORED / "small")
    stack, schedule = str(seed_files.STORED / "stack.nii.gz"), str(seed_files.STORED / "schedule.csv")
    maps, spheres, out = str(seed_files.STORED / "maps"), str(seed_files.STORED / "spheres.csv"), str(folder / "out")

    def some(count: int = 1) -> list[str]:
        return [r.choice(_NUMBERS) if r.random() < 0.7 else "3" for _ in range(count)]

    few = ["--t1-range", "800", "900", "--t2-range", "80", "90"]
    words = r.choice(
        (
            ["schedule", "spline", f"--{r.choice(_SPLINE)}", *some()],
            ["schedule", "fisp", f"--{r.choice(('echo-time', 'inversion-time', 'inversion-efficiency'))}", *some()],
            ["schedule", "convert", schedule, f"--{r.choice(_SCHEDULE)}", *some()],
            ["phantom", head, "--voxel-size", *some(3)],
            ["phantom", head, "--shape", *some(3)],
            ["phantom", head, "--b1-nominal", *some()],
            ["phantom", "--synthetic", "--seed", *some()],
            ["reconstruct", stack, "--step", "1", "--t1-range", *some(2)],
            ["reconstruct", stack, "--step", "1", "--t2-range", *some(2)],
            ["reconstruct", stack, *few, "--step", *some()],
            ["reconstruct", stack, *few, "--slices", *some(2)],
            ["reconstruct", stack, *few, f"--{r.choice(('noise-sigma', 'batch', 'saturation'))}", *some()],
            ["compare", "--truth", head, maps, "--regions", spheres, "--radius", *some()],
            ["compare", "--truth", head, maps, f"--{r.choice(('seed', 'explain-voxels'))}", *some()],
            ["simulate", "--phantom", head, "--schedule", schedule, f"--{r.choice(_SIMULATE)}", *some()],
        )
    )
    suffix = {"schedule": ".csv", "compare": ".html", "simulate": ".nii.gz"}.get(words[0], "")
    done = CliRunner().invoke(blochnet, [*words, "-o", out + suffix])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 2), done.output
    assert not re.search(r"Traceback|unexpected fault", done.output), done.output
    return " ".join(each[:20] for each in words)


DOORS = (
    Door("stack", r"stack-|phantom-npy|schedule-mat5|dicom", _stack, 6),
    Door("contrasts", "dicom", _contrasts, 2),
    Door("phantom", "phantom-|stack-nii$", lambda path: nb.read_phantom(path), 5),
    Door("mask", "mask-|stack-h5|stack-mat5|stack-zarr", _mask),
    Door("b1", "b1-|phantom-minc", _b1),
    Door("maps", "own-|phantom-maps", _maps, 2),
    Door("schedule", "schedule-|stack-own", lambda path: nb.read_schedule(path), 4),
    Door("regions", "regions-", _regions, 2),
    Door("tissues", "tissues-", _tissues),
    Door("recipe", "recipe|record", _recipe, 4),
    Door("record", "record|recipe", _record, 2),
    Door("model", "model", _model, 2),
    Door("store", "model", _store),
    Door("checkpoint", "checkpoint", _checkpoint),
    Door("session", "own-session", _session, 3),
    Door("recognised", "", _recognised, 2),
)
