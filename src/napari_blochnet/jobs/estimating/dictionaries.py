"""Making a dictionary to be written: what ``dictionary`` matches with, as a file for others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.jobs.estimating.settings_dictionary import DictionarySettings
from napari_blochnet.jobs.records import embed_schedule, make_record
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.brought.brought_dictionary import BroughtDictionary

__all__ = ["make_dictionary"]


def make_dictionary(
    schedule: Schedule,
    settings: DictionarySettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> BroughtDictionary:
    """Simulate a dictionary, and compress it.

    Parameters
    ----------
    schedule : Schedule
    settings : DictionarySettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    **fields
        Fields of `DictionarySettings`.

    Returns
    -------
    BroughtDictionary
        An estimator; `napari_blochnet.write_dictionary` writes it. Its ``table`` has atoms of unit norm inside the
        subspace, and what they were divided by.

    Raises
    ------
    InputError
        A setting out of range, a schedule without a signal.
    Cancelled
    """
    from napari_blochnet.estimators.brought.atom_table import AtomTable
    from napari_blochnet.estimators.brought.brought_dictionary import BroughtDictionary
    from napari_blochnet.estimators.brought.table_columns import Column
    from napari_blochnet.estimators.matching.dictionary import DictionaryMatching

    given, started = settings_from(DictionarySettings, settings, **fields), time.perf_counter()
    matching = DictionaryMatching(given.t1_range, given.t2_range, given.step, rank=given.components)
    made = matching.dictionary(schedule, given.kind, Watch(progress, cancelled))
    record = make_record("make_dictionary", given, {"schedule": embed_schedule(schedule)},
                         seconds=time.perf_counter() - started)  # fmt: skip
    table = AtomTable(
        made.coefficients(np.arange(len(made))),
        (Column("T1", made.t1, "ms"), Column("T2", made.t2, "ms")),
        made.subspace.basis,
        True,
        made.norms,
        schedule,
        given.kind == "magnitude",
        f"dictionary of {schedule.name or 'the schedule'}",
        record=record,
    )
    return BroughtDictionary(table)
