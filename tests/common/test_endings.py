"""What is written is decided by the ending of its name, and other endings are refused in a sentence."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from napari_blochnet import InputError
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.endings import check_ending


def test_the_ending_whatever_its_case():
    assert check_ending("a/b.CSV", (".csv", ".html"), "tables") == ".csv"
    assert check_ending("x.nii.gz", (".nii", ".nii.gz"), "stacks") == ".nii.gz"


@pytest.mark.parametrize(
    ("name", "found"), [("curves.svg", "as .svg"), ("curves", "without an ending"), (".csv", "without an ending")]
)
def test_any_other_is_refused(name, found):
    with pytest.raises(InputError) as caught:
        check_ending(f"folder/{name}", (".csv", ".html", ".htm"), "tables")
    assert str(caught.value) == (
        f"{name}: tables are not written {found}; expected a name ending in .csv, .html or .htm."
    )


def test_a_report_is_not_written_into_a_picture(tmp_path):
    done = CliRunner().invoke(blochnet, ["compare", "maps", "--truth", "p", "-o", str(tmp_path / "report.svg")])
    assert done.exit_code == 2
    assert (
        done.stderr
        == "blochnet: report.svg: reports are not written as .svg; expected a name ending in .html or .htm.\n"
    )
    done = CliRunner().invoke(blochnet, ["figure", "maps", "maps", "-o", str(tmp_path / "figure.csv")])
    assert done.exit_code == 2
    assert "figures are not written as .csv; expected a name ending in .pdf, .svg or .png." in done.stderr
    assert not list(tmp_path.iterdir())
