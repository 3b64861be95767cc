"""Mistakes as sentences: what was found, what was expected, and in which file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from napari_blochnet.common.errors import FileError, InputError, in_file


def test_found_and_expected_make_a_sentence() -> None:
    error = InputError("snr is -1", "a number above 0", field="snr")
    assert (str(error), error.field) == ("snr is -1; expected a number above 0.", "snr")
    assert str(InputError("The stack is empty.")) == "The stack is empty."


def test_a_file_is_named_without_its_folder_and_a_place_as_it_is() -> None:
    error = FileError(Path("/some/folder/a.mat"), "holds text", "numbers")
    assert (str(error), error.field) == ("a.mat: holds text; expected numbers.", "path")
    assert str(FileError("a.csv, line 3", "has no name.", field="tissues")) == "a.csv, line 3: has no name."


def test_a_mistake_inside_a_file_names_it() -> None:
    with pytest.raises(FileError, match=r"^a\.json: t1 is 0; expected above 0\.$") as caught, in_file(Path("x/a.json")):
        raise InputError("t1 is 0", "above 0", field="t1")
    assert caught.value.field == "t1"


@pytest.mark.parametrize("error", [InputError("a is 1", "2", field="a"), FileError("a.csv", "is empty", "numbers")])
def test_a_mistake_crosses_processes(error: InputError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, InputError)
    assert (str(again), again.field) == (str(error), error.field)
