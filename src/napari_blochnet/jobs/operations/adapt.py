"""Adapting a trained network to a stack of one's own, without labels."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.records import embed_estimator, make_record
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import AdaptSettings

if TYPE_CHECKING:
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.training.state import LossPoint

__all__ = ["adapt"]


@tells_of_compiling
def adapt(
    estimator: str | os.PathLike[str] | NetworkEstimator,
    stack: FingerprintStack,
    settings: AdaptSettings | None = None,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    watch: Callable[[LossPoint], None] | None = None,
    **fields: Any,
) -> NetworkEstimator:
    """Fine-tune a trained network on a stack without labels, for the stack's schedule.

    Parameters
    ----------
    estimator : str, path or NetworkEstimator
        Name or file of a trained network, or one at hand; it is not changed. Its schedule may be another than the
        stack's, of the same length.
    stack : FingerprintStack
        Complex or real.
    settings : AdaptSettings, optional
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    watch : callable, optional
        Called with the loss after each epoch, from the thread that works.
    **fields
        Fields of `AdaptSettings`.

    Returns
    -------
    NetworkEstimator
        ``.save(path)`` writes it.

    Raises
    ------
    InputError
        Settings out of bounds; a network of another length; magnitudes; coefficients; an empty mask.
    Cancelled
        Its ``partial`` is the network so far.
    """
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.estimators.networks.store import load_estimator
    from napari_blochnet.estimators.training.adaptation import AdaptationOptions, adapt_estimator
    from napari_blochnet.estimators.training.against_bound import tissue_scores

    given = settings_from(AdaptSettings, settings, **fields)
    if stack.is_compressed:
        raise InputError(
            f"The stack {stack.name} holds {counted(stack.shape[0], 'coefficient')} for each voxel",
            "whole fingerprints, which networks are adapted to; of coefficients with a schedule, expand makes them",
            field="stack",
        )
    chosen = resolve_device(device)
    made_by: Any = None
    if isinstance(estimator, (str, os.PathLike)):
        made_by = os.fspath(estimator)
        estimator = load_estimator(estimator, device=chosen, other_schedule=True)
    if not stack.mask.any():
        raise InputError(f"The stack {stack.name} has no voxel inside its mask; expected at least one.", field="stack")
    started = time.perf_counter()
    inputs = {
        "estimator": made_by or embed_estimator(estimator),
        "stack": stack.record or {"operation": "given", "stack": stack.name},
    }

    def recorded(adapted: NetworkEstimator, **more: Any) -> NetworkEstimator:
        seconds = time.perf_counter() - started
        adapted.card["record"] = make_record(
            "adapt", given, inputs, device=str(adapted.device), seconds=seconds, **more
        )
        return adapted

    try:
        adapted = adapt_estimator(
            estimator,
            stack.fingerprints(),
            stack.schedule,
            stack.kind,
            AdaptationOptions(**given.model_dump()),
            watch=Watch(progress, cancelled),
            on_loss=watch,
        )
    except Cancelled as stopped:
        if isinstance(stopped.partial, NetworkEstimator):
            recorded(stopped.partial, stopped=str(stopped))
        raise
    try:
        scores = tissue_scores(adapted, stack.schedule, watch=Watch(cancelled=cancelled))
    except Cancelled as stopped:
        raise Cancelled(str(stopped), partial=recorded(adapted)) from None
    adapted.card["scores"] = {stack.schedule.name or "schedule 1": scores}
    return recorded(adapted)
