"""Every writer, killed: at each of its file-system events, at random moments, beside another one, under a reader.

    python tests/io/killing.py events            each event, of every writer, over an old set and over nothing
    python tests/io/killing.py moments [COUNT]   that many random moments of every writer
    python tests/io/killing.py together [COUNT]  two writers of one name, and a reader, that many rounds

Each prints JSON: for every writer how often it was killed, and what was wrong. Children are forked, so that packages
are imported once; no child starts a thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import napari_blochnet as nb
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.model_files import read_model, write_model
from napari_blochnet.estimators.training.card import make_card
from napari_blochnet.estimators.training.options import options_from
from napari_blochnet.estimators.training.state import TrainingState, read_state, write_state
from napari_blochnet.evaluation.maps_io import error_files, read_maps, write_error_maps, write_maps
from napari_blochnet.fingerprints.stack_files import read_fingerprints, write_fingerprints
from napari_blochnet.io.atomic import existing_file, replacing, replacing_set
from napari_blochnet.io.nifti import read_nifti
from napari_blochnet.io.sets.reading_whole import reads_whole
from napari_blochnet.jobs.sessions import SavedSession, read_session, write_session
from napari_blochnet.phantoms.write import write_phantom

SHAPE = (3, 4, 3)
# How the table of a report begins.
TABLE = "model,tissue,parameter,unit,voxels,failures,"
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.chmod", "os.truncate"}


@dataclass(frozen=True)
class Writer:
    """Writes the set of a number, and reads it: ``read`` returns the numbers that its members are of."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], set[float]]


def mask(number: int) -> np.ndarray:
    inside = np.ones(SHAPE, bool)
    inside[number % 3] = False
    return inside


def masked(inside: np.ndarray) -> int:
    return next((number for number in (1, 2, 3) if np.array_equal(inside, mask(number))), -1)


def schedule(number: int) -> nb.Schedule:
    return nb.Schedule([10.0, 20.0, 30.0], 10.0 + number, 2.0)


def phantom(number: int) -> nb.Phantom:
    full, inside = np.full(SHAPE, 1.0, np.float32), mask(number)
    more = {"b1": number * full} if number == 1 else {}
    return nb.Phantom(t1=100 * number * full, t2=10 * number * full, pd=number * full, mask=inside, name="head",
                      notes=(f"{number}",), record={"operation": "given", "number": number}, **more)  # fmt: skip


def maps(number: int) -> nb.ParameterMaps:
    full, inside = np.full(SHAPE, 1.0, np.float32), mask(number)
    more = {"t1_se": number * full * inside} if number == 1 else {}
    return nb.ParameterMaps(100 * number * full * inside, 10 * number * full * inside, number * full * inside, None,
                            inside, estimator=f"{number}", record={"number": number}, **more)  # fmt: skip


def write_stack(ending: str) -> Writer:
    def write(folder: Path, number: int) -> None:
        data = np.full((3, *SHAPE), number, np.float32) * mask(number)
        stack = nb.FingerprintStack(data, schedule(number), "real", mask(number), snr=float(number), noise_sigma=1.0)
        write_fingerprints(stack, folder / f"a{ending}", record={"number": number})

    def read(folder: Path) -> set[float]:
        stack = read_fingerprints(folder / f"a{ending}")
        told = {-2.0} if any("changed" in note or "left" in note for note in stack.notes) else set()
        return told | {
            float(stack.data.max()), float(stack.snr), masked(stack.mask), stack.record["number"],
            float(stack.schedule.repetition_time[0]) - 10.0,
        }  # fmt: skip

    return Writer(write, read)


def read_maps_of(folder: Path) -> set[float]:
    found = read_maps(folder)
    said = found.record["number"]
    errors = {float(found.t1_se.max())} if found.t1_se is not None else {said if said != 1 else -1}
    return errors | {
        float(found.t1.max()) / 100, float(found.t2.max()) / 10, float(found.pd.max()), masked(found.mask), said,
        float(found.estimator),
    }  # fmt: skip


def read_head(folder: Path) -> set[float]:
    found = nb.read_phantom(folder)
    said = found.record["number"]
    b1 = {float(found.b1.max())} if found.b1 is not None else {said if said != 1 else -1}
    return b1 | {float(found.t1.max()) / 100, float(found.t2.max()) / 10, float(found.pd.max()), masked(found.mask),
                 said}  # fmt: skip


def write_errors(folder: Path, number: int) -> None:
    truth = nb.Phantom(t1=np.full(SHAPE, 1000.0), t2=np.full(SHAPE, 100.0), pd=np.full(SHAPE, 1.0))
    whole = np.full(SHAPE, 1.0 + number, np.float32)
    write_error_maps(truth, nb.ParameterMaps(1000 * whole, 100 * whole, whole, None, whole > 0, estimator=f"{number}"),
                     folder)  # fmt: skip


