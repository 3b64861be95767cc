"""Tables as people save them: encodings, separators, decimal marks, quotes; and what is no table, in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.text_tables import TextTable, open_table


def _table(path: Path, content: str | bytes, encoding: str = "utf-8") -> TextTable:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return open_table(path, 2**20, "a table")


def _numbers(table: TextTable) -> list[list[float]]:
    read = table.numbers()
    rows = [[read(cell, f"{table.name}, line {line}") for cell in cells] for line, cells in table.rows]
    read.check()
    return rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_encoding_and_line_ending(tmp_path: Path, encoding: str, ending: str) -> None:
    table = _table(tmp_path / "a.csv", ending.join(["FA (°),TR (ms)", "5.5,12", "6,13", ""]), encoding)
    assert table.header == ["FA (°)", "TR (ms)"]
    assert _numbers(table) == [[5.5, 12.0], [6.0, 13.0]]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("fa;tr\n5,94;13,174\n4;12,5\n", [[5.94, 13.174], [4, 12.5]]),
        ("fa;tr\n5.94;13.174\n", [[5.94, 13.174]]),
        ("fa\ttr\n5,94\t13,1\n", [[5.94, 13.1]]),
        ("fa tr\n 5,94   13,1\n4 12\n", [[5.94, 13.1], [4, 12]]),
        ("fa, tr\n5, 12\n", [[5, 12]]),
        ('"fa","tr"\n"5,94","13,17"\n"4","12"\n', [[5.94, 13.17], [4, 12]]),
        ('fa,tr\n"1,234.5",12\n', [[1234.5, 12]]),
        ("fa,tr,,\n5,12,,\n4,13,,\n,,,\n,,,\n", [[5, 12], [4, 13]]),
        ('"fa\n(deg)",tr\n5,12\n', [[5, 12]]),
        ("fa|tr\n5|12\n", [[5, 12]]),
        ("fa,tr\n1.5D+1,\u22121e-2\n", [[15, -0.01]]),
        ("# fa tr\n5 12\n4 13\n", [[5, 12], [4, 13]]),
        ("sep=;\nfa;tr\n5,94;13,174\n", [[5.94, 13.174]]),
        ('"sep=;"\r\nfa;tr\r\n5;12\r\n', [[5, 12]]),
        ("sep=\t\nfa\ttr\n5,94\t12\n", [[5.94, 12]]),
        ("sep=,,\n# x: 1,,\nfa,tr\n5,12\n", [[5, 12]]),
        ("sep=;\nfa,tr\n5,12\n", [[5, 12]]),
    ],
)
def test_separators_and_decimal_marks(tmp_path: Path, text: str, rows: list[list[float]]) -> None:
    table = _table(tmp_path / "a.csv", text)
    assert [name.split()[0] for name in table.header] == ["fa", "tr"]
    assert _numbers(table) == rows


def test_comments_that_a_spreadsheet_filled_up(tmp_path: Path) -> None:
    table = _table(tmp_path / "a.csv", '# name: mine,,\n"# slice_profile: 1,2",,\nfa,tr,te\n5,12,3\n# later: 1\n')
    assert _numbers(table) == [[5, 12, 3]]
    assert table.comments == {"name": "mine", "slice_profile": "1,2", "later": "1"}


def test_comments_with_an_equals_sign_and_those_that_differ(tmp_path: Path) -> None:
    table = _table(tmp_path / "a.csv", "# TI = 20 ms\n# x: 1\n# x: 2\n# x: 3\n# y = 1\n# y: 1\nfa,tr\n5,12\n")
    assert _numbers(table) == [[5, 12]]
    assert table.comments == {"TI": "20 ms", "x": "1\n3", "y": "1"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.csv: is empty; expected a table"),
        (b"\n\n,,,\n", "a.csv: is empty; expected a table"),
        (bytes(range(256)), "a.csv: is not a text file; expected a table"),
        (b"fa,tr\n\x00\x01\xff", "a.csv: is not a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "which git lfs pull fetches"),
        (b'fa,tr\n5,12\n"6,12\n7,12\n', "a.csv, line 3: has a quotation mark that is not closed"),
        (b"fa,tr\n" + b"1" * 70_000, "a.csv, line 2: has more than 65,536 characters"),
        (b"fa,tr\n" + b"1," * 300 + b"1\n", "a.csv, line 2: has 301 columns; expected at most 256"),
        (b"x" * (2**20 + 1), "a.csv: has 1,048,577 bytes; expected a table, of less than 1,048,576 bytes"),
        (b'fa\ttr\n"1,500"\t"2,500"\n', "a.csv, line 2: found '1,500': whether the comma is a decimal mark"),
        (b"fa;tr\n1,5;2.5\n", "a.csv, line 2: found '1,5', and a decimal point in line 2"),
        (b"fa,tr\n1_0,2\n", "line 2: found '1_0'; expected one number"),
        (b"fa,tr\ninf,2\n", "line 2: found inf; expected a finite number"),
    ],
)
def test_what_is_no_table_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        _numbers(_table(tmp_path / "a.csv", content))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_rows_or_lines_than_anybody_has(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("fa,tr\n" + "1,2\n" * 11)
    with pytest.raises(InputError, match=r"a\.csv, line 12: is one row too many; expected at most 10"):
        list(open_table(path, 2**20, "a table", most=10).rows)
    path.write_text("fa,tr\n1,2\n" + "\n" * 500_000)
    with pytest.raises(InputError, match=r"a\.csv: has more than 500,000 lines"):
        list(open_table(path, 2**20, "a table").rows)
