"""Opening phantoms, schedules and fingerprints, and making the built-in ones, each with its record."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.orientation import IMAGE_ORDER
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.devices import check_memory
from napari_blochnet.jobs.records import embed_schedule, make_record, plain_path
from napari_blochnet.jobs.settings import (
    BrainWebSettings,
    FingerprintsSettings,
    PhantomSettings,
    SyntheticSettings,
    settings_from,
)
from napari_blochnet.jobs.settings_schedules import FispSettings, ScheduleFileSettings, ScheduleSettings, SplineSettings
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.pulseq.pulseq_hints import is_pulseq_name
from napari_blochnet.schedules.schedule import Schedule

__all__ = [
    "SCHEDULE_KINDS", "brainweb_phantom", "leaves_inversion_open", "make_schedule", "open_fingerprints", "open_phantom",
    "synthetic_head",
]  # fmt: skip

PathLike = str | os.PathLike[str]

# Formats of arrays, which say nothing of where they lie.
_ARRAYS = (".mat", ".npy", ".npz")
# ms: no file states it.
_UNLIKELY_TIME = 13.0078125

#: The settings model of each kind of schedule.
SCHEDULE_KINDS: dict[str, type[FispSettings] | type[SplineSettings] | type[ScheduleFileSettings]] = {
    "fisp": FispSettings,
    "spline": SplineSettings,
    "file": ScheduleFileSettings,
}


def open_phantom(
    source: PathLike | Sequence[PathLike],
    settings: PhantomSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Phantom:
    """Read a phantom from a folder or files.

    Parameters
    ----------
    source : path or sequence of paths
        BrainWeb fuzzy or crisp volumes, NIfTI memberships, labels or maps, MATLAB maps; see
        `napari_blochnet.read_phantom`.
    settings : PhantomSettings, optional
    **fields
        Fields of `PhantomSettings`.

    Returns
    -------
    Phantom
    """
    from napari_blochnet.phantoms.read import read_phantom

    given = settings_from(PhantomSettings, settings, **fields)
    started = time.perf_counter()
    phantom = read_phantom(source, **given.model_dump(), progress=progress, cancelled=cancelled)
    paths = plain_path(source) if isinstance(source, (str, os.PathLike)) else [plain_path(path) for path in source]
    seconds = time.perf_counter() - started
    more: dict[str, Any] = {IMAGE_ORDER: True} if _is_in_image_order(phantom, paths) else {}
    return replace(phantom, record=make_record("open_phantom", given, {"source": paths}, seconds=seconds, **more))


def _is_in_image_order(phantom: Phantom, paths: str | list[str]) -> bool:
    """Whether a phantom's rows are those of images, the first on top: arrays (y, x) or (y, x, z) that say no more.

    Labels with three axes are (x, y, z), along the scanner's.
    """
    named = all(path.lower().endswith(_ARRAYS) for path in ([paths] if isinstance(paths, str) else paths))
    is_plain = np.array_equal(phantom.affine, Geometry(phantom.voxel_size).affine)
    return named and is_plain and (phantom.labels is None or phantom.shape[0] == 1)


def brainweb_phantom(
    settings: BrainWebSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Phantom:
    """Open a subject of BrainWeb's 20 normal brains; it is downloaded the first time.

    Parameters
    ----------
    settings : BrainWebSettings, optional
    **fields
        Fields of `BrainWebSettings`.

    Returns
    -------
    Phantom

    Raises
    ------
    InputError
        No connection, an answer that is no volume, less memory than 57 million voxels take.
    """
    from napari_blochnet.phantoms.download import VOLUMES, download_brainweb
    from napari_blochnet.phantoms.read import read_phantom

    given = settings_from(BrainWebSettings, settings, **fields)
    started = time.perf_counter()
    # before anything is downloaded: see the memory that `read_phantom` states
    bytes_per_voxel = 22 + 3 * len(VOLUMES[given.volumes])
    check_memory(362 * 434 * 362 * bytes_per_voxel, f"BrainWeb subject {given.subject}", "subject",
                 "choose labels, which take less")  # fmt: skip
    folder = download_brainweb(given.subject, given.volumes, watch=Watch(progress, cancelled))
    phantom = read_phantom(folder, given.tissues, progress=progress, cancelled=cancelled)
    record = make_record("brainweb_phantom", given, {}, seconds=time.perf_counter() - started)
    return replace(phantom, name=f"subject {given.subject}", record=record)


def synthetic_head(
    settings: SyntheticSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Phantom:
    """Make the built-in head.

    Parameters
    ----------
    settings : SyntheticSettings, optional
    **fields
        Fields of `SyntheticSettings`.

    Returns
    -------
    Phantom
    """
    from napari_blochnet.phantoms.synthetic import synthetic_phantom

    given = settings_from(SyntheticSettings, settings, **fields)
    started = time.perf_counter()
    phantom = synthetic_phantom(**given.model_dump(), progress=progress, cancelled=cancelled)
    return replace(phantom, record=make_record("synthetic_head", given, {}, seconds=time.perf_counter() - started))


def make_schedule(
    settings: ScheduleSettings | None = None,
    *,
    kind: str = "fisp",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Schedule:
    """Make a schedule, or read one.

    Parameters
    ----------
    settings : FispSettings, SplineSettings or ScheduleFileSettings, optional
    kind : {"fisp", "spline", "file"}
        Which, where no settings are given.
    progress, cancelled : optional
        Of files whose sequence is simulated; see `napari_blochnet.common.progress`.
    **fields
        Fields of the settings.

    Returns
    -------
    Schedule
    """
    from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule
    from napari_blochnet.schedules.schedule_files import read_schedule

    if settings is None and kind not in SCHEDULE_KINDS:
        raise InputError(
            f"The kind of schedule is {kind!r}; expected one of {', '.join(SCHEDULE_KINDS)}.", field="kind"
        )
    given = settings_from(type(settings) if settings is not None else SCHEDULE_KINDS[kind], settings, **fields)
    values = given.model_dump(exclude={"kind"})
    if isinstance(given, ScheduleFileSettings):
        if not given.path:
            raise InputError("No schedule file is chosen; expected a CSV, text, MATLAB or Pulseq file.", field="path")
        # what is left out stays the file's own
        hints = {key: value for key, value in values.items() if value is not None and key != "path"}
        schedule = read_schedule(given.path, **hints, progress=progress, cancelled=cancelled)
    elif isinstance(given, SplineSettings):
        schedule = spline_schedule(**values)
    else:
        schedule = fisp_schedule(**values)
    record = make_record("make_schedule", given, {})
    # what a Pulseq file was understood as, in sentences
    understood = {key: value for key, value in schedule.record.items() if key == "understood"}
    return schedule.replace(record={**record, **understood})


def leaves_inversion_open(settings: ScheduleFileSettings) -> bool:
    """Whether a schedule's file says nothing of an inversion pulse, and nobody else does: it is read as without one.

    Parameters
    ----------
    settings : ScheduleFileSettings

    Returns
    -------
    bool
        False, too, where the file cannot be read.
    """
    from napari_blochnet.schedules.missing import MissingHintError

    if settings.inversion_time is not None or not settings.path or is_pulseq_name(settings.path):
        return False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        for time_given in (None, _UNLIKELY_TIME):
            try:
                make_schedule(settings.model_copy(update={"inversion_time": time_given}))
            except MissingHintError as error:
                # an inversion is stated without its time
                if "inversion_time" in error.asked:
                    return False
            except InputError:
                return False
    # what says something contradicts that time; files of ours have a line about inversion where there is one
    contradicts = any("inversion_time" in str(each.message) for each in caught)
    return not contradicts and not _is_ours(settings.path)


def _is_ours(path: str) -> bool:
    """Whether a schedule's file has the comment that ends those of `write_schedule`."""
    source = Path(path).expanduser()
    if not source.is_file():
        return False
    with source.open(encoding="utf-8", errors="replace") as file:
        head = itertools.takewhile(lambda line: line.startswith("#"), file)
        return any(line.startswith("# receiver_phase:") for line in head)


