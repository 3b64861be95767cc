"""What a stack's file has along time: samples of a schedule, or coefficients of a basis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.compressed.bases import Convention, basis_from_json, read_basis, under_convention
from napari_blochnet.fingerprints.sources import SourceArray
from napari_blochnet.fingerprints.stack_axes import AlongTime
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["along_time"]

_UNDERSTOOD = {
    "conjugated": "The coefficients are taken as those of the basis' complex conjugate.",
    "projections": "The coefficients are taken as projections on the basis' components, whose own products are divided "
    "out.",
}


def along_time(
    file: Path,
    source: SourceArray,
    schedule: Schedule | None,
    basis: AnyArray | str | os.PathLike[str] | None,
    recorded: Any,
    variable: str | None,
    convention: Convention,
    order: Sequence[int] | str | None,
    watch: Watch,
    notes: list[str],
) -> tuple[AlongTime, AnyArray | None]:
    """Return how long a stack is along time, and the basis of its coefficients; None where it holds samples.

    Parameters
    ----------
    file : Path
        Of the stack.
    source : SourceArray
        Its array.
    schedule : Schedule, optional
        May be left out where there is a basis.
    basis : array or path, optional
        As it was given.
    recorded : object
        What the stack's own JSON says of its basis; None: nothing.
    variable, convention, order
        How a basis that was given is understood; see `napari_blochnet.fingerprints.compressed.bases`.
    watch : Watch
    notes : list of str
        Receives what was understood.

    Raises
    ------
    InputError
        No basis that fits.
    """
    pulses = None if schedule is None else len(schedule)
    if basis is not None:
        # NIfTI and BART fix which axis it is
        is_fixed = (source.geometry is not None or source.is_time_first) and source.data.ndim == 4
        lengths = source.data.shape[:1] if is_fixed else source.data.shape
        found, said = read_basis(basis, lengths, pulses, variable, watch=watch)
        notes += [*said, *([_UNDERSTOOD[convention]] if convention in _UNDERSTOOD else [])]
        found = under_convention(found, convention, order)
    elif recorded is not None:
        try:
            found = basis_from_json(recorded)
        except ValueError as error:
            raise FileError(file, f"the basis beside it {error}", field="basis") from None
    else:
        assert schedule is not None
        return AlongTime(len(schedule), schedule.name), None
    return AlongTime(found.shape[1], are_coefficients=True), found
