"""Agreement as an operation: command, recipe, copied Python and command give the same numbers."""

import csv
import json
import shlex
import warnings

import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.evaluation.maps_io import write_maps
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.phantoms.write import write_phantom


@pytest.fixture(scope="module")
def two_models():
    """A head's phantom and its maps by two models, all with their history."""
    head = synthetic_head(shape=(1, 32, 32))
    stack = nb.simulate(head, make_schedule(kind="fisp"), snr=10.0)
    return head, [nb.reconstruct(stack, "dictionary", step=0.1), nb.reconstruct(stack, "universal")]


def _run(*words):
    return CliRunner().invoke(blochnet, list(map(str, words)))


def test_a_recipe_and_copied_python_make_it_again(two_models):
    head, maps = two_models
    found = nb.agreement(maps, head, reference="dictionary", confidence=90.0)
    (*_, again) = run_recipe(json.loads(json.dumps(as_recipe(found.record))))
    assert again.rows() == found.rows()
    assert again.reference == "dictionary"
    space = {}
    exec(as_python(found.record), space)
    assert space["agreement"].rows() == found.rows()


def test_two_models_are_compared_by_a_command_without_a_truth(two_models, tmp_path):
    _, maps = two_models
    for item in maps:
        write_maps(item, tmp_path / item.estimator)
    folders = [tmp_path / item.estimator for item in maps]
    result = _run("compare", *folders, "-o", tmp_path / "page.html", "--figures", tmp_path / "fig.png")
    assert result.exit_code == 0, result.output
    assert "Bias / %" in result.output
    with (tmp_path / "page.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    wanted = nb.agreement(maps).row("universal", "T2")
    assert float(rows[1]["bias"]) == pytest.approx(wanted["bias"], rel=1e-5)
    assert float(rows[1]["upper_percent"]) == pytest.approx(wanted["upper_percent"], rel=1e-5)
    assert (tmp_path / "fig-bland-altman.png").is_file()
    other = _run("compare", *folders, "--reference", "universal", "-o", tmp_path / "other.html")
    assert other.exit_code == 0, other.output
    with (tmp_path / "other.csv").open(encoding="utf-8") as stream:
        assert float(next(csv.DictReader(stream))["bias"]) == pytest.approx(
            -nb.agreement(maps).row("universal")["bias"]
        )
    alone = _run("compare", folders[0], "-o", tmp_path / "alone.html")
    assert alone.exit_code == 2
    assert "There is one model" in alone.output


def test_the_copied_command_names_what_it_compares_and_the_command_takes_it(two_models, tmp_path):
    head, maps = two_models
    found = nb.agreement(maps, head, reference="universal", unit="ms")
    last = shlex.split(as_command(found.record).splitlines()[-1])
    assert last[:2] == ["blochnet", "compare"]
    write_phantom(head, tmp_path / "phantom")
    for name, item in zip(("maps", "maps_2"), maps, strict=True):
        write_maps(item, tmp_path / name)
    words = [str(tmp_path / word) if word in ("phantom", "maps", "maps_2", "agreement.html") else word for word in last]
    result = _run(*words[1:])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "agreement.html").is_file()
    with (tmp_path / "agreement.csv").open(encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    assert (row["model"], row["reference"]) == ("dictionary", "universal")
    assert float(row["bias"]) == pytest.approx(found.row("dictionary")["bias"], rel=1e-4)


def test_with_a_truth_alone_the_command_still_scores(two_models, tmp_path):
    head, maps = two_models
    write_phantom(head, tmp_path / "phantom")
    write_maps(maps[0], tmp_path / "maps")
    words = ["compare", "--truth", tmp_path / "phantom", tmp_path / "maps", "-o", tmp_path / "page.html"]
    # limits of colours are no wish for agreement
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        scored = _run(*words, "--t1-limits", "0", "1500")
    assert "MAE / %" in scored.output, scored.output
    agreed = _run(*words[:-1], tmp_path / "agreement.html", "--agreement")
    assert "Lower limit / %" in agreed.output, agreed.output
