"""Which estimator the settings of a mapping mean, and which settings mean an estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.records import embed_estimator
from napari_blochnet.jobs.settings import ReconstructSettings, settings_from

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimator
    from napari_blochnet.fingerprints.subspaces import Subspace

__all__ = ["made_by_name", "settings_naming", "with_options"]


def made_by_name(settings: ReconstructSettings) -> Estimator:
    """Return the estimator that settings name."""
    from napari_blochnet.estimators.base import SETTINGS
    from napari_blochnet.estimators.registry import declared, make_estimator, takes_every_sample

    if settings.dictionary is not None:
        from napari_blochnet.estimators.brought.brought_dictionary import read_dictionary

        if settings.estimator != "dictionary":
            raise InputError(f"A dictionary file is given, and {settings.estimator} as the estimator; expected one of "
                             "the two.", field="estimator")  # fmt: skip
        brought = read_dictionary(settings.dictionary, settings.parameters, settings.dictionary_variable)
        if settings.saturation is not None and not settings.refine:
            raise takes_every_sample(brought.name)
        return brought
    options = settings.model_dump(include={*SETTINGS})
    if settings.refine and "saturation" not in declared(settings.estimator).settings:
        # it starts from all samples; the fit, and the coarse dictionary it may start from, leave them out
        options["saturation"] = None
    return make_estimator(settings.estimator, **options)


def settings_naming(estimator: Any, settings: ReconstructSettings) -> tuple[ReconstructSettings, dict[str, Any] | None]:
    """Return settings that name an estimator which was given as an object, and its record where they cannot."""
    from napari_blochnet.estimators.base import Estimator

    if not isinstance(estimator, Estimator):
        raise InputError(
            f"estimator is of type {type(estimator).__name__}; expected a name or an Estimator.", field="estimator"
        )
    if estimator.made_by:
        return settings_from(ReconstructSettings, settings, **estimator.made_by), None
    origin = embed_estimator(estimator)
    other = settings.other_schedule or estimator.other_schedule
    if isinstance(origin, str):
        return settings.model_copy(update={"estimator": origin, "other_schedule": other}), None
    return settings.model_copy(update={"estimator": estimator.name, "other_schedule": other}), origin


def with_options(
    estimator: Estimator, settings: ReconstructSettings, *, with_b1: bool, subspace: Subspace | None = None
) -> Estimator:
    """Return the estimator with what the settings add to any of them.

    Parameters
    ----------
    estimator : Estimator
    settings : ReconstructSettings
    with_b1 : bool
        Whether there is a B1 map.
    subspace : Subspace, optional
        Of the data's coefficients, whose coordinates the estimator is given.
    """
    missing = {"t1", "t2"} - {*estimator.estimated}
    if (settings.refine or settings.uncertainty) and missing:
        asked = "refine" if settings.refine else "uncertainty"
        raise InputError(
            f"{asked} simulates tissues by their T1 and T2, and the dictionary {estimator.name} has no "
            f"{' and no '.join(sorted(name.upper() for name in missing))}",
            f"no {asked}, or a dictionary with both",
            field=asked,
        )
    if settings.refine and "b1" in estimator.estimated and not (with_b1 or settings.fit_b1):
        raise InputError(
            f"refine takes B1 as nominal where it is neither given nor fitted, and the dictionary {estimator.name} "
            "estimates it",
            "fit_b1 or a B1 map with refine, or no refine",
            field="refine",
        )
    sigma = settings.noise_sigma
    if subspace is not None and subspace.noise is not None:
        sigma = subspace.noise
    elif sigma is not None and subspace is not None:
        sigma = subspace.noise_of(sigma)
    if settings.refine:
        from napari_blochnet.estimators.fitting.refined import Refined

        return Refined(estimator, fit_b1=settings.fit_b1, noise_sigma=sigma, saturation=settings.saturation)
    if settings.uncertainty:
        from napari_blochnet.estimators.fitting.standard_errors import WithStandardErrors

        return WithStandardErrors(estimator, noise_sigma=sigma, saturation=settings.saturation)
    return estimator
