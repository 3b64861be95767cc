"""What the Compare tab computes: scores where the truth is the reference, and agreement with whatever is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_blochnet.common.grids import turned_onto
from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import TRUTH, Region, numbered_names
from napari_blochnet.jobs.operations.compare import agreement, compare
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings
from napari_blochnet.napari_ui.state.session import Compared, Session
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["agree_with", "can_be_compared", "compare_with", "covering_truth"]


def can_be_compared(reference: Phantom | ParameterMaps, maps: ParameterMaps) -> bool:
    """Whether maps lie where the reference does, perhaps stored in other directions."""
    if isinstance(reference, Phantom):
        return part_of_truth(reference, maps) is not None
    if reference is maps:
        return False
    named = {"name": maps.estimator, "onto": reference.estimator}
    mask = np.broadcast_to(np.True_, maps.shape)
    return turned_onto(mask, maps.geometry, reference.shape, reference.geometry, **named) is not None


def covering_truth(session: Session, maps: ParameterMaps) -> Phantom | None:
    """Return the newest phantom that is open and covers maps."""
    found = [entry.subject for entry in session.entries("phantom")]
    return next((phantom for phantom in reversed(found) if part_of_truth(phantom, maps) is not None), None)


def compare_with(
    truth: Phantom | None,
    reference: ParameterMaps | None,
    maps: Sequence[ParameterMaps],
    scores: CompareSettings,
    agreeing: AgreementSettings,
    **watched: Any,
) -> Compared:
    """Compare maps with the truth, or where a model is the reference with this; worker thread.

    Parameters
    ----------
    truth : Phantom, optional
        Beside a reference that is a model: whose tissues are told apart.
    reference : ParameterMaps, optional
        None: the truth.
    maps : sequence of ParameterMaps
    scores, agreeing : settings
    **watched
        ``progress`` and ``cancelled``, see `napari_blochnet.common.progress`.
    """
    comparison = None if reference is not None or truth is None else compare(truth, maps, scores, **watched)
    return agree_with(Compared(comparison, truth, tuple(maps), reference), None, agreeing, **watched)


def agree_with(
    compared: Compared,
    regions: Sequence[Region] | None,
    settings: AgreementSettings,
    **watched: Any,
) -> Compared:
    """Return what was compared with its agreement, in these regions too.

    Parameters
    ----------
    compared : Compared
    regions : sequence of Region, optional
        On the first maps' grid: the reference's, where it is a model.
    settings : AgreementSettings
        The reference in it is not read.
    """
    several = [*([] if compared.reference is None else [compared.reference]), *compared.maps]
    # a model's name among others of the same name
    called = TRUTH if compared.reference is None else numbered_names([item.estimator for item in several])[0]
    chosen = settings.model_copy(update={"reference": called})
    found = agreement(several, compared.truth, regions, chosen, **watched)
    return Compared(compared.comparison, compared.truth, compared.maps, compared.reference, found)
