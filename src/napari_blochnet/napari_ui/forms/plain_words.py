"""The core's sentences as a person at a window reads them: a field is called what its form calls it."""

from __future__ import annotations

import functools
import re

from napari_blochnet.jobs.catalogue import OPERATIONS

__all__ = ["in_plain_words"]


def in_plain_words(sentence: str) -> str:
    """Return a sentence in which settings have the titles of their forms, such as Nominal B1 for ``b1_nominal``.

    Names of one word are words of the language, and stay; so do names within paths, and those of files.
    """
    return _names().sub(lambda found: _titles()[found[0]], sentence)


@functools.cache
def _titles() -> dict[str, str]:
    found: dict[str, str] = {}
    for operation in OPERATIONS:
        for name, field in operation.settings.model_fields.items():
            if "_" in name and field.title:
                found.setdefault(name, field.title)
    return found


@functools.cache
def _names() -> re.Pattern[str]:
    names = "|".join(sorted(_titles(), key=len, reverse=True))
    return re.compile(rf"(?<![\w./\\-])(?:{names})(?![\w/\\-]|\.\w)")
