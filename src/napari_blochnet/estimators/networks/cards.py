"""The cards of the model store: what models there are and what they are, without their weights and without torch.

A model is one file. Its header carries the card as JSON (architecture, schedules, training, seed, versions, scores); a
copy of the card lies beside it as ``NAME.json`` for people to read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.common.plain_text import counted
from napari_blochnet.estimators.networks.tensors import read_header
from napari_blochnet.sampling.scans import Scan
from napari_blochnet.schedules.schedule import Schedule

__all__ = [
    "ARCHITECTURES",
    "CARD_FORMAT",
    "CARD_KEY",
    "SUFFIX",
    "StoredModel",
    "card_of",
    "check_card",
    "is_path",
    "packaged_folder",
    "read_card",
    "schedules_of",
    "stored_models",
    "trained_scan",
    "user_folder",
    "was_trained_aliased",
]

#: Each architecture with its encoder and its decoder.
ARCHITECTURES: dict[str, tuple[str, str | None]] = {
    "fc": ("fc", None),
    "rnn": ("rnn", None),
    "hydra": ("hydra", None),
    "autoencoder-fc": ("fc", "fc"),
    "autoencoder-rnn": ("rnn", "rnn"),
    "blochnet": ("fc", "epg"),
}
CARD_FORMAT = 1
#: Ending of a model's file, and where its header carries the card.
SUFFIX = ".safetensors"
CARD_KEY = "blochnet_card"
# What is told to people of a model, and what it has to be where a card has it.
_ABOUT: dict[str, type[dict[str, Any]] | type[list[Any]]] = {"training": dict, "scores": dict, "notes": list}


def is_path(name: str) -> bool:
    """Whether a name is that of a file, not of a model in the store."""
    return name.endswith(SUFFIX) or "/" in name or os.sep in name


def packaged_folder() -> Path:
    """Return the folder of the models that came with the package."""
    return Path(__file__).parents[2] / "models"


def user_folder() -> Path:
    """Return the folder of the user's own models; it need not exist yet."""
    from platformdirs import user_data_path

    return user_data_path("napari-blochnet") / "models"


@dataclass(frozen=True)
class StoredModel:
    """A model in the store, by its card alone.

    Parameters
    ----------
    name : str
        Its file's name without ending.
    path : Path
    card : dict
    packaged : bool
        Whether it came with the package.
    """

    name: str
    path: Path
    card: dict[str, Any]
    packaged: bool

    @property
    def architecture(self) -> str:
        """Its architecture."""
        return str(self.card["architecture"])

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The schedules it was trained on."""
        return tuple(schedules_of(self.card, self.path.name))

    def describe(self) -> str:
        """Return one line for people."""
        training = self.card.get("training", {})
        made_for = "; ".join(schedule.name or counted(len(schedule), "pulse") for schedule in self.schedules)
        place = "packaged" if self.packaged else str(self.path)
        how = f"preset {training.get('preset', '?')}, {counted(training.get('epochs_trained', '?'), 'epoch')}"
        return f"{self.name}: {self.architecture} network for {made_for}; {how}; {_aliasing(self.card)}; {place}"


def was_trained_aliased(card: dict[str, Any]) -> bool:
    """Whether a network was trained with what undersampling of k-space adds to fingerprints."""
    return card.get("training", {}).get("aliasing_range") is not None


def trained_scan(card: dict[str, Any]) -> Scan | None:
    """Return the scan whose aliasing a network was trained with; None without any, or of a stack's own."""
    if not was_trained_aliased(card) or card["training"].get("aliasing_from") is not None:
        return None
    return Scan.of(card["training"])


def _aliasing(card: dict[str, Any]) -> str:
    if not was_trained_aliased(card):
        return "not trained for aliased frames"
    scan = trained_scan(card)
    what = f"as in {card['training']['aliasing_from']}" if scan is None else scan.describe()
    return f"trained for aliased frames too ({what})"


def stored_models() -> tuple[StoredModel, ...]:
    """Return the models of the store, the user's own first; files that are no models are left out."""
    found: list[StoredModel] = []
    for folder in (user_folder(), packaged_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                model = StoredModel(path.stem, path, read_card(path), folder == packaged_folder())
                # a damaged schedule would turn up where all models are listed
                _ = model.schedules
            except InputError:
                continue
            found.append(model)
    return tuple(found)


def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a model's card, checked; no weight is read.

    Raises
    ------
    InputError
        A file that is no model of ours, or is damaged.
    """
    _, metadata = read_header(path)
    return card_of(metadata, Path(path).name)


def card_of(metadata: dict[str, str], name: str) -> dict[str, Any]:
    """Return the card in a file's header, checked."""
    try:
        card = parse_json(metadata[CARD_KEY])
    except (KeyError, ValueError):
        raise InputError(
            f"{name}: carries no model card; expected a model that blochnet wrote.", field="path"
        ) from None
    check_card(card, name)
    return dict(card)


def check_card(card: Any, name: str) -> None:
    """Raise `InputError` where a card is no card of this version."""
    damaged = InputError(f"{name}: its model card is damaged", "a model that blochnet wrote", field="path")
    if not isinstance(card, dict) or not isinstance(card.get("network"), dict):
        raise damaged
    if card.get("blochnet_model") != CARD_FORMAT:
        raise InputError(f"{name}: its card has format {card.get('blochnet_model')!r}; expected {CARD_FORMAT}, as this "
                         "version writes.", field="path")  # fmt: skip
    if not isinstance(card.get("architecture"), str) or card["architecture"] not in ARCHITECTURES:
        raise InputError(f"{name}: is a network of architecture {card.get('architecture')!r}; expected one of "
                         f"{', '.join(ARCHITECTURES)}.", field="path")  # fmt: skip
    missing = sorted({"length", "widths", "subspace", "activation"} - set(card["network"]))
    if missing or not isinstance(card.get("schedules"), list) or not card["schedules"]:
        raise InputError(f"{name}: its model card lacks {', '.join(missing) or 'schedules'}; expected a model that "
                         "blochnet wrote.", field="path")  # fmt: skip
    network = card["network"]
    widths, subspace = network["widths"], network["subspace"]
    # neither is of every architecture
    sizes = [
        network["length"],
        *([] if subspace is None else [subspace]),
        *(widths if isinstance(widths, list) else []),
    ]
    if not (widths is None or isinstance(widths, list)) or not all(type(size) is int and size > 0 for size in sizes):
        raise damaged
    if not isinstance(network["activation"], str) or not all(isinstance(known, dict) for known in card["schedules"]):
        raise damaged
    for key, of in _ABOUT.items():
        if not isinstance(card.get(key, of()), of):
            raise damaged
    if not all(_are_scores(scores) for scores in card.get("scores", {}).values()):
        raise damaged


def _are_scores(scores: Any) -> bool:
    if not isinstance(scores, dict) or not isinstance(scores.get("snr", 0), (int, float)):
        return False
    ratios = [value["ratio"] for value in scores.values() if isinstance(value, dict) and "ratio" in value]
    return all(isinstance(ratio, (int, float)) for ratio in ratios)


def schedules_of(card: dict[str, Any], name: str) -> list[Schedule]:
    """Return the schedules a model was trained for."""
    try:
        return [Schedule.from_dict(content) for content in card["schedules"]]
    except InputError as error:
        raise InputError(f"{name}: {error}", field="path") from None
