"""Which estimators can map a given stack, and why the others cannot; without torch, from the cards of the models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.estimators.base import Estimator, check_signal
from napari_blochnet.estimators.networks.cards import ARCHITECTURES, StoredModel, stored_models
from napari_blochnet.estimators.registry import declared, declared_estimators, make_estimator
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Offer", "estimator_offers", "networks_that_lack"]


@dataclass(frozen=True)
class Offer:
    """An estimator by name, and whether it can map some data.

    Parameters
    ----------
    name : str
        As `napari_blochnet.estimators.registry.make_estimator` takes it.
    description : str
        What it is and how well it does, for people; several lines.
    refusal : str, optional
        Why it cannot map the data, in a sentence. None: it can.
    is_own : bool
        Whether the person trained it.
    """

    name: str
    description: str
    refusal: str | None = None
    is_own: bool = False


def estimator_offers(
    schedule: Schedule | None,
    kind: SignalKind | None,
    *,
    other_schedule: bool = False,
    saturation: float | None = None,
    refine: bool = False,
    without_schedule: bool = False,
    components: int | None = None,
) -> tuple[Offer, ...]:
    """Return all estimators: ``dictionary`` and ``universal``, those of other packages, own models, architectures.

    Parameters
    ----------
    schedule : Schedule, optional
        What made the data. None: not known yet; nothing is refused for its sake.
    kind : {"complex", "real", "magnitude"}, optional
        What the data are. None: not known yet.
    other_schedule, saturation, refine : optional
        Settings of the mapping that bear upon what can be used.
    without_schedule : bool
        Whether it is known that the data come without one.
    components : int, optional
        Of coefficients, where the data are such.
    """

    def refusal(name: str, estimator: type[Estimator]) -> str | None:
        if without_schedule and estimator.needs_schedule:
            return f"{name} simulates the schedule, and these data come without one; use the dictionary they came with."
        if components is not None and not estimator.takes_subspace:
            return f"{name} needs whole fingerprints, and the stack holds {components} coefficients for each voxel."
        if schedule is not None and kind is not None:
            try:
                check_signal(name, schedule, kind, estimator)
            except InputError as error:
                return str(error)
        # what refinement fits leaves them out, whatever it starts from
        if saturation is not None and not refine and "saturation" not in estimator.settings:
            return f"{name} takes every sample of a fingerprint; it cannot leave out saturated ones."
        return None

    models = stored_models()
    offers = [Offer(name, known.about, refusal(name, known)) for name, known in declared_estimators().items()]
    own = [model for model in models if not model.packaged]
    taken = {offer.name for offer in offers}
    for model in own:
        if model.name in taken:
            continue
        taken.add(model.name)
        why = refusal(model.name, declared(model.architecture))
        if why is None and not _fits(model, schedule, other_schedule):
            why = f"{model.name} was trained for {_names([model])}; train one for this schedule in the Train tab."
        offers.append(Offer(model.name, _describe(model), why, is_own=True))
    for architecture in ARCHITECTURES:
        of_kind = [model for model in models if model.architecture == architecture]
        fitting = [model for model in of_kind if _fits(model, schedule, other_schedule)]
        # an architecture's name stands for the package's network; where only the person's own fit, their names do
        packaged = [model for model in fitting if model.packaged]
        if architecture in taken or (fitting and not packaged):
            continue
        why = refusal(architecture, declared(architecture))
        if why is None and not packaged:
            known = f"only for {_names(of_kind)}" if of_kind else "for no schedule"
            why = f"There are weights of {architecture} {known}; train one for this schedule in the Train tab."
        description = _describe(packaged[0]) if packaged else f"{architecture} network"
        offers.append(Offer(architecture, description, why))
    return tuple(offers)


def networks_that_lack(
    names: Iterable[str],
    schedule: Schedule,
    kind: SignalKind,
    subspace: Subspace,
    *,
    other_schedule: bool = False,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> dict[str, str]:
    """Return which networks coefficients hold too little for, and the sentence that says so.

    Each is loaded and tried on the signals of some hundred tissues, which takes seconds.

    Parameters
    ----------
    names : iterable of str
        Of networks, as `estimator_offers` names them.
    schedule : Schedule
    kind : {"complex", "real"}
    subspace : Subspace
        Of the coefficients.
    other_schedule : bool
        Of the mapping.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    """
    watch = Watch(progress, cancelled)
    found: dict[str, str] = {}
    for number, name in enumerate(tried := list(names)):
        watch.check("trying networks")
        watch.report(number, len(tried), f"trying {name}")
        try:
            make_estimator(name, other_schedule=other_schedule).prepare(schedule, kind, subspace=subspace)
        except InputError as error:
            found[name] = str(error)
    return found


def _fits(model: StoredModel, schedule: Schedule | None, other_schedule: bool) -> bool:
    if schedule is None:
        return True
    if other_schedule:
        return bool(model.card["network"]["length"] == len(schedule))
    return schedule in model.schedules


def _names(models: Iterable[StoredModel]) -> str:
    names = {schedule.name or f"{len(schedule)} pulses" for model in models for schedule in model.schedules}
    return ", ".join(sorted(names))


def _describe(model: StoredModel) -> str:
    """Return what a model's card says of it, for people."""
    lines = [model.describe()]
    for name, scores in model.card.get("scores", {}).items():
        ratios = ", ".join(_ratios(scores))
        if ratios:
            lines.append(f"RMSE over the Cramér–Rao bound, {name} at SNR {scores.get('snr', 0):g}: {ratios}.")
    lines += map(str, model.card.get("notes", []))
    return "\n".join(lines)


def _ratios(scores: dict[str, Any]) -> list[str]:
    found = {key: value["ratio"] for key, value in scores.items() if isinstance(value, dict) and "ratio" in value}
    return [f"{key} {ratio:.3g}" for key, ratio in found.items()]
