"""What a file or a folder is, told by its name and a look inside: a phantom, a fingerprint stack, a session.

General formats (NIfTI, MATLAB, HDF5) belong to everybody. What is ours beyond doubt has evidence: our sidecar beside a
NIfTI file, T1 and T2 maps in a MATLAB file, tissue volumes or maps in a folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from napari_blochnet.jobs.sessions import is_session
from napari_blochnet.phantoms.formats.brainweb import role_of
from napari_blochnet.phantoms.map_files import map_key, plain_stem
from napari_blochnet.phantoms.quantities import is_weighted
from napari_blochnet.phantoms.tissues import TISSUE_TABLES, find_tissue

__all__ = ["has_own_schedule", "is_our_stack", "is_phantom", "what_is_in"]

PathLike = str | os.PathLike[str]

_TISSUE = re.compile(r"(^|[_\-.])(csf|gm|wm|gray|grey|white|crisp|[TR][12]map)([_\-.]|$)", re.IGNORECASE)
# What is a stack and never a phantom.
_STACKS = (".npy", ".npz", ".h5", ".hdf5")
_NIFTI = (".nii", ".nii.gz")
_BRAINWEB = (".mnc", ".mnc.gz", ".rawb", ".rawb.gz", ".raws", ".raws.gz")
# A sidecar holds the schedule of at most some thousand pulses.
_SIDECAR_BYTES = 16 * 2**20


def _ends(path: PathLike, endings: tuple[str, ...]) -> bool:
    return Path(path).name.lower().endswith(endings)


def is_phantom(path: PathLike) -> bool:
    """Whether a path is a phantom beyond doubt, or one of its volumes."""
    found = Path(path)
    if found.is_dir():
        names = [item for item in found.iterdir() if _ends(item, _BRAINWEB + _NIFTI)]
        # BrainWeb's formats hold nothing else: any tissue's name is enough
        return any(_TISSUE.search(item.name) or (_ends(item, _BRAINWEB) and _names_tissue(item)) for item in names)
    return _ends(found, _BRAINWEB) or (_ends(found, (".mat",)) and _holds_maps(found))


def _map_of(path: PathLike) -> str | None:
    """Return which map a file is by its name; None where it is no file of an array, or a weighted image."""
    stem = plain_stem(Path(path))
    return (
        map_key(stem) if _ends(path, (".npy", ".mat", *_NIFTI, ".mnc", ".mnc.gz")) and not is_weighted(stem) else None
    )


def _names_tissue(path: Path) -> bool:
    return find_tissue(role_of(path), TISSUE_TABLES["paper"]) is not None


def _holds_maps(path: Path) -> bool:
    """Whether a MATLAB file names T1 and T2 maps, or crisp labels as BrainWeb's circulate."""
    from scipy.io import whosmat

    try:
        names = [name.lower() for name, shape, _ in whosmat(path) if len(shape) in (2, 3)]
    except (OSError, ValueError, NotImplementedError, TypeError):
        return False
    has = {prefix: any(name.startswith(prefix) for name in names) for prefix in ("t1", "t2")}
    return all(has.values()) or any("brain" in name for name in names)


def has_own_schedule(path: PathLike) -> bool:
    """Whether a JSON file beside a stack holds the schedule that made it, as we write it."""
    stem = Path(path).name.removesuffix(".gz")
    sidecar = Path(path).with_name(f"{stem[: stem.rfind('.')] if '.' in stem else stem}.json")
    try:
        if not sidecar.is_file() or sidecar.stat().st_size > _SIDECAR_BYTES:
            return False
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("schedule"), dict)


def is_our_stack(path: PathLike) -> bool:
    """Whether a path is a fingerprint stack beyond doubt: NIfTI with our sidecar."""
    return _ends(path, _NIFTI) and has_own_schedule(path)


def what_is_in(paths: Sequence[PathLike]) -> Literal["phantom", "fingerprints", "session"] | None:
    """Return what paths are that a person gave us; None where it takes a person to say.

    More is clear than where paths may be somebody else's: by its name alone NIfTI is a tissue's volume, and an array
    is a stack.
    """
    if len(paths) == 1 and is_session(paths[0]):
        return "session"
    if len(paths) == 1 and (_ends(paths[0], _STACKS) or is_our_stack(paths[0])):
        return "fingerprints"
    if len(paths) > 1 and {"t1", "t2"} <= {_map_of(path) for path in paths} and None not in map(_map_of, paths):
        return "phantom"
    tissues = [is_phantom(path) or (_ends(path, _NIFTI) and bool(_TISSUE.search(Path(path).name))) for path in paths]
    return "phantom" if paths and all(tissues) else None
