"""Tables and columns of numbers as people save them: of any encoding, separator and decimal mark, read line by line.

Excel's CSV is UTF-16 or the Windows code page, with semicolons and decimal commas in half of the world; it quotes
cells, fills comment lines up with separators, and keeps columns and rows that were once in use as empty ones.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from napari_blochnet.common.errors import FileError

__all__ = ["Numbers", "TextTable", "comments_of", "open_table", "text_lines"]

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_POINTER = b"version https://git-lfs"
_LONGEST_LINE, _MOST_LINES = 2**16, 500_000
_MOST_CELLS = 256
# Keys of comments of which every line counts.
_EACH_COUNTS = frozenset({"preparation"})
# Lines that tell the separator.
_SAMPLE = 12
# Lines that a quoted cell may go on over.
_QUOTED_LINES = 10
_SEPARATORS = (";", "\t", ",", "|", " ")
# What Excel takes as the first line of a CSV.
_STATED = re.compile(r'"?sep=(.)"?[,;|\t ]*$', re.IGNORECASE)
# "TI 20.6 ms"
_BARE = re.compile(r"([^\W\d][^\d,;]*[^\d,;\s.+-])\s+([+-]?[\d.,]*\d[\d.,]*\s*([^\W\d]+|%|°)?)")
_QUOTED = re.compile(r'(^|[,;|\t])\s*"')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eEdD][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
# Fortran's exponents
_EXPONENTS = {68: "e", 100: "e"}
_WORDS = ("nan", "inf", "infinity", "-inf", "+inf", "-infinity")


def text_lines(
    path: Path, largest: int, what: str = "a schedule as text", name: str = "path"
) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file, counted from 1, without their ends.

    UTF-8 and UTF-16 with or without a mark at their beginning are read, and what is neither as Windows' Latin.

    Parameters
    ----------
    path : Path
    largest : int
        Bytes of a file that is taken.
    what : str
        What is expected, as a sentence says it.
    name : str
        The field at fault.

    Raises
    ------
    InputError
        A file that is too large or no text, more than 500,000 lines, one of more than 65,536 characters.
    """
    size = path.stat().st_size if path.is_file() else largest + 1
    if size > largest:
        found = f"has {size:,} bytes" if path.is_file() else "is a folder"
        raise FileError(path, found, f"{what}, of less than {largest:,} bytes", field=name)
    encoding = _encoding(path, what, name)
    with path.open(encoding=encoding, newline=None) as file:
        try:
            for number in itertools.count(1):
                line = file.readline(_LONGEST_LINE + 1)
                if not line:
                    return
                if number > _MOST_LINES:
                    raise FileError(path, f"has more than {_MOST_LINES:,} lines", what, field=name)
                if len(line) > _LONGEST_LINE:
                    found = f"has more than {_LONGEST_LINE:,} characters"
                    raise FileError(f"{path.name}, line {number}", found, "one row of a table", field=name)
                yield number, line.rstrip("\n")
        except UnicodeError:
            raise FileError(path, "is not a text file", what, field=name) from None


def _encoding(path: Path, what: str, name: str) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
        if head.startswith(_POINTER):
            sentence = "is a pointer of Git LFS and not the file itself, which git lfs pull fetches."
            raise FileError(path, sentence, field=name)
        found = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
        if found is None and len(head) > 1 and b"\0" in head:
            # without a mark: every other byte of Latin text is 0
            found = "utf-16-le" if not any(head[1:64:2]) else "utf-16-be" if not any(head[0:64:2]) else None
            if found is None:
                raise FileError(path, "is not a text file", what, field=name)
        if found:
            return found
        decoder = codecs.getincrementaldecoder("utf-8")()
        file.seek(0)
        try:
            while piece := file.read(2**20):
                if b"\0" in piece:
                    raise FileError(path, "is not a text file", what, field=name)
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            # code page 1252 leaves five bytes undefined, which a text of the code page does not have
            return "cp1252"
    return "utf-8"


@dataclass
class TextTable:
    """A table whose rows are read one after the other.

    Parameters
    ----------
    name : str
        The file's.
    header : list of str
        The first row, or the comment line above it where that names as many columns.
    header_line : int
    comments : dict of str to str
        From lines ``# key: value``, ``# key = value`` and ``# key 12 ms``; complete once all rows are read. Where
        lines of one key differ, the first and the last, as two lines; each ``# preparation:``.
    rows : iterator of (int, list of str)
        Line number and cells; rows without any text are passed over, and so are columns without a name whose cells
        are empty at the end of each row.
    separator : str
    """

    name: str
    header: list[str]
    header_line: int
    comments: dict[str, str]
    rows: Iterator[tuple[int, list[str]]]
    separator: str

    def numbers(self) -> Numbers:
        """Return what reads this table's numbers."""
        return Numbers(self.name, self.separator)


