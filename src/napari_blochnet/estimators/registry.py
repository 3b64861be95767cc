"""Estimators by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.networks.cards import ARCHITECTURES, stored_models

__all__ = ["estimator_names", "leaves_out_samples", "make_estimator"]


def _dictionary(**settings: Any) -> Estimator:
    from napari_blochnet.estimators.matching.dictionary import DictionaryMatching

    estimator: Estimator = _made(DictionaryMatching, settings)
    return estimator


def _network(name: str, settings: dict[str, Any]) -> Estimator:
    from napari_blochnet.estimators.networks.store import StoredEstimator, load_estimator

    if settings.get("saturation") is not None:
        raise InputError(f"The estimator {name} takes every sample of a fingerprint; leave saturation out, refine, or "
                         "use dictionary or universal.", field="saturation")  # fmt: skip
    known = {key: settings[key] for key in ("device", "other_schedule") if key in settings}
    if _is_path(name):
        return load_estimator(name, **known)
    return StoredEstimator(name, **known)


def _is_path(name: str) -> bool:
    return name.endswith(".safetensors") or "/" in name or os.sep in name


def _universal(**settings: Any) -> Estimator:
    from napari_blochnet.estimators.universal.universal_estimator import Universal

    # the grid of a dictionary is none of its settings
    for grid in ("t1_range", "t2_range", "step"):
        settings.pop(grid, None)
    estimator: Estimator = _made(Universal, settings)
    return estimator


# Each factory imports what it makes: naming the estimators loads neither torch nor numba.
_FACTORIES: dict[str, Callable[..., Estimator]] = {
    "dictionary": _dictionary,
    "universal": _universal,
}
# Networks of the model store; what the dictionary is set by means nothing to them.
_NETWORKS = tuple(ARCHITECTURES)


def estimator_names() -> tuple[str, ...]:
    """Return the names `make_estimator` always knows; the user's own models of the store come on top."""
    return (*_FACTORIES, *_NETWORKS)


def leaves_out_samples(name: str) -> bool:
    """Whether an estimator of this name takes ``saturation``: networks do not."""
    return name in _FACTORIES


def make_estimator(name: str, **settings: Any) -> Estimator:
    """Make an estimator.

    Parameters
    ----------
    name : str
        One of `estimator_names`, the name of a model in the store, or a model file.
    **settings
        Arguments of its class; networks take those they know and leave the rest.

    Raises
    ------
    InputError
        A name or a setting that is not known, a setting out of range.
    """
    if name in _FACTORIES:
        settings.pop("other_schedule", None)
        return _FACTORIES[name](**settings)
    if name in _NETWORKS or _is_path(name):
        return _network(name, settings)
    own = [model.name for model in stored_models()]
    if name in own:
        return _network(name, settings)
    known = ", ".join([*estimator_names(), *(other for other in own if other not in _NETWORKS)])
    raise InputError(f"There is no estimator {name!r}; expected one of {known}, or a model file.", field="estimator")


def _made(estimator: type[Any], settings: dict[str, Any]) -> Any:
    known = inspect.signature(estimator).parameters
    for setting in settings:
        if setting not in known:
            raise InputError(f"The estimator {estimator.name} has no setting {setting}; expected {', '.join(known)}.",
                             field=setting)  # fmt: skip
    return estimator(**settings)
