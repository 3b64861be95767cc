"""Tissue tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.phantoms.tissues import TISSUE_TABLES, Tissue, find_tissue, load_tissues


@pytest.mark.parametrize(
    ("table", "name", "t1", "t2", "pd"),
    [
        ("brainweb-1.5T", "CSF", 2569, 329, 1.0),
        ("brainweb-1.5T", "grey matter", 833, 83, 0.86),
        ("brainweb-1.5T", "white matter", 500, 70, 0.77),
        ("brainweb-1.5T", "muscle/skin", 900, 47, 1.0),
        ("paper", "CSF", 5012, 512, 1.0),
        ("paper", "grey matter", 1545, 83, 1.0),
        ("paper", "white matter", 811, 77, 0.8),
        ("paper", "fat", 530, 77, 0.8),
        ("paper", "muscle", 1425, 41, 0.8),
        # blanks of the paper's column take the 1.5 T row
        ("paper", "glial matter", 833, 83, 0.86),
        ("paper", "marrow", 500, 70, 0.77),
        ("paper", "dura", 2569, 329, 1.0),
    ],
)
def test_published_values(table: str, name: str, t1: float, t2: float, pd: float) -> None:
    assert load_tissues(table)[name] == Tissue(name, t1, t2, pd)


def test_bone_blood_and_air_give_no_signal() -> None:
    for table in TISSUE_TABLES.values():
        assert {name for name, tissue in table.items() if not tissue.has_signal} == {"skull", "vessels", "background"}


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("gm", "grey matter"), ("gry", "grey matter"), ("Gray Matter", "grey matter"), ("wht", "white matter"),
        ("CSF", "CSF"), ("m+s", "muscle/skin"), ("muscles_skin", "muscle/skin"), ("muscles", "muscle"),
        ("skn", "skin"), ("skl", "skull"), ("gli", "glial matter"), ("mit", "connective tissue"),
        ("fat2", "around fat"), ("bck", "background"), ("aroundfat", "around fat"),
    ],
)  # fmt: skip
def test_spellings(spelling: str, name: str) -> None:
    tissue = find_tissue(spelling, TISSUE_TABLES["paper"])
    assert tissue is not None
    assert tissue.name == name


def test_unknown_spelling() -> None:
    assert find_tissue("mask", TISSUE_TABLES["paper"]) is None


def test_own_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("# at 3 T\ntissue,t1_ms,t2_ms,pd\ngm,1500,80,0.9\nTumour,2000,150,1\nskull,0,0,0\n")
    table = load_tissues(path)
    assert table["grey matter"] == Tissue("grey matter", 1500, 80, 0.9)
    assert find_tissue("tumour", table) == Tissue("Tumour", 2000, 150, 1)
    assert not table["skull"].has_signal


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tissue,t1,t2,pd\ngm,1,1,1\n", "line 1: the header is 'tissue,t1,t2,pd'"),
        ("tissue,t1_ms,t2_ms,pd\ngm,80,1500,1\n", "line 2: T2 is 1500 ms where T1 is 80 ms"),
        ("tissue,t1_ms,t2_ms,pd\ngm,1500,80,-1\n", "line 2: pd is '-1'"),
        ("tissue,t1_ms,t2_ms,pd\ngm,1500,,1\n", "line 2: t2_ms is ''"),
        ("tissue,t1_ms,t2_ms,pd\ngm,1500,0,1\n", "one of T1 and T2 is 0"),
        ("tissue,t1_ms,t2_ms,pd\ngm,1500,80,1\ngrey matter,1400,80,1\n", "line 3: repeats the tissue grey matter"),
        ("tissue,t1_ms,t2_ms,pd\nskull,0,0,0\n", "holds no tissue with signal"),
        ("", "holds no tissue with signal"),
    ],
)
def test_mistakes_in_an_own_table(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_tissues(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("mine.csv")
    assert caught.value.field == "tissues"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("first", ["", "sep=;\r\n"])
def test_a_table_of_a_spreadsheet(tmp_path: Path, encoding: str, first: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(f"{first}Tissue;T1_ms;T2_ms;PD;\r\ngrün;1500,5;80;0,9;\r\n;;;;\r\n".encode(encoding))
    assert load_tissues(path)["grün"] == Tissue("grün", 1500.5, 80, 0.9)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"tissue,t1_ms,t2_ms,pd\ngm,1500,80,1,7\n", "line 2: has 5 cells"),
        (b'tissue,t1_ms,t2_ms,pd\n"gm,1500,80,1\n', "line 2: has a quotation mark that is not closed"),
        (bytes(range(256)), "is not a text file"),
    ],
)
def test_what_is_no_table_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"^mine\.csv.*{sentence}"):
        load_tissues(tmp_path / "mine.csv")


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 'paper' or 'brainweb-1\.5T'"):
        load_tissues("7T")
    with pytest.raises(InputError, match="no such file"):
        load_tissues(tmp_path / "none.csv")
