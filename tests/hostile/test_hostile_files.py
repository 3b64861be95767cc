"""Two thousand damaged and hostile files over all readers; `trial.py` runs more of them by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRIAL = Path(__file__).with_name("trial.py")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and time are Linux's here")
def test_every_reader_answers_with_a_result_or_a_sentence(tmp_path):
    rows = tmp_path / "rows.jsonl"
    command = [sys.executable, str(TRIAL), "--cases", "2000", "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    assert len({row["number"] for row in found if row["number"] >= 0}) == 2000
    answers = [row["answer"] for row in found]
    # the changes are neither all harmless nor all deadly
    assert min(answers.count("success"), answers.count("InputError")) > 300
    assert not [row for row in found if row["answer"] not in ("success", "InputError")], done.stdout
