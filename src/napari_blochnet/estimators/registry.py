"""Estimators by name: the package's own, those that other packages bring, and the networks of the model store."""

from __future__ import annotations

import functools
import importlib
import inspect
import warnings
from collections import Counter
from importlib.metadata import entry_points
from typing import Any, cast

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.estimators.base import SETTINGS, Estimator
from napari_blochnet.estimators.declared import DeclaredDictionary, DeclaredNetwork, DeclaredUniversal
from napari_blochnet.estimators.networks.cards import ARCHITECTURES, is_path, stored_models

__all__ = ["ENTRY_POINTS", "declared", "declared_estimators", "estimator_names", "make_estimator"]

#: Group of entry points by which a package brings estimators: ``name = "module:Class"``.
ENTRY_POINTS = "napari_blochnet.estimators"

# What is declared of each, and where it is implemented: naming the estimators loads neither torch nor numba.
_OWN: dict[str, tuple[type[Estimator], str]] = {
    "dictionary": (DeclaredDictionary, "matching.dictionary:DictionaryMatching"),
    "universal": (DeclaredUniversal, "universal.universal_estimator:Universal"),
}


def estimator_names() -> tuple[str, ...]:
    """Return the names `make_estimator` always knows; the user's own models of the store come on top."""
    return (*declared_estimators(), *ARCHITECTURES)


def declared_estimators() -> dict[str, type[Estimator]]:
    """Return by name what is declared of all estimators that are no networks: the package's own, then others."""
    return {**{name: known for name, (known, _) in _OWN.items()}, **_brought()}


def declared(name: str) -> type[Estimator]:
    """Return what is declared of an estimator before it is made; of a name that is not known, that of a network."""
    if name in _OWN:
        return _OWN[name][0]
    network: type[Estimator] = DeclaredNetwork  # type: ignore[type-abstract]
    return network if name in ARCHITECTURES or is_path(name) else _brought().get(name, network)


def make_estimator(name: str, *, device: str = "cpu", **settings: Any) -> Estimator:
    """Make an estimator.

    Parameters
    ----------
    name : str
        One of `estimator_names`, the name of a model in the store, or a model file.
    device : str
        Where it computes, if it can be moved.
    **settings
        Some of `napari_blochnet.estimators.base.SETTINGS`; those that it does not take are left out.

    Raises
    ------
    InputError
        A name or a setting that is not known, a setting out of range; ``saturation`` for an estimator that takes every
        sample.
    """
    what = declared(name)
    if what is DeclaredNetwork and name not in ARCHITECTURES and not is_path(name):
        own = [model.name for model in stored_models()]
        if name not in own:
            known = ", ".join([*estimator_names(), *(other for other in own if other not in ARCHITECTURES)])
            raise InputError(
                f"There is no estimator {name!r}; expected one of {known}, or a model file.", field="estimator"
            )
    for setting in settings:
        if setting not in SETTINGS:
            raise InputError(
                f"The estimator {name} has no setting {setting}; expected {', '.join(what.settings)}.", field=setting
            )
    if settings.get("saturation") is not None and "saturation" not in what.settings:
        raise takes_every_sample(name)
    taken = {key: value for key, value in settings.items() if key in what.settings}
    return (_network(name, taken) if what is DeclaredNetwork else _implemented(name, what)(**taken)).to(device)


def takes_every_sample(name: str) -> InputError:
    """Return what is said where an estimator cannot leave saturated samples out."""
    return InputError(f"The estimator {name} takes every sample of a fingerprint; leave saturation out, refine, or "
                      "use dictionary or universal.", field="saturation")  # fmt: skip


def _network(name: str, settings: dict[str, Any]) -> Estimator:
    from napari_blochnet.estimators.networks.store import StoredEstimator, load_estimator

    return load_estimator(name, **settings) if is_path(name) else StoredEstimator(name, **settings)


def _implemented(name: str, declaration: type[Estimator]) -> type[Estimator]:
    if name not in _OWN:
        return declaration
    module, _, which = _OWN[name][1].partition(":")
    return cast("type[Estimator]", getattr(importlib.import_module(f"napari_blochnet.estimators.{module}"), which))


@functools.cache
def _brought() -> dict[str, type[Estimator]]:
    """Return the estimators of other packages; a `DataWarning` names each that cannot be used, and says why."""
    entries = {(entry.name, entry.value): entry for entry in entry_points(group=ENTRY_POINTS)}
    if not entries:
        return {}
    taken = Counter([*_OWN, *ARCHITECTURES, *(model.name for model in stored_models()), *(name for name, _ in entries)])
    brought: dict[str, type[Estimator]] = {}
    for (name, value), entry in sorted(entries.items()):
        try:
            brought[name] = _usable(name, entry.load(), alone=taken[name] == 1)
        # whatever another package does when it is loaded
        except Exception as error:
            fails = f"loading it fails ({type(error).__name__}: {error})."
            why = str(error) if isinstance(error, InputError) else fails
            warnings.warn(f"The estimator {name} ({value}) is left out: {why}", DataWarning, stacklevel=2)
    return brought


def _usable(name: str, found: Any, *, alone: bool) -> type[Estimator]:
    """Return an estimator of another package if it is one and can be told from all others."""
    if not alone or is_path(name):
        raise InputError("the name is that of another estimator or of a file; expected one of its own.")
    if not (isinstance(found, type) and issubclass(found, Estimator) and not inspect.isabstract(found)):
        raise InputError("it is no class with the method estimate derived from Estimator; expected one.")
    if found.name != name:
        raise InputError(f"it calls itself {found.name!r}; expected the name of its entry point.")
    unknown = sorted({*found.settings} - {*SETTINGS})
    if unknown:
        raise InputError(f"it declares {', '.join(unknown)}; expected settings among {', '.join(SETTINGS)}.")
    return found