def open_table(
    path: Path,
    largest: int,
    what: str,
    name: str = "path",
    *,
    most: int = 1_000_000,
    marks: tuple[str, ...] = ("#", "%", "//"),
) -> TextTable:
    """Open a table as text; nothing but its first rows is read yet.

    Parameters
    ----------
    path : Path
    largest : int
        Bytes of a file that is taken.
    what : str
        What is expected, as a sentence says it.
    name : str
        The field at fault.
    most : int
        Rows, at most.
    marks : tuple of str
        What comments begin with.

    Returns
    -------
    TextTable

    Raises
    ------
    InputError
        See `text_lines`; an empty file; a quotation mark that is not closed; more rows or columns than are taken
        (while the rows are read).
    """
    comments: dict[str, str] = {}
    last_comment = (0, "")
    first: list[tuple[int, str]] = []
    separator = ""
    lines = _closed(path, text_lines(path, largest, what, name), name, marks)
    for number, line in lines:
        text = line.strip()
        if number == 1 and (stated := _STATED.match(line)):
            separator = stated[1]
        elif text.lstrip('"').startswith(marks):
            text = _plain_comment(text)
            if not _noted(text, comments) and not first:
                last_comment = (number, text)
        elif text.strip(",;|"):
            first.append((number, line))
            if len(first) == _SAMPLE:
                break
    if not first:
        raise FileError(path, "is empty", what, field=name)
    if separator not in _SEPARATORS or separator not in first[0][1]:
        separator = _separator([text for _, text in first])
    rows = _rows(path, itertools.chain(first, _without_comments(lines, comments, marks)), separator, name, most)
    line_number, header = next(rows)
    names, above = last_comment[1], last_comment[0]
    if all(_is_number(cell) for cell in header) and names:
        named = _cells(names, _separator([names]))
        if len(named) == len(header):
            rows, header, line_number = itertools.chain([(line_number, header)], rows), named, above
    return TextTable(path.name, header, line_number, comments, rows, separator)


def _noted(text: str, comments: dict[str, str]) -> bool:
    """Keep what a comment says of a key; return whether it can be no row of names, which may hold a "="."""
    is_stated = ":" in text
    key, found, value = (part.strip() for part in text.partition(":" if is_stated else "="))
    if not found and len(text) < 100 and (bare := _BARE.fullmatch(text)):
        key, found, value = bare[1], " ", bare[2]
    if found:
        before = comments.get(key, value)
        if key in _EACH_COUNTS and key in comments:
            comments[key] = f"{before}\n{value}"
        else:
            first = before.partition("\n")[0]
            comments[key] = value if first == value else f"{first}\n{value}"
    return is_stated


def comments_of(paths: Iterable[Path], largest: int) -> dict[str, str]:
    """Return what the comment lines of texts say, as `TextTable.comments`."""
    comments: dict[str, str] = {}
    for path in paths:
        for _, line in text_lines(path, largest):
            if (text := line.strip()).startswith(("#", "%")):
                _noted(_plain_comment(text), comments)
    return comments


def _without_comments(
    lines: Iterator[tuple[int, str]], comments: dict[str, str], marks: tuple[str, ...]
) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        text = line.strip()
        if text.lstrip('"').startswith(marks):
            _noted(_plain_comment(text), comments)
        elif text.strip(",;|"):
            yield number, line


def _plain_comment(text: str) -> str:
    """Return a comment line without its mark, and without what a spreadsheet put around it."""
    text = text.rstrip(",;\t |")
    if text.startswith('"') and text.endswith('"'):
        text = text[1:-1].replace('""', '"')
    return text.lstrip('"#%/ ')


def _closed(
    path: Path, lines: Iterator[tuple[int, str]], name: str, marks: tuple[str, ...]
) -> Iterator[tuple[int, str]]:
    """Yield lines, those that a quoted cell goes on over as one."""
    for number, first in lines:
        line = first
        # elsewhere than at the beginning of a cell a quotation mark is an inch
        quotes = _QUOTED.search(line) is not None and not line.lstrip().startswith(marks)
        for _ in range(_QUOTED_LINES if quotes else 0):
            if line.count('"') % 2 == 0 or len(line) > _LONGEST_LINE:
                break
            line += " " + next(lines, (0, ""))[1]
        if quotes and (line.count('"') % 2 or len(line) > _LONGEST_LINE):
            sentence = "has a quotation mark that is not closed"
            raise FileError(f"{path.name}, line {number}", sentence, "a pair around a cell, or none", field=name)
        yield number, line


