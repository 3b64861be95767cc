"""What a file or a folder is, told by its name and a look inside: a phantom, a fingerprint stack, a session.

General formats (NIfTI, MATLAB, HDF5) belong to everybody. What is ours beyond doubt has evidence: our sidecar beside a
NIfTI file, T1 and T2 maps in a MATLAB file, tissue volumes or maps in a folder. Whatever a look inside stumbles over is
no evidence, and no more than that: who opens the file is told what is wrong with it.
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.brought.dictionary_arrays import ENDINGS, holds_dictionary
from napari_blochnet.fingerprints.paired_files import beside_stack
from napari_blochnet.fingerprints.zarr_stacks import is_zarr_stack
from napari_blochnet.io.bids_series import bids_series
from napari_blochnet.io.containers.hdf5_arrays import is_hdf5_name
from napari_blochnet.io.dicom.dicom_series import is_dicom
from napari_blochnet.io.json_files import beside_json
from napari_blochnet.io.matlab_files import list_arrays, outermost
from napari_blochnet.io.zarr_arrays import is_zarr
from napari_blochnet.jobs.sessions import is_session
from napari_blochnet.phantoms.formats.brainweb import role_of
from napari_blochnet.phantoms.formats.segmenters import tissues_of_sets
from napari_blochnet.phantoms.map_files import map_key, plain_stem
from napari_blochnet.phantoms.quantities import is_weighted
from napari_blochnet.phantoms.tissues import TISSUE_TABLES, find_tissue
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.pulseq.pulseq_hints import is_pulseq_name
from napari_blochnet.schedules.schedule_files import read_schedule

__all__ = [
    "has_own_schedule",
    "is_complex_series",
    "is_dictionary",
    "is_our_stack",
    "is_phantom",
    "is_series_of_contrasts",
    "schedule_beside",
    "unreadable",
    "what_is_in",
]

PathLike = str | os.PathLike[str]

_TISSUE = re.compile(r"(^|[_\-.])(csf|gm|wm|gray|grey|white|crisp|[TR][12]map)([_\-.]|$)", re.IGNORECASE)
# What is a stack and never a phantom.
_STACKS = (".npy", ".npz", ".h5", ".hdf5", ".cfl")
_NIFTI = (".nii", ".nii.gz")
_BRAINWEB = (".mnc", ".mnc.gz", ".rawb", ".rawb.gz", ".raws", ".raws.gz")
# What a table of pulses is written in, how large one may be, and how many files a folder may hold to be looked through.
_TABLES = (".csv", ".tsv", ".txt")
_TABLE_BYTES = 4 * 2**20
_MOST_FILES = 200
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


def _is_set_of_fast(paths: Sequence[PathLike]) -> bool:
    given = [Path(path) for path in paths]
    files = sorted(given[0].iterdir()) if len(given) == 1 and given[0].is_dir() else given
    return bool(tissues_of_sets([file for file in files if "_pve_" in file.name], []))


def _names_tissue(path: Path) -> bool:
    return find_tissue(role_of(path), TISSUE_TABLES["paper"]) is not None


def _holds_maps(path: Path) -> bool:
    """Whether a MATLAB file names T1 and T2 maps, or crisp labels as BrainWeb's circulate."""
    arrays = list_arrays(path).items()
    names = [name.lower() for name, array in arrays if len(array.shape) in (2, 3) and not array.trouble]
    has = {prefix: any(name.startswith(prefix) for name in names) for prefix in ("t1", "t2")}
    return all(has.values()) or any("brain" in name for name in names)


def unreadable(path: PathLike) -> str:
    """Return in a sentence why nobody can read a MATLAB file; empty where its arrays have names, or of other files."""
    found = Path(path)
    if not _ends(found, (".mat",)):
        return ""
    try:
        list_arrays(found)
    except InputError as error:
        return str(error).removeprefix(f"{found.parent}{os.sep}")
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"{found.name}: cannot be read as a MATLAB file ({reason})."
    return ""