def open_fingerprints(
    path: PathLike,
    schedule: Schedule | None = None,
    settings: FingerprintsSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Open a fingerprint stack.

    Parameters
    ----------
    path : path
        ``.npy``, ``.npz``, NIfTI and more; see `napari_blochnet.read_fingerprints`.
    schedule : Schedule, optional
        What made it; may be left out for a stack that carries its own.
    settings : FingerprintsSettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in megabytes.
    **fields
        Fields of `FingerprintsSettings`.

    Returns
    -------
    FingerprintStack
    """
    from napari_blochnet.fingerprints.stack_files import read_fingerprints
    from napari_blochnet.sampling.aliased import is_undersampled

    given = settings_from(FingerprintsSettings, settings, **fields)
    stack = read_fingerprints(path, schedule, **given.model_dump(), progress=progress, cancelled=cancelled)
    inputs = {"path": plain_path(path), "schedule": None if schedule is None else embed_schedule(schedule)}
    # made again, it is the same whatever the numbers would be taken for then
    given = given.model_copy(update={"kind": stack.kind})
    # errors and networks ask whether k-space was undersampled
    made: dict[str, Any] = {"made": stack.record} if is_undersampled(stack.record) else {}
    return stack.with_record(make_record("open_fingerprints", given, inputs, **made))
