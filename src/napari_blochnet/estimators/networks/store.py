"""The model store: trained networks by name or file, the package's own and the user's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.base import Block, Conditions, Estimates
from napari_blochnet.estimators.declared import DeclaredNetwork
from napari_blochnet.estimators.networks.cards import SUFFIX, is_path, packaged_folder, stored_models
from napari_blochnet.estimators.networks.model_files import read_model
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["StoredEstimator", "load_estimator"]


def load_estimator(
    name_or_path: str | os.PathLike[str],
    *,
    schedule: Schedule | None = None,
    device: str = "cpu",
    other_schedule: bool = False,
) -> NetworkEstimator:
    """Load a trained network.

    Parameters
    ----------
    name_or_path : str or path
        A model file, the name of a model in the store, or an architecture, for which the store is searched.
    schedule : Schedule, optional
        What it is wanted for, where the store has several of that architecture: an architecture stands for the
        package's own network where it suits, so that no training changes what a record or recipe means. None: the
        first.
    device : str
        "cpu", "auto" or a torch device.
    other_schedule : bool
        Let it map fingerprints of schedules it was not trained for.

    Raises
    ------
    InputError
        No such model; none for this schedule; a file that is damaged or holds another network than its card says.
    """
    text = os.fspath(name_or_path)
    if is_path(text):
        return _load(Path(text).expanduser(), device, other_schedule)
    models = sorted(stored_models(), key=lambda model: (model.name != text, not model.packaged))
    candidates = [model for model in models if text in (model.name, model.architecture)]
    if not candidates:
        known = sorted({model.name for model in models})
        what = f"; it has {', '.join(known)}" if known else ", which is empty"
        raise InputError(f"There is no model {text!r} in the store{what}; expected one of those or a model file "
                         f"({SUFFIX}).", field="estimator")  # fmt: skip
    fitting = [model for model in candidates if schedule is None or schedule in model.schedules]
    # a model asked for by its own name is taken as it is; its schedule is checked when it maps
    fitting = fitting or [model for model in candidates if model.name == text or other_schedule]
    if not fitting:
        assert schedule is not None
        raise InputError(
            f"The store has no {text} network for [{schedule.describe()}]; expected one of its schedules "
            f"({'; '.join(sorted({made_for.name for model in candidates for made_for in model.schedules}))}): train "
            "one for yours.",
            field="estimator",
        )
    return _load(fitting[0].path, device, other_schedule)


def _load(path: Path, device: str, other_schedule: bool) -> NetworkEstimator:
    model, schedules, card = read_model(path)
    # a model of one's own goes by its file's name, so that two of one architecture can be told apart
    name = card["architecture"] if path.parent == packaged_folder() else path.stem
    made = NetworkEstimator(model, schedules, card, name=name, device=device, other_schedule=other_schedule)
    made.source = path.stem if path.parent == packaged_folder() else str(path)
    return made


class StoredEstimator(DeclaredNetwork):
    """A network by name: which file of the store, the schedule of the data decides.

    Parameters
    ----------
    name : str
        An architecture, or the name of a stored model.
    device : str
    other_schedule : bool
        See `load_estimator`.
    """

    block = None  # the model cuts them

    def __init__(self, name: str, *, device: str = "cpu", other_schedule: bool = False) -> None:
        self.name, self.device, self.other_schedule = name, device, other_schedule
        self._loaded: tuple[Schedule, NetworkEstimator] | None = None

    @property
    def description(self) -> str:
        """One line for records: the model that was taken, once data was seen."""
        return self.name if self._loaded is None else self._loaded[1].description

    def to(self, device: str) -> Self:
        """Move the network to another device, now or once it is loaded."""
        if self._loaded is not None:
            self._loaded[1].to(device)
        self.device = device
        return self

    def estimator(self, schedule: Schedule) -> NetworkEstimator:
        """Return the model for a schedule, loaded at its first use."""
        if self._loaded is None or self._loaded[0] != schedule:
            model = load_estimator(self.name, schedule=schedule, device=self.device, other_schedule=self.other_schedule)
            self._loaded = schedule, model
        return self._loaded[1]

    def check(self, schedule: Schedule, kind: SignalKind) -> None:
        self.estimator(schedule).check(schedule, kind)

    def check_subspace(self, subspace: Subspace, schedule: Schedule, kind: SignalKind) -> None:
        self.estimator(schedule).check_subspace(subspace, schedule, kind)

    @property
    def understood(self) -> tuple[str, ...]:
        """What the model understood."""
        return () if self._loaded is None else self._loaded[1].understood

    def make_ready_for(self, given: Conditions) -> NetworkEstimator:
        """Load the model for the schedule and make it ready."""
        model = self.estimator(given.schedule)
        model.prepare(given.schedule, given.kind, subspace=given.subspace)
        self.takes_aliasing, self.trained_scan = model.takes_aliasing, model.trained_scan
        return model

    def estimate(self, block: Block) -> Estimates:
        """Estimate fingerprints as the model does."""
        model: NetworkEstimator = block.ready
        return model.estimate_blocks(block)