@reads_whole
def read_errors(folder: Path) -> set[float]:
    found: set[float] = set()
    for file in error_files(folder):
        if file.suffix == ".json":
            found.add(float(json.loads(existing_file(file).read_text())["Description"].split("by ")[1].split(" ")[0]))
        else:
            # of PD a scale is taken out
            values = read_nifti(existing_file(file))[0]
            found |= set() if "PDmap" in file.name else {round(float(values.max()) / 100, 3)}
    return found


def network(number: int) -> LabelNetwork:
    torch.manual_seed(0)
    model = LabelNetwork("fc", 3, (4,), None, "relu")
    with torch.no_grad():
        for value in model.parameters():
            value.fill_(float(number))
    return model


def card(number: int) -> dict:
    made = make_card("fc", (schedule(number),), "paper", options_from("paper", widths=(4,)), TrainingState(), "cpu")
    return {**made, "notes": [f"{number}"]}


@reads_whole
def read_network(folder: Path) -> set[float]:
    model, schedules, said = read_model(existing_file(folder / "net.safetensors"))
    beside = json.loads(existing_file(folder / "net.json").read_text())
    weights = {float(value.max()) for value in model.parameters()}
    return weights | {float(said["notes"][0]), float(beside["notes"][0]), float(schedules[0].repetition_time[0]) - 10}


def write_checkpoint(folder: Path, number: int) -> None:
    model = network(number)
    write_state(folder / "net.training", {}, TrainingState(step=number), model, torch.optim.Adam(model.parameters()))


def read_checkpoint(folder: Path) -> set[float]:
    model = network(0)
    state = read_state(folder / "net.training", {}, model, torch.optim.Adam(model.parameters()))
    return {float(state.step)} | {float(value.max()) for value in model.parameters()}


def write_saved(folder: Path, number: int) -> None:
    write_session(SavedSession((phantom(number),), (np.full(3, number),), {"number": number}), folder / "s")


def read_saved(folder: Path) -> set[float]:
    found = read_session(folder / "s")
    return {float(found.subjects[0].t1.max()) / 100, masked(found.subjects[0].mask), float(found.arrays[0][0]),
            float(found.state["number"])}  # fmt: skip


def write_report(folder: Path, number: int) -> None:
    """As ``blochnet compare`` does, without the figures, which take seconds."""
    with replacing_set([folder / "r.html", folder / "r.csv"]) as draft:
        for name, head in (("r.html", "<!DOCTYPE html><!-- napari-blochnet -->"), ("r.csv", TABLE)):
            with replacing(draft / name) as temporary:
                temporary.write_text(f"{head}\n{number}")


@reads_whole
def read_report(folder: Path) -> set[float]:
    return {float(existing_file(folder / name).read_text().split("\n")[-1]) for name in ("r.html", "r.csv")}


WRITERS = {
    "stack .nii": write_stack(".nii"),
    "stack .nii.gz": write_stack(".nii.gz"),
    "stack .zarr": write_stack(".zarr"),
    "maps": Writer(lambda folder, number: write_maps(maps(number), folder), read_maps_of),
    "error maps": Writer(write_errors, read_errors),
    "phantom": Writer(lambda folder, number: write_phantom(phantom(number), folder), read_head),
    "model and card": Writer(
        lambda folder, number: write_model(network(number), card(number), folder / "net.safetensors", half=False),
        read_network,
    ),
    "checkpoint": Writer(write_checkpoint, read_checkpoint),
    "session": Writer(write_saved, read_saved),
    "report and table": Writer(write_report, read_report),
    "schedule": Writer(
        lambda folder, number: nb.write_schedule(schedule(number), folder / "s.csv"),
        lambda folder: {float(nb.read_schedule(folder / "s.csv").repetition_time[0]) - 10},
    ),
}


def forked(work: Callable[[], object]) -> int:
    """Start a child that does some work and nothing else; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def listening(at: int, counted: list[int]) -> None:
    """Count this process's events from now on, and end it at one of them, before it happens."""
    me = os.getpid()

    def hook(event: str, args: tuple) -> None:
        if event not in EVENTS or (event == "open" and not (isinstance(args[2], int) and args[2] & 3)):
            return
        if counted[0] == at:
            os.kill(me, signal.SIGKILL)
        counted[0] += 1

    sys.addaudithook(hook)


def events_of(writer: Writer, folder: Path) -> int:
    here, there = os.pipe()

    def work() -> None:
        counted = [0]
        listening(-1, counted)
        writer.write(folder, 2)
        os.write(there, str(counted[0]).encode())

    assert ended(forked(work)) == 0
    os.close(there)
    with os.fdopen(here) as answer:
        return int(answer.read())


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder; those of a session's data are its own each time."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name if "data-" not in name else f"data-{name.partition('/data-')[2][8:]}" for name in names)