def _cells(line: str, separator: str) -> list[str]:
    quotes = _QUOTED.search(line) is not None
    if separator == " " and not quotes:
        return line.split()
    if not quotes:
        return [cell.strip() for cell in line.split(separator)]
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in cells if cell or separator != " "]


def _separator(lines: list[str]) -> str:
    """Return what separates the cells: what makes as many of each line, of numbers if there is a choice."""
    sensible: list[tuple[bool, str]] = []
    for separator in _SEPARATORS:
        rows = [_cells(line, separator) for line in lines]
        if len({len(row) for row in rows}) > 1:
            rows = [_filled(row) for row in rows]
        if len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows):
            if separator == " " and sensible:
                break
            numeric = all(_is_number(cell) or not cell for row in rows[1:] for cell in row)
            sensible.append((not numeric, separator))
    if sensible:
        return min(sensible, key=lambda each: each[0])[1]
    return next((mark for mark in (",", ";", "\t") if mark in lines[0]), " " if len(lines) == 1 else ",")


def _filled(cells: list[str]) -> list[str]:
    """Return a row without the empty cells at its end."""
    while len(cells) > 1 and not cells[-1]:
        cells = cells[:-1]
    return cells


def _rows(
    path: Path, lines: Iterator[tuple[int, str]], separator: str, name: str, most: int
) -> Iterator[tuple[int, list[str]]]:
    width = 0
    for count, (number, line) in enumerate(lines):
        cells = _cells(line, separator)
        where = f"{path.name}, line {number}"
        if len(cells) > _MOST_CELLS and len(_filled(cells)) > _MOST_CELLS:
            found = f"has {len(cells):,} columns"
            raise FileError(where, found, f"at most {_MOST_CELLS}, one row for each pulse or item", field=name)
        if count > most:
            raise FileError(where, "is one row too many", f"at most {most:,}", field=name)
        # columns that a spreadsheet keeps empty have no name either
        width = width or len(_filled(cells))
        if len(cells) > width and not any(cells[width:]):
            cells = cells[:width]
        yield number, cells


def _is_number(text: str) -> bool:
    plain = text.replace("\u2212", "-")
    return plain.lower() in _WORDS or any(each.fullmatch(plain) for each in (_NUMBER, _COMMA, _THOUSANDS))


@dataclass
class Numbers:
    """Reads the numbers of a table, and tells at its end whether its commas are decimal.

    Parameters
    ----------
    name : str
        The file's.
    separator : str
        Between its cells.
    """

    name: str
    separator: str = ""
    _commas: list[str] = field(default_factory=list)
    _certain: bool = False
    _point: str = ""

    def __call__(self, text: str, where: str, name: str = "path") -> float:
        """Return the number in a cell.

        Raises
        ------
        InputError
            No number, or one that is not finite.
        """
        plain = text.strip().replace("\u2212", "-")
        if _NUMBER.fullmatch(plain):
            if not self._point and "." in plain:
                self._point = where
            value = float(plain.translate(_EXPONENTS))
        elif _COMMA.fullmatch(plain):
            if not _THOUSANDS.fullmatch(plain) or self.separator == ";":
                self._certain = True
            if not self._commas:
                self._commas = [where, text]
            value = float(plain.replace(",", ".").translate(_EXPONENTS))
        elif _THOUSANDS.fullmatch(plain) and "." in plain:
            value = float(plain.replace(",", ""))
        elif plain.lower() in _WORDS:
            value = float(plain)
        else:
            shown = text if len(text) <= 40 else text[:37] + "…"
            raise FileError(where, f"found {shown!r}", "one number", field=name)
        if not math.isfinite(value):
            raise FileError(where, f"found {text}", "a finite number", field=name)
        return value

    def check(self, name: str = "path") -> None:
        """Refuse a table whose commas may be decimal or not.

        Raises
        ------
        InputError
            Numbers with a comma that may separate thousands, or beside numbers with a decimal point.
        """
        if self._commas and (self._point or not self._certain):
            where, text = self._commas
            also = f", and a decimal point in {self._point.removeprefix(f'{self.name}, ')}" if self._point else ""
            raise FileError(
                where,
                f"found {text!r}{also}: whether the comma is a decimal mark cannot be told",
                "decimal points, and nothing between thousands",
                field=name,
            )
