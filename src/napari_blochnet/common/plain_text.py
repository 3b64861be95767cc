"""Numbers of things in words, and text of strangers (names in files, what a library says) as it may reach people."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["cell_text", "comment_text", "counted", "plain_line", "plain_lines"]

# Marks that turn the direction of what follows, so that it reads otherwise than it is.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain_line(text: str, longest: int | None = None) -> str:
    """Return text in one line, what steers terminals or turns reading as its escape, its middle cut if too long.

    Parameters
    ----------
    text : str
    longest : int, optional
        Characters; more than 8.
    """
    line = "".join(map(_shown, text)) if not text.isprintable() or _TURNING & set(text) else text
    if longest is None or len(line) <= longest:
        return line
    end = longest // 3
    return f"{line[: longest - end - 3]} … {line[-end:]}"


def plain_lines(text: str) -> str:
    """Return each line of text as `plain_line` does."""
    return "\n".join(map(plain_line, text.split("\n")))


def counted(count: int, thing: str, form: str = "") -> str:
    """Return how many there are of a thing, as "1 voxel" or, in the form ",", "1,524 voxels"."""
    return f"{count:{form}} {thing}{'' if count == 1 else 's'}"


def cell_text(text: str) -> str:
    """Return text as a cell of a table: a spreadsheet would run what starts like a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


def comment_text(text: str) -> str:
    """Return text as a comment line above a table: a spreadsheet cuts it into cells, too, and runs none of them."""
    return re.sub(r"([,;\t|])(?=[=+\-@])", r"\1 ", " ".join(text.split()))


def _shown(sign: str) -> str:
    if sign in "\n\t":
        return " "
    # controls, halves of pairs, separators of lines; not the signs of other scripts, nor spaces of a width
    if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _TURNING:
        return sign.encode("unicode_escape").decode("ascii")
    return sign
