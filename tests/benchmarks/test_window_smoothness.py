"""The benchmark of the window from outside: a process that says how far it is, ends, fails or is given up."""

from __future__ import annotations

import json
import os
import sys

import psutil
import pytest

from napari_blochnet.benchmarks import window_smoothness as benchmarks_gui
from napari_blochnet.benchmarks.window_smoothness import benchmark_gui, format_figures
from napari_blochnet.common.errors import InputError

FIGURES = [
    {"what": "workbench opens", "value": 0.5, "unit": "s", "limit": 1.0, "note": "no torch"},
    {"what": "longest gap", "value": 120.0, "unit": "ms", "limit": 100.0, "note": ""},
]


@pytest.fixture
def window(monkeypatch, tmp_path):
    """Let a script stand for the window; it gets the settings and the file of the figures as arguments."""

    def stand_in(script: str) -> None:
        (tmp_path / "a_window.py").write_text("import json, sys\n" + script)
        monkeypatch.setattr(benchmarks_gui, "_PROGRAM", "a_window")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        monkeypatch.setenv("DISPLAY", ":0")

    return stand_in


def test_steps_are_passed_on_and_figures_come_back(window):
    window(f"""
print("a library says something")
for done in (1, 2):
    print(json.dumps([done, 2, json.loads(sys.argv[1])["jobs"]]), flush=True)
print("[1, 2")
open(sys.argv[2], "w").write({json.dumps(json.dumps(FIGURES))})
""")
    steps = []
    figures = benchmark_gui(jobs=7, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2, 7), (2, 2, 7)]
    assert [(figure.what, figure.is_within) for figure in figures] == [
        ("workbench opens", True),
        ("longest gap", False),
    ]
    table = format_figures(figures).splitlines()
    assert "| kept | no torch |" in table[2]
    assert "**exceeded**" in table[3]


def test_a_window_that_fails_is_a_sentence_with_its_last_word(window):
    window("sys.exit('no OpenGL here')")
    with pytest.raises(InputError, match=r"ended with code 1 \(no OpenGL here\); expected its figures"):
        benchmark_gui()


def test_who_gives_up_leaves_no_window_behind(window):
    window("""
import time
print(json.dumps([1, 2, "now"]), flush=True)
time.sleep(600)
""")
    before = psutil.Process().children(recursive=True)

    def give_up(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark_gui(progress=give_up)
    assert psutil.Process().children(recursive=True) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays have no name elsewhere")
def test_without_a_display_it_says_so(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(InputError, match="DISPLAY is not set"):
        benchmark_gui()
