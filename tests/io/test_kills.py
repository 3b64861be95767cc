"""A killed writer leaves the old set or the new one; so does one of two; and no reader sees some of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children that are forked")

WRITERS = ("stack .nii", "stack .nii.gz", "stack .zarr", "maps", "error maps", "phantom", "model and card",
           "checkpoint", "session", "report and table", "schedule")  # fmt: skip


def run(*words: str) -> dict:
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run([sys.executable, "-W", "ignore", script, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def killed():
    return run("events")


@pytest.fixture(scope="module")
def together():
    return run("together", "12")


@pytest.mark.parametrize("name", WRITERS)
def test_killed_at_any_event_a_writer_leaves_one_set_or_the_other(name, killed):
    assert killed[name]["wrong"] == []
    # it was killed before the step and after it, over an old set and over nothing
    assert set(killed[name]["found"]) == {"1 to 1", "1 to 2", "0 to 0", "0 to 2"}
    assert set(killed) == set(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_two_writers_of_one_name_and_a_reader(name, together):
    assert together[name]["wrong"] == []
    assert together[name]["readings"] > 0