@_no_if_it_fails
def has_own_schedule(path: PathLike) -> bool:
    """Whether a stack says what schedule made it, or of which basis it holds coefficients, as we write it.

    In a JSON file beside it, or in a store's attributes.
    """
    if is_zarr(path):
        return is_zarr_stack(Path(path))
    sidecar = beside_stack(Path(path))[1]
    if not sidecar.is_file() or sidecar.stat().st_size > _SIDECAR_BYTES:
        return False
    content = beside_json(sidecar)[0]
    return any(isinstance(content.get(key), dict) for key in ("schedule", "basis"))


@_no_if_it_fails
def is_our_stack(path: PathLike) -> bool:
    """Whether a path is a fingerprint stack beyond doubt: NIfTI or HDF5 with our sidecar, or a Zarr store of ours."""
    return (_ends(path, _NIFTI) or is_hdf5_name(Path(path)) or is_zarr(path)) and has_own_schedule(path)


@_no_if_it_fails
def is_series_of_contrasts(path: PathLike) -> bool:
    """Whether a path is DICOM, a folder or an image, or a BIDS folder with a series of contrasts."""
    found = Path(path)
    return is_dicom(found) or (found.is_dir() and any(len(files) > 1 for files in bids_series(found).values()))


@_no_if_it_fails
def is_dictionary(path: PathLike) -> bool:
    """Whether a file holds the atoms of a dictionary with their look-up table."""
    return _ends(path, ENDINGS) and holds_dictionary(Path(path))


@_no_if_it_fails
def is_complex_series(path: PathLike) -> bool:
    """Whether a MATLAB file holds one array that is complex, with more than two axes: frames or coefficients."""
    if not _ends(path, (".mat",)):
        return False
    (array,) = outermost(list_arrays(Path(path))).values()
    return array.dtype.kind == "c" and sum(n > 1 for n in array.shape) > 2


def what_is_in(paths: Sequence[PathLike]) -> Literal["phantom", "fingerprints", "session", "dictionary"] | None:
    """Return what paths are that a person gave us; None where it takes a person to say.

    More is clear than where paths may be somebody else's: by its name alone NIfTI is a tissue's volume, and an array
    is a stack.
    """
    try:
        return _what_is_in(paths)
    except Exception:  # as in `_no_if_it_fails`
        return None


def _what_is_in(paths: Sequence[PathLike]) -> Literal["phantom", "fingerprints", "session", "dictionary"] | None:
    if len(paths) == 1 and is_session(paths[0]):
        return "session"
    if len(paths) == 1 and is_dictionary(paths[0]):
        return "dictionary"
    if len(paths) == 1 and is_complex_series(paths[0]):
        return "fingerprints"
    if len(paths) == 1 and (_ends(paths[0], _STACKS) or is_zarr(paths[0]) or is_our_stack(paths[0])):
        return "fingerprints"
    if len(paths) == 1 and not is_phantom(paths[0]) and is_series_of_contrasts(paths[0]):
        return "fingerprints"
    if len(paths) > 1 and {"t1", "t2"} <= {_map_of(path) for path in paths} and None not in map(_map_of, paths):
        return "phantom"
    if _is_set_of_fast(paths):
        return "phantom"
    tissues = [is_phantom(path) or (_ends(path, _NIFTI) and bool(_TISSUE.search(Path(path).name))) for path in paths]
    return "phantom" if paths and all(tissues) else None


def schedule_beside(path: PathLike) -> Path | None:
    """Return the one table beside a file that reads as a schedule, or does once a person says what it leaves open.

    None where there is none, or several: which of them is meant nobody but a person can say.
    """
    try:
        folder = Path(path).expanduser().parent
        files = sorted(folder.iterdir())
        named = [file for file in files if _ends(file, _TABLES) or is_pulseq_name(file)]
        small = [file for file in named if file.stat().st_size <= _TABLE_BYTES]
        found = [] if len(files) > _MOST_FILES else list(filter(_is_schedule, small))
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


@_no_if_it_fails
def _is_schedule(path: PathLike) -> bool:
    if is_pulseq_name(path):
        # told by its first lines; all of it takes seconds to simulate
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return "[VERSION]" in file.read(4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_schedule(path)
        except MissingHintError:
            return True
    return True
