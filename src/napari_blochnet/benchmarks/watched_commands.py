"""Commands of ours as processes of their own, watched: time, and memory of all their processes."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["RunCommand", "anonymous_memory", "command_line", "run_command"]

# Between two looks at the memory, s.
_LOOK = 0.02
_STATED = re.compile(r"Takes at most ([\d,]+) MiB of memory")


@dataclass(frozen=True)
class RunCommand:
    """What a command took.

    Parameters
    ----------
    seconds : float
        From its start to its end, its imports included.
    peak_mib : float or None
        Most anonymous memory of all its processes together, files that are mapped or cached apart; None where the
        system does not tell.
    stated_mib : float or None
        What it said that it would take at most.
    text : str
        What it said.
    """

    seconds: float
    peak_mib: float | None
    stated_mib: float | None
    text: str


def command_line(*words: object) -> list[str]:
    """Return a command of ours as `subprocess` takes it."""
    return [sys.executable, "-m", "napari_blochnet", *map(str, words)]


def run_command(words: Sequence[object], watch: Watch = UNWATCHED, function: str = "") -> RunCommand:
    """Run a command of ours to its end.

    Parameters
    ----------
    words : sequence of object
        What follows ``blochnet``.
    watch : Watch
    function : str
        ``module:function`` that is called with the words in place of a command.

    Raises
    ------
    InputError
        It ended with an error; its sentence.
    Cancelled
        It is ended.
    """
    started, peak = time.perf_counter(), 0.0
    call = f"import sys, pkgutil; pkgutil.resolve_name({function!r})(*sys.argv[1:])"
    line = [sys.executable, "-c", call, *map(str, words)] if function else command_line(*words)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
        said: list[tuple[str, str]] = []
        reader = threading.Thread(target=lambda: said.append(process.communicate()), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                watch.check("the benchmark")
                peak = max(peak, anonymous_memory(process.pid))
                reader.join(_LOOK)
        except BaseException:
            process.kill()
            raise
    seconds, (text, wrong) = time.perf_counter() - started, said[0]
    if process.returncode:
        raise InputError(
            f"{function or f'blochnet {words[0]}'} ended with {process.returncode}: {(wrong or text).strip()}"
        )
    stated = _STATED.search(text)
    return RunCommand(seconds, peak or None, None if stated is None else float(stated[1].replace(",", "")), text)


def anonymous_memory(pid: int) -> float:
    """Return the anonymous memory of a process and all below it, MiB; 0 where the system does not tell."""
    total = 0.0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                total = int(line.split()[1]) / 1024.0
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, ValueError):  # it has just ended; not Linux
        return total
    return total + sum(anonymous_memory(int(child)) for child in below)
