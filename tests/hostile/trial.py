"""Give damaged and hostile files to every reader, and see that it answers: with a result, or with one sentence.

    python tests/hostile/trial.py --cases 20000 --seed 1

Cases run in a process with a limit on its memory, each with an alarm; one that ends its process is counted, and the
rest go on in another. A case is made again from its number: ``--only 1234``.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

SECONDS = 5.0
# What a case may take beside four times its files, and what a process may set aside beside what it has once it is warm.
MEGABYTES = 100
_LIMIT = 3 * 2**30
_GOOD = ("success", "InputError")
# Seconds without a word after which a process is taken as hanging, whatever else the machine does.
_SILENT = 60


class _TooLong(BaseException):
    """The alarm: no reader catches it."""


def _ring(*_: object) -> None:
    raise _TooLong


def _memory(key: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _work(root: Path, seed: int, numbers: list[int], only: str = "") -> None:
    """Run cases, and print a line of JSON for each."""
    import seed_files
    from mutators import mutate
    from readers import DOORS, Door, command_line

    from napari_blochnet.common.errors import InputError

    said, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _ring)
    signal.signal(signal.SIGALRM, _ring)
    seeds = root / "seeds"
    if not seeds.exists():
        seed_files.make_seeds(seeds)
    else:
        seed_files.MAIN.update(json.loads((root / "main.json").read_text()))
    (root / "main.json").write_text(json.dumps(seed_files.MAIN))
    fitting = {
        door.name: [s.name for s in sorted(seeds.iterdir()) if re.search(f"^({door.seeds})", s.name)] for door in DOORS
    }
    weighted = [door for door in DOORS for _ in range(door.often)]
    place = root / f"case-{os.getpid()}"

    def run(door: Door | None, name: str, r: random.Random | None) -> dict:
        """Run a case, or a seed as it is."""
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(seeds / name, place / name)
        what = mutate(r, place / name) if r and door else "nothing"
        size = _size(place)
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        before, start = _memory("VmRSS"), time.process_time()
        answer, where = "success", ""
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(_SILENT // 3)
        try:
            if door is None:
                what = command_line(r or random.Random(0), place)
            else:
                door.read(place / name / seed_files.MAIN.get(name, ""))
        except InputError as error:
            answer = "InputError"
            if len(str(error)) > 1500 or not str(error).isprintable():
                answer, where = "not a sentence", str(error)[:300]
        except BaseException as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "napari_blochnet" in f.filename]
            place_of = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} " if frames else ""
            answer, where = type(error).__name__, f"{place_of}{str(error)[:200]}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
        taken = _memory("VmHWM") - before
        # a command computes; what it may take is the limit of the process
        if door is not None and answer in _GOOD and taken > 4 * size + MEGABYTES * 2**20:
            where, answer = f"{taken >> 20} MB for {size:,} bytes, {answer}", "memory"
        return {"door": door.name if door else "command line", "seed": name, "change": what, "answer": answer,
                "where": where, "seconds": round(time.process_time() - start, 2), "taken": taken}  # fmt: skip

    # what is loaded and compiled once is no case's, nor is the memory of it
    for door in DOORS:
        for name in fitting[door.name]:
            found = run(door, name, None)
            if found["answer"] not in (*_GOOD, "memory"):
                print(json.dumps({"number": -1, **found}), file=said, flush=True)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + _LIMIT,) * 2)
    for number in numbers:
        r = random.Random(seed * 1_000_003 + number)
        chosen = None if r.random() < 0.06 else r.choice(weighted)
        if only:
            chosen = next((door for door in DOORS if door.name == only), None)
        name = "schedule-json" if chosen is None else r.choice(fitting[chosen.name])
        print(json.dumps({"number": number}), file=said, flush=True)
        print(json.dumps({"number": number, **run(chosen, name, r)}), file=said, flush=True)
    shutil.rmtree(place, ignore_errors=True)


def trial(seed: int, numbers: list[int], folder: Path, door: str = "", log: Path | None = None) -> list[dict]:
    """Run cases in processes of their own; return a row for each, written to ``log`` as it comes."""
    rows, left = [], list(numbers)
    while left:
        command = [sys.executable, __file__, "--work", str(folder), "--seed", str(seed), "--door", door]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as process:  # fmt: skip
            process.stdin.write(json.dumps(left))
            process.stdin.close()
            begun = None
            signal.signal(signal.SIGALRM, lambda *_, process=process: process.kill())
            for line in process.stdout:
                signal.alarm(_SILENT)
                row = json.loads(line)
                if len(row) == 1:
                    begun = row["number"]
                    continue
                begun = None
                rows.append(row)
                _note(log, row)
                if row["number"] in left[:1]:
                    left.pop(0)
            signal.alarm(0)
        if begun is not None:
            rows.append({"number": begun, "door": "?", "answer": f"process ended ({process.returncode})", "where": ""})
            _note(log, rows[-1])
            left.remove(begun)
        elif left and process.returncode:
            raise RuntimeError(f"the cases cannot be run: exit {process.returncode}")
    return rows


def _note(log: Path | None, row: dict) -> None:
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def bad(rows: list[dict]) -> list[dict]:
    """Return the cases that were not answered as they should be."""
    return [row for row in rows if row["answer"] not in _GOOD]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", type=int)
    parser.add_argument("--door", default="", help="one reader, or 'command line'")
    parser.add_argument("--rows", type=Path, help="where to write a row of JSON for each case")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work is not None:
        _work(given.work, given.seed, json.load(sys.stdin), given.door)
        return
    numbers = [given.only] if given.only is not None else list(range(given.first, given.first + given.cases))
    if given.rows is not None:
        given.rows.unlink(missing_ok=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        rows = trial(given.seed, numbers, Path(folder), given.door, given.rows)
    print(f"{len(rows)} cases in {time.monotonic() - start:.0f} s")
    for answer, count in collections.Counter(row["answer"] for row in rows).most_common():
        print(f"{count:7,} {answer}")
    for row in bad(rows)[:200]:
        row = {key: value for key, value in row.items() if key != "taken"}
        print(json.dumps(row))


if __name__ == "__main__":
    main()
