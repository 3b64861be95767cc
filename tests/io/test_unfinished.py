"""Work that was broken off: what is gone on with, what is not, and who may be at it."""

from __future__ import annotations

import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.sets.unfinished import open_unfinished

WORK = {"operation": "toy", "seed": 0}


def _begin(folder, work=WORK, parts=("a", "b")):
    unfinished = open_unfinished(folder / "out", work)
    for part in parts:
        (unfinished.new / part).write_text(part)
        unfinished.finish(part, [unfinished.new / part], answer=part.upper())
    return unfinished


def test_the_same_work_goes_on_with_parts_whose_files_are_as_they_were_written(tmp_path):
    _begin(tmp_path).close()
    again = open_unfinished(tmp_path / "out", WORK)
    assert again.finished("a")["answer"] == "A"
    assert again.finished("c") is None
    (again.new / "b").write_text("c")  # as long, but another
    assert again.finished("b") is None
    (again.new / "a").unlink()
    assert again.finished("a") is None
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_part_is_known_by_its_note_and_not_by_its_name(tmp_path):
    first = _begin(tmp_path)
    notes = first.path / "done"
    (notes / "c.json").write_bytes((notes / "a.json").read_bytes())
    (notes / "d.json").write_text('{"key": "of another work", "part": "d", "files": {}}')
    (notes / "e.json").write_text("[]")
    assert [first.finished(part) for part in "cde"] == [None] * 3
    first.close()


def test_another_work_of_that_name_begins_anew(tmp_path):
    _begin(tmp_path).close()
    other = open_unfinished(tmp_path / "out", WORK | {"seed": 1})
    assert other.finished("a") is None
    assert list(other.new.iterdir()) == []
    other.close()
    # of nothing that is finished, nothing stays
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_are_refused_in_a_sentence_and_nothing_is_lost(tmp_path):
    first = _begin(tmp_path)
    with pytest.raises(InputError, match=r"^out: is being made by another process; expected that to end first"):
        open_unfinished(tmp_path / "out", WORK | {"seed": 1})
    assert first.finished("a") is not None
    first.close()
    open_unfinished(tmp_path / "out", WORK).close()