def look(writer: Writer, folder: Path, old: float, wanted: list[str], wrong: list[str], when: str) -> float:
    """Read what a kill left, then write again; note what is not right. Return which set was there."""
    try:
        found = writer.read(folder)
    except (FileError, InputError) as error:
        found = {0.0} if old == 0 else {-3.0}
        why = str(error)
    else:
        why = ""
    if found not in ({float(old)}, {2.0}):
        wrong.append(f"{when}: read as {sorted(found)} {why}")
    try:
        writer.write(folder, 2)
        if names_in(folder) != wanted:
            wrong.append(f"{when}: after the next run there are {sorted(set(names_in(folder)) ^ set(wanted))}")
        if writer.read(folder) != {2.0}:
            wrong.append(f"{when}: the next run is read as {writer.read(folder)}")
    except InputError as error:
        wrong.append(f"{when}: the next run says {error}")
    return max(found)


@contextlib.contextmanager
def places(writer: Writer):
    """Give a folder to work in, one with the old set, one with nothing, and the names of the new set."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as top:
        for name in ("old", "nothing", "clean"):
            Path(top, name).mkdir()
        writer.write(Path(top, "old"), 1)
        writer.write(Path(top, "clean"), 1)
        writer.write(Path(top, "clean"), 2)
        assert writer.read(Path(top, "old")) == {1.0}, writer.read(Path(top, "old"))
        assert writer.read(Path(top, "clean")) == {2.0}, writer.read(Path(top, "clean"))
        yield Path(top, "work"), {1: Path(top, "old"), 0: Path(top, "nothing")}, names_in(Path(top, "clean"))


def begin(work: Path, start: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(start, work, symlinks=True)


def kill_at_events(writer: Writer) -> dict:
    wrong: list[str] = []
    found: dict[str, int] = {}
    with places(writer) as (work, starts, wanted):
        for old, start in starts.items():
            begin(work, start)
            count = events_of(writer, work)
            # over nothing every third tells as much in less time
            for at in range(0, count, 1 if old else 3):
                begin(work, start)

                def killed(at=at) -> None:
                    listening(at, [0])
                    writer.write(work, 2)

                code = ended(forked(killed))
                state = look(writer, work, old, wanted, wrong, f"event {at} of {count} over {old or 'nothing'}")
                # a store's threads make some folders twice or once: a run with fewer events ends before it is killed
                if code != -signal.SIGKILL and (code, state) != (0, 2.0):
                    wrong.append(f"event {at} of {count}: ended with {code}, and {state:g} was there")
                found[f"{old} to {state:g}"] = found.get(f"{old} to {state:g}", 0) + 1
    return {"kills": sum(found.values()), "found": found, "wrong": wrong}


def kill_at_moments(writer: Writer, count: int, seed: int = 0) -> dict:
    wrong: list[str] = []
    found: dict[str, int] = {}
    chance = random.Random(seed)
    with places(writer) as (work, starts, wanted):
        begin(work, starts[1])
        started = time.perf_counter()
        ended(forked(lambda: writer.write(work, 2)))
        lasts = time.perf_counter() - started
        for at in range(count):
            begin(work, starts[1])
            child = forked(lambda: writer.write(work, 2))
            moment = chance.uniform(0.0, 1.1 * lasts)
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
            ended(child)
            state = look(writer, work, 1, wanted, wrong, f"moment {at} ({1e3 * moment:.1f} ms)")
            found[f"1 to {state:g}"] = found.get(f"1 to {state:g}", 0) + 1
    return {"kills": count, "found": found, "wrong": wrong}


def together(writer: Writer, count: int) -> dict:
    """Let two processes write, again and again, and read meanwhile: each reading is of one set."""
    wrong: list[str] = []
    readings = 0
    with places(writer) as (work, starts, _):
        begin(work, starts[1])

        def rewrite(number: int) -> None:
            for _ in range(count):
                writer.write(work, number)

        children = {forked(lambda number=number: rewrite(number)) for number in (1, 2)}
        while children:
            done, status = os.waitpid(-1, os.WNOHANG)
            if done:
                children.discard(done)
                if os.waitstatus_to_exitcode(status):
                    wrong.append("a writer failed")
            try:
                found = writer.read(work)
            except (InputError, OSError) as error:
                wrong.append(f"a reader was told {error}")
                continue
            readings += 1
            if found not in ({1.0}, {2.0}):
                wrong.append(f"read as {sorted(found)}")
        hidden = [path.name for path in work.rglob(".napari-blochnet*")]
        if hidden:
            wrong.append(f"left: {hidden}")
    return {"writings": 2 * count, "readings": readings, "wrong": wrong}


def main() -> None:
    what, *numbers = sys.argv[1:]
    torch.set_num_threads(1)
    result = {}
    for name, writer in WRITERS.items():
        started = time.perf_counter()
        if what == "events":
            result[name] = kill_at_events(writer)
        elif what == "moments":
            result[name] = kill_at_moments(writer, int(*numbers or ["50"]))
        else:
            result[name] = together(writer, int(*numbers or ["50"]))
        result[name]["seconds"] = round(time.perf_counter() - started, 1)
        sys.stderr.write(f"{name}: { ({k: v if k != 'wrong' else v[:5] for k, v in result[name].items()}) }\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
