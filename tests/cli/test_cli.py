"""The command line as a person uses it: in a shell, by its exit codes and what it prints."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest


def blochnet(*words, cwd, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "napari_blochnet", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr or done.stdout
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A phantom, a schedule and a stack, made by the commands."""
    path = tmp_path_factory.mktemp("cli")
    blochnet("phantom", "--synthetic", "--shape", 8, 24, 20, "-o", "head", cwd=path)
    blochnet("schedule", "spline", "--length", 60, "--seed", 4, "-o", "mine.csv", cwd=path)
    blochnet(
        "simulate",
        "--phantom",
        "head",
        "--schedule",
        "mine.csv",
        "--snr",
        40,
        "--slices",
        3,
        5,
        "-o",
        "s.nii.gz",
        cwd=path,
    )
    return path


def test_the_whole_way(folder):
    blochnet("reconstruct", "s.nii.gz", "--step", 0.1, "-o", "maps", cwd=folder)
    done = blochnet("compare", "--truth", "head", "maps", "-o", "report.html", cwd=folder)
    assert "T1" in done.stdout
    assert "T2" in done.stdout
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (folder / "report.csv").is_file()
    done = blochnet("run", folder / "maps" / "sub-01_T1map.json", "-o", "again", cwd=folder)
    assert (folder / "again" / "maps").is_dir()


def test_json_is_one_object(folder):
    done = blochnet("--json", "schedule", "show", "mine.csv", cwd=folder)
    assert json.loads(done.stdout)["pulses"] == 60


def test_quiet_says_nothing(folder):
    done = blochnet("--quiet", "schedule", "fisp", "-o", "fisp.csv", cwd=folder)
    assert done.stdout == done.stderr == ""


def test_help_lists_units_and_defaults(folder):
    done = blochnet("schedule", "fisp", "--help", cwd=folder)
    assert "[ms]" in done.stdout
    assert "10.0" in done.stdout
    for command in ("demo", "phantom", "schedule", "simulate", "reconstruct", "compare", "run"):
        assert command in blochnet("--help", cwd=folder).stdout


@pytest.fixture
def hurt(folder, shared_data):
    """Files of the kinds people really have."""
    whole = gzip.decompress((shared_data / "brainweb" / "mritc_2mm" / "gm.rawb.gz").read_bytes())
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / "gm.rawb").write_bytes(whole[:-1000])
    (folder / "subject04_csf_v.mnc").write_text("these are not the voxels you are looking for\n" * 40)
    stack = np.ones((60, 1, 4, 4), np.float32)
    np.save(folder / "ok.npy", stack)
    np.save(folder / "nan.npy", np.full_like(stack, np.nan))
    np.save(folder / "long.npy", np.ones((77, 1, 4, 4), np.float32))
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["phantom", "broken/gm.rawb", "-o", "p"], ["gm.rawb", "bytes"]),
        (["phantom", "subject04_csf_v.mnc", "-o", "p"], ["subject04_csf_v.mnc", "MINC"]),
        (["phantom", "nowhere", "-o", "p"], ["nowhere"]),
        (["reconstruct", "long.npy", "--schedule", "mine.csv", "-o", "m"], ["77", "60"]),
        (["reconstruct", "nan.npy", "--schedule", "mine.csv", "-o", "m"], ["NaN", "16 voxels"]),
        (
            ["reconstruct", "ok.npy", "--schedule", "mine.csv", "--estimator", "guess", "-o", "m"],
            ["guess", "dictionary"],
        ),
        (["simulate", "--phantom", "head", "--schedule", "mine.csv", "--snr", "-1", "-o", "x.nii"], ["snr", "-1"]),
        (["simulate", "--phantom", "t2.npz", "--schedule", "mine.csv", "-o", "x.nii"], ["t2.npz"]),
        (["compare", "--truth", "head", "head", "-o", "r.html"], ["head"]),
        (["run", "mine.csv", "-o", "r"], ["mine.csv", "JSON"]),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(hurt, words, said):
    done = blochnet(*words, cwd=hurt, code=2)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("blochnet: note:")]
    assert len(lines) == 1, done.stderr
    for word in said:
        assert word in lines[0]
    assert not (hurt / words[-1]).exists()


@pytest.mark.parametrize(("t1", "t2", "said"), [(500, 700, "T2 ≤ T1"), (500, -3, "above 0")])
def test_impossible_truth_is_refused(folder, t1, t2, said):
    from napari_blochnet.common.geometry import Geometry
    from napari_blochnet.io.nifti import write_nifti

    maps = folder / f"truth{t2}"
    ones = np.ones((2, 3, 3), np.float32)
    for name, value in [("T1map", t1 / 1000), ("T2map", t2 / 1000), ("PDmap", 1)]:
        write_nifti(ones * value, Geometry(), maps / f"sub-x_{name}.nii.gz")
    done = blochnet("phantom", maps, "-o", "p", cwd=folder, code=2)
    assert said in done.stderr
    assert "t2" in done.stderr.lower()
