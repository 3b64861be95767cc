"""Estimators by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from napari_blochnet.errors import InputError
from napari_blochnet.estimators.base import Estimator

__all__ = ["estimator_names", "make_estimator"]


def _dictionary(**settings: Any) -> Estimator:
    from napari_blochnet.estimators.dictionary import DictionaryMatching

    estimator: Estimator = _made(DictionaryMatching, settings)
    return estimator


def _universal(**settings: Any) -> Estimator:
    from napari_blochnet.estimators.universal import Universal

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


def estimator_names() -> tuple[str, ...]:
    """Return the names `make_estimator` knows."""
    return tuple(_FACTORIES)


def make_estimator(name: str, **settings: Any) -> Estimator:
    """Make an estimator.

    Parameters
    ----------
    name : str
        One of `estimator_names`.
    **settings
        Arguments of its class.

    Raises
    ------
    InputError
        A name or a setting that is not known, a setting out of range.
    """
    if name not in _FACTORIES:
        raise InputError(f"There is no estimator {name!r}; expected one of {', '.join(_FACTORIES)}.", field="estimator")
    return _FACTORIES[name](**settings)


def _made(estimator: type[Any], settings: dict[str, Any]) -> Any:
    known = inspect.signature(estimator).parameters
    for setting in settings:
        if setting not in known:
            raise InputError(f"The estimator {estimator.name} has no setting {setting}; expected {', '.join(known)}.",
                             field=setting)  # fmt: skip
    return estimator(**settings)
