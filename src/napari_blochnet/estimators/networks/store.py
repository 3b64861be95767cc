"""The model store: trained networks as safetensors files with their card, the package's own and the user's.

A model is one file with its card in the header (`napari_blochnet.estimators.networks.cards`). Weights are in half
precision unless asked otherwise: the rounding is far below what the training leaves.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Self

import torch

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.base import Estimates
from napari_blochnet.estimators.networks.cards import (
    CARD_KEY,
    SUFFIX,
    check_card,
    packaged_folder,
    read_card,
    schedules_of,
    stored_models,
    user_folder,
)
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
from napari_blochnet.estimators.networks.tensors import read_tensors, write_tensors
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.io.json_files import write_json
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["StoredEstimator", "load_estimator", "save_estimator"]


def save_estimator(estimator: NetworkEstimator, path: str | os.PathLike[str], *, half: bool = True) -> Path:
    """Write a model and its card.

    Parameters
    ----------
    estimator : NetworkEstimator
    path : path
        Ending in ``.safetensors``, or a bare name, which is put into the user's own store.
    half : bool
        Round the weights to half precision.

    Returns
    -------
    Path
        Where it lies.

    Raises
    ------
    InputError
        Another ending; weights that are not finite.
    """
    target = Path(path)
    if target.name == str(path) and not target.suffix:
        target = user_folder() / f"{target.name}{SUFFIX}"
    if target.suffix != SUFFIX:
        raise InputError(f"{target.name}: a model is written as safetensors; expected a name ending in {SUFFIX}.",
                         field="path")  # fmt: skip
    card = {**estimator.card, "precision": "float16" if half else "float32"}
    check_card(card, target.name)
    tensors = {}
    for name, value in estimator.model.state_dict().items():
        stored = value.detach().cpu()
        stored = stored.half() if half else stored
        if not torch.isfinite(stored).all():
            raise InputError(f"The weights {name} are not finite; expected a training that did not diverge.",
                             field="estimator")  # fmt: skip
        tensors[name] = stored
    write_tensors(target, tensors, {CARD_KEY: json.dumps(card, allow_nan=False)})
    write_json(card, target.with_suffix(".json"))
    return target


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
    if text.endswith(SUFFIX) or os.sep in text or (os.altsep and os.altsep in text):
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
    card = read_card(path)
    schedules = schedules_of(card, path.name)
    network = card["network"]
    # the sizes a card claims cost no memory before the file's header has confirmed them
    with torch.device("meta"):
        model = LabelNetwork(card["architecture"], network["length"], network["widths"], network["subspace"],
                             network["activation"])  # fmt: skip
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    tensors, _ = read_tensors(path, expected=expected)
    model.load_state_dict({name: tensors[name].float() for name in expected}, assign=True)
    if not all(torch.isfinite(value).all() for value in model.state_dict().values()):
        raise InputError(f"{path.name}: holds weights that are not finite; expected a trained model.", field="path")
    model.requires_grad_(True)
    # a model of one's own goes by its file's name, so that two of one architecture can be told apart
    name = card["architecture"] if path.parent == packaged_folder() else path.stem
    made = NetworkEstimator(model, schedules, card, name=name, device=device, other_schedule=other_schedule)
    made.source = path.stem if path.parent == packaged_folder() else str(path)
    return made


class StoredEstimator:
    """A network by name: which file of the store, the schedule of the data decides.

    Parameters
    ----------
    name : str
        An architecture, or the name of a stored model.
    device : str
    other_schedule : bool
        See `load_estimator`.
    """

    schedule: Schedule | None = None

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

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Load the model for the schedule and make it ready."""
        self.estimator(schedule).prepare(schedule, kind, progress=progress, cancelled=cancelled)

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate a batch; see `NetworkEstimator.predict`."""
        return self.estimator(schedule).predict(fingerprints, schedule, kind, cancelled=cancelled)
