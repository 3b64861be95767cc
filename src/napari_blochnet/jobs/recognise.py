"""What a file or a folder is, told by its name and a look inside: a phantom, a fingerprint stack, a session.

General formats (NIfTI, MATLAB, HDF5) belong to everybody. What is ours beyond doubt has evidence: our sidecar beside a
NIfTI file, T1 and T2 maps in a MATLAB file, tissue volumes or maps in a folder. Whatever a look inside stumbles over is
no evidence, and no more than that: who opens the file is told what is wrong with it.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.jobs.sessions import is_session

__all__ = ["has_own_schedule", "is_our_stack", "is_phantom", "unreadable", "what_is_in"]

PathLike = str | os.PathLike[str]

_TISSUE = re.compile(r"(^|[_\-.])(csf|gm|wm|gray|grey|white|crisp|T1map|T2map)([_\-.]|$)", re.IGNORECASE)
# What is a stack and never a phantom.
_STACKS = (".npy", ".npz", ".h5", ".hdf5")
_NIFTI = (".nii", ".nii.gz")
_BRAINWEB = (".mnc", ".mnc.gz", ".rawb", ".rawb.gz")
# A sidecar holds the schedule of at most some thousand pulses.
_SIDECAR_BYTES = 16 * 2**20


def _no_if_it_fails(look: Callable[[PathLike], bool]) -> Callable[[PathLike], bool]:
    """Take what a look inside stumbles over (damage, no permission, depth without end) for no evidence."""

    @functools.wraps(look)
    def looked(path: PathLike) -> bool:
        try:
            return look(path)
        except Exception:  # whatever its format's reader does not expect
            return False

    return looked


def _ends(path: PathLike, endings: tuple[str, ...]) -> bool:
    return Path(path).name.lower().endswith(endings)


@_no_if_it_fails
def is_phantom(path: PathLike) -> bool:
    """Whether a path is a phantom beyond doubt, or one of its volumes."""
    found = Path(path)
    if found.is_dir():
        return any(_ends(item, _BRAINWEB + _NIFTI) and _TISSUE.search(item.name) for item in found.iterdir())
    return _ends(found, _BRAINWEB) or (_ends(found, (".mat",)) and _holds_maps(found))


def _holds_maps(path: Path) -> bool:
    """Whether a MATLAB file names T1 and T2 maps, or crisp labels as BrainWeb's circulate."""
    names = [name.lower() for name, shape in _matlab_arrays(path).items() if len(shape) in (2, 3)]
    has = {prefix: any(name.startswith(prefix) for name in names) for prefix in ("t1", "t2")}
    return all(has.values()) or any("brain" in name for name in names)


def _matlab_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays in a MATLAB file of any version, without reading them."""
    from napari_blochnet.io.matlab5 import is_matlab_73, list_matlab_arrays

    if is_matlab_73(path):
        import h5py

        with h5py.File(path, "r") as file:
            return {name: item.shape for name, item in file.items() if isinstance(item, h5py.Dataset)}
    with path.open("rb") as opened:
        head = opened.read(128)
    if len(head) < 20:
        raise FileError(path, f"cannot be read as a MATLAB file (it holds {len(head)} bytes).")
    if 0 not in head[:4]:
        return {name: array.shape for name, array in list_matlab_arrays(path).items()}
    # version 4 begins with numbers, the others with text
    from scipy.io import whosmat

    return {name: shape for name, shape, _ in whosmat(path)}


def unreadable(path: PathLike) -> str:
    """Return in a sentence why nobody can read a MATLAB file; empty where its arrays have names, or of other files."""
    found = Path(path)
    if not _ends(found, (".mat",)):
        return ""
    try:
        _matlab_arrays(found)
    except InputError as error:
        return str(error)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"{found.name}: cannot be read as a MATLAB file ({reason})."
    return ""


@_no_if_it_fails
def has_own_schedule(path: PathLike) -> bool:
    """Whether a JSON file beside a stack holds the schedule that made it, as we write it."""
    stem = Path(path).name.removesuffix(".gz")
    sidecar = Path(path).with_name(f"{stem[: stem.rfind('.')] if '.' in stem else stem}.json")
    if not sidecar.is_file() or sidecar.stat().st_size > _SIDECAR_BYTES:
        return False
    text = sidecar.read_text(encoding="utf-8")
    # of the sidecars of others that may be megabytes, most are known before they are understood
    content = json.loads(text) if '"schedule"' in text else None
    return isinstance(content, dict) and isinstance(content.get("schedule"), dict)


@_no_if_it_fails
def is_our_stack(path: PathLike) -> bool:
    """Whether a path is a fingerprint stack beyond doubt: NIfTI with our sidecar."""
    return _ends(path, _NIFTI) and has_own_schedule(path)


def what_is_in(paths: Sequence[PathLike]) -> Literal["phantom", "fingerprints", "session"] | None:
    """Return what paths are that a person gave us; None where it takes a person to say.

    More is clear than where paths may be somebody else's: by its name alone NIfTI is a tissue's volume, and an array
    is a stack.
    """
    try:
        return _what_is_in(paths)
    except Exception:  # as in `_no_if_it_fails`
        return None


def _what_is_in(paths: Sequence[PathLike]) -> Literal["phantom", "fingerprints", "session"] | None:
    if len(paths) == 1 and is_session(paths[0]):
        return "session"
    if len(paths) == 1 and (_ends(paths[0], _STACKS) or is_our_stack(paths[0])):
        return "fingerprints"
    tissues = [is_phantom(path) or (_ends(path, _NIFTI) and bool(_TISSUE.search(Path(path).name))) for path in paths]
    return "phantom" if paths and all(tissues) else None
