"""Files dropped on napari: phantoms and fingerprint stacks that are ours beyond doubt, and no others.

A reader that claims a path is asked before all others when a person opens it. General formats (NIfTI, MATLAB, HDF5)
belong to everybody, so they are claimed only with evidence: our sidecar beside a NIfTI file, T1 and T2 maps in a
MATLAB file, tissue volumes or maps in a folder. Everything else is opened in the Data tab.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from napari import current_viewer
from napari.utils.notifications import show_error

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.jobs.operations.opening import open_fingerprints, open_phantom
from napari_blochnet.jobs.sessions import is_session
from napari_blochnet.napari_ui.canvas.layer_data import LayerData

__all__ = ["has_own_schedule", "phantom_reader", "session_reader", "stack_reader", "what_is_in"]

Reader = Callable[[str | Sequence[str]], list[LayerData]]
# napari's word for "read, and no layers"
_NOTHING: list[Any] = [(None,)]

_TISSUE = re.compile(r"(^|[_\-.])(csf|gm|wm|gray|grey|white|crisp|T1map|T2map)([_\-.]|$)", re.IGNORECASE)
# What the Data tab opens as a stack and never as a phantom.
_STACKS = (".npy", ".npz", ".h5", ".hdf5")
_VOLUMES = (".mnc", ".mnc.gz", ".rawb", ".rawb.gz", ".nii", ".nii.gz")
# A sidecar holds the schedule of at most some thousand pulses.
_SIDECAR_BYTES = 16 * 2**20


def _name(path: Path) -> str:
    return path.name.lower()


def _is_phantom(path: Path) -> bool:
    if path.is_dir():
        return any(_name(item).endswith(_VOLUMES) and _TISSUE.search(item.name) for item in path.iterdir())
    if _name(path).endswith((".mnc", ".mnc.gz", ".rawb", ".rawb.gz")):
        return True
    return _name(path).endswith(".mat") and _holds_maps(path)


def _holds_maps(path: Path) -> bool:
    """Whether a MATLAB file names T1 and T2 maps, or crisp labels as BrainWeb's circulate."""
    from scipy.io import whosmat

    try:
        names = [name.lower() for name, shape, _ in whosmat(path) if len(shape) in (2, 3)]
    except (OSError, ValueError, NotImplementedError, TypeError):
        return False
    has = {prefix: any(name.startswith(prefix) for name in names) for prefix in ("t1", "t2")}
    return all(has.values()) or any("brain" in name for name in names)


def has_own_schedule(path: Path) -> bool:
    """Whether a JSON file beside a stack holds the schedule that made it, as we write it."""
    stem = path.name.removesuffix(".gz")
    sidecar = path.with_name(f"{stem[: stem.rfind('.')] if '.' in stem else stem}.json")
    try:
        if not sidecar.is_file() or sidecar.stat().st_size > _SIDECAR_BYTES:
            return False
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("schedule"), dict)


def phantom_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a phantom, or several paths are one phantom's volumes."""
    paths = [Path(item) for item in ([path] if isinstance(path, str) else path)]
    if not paths or not all(_is_phantom(item) for item in paths):
        return None
    return _read_phantom


def stack_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is a fingerprint stack with our sidecar."""
    if not isinstance(path, str) or not path.lower().endswith((".nii", ".nii.gz")):
        return None
    return _read_stack if has_own_schedule(Path(path)) else None


def session_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader where the path is the folder of a session that was saved."""
    if not isinstance(path, str) or not is_session(path):
        return None
    return _read_session


def what_is_in(paths: Sequence[str]) -> Literal["phantom", "fingerprints", "session"] | None:
    """Return what the Data tab opens paths as; None where it takes a person to say.

    More is clear than to the readers, for whoever drops a file on the Data tab does not want anybody else to open it.
    """
    found = [Path(path) for path in paths]
    if len(paths) == 1 and session_reader(paths[0]) is not None:
        return "session"
    if len(paths) == 1 and (_name(found[0]).endswith(_STACKS) or stack_reader(paths[0]) is not None):
        return "fingerprints"
    is_phantom = [_is_phantom(path) or (_is_nifti(path) and bool(_TISSUE.search(path.name))) for path in found]
    return "phantom" if found and all(is_phantom) else None


def _is_nifti(path: Path) -> bool:
    return _name(path).endswith((".nii", ".nii.gz"))


def _plainly(read: Reader) -> Reader:
    """Say a mistake as the core's sentence in napari's notification, without a traceback."""

    @functools.wraps(read)
    def reader(path: str | Sequence[str]) -> list[LayerData]:
        try:
            return read(path) or _NOTHING
        except Cancelled:
            return _NOTHING
        except InputError as error:
            show_error(str(error))
            return _NOTHING

    return reader


@_plainly
def _read_phantom(path: str | Sequence[str]) -> list[LayerData]:
    # napari asks the readers about everybody's files: what reading takes is not loaded for that
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    source = path if isinstance(path, str) else list(path)
    first = source if isinstance(source, str) else source[0]
    return open_for_napari(Path(first).name, functools.partial(open_phantom, source))


def _read_session(path: str | Sequence[str]) -> list[LayerData]:
    """Open a session in the current viewer: it is more than layers, and reads in the background."""
    from napari_blochnet.napari_ui.napari_calls.commands import open_workbench

    viewer = current_viewer()
    if viewer is not None:
        open_workbench(viewer, "Data").data.sessions.open(str(path))
    return _NOTHING


@_plainly
def _read_stack(path: str | Sequence[str]) -> list[LayerData]:
    from napari_blochnet.napari_ui.napari_calls.dropped import open_for_napari

    return open_for_napari(Path(str(path)).name, functools.partial(open_fingerprints, str(path)))
