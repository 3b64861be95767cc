"""Trained networks as files: safetensors with the card in the header, read and written.

Weights keep single precision unless asked otherwise: a network that comes within a tenth of the Cramér–Rao bound loses
much of that by rounding to half precision (T1 of CSF at SNR 50: from 1.08 to 2.08 times the bound).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.networks.cards import (
    CARD_KEY,
    SUFFIX,
    check_card,
    read_card,
    schedules_of,
    user_folder,
)
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.tensors import read_tensors, write_tensors
from napari_blochnet.io.atomic import replacing_set
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.io.sets.reading_whole import reads_whole
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["read_model", "write_model"]


def write_model(model: LabelNetwork, card: dict[str, Any], path: str | os.PathLike[str], *, half: bool = False) -> Path:
    """Write a network and its card.

    Parameters
    ----------
    model : LabelNetwork
    card : dict
        How it was trained; JSON.
    path : path
        Ending in ``.safetensors``, or a bare name, which is put into the user's own store.
    half : bool
        Round the weights to half precision: half the file, for networks that are some tenths from the bound.

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
        raise InputError(
            f"{target.name}: a model is written as safetensors; expected a name ending in {SUFFIX}.", field="path"
        )
    check_outputs([target, target.with_suffix(".json")], instead="another name")
    card = {**card, "precision": "float16" if half else "float32"}
    check_card(card, target.name)
    tensors = {}
    for name, value in model.state_dict().items():
        stored = value.detach().cpu()
        stored = stored.half() if half else stored
        if not torch.isfinite(stored).all():
            raise InputError(
                f"The weights {name} are not finite; expected a training that did not diverge.", field="estimator"
            )
        tensors[name] = stored
    with replacing_set([target, target.with_suffix(".json")]) as draft:
        write_tensors(draft / target.name, tensors, {CARD_KEY: json.dumps(card, allow_nan=False)})
        write_json(card, draft / f"{target.stem}.json")
    return target


@reads_whole
def read_model(path: Path) -> tuple[LabelNetwork, list[Schedule], dict[str, Any]]:
    """Return a network, the schedules it was trained for, and its card.

    Raises
    ------
    InputError
        A file that is damaged or holds another network than its card says.
    """
    card = read_card(path)
    schedules = schedules_of(card, path.name)
    network = card["network"]
    # the sizes a card claims cost no memory before the file's header has confirmed them
    with torch.device("meta"):
        model = LabelNetwork(
            card["architecture"], network["length"], network["widths"], network["subspace"], network["activation"]
        )
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    tensors, _ = read_tensors(path, expected=expected)
    model.load_state_dict({name: tensors[name].float() for name in expected}, assign=True)
    if not all(torch.isfinite(value).all() for value in model.state_dict().values()):
        raise InputError(f"{path.name}: holds weights that are not finite; expected a trained model.", field="path")
    model.requires_grad_(True)
    return model, schedules, card
