"""The benchmark of the napari face: run in a process of its own, for this room knows nothing of windows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import ProgressCallback, Watch
from napari_blochnet.jobs.settings import Settings, quantity, settings_from

__all__ = ["GuiBenchmarkSettings", "GuiFigure", "benchmark_gui", "format_figures"]

_PROGRAM = "napari_blochnet.napari_ui.benchmark.smoothness"


class GuiBenchmarkSettings(Settings):
    """The window's smoothness while jobs run, on the sample volume."""

    slices: int = quantity(6, "Slices", "Of the sample volume that are simulated and mapped.", "", ge=1, le=60)
    jobs: int = quantity(200, "Jobs", "Mappings in a row after which memory and callbacks are counted.", "", ge=1)
    cancels: int = quantity(20, "Cancels", "How often a mapping is cancelled.", "", ge=1)


@dataclass(frozen=True)
class GuiFigure:
    """One thing that was measured.

    Attributes
    ----------
    what : str
    value : float
    unit : str
    limit : float or None
        What it must not exceed.
    note : str
        For a gap: where the main thread was, and what others computed.
    """

    what: str
    value: float
    unit: str
    limit: float | None
    note: str

    @property
    def is_within(self) -> bool:
        """Whether it keeps the limit; True without one."""
        return self.limit is None or self.value <= self.limit


def benchmark_gui(
    settings: GuiBenchmarkSettings | None = None, *, progress: ProgressCallback | None = None, **fields: Any
) -> Sequence[GuiFigure]:
    """Open a window, run every kind of job in it, and measure how it answers meanwhile.

    Settings, compiled kernels and models of the user are left alone: the process gets empty folders for them, so that
    first use means a machine's first.

    Parameters
    ----------
    settings : GuiBenchmarkSettings, optional
    progress : callable, optional
        Called as ``progress(done, total, message)`` after each figure and each job of the row.
    **fields
        Fields of `GuiBenchmarkSettings`.

    Returns
    -------
    sequence of GuiFigure

    Raises
    ------
    InputError
        No display, no napari, or a job that failed.
    """
    given = settings_from(GuiBenchmarkSettings, settings, **fields)
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("DISPLAY is not set; expected a display: run the command in a desktop, or behind xvfb-run -a.",
                         field="display")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "figures.json"
        fresh = {
            "NAPARI_CONFIG": str(Path(folder) / "napari.yaml"),
            "NUMBA_CACHE_DIR": str(Path(folder) / "numba"),
            "XDG_DATA_HOME": str(Path(folder) / "data"),
        }
        command = [sys.executable, "-m", _PROGRAM, given.model_dump_json(), str(result)]
        said = Path(folder) / "said.txt"
        code = _watch(command, {**os.environ, **fresh}, said, Watch(progress))
        if code or not result.is_file():
            words = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise InputError(f"The window ended with code {code} ({words[-1] if words else 'it said nothing'}); "
                             "expected its figures.")  # fmt: skip
        return [GuiFigure(**row) for row in json.loads(result.read_text(encoding="utf-8"))]


def _watch(command: Sequence[str], environment: dict[str, str], said: Path, watch: Watch) -> int:
    """Run a program until it ends, pass on the steps that it prints as JSON, and return its exit code."""
    with (
        said.open("wb") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as window,
    ):
        try:
            for line in window.stdout or ():
                # others than we may print, too
                with contextlib.suppress(ValueError, TypeError):
                    done, total, message = json.loads(line)
                    watch.report(done, total, message)
        except BaseException:
            window.terminate()
            raise
        return window.wait()


def format_figures(figures: Sequence[GuiFigure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| measured | value | limit | | where |", "|---|---:|---:|---|---|"]
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}".strip()
        mark = "" if figure.limit is None else ("kept" if figure.is_within else "**exceeded**")
        lines.append(
            f"| {figure.what} | {f'{figure.value:.3g} {figure.unit}'.strip()} | {limit} | {mark} | {figure.note} |"
        )
    return "\n".join(lines)
