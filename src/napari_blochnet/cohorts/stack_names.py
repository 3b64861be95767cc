"""What the results of a stack are called: BIDS entities, from its own name where that has them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from napari_blochnet.common.errors import InputError

__all__ = ["distinct_prefixes", "entities_of", "folder_of", "prefix_of", "stem_of"]

_BIDS = re.compile(r"sub-[A-Za-z0-9]+(_[a-z0-9]+-[A-Za-z0-9]+)*(?=_|$)")
# Tell apart the files of one stack, not stacks.
_PARTS = re.compile(r"_(part|inv|echo|flip)-[A-Za-z0-9]+")
_ENDINGS = re.compile(r"\.(nii\.gz|nii|zarr|npy|npz|mat|h5|hdf5|hdr|img|dcm)$", re.IGNORECASE)


def stem_of(path: Path) -> str:
    """Return a stack's name without its ending."""
    return _ENDINGS.sub("", path.name)


def entities_of(prefix: str) -> dict[str, str]:
    """Return the entities of a BIDS name: ``{"sub": "01", "ses": "2"}``."""
    return dict(part.split("-", 1) for part in prefix.split("_") if "-" in part)


def prefix_of(path: Path) -> str:
    """Return the entities in a name, or ``sub-NAME`` of one that has none."""
    found = _BIDS.match(stem_of(path))
    return _PARTS.sub("", found[0]) if found else f"sub-{_letters(stem_of(path)) or 'stack'}"


def _letters(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


def distinct_prefixes(paths: Sequence[Path]) -> list[str]:
    """Return a prefix for each stack; of stacks of one name it has the name of their folder, too.

    Raises
    ------
    InputError
        Two that neither tells apart.
    """
    found = [prefix_of(path) for path in paths]
    many = Counter(found)
    for number, path in enumerate(paths):
        if many[found[number]] > 1 and not _BIDS.match(stem_of(path)):
            found[number] = f"sub-{_letters(path.resolve().parent.name)}{_letters(stem_of(path))}"
    many = Counter(found)
    shared = next((prefix for prefix in found if many[prefix] > 1), None)
    if shared is not None:
        one, other = [path for path, prefix in zip(paths, found, strict=True) if prefix == shared][:2]
        raise InputError(
            f"{one} and {other} would both be called {shared}",
            "a table that gives each a subject (CSV with the columns stack, subject, session)",
            field="stacks",
        )
    return found


def folder_of(prefix: str) -> Path:
    """Return where results of a prefix lie below a folder of derivatives: ``sub-01/ses-2/anat``."""
    known = entities_of(prefix)
    session = (f"ses-{known['ses']}",) if "ses" in known else ()
    return Path(f"sub-{known['sub']}", *session, "anat")
