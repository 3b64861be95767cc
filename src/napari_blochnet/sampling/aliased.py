"""Which stacks have an error that the residuals of their voxels do not tell, or that a network does not know."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.fingerprints.compressed.hidden_sums import hidden_components
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.sampling.scans import Scan

__all__ = ["is_undersampled", "read_the_same", "warned_of_aliasing", "why_no_errors"]

_UNDERSAMPLED = (
    "There are no standard errors: k-space was undersampled, and what aliasing, or the prior of coefficient images, "
    "adds is not white noise, which is all that residuals tell of; give noise_covariance as 'background', of frames "
    "compressed to coefficients, or noise_sigma to take it as white."
)
# What 95 % intervals from the covariance outside the object were found to cover, of the truth at the resolution of
# k-space (head slices, 48-fold, 8 coils): spirals, frames compressed to 6 coefficients at SNR 3 to 30: 93.8 to 98.8 %;
# coefficients without a prior at SNR 10 92 and 94 %, at 30 87 and 92 %. Of the truth of sharper voxels, whose blur is
# no noise, they cover 57 to 80 % at SNR 30. Beyond, less: at SNR 100 67 to 75 %; of radial frames at SNR 30 83 to 86 %;
# with a prior at SNR 10 75 to 85 %, at 30 36 to 42 %.
_MOST_SNR, _COVERED = {"frames": 30.0, "coefficients": 10.0}, "spiral"
_PRIOR = (
    "There are no standard errors: these coefficient images were made with a low-rank prior, which errs inside the "
    "object by more than the noise outside it says; those made with low_rank 0, and frames compressed to coefficients, "
    "have them."
)
_ALIASING = (
    "There are no standard errors: aliasing may outweigh the noise ({found}), and intervals from what lies outside the "
    "object then cover too little; along spirals, with noise of SNR {most:g} or less, they hold."
)
_SUMS = (
    "There are no standard errors: the {frames} frames are sums of {components} time courses, as of coefficients that "
    "were expanded, and what noise they have in common cannot be told from the residual; map the coefficients with "
    "their basis, or give noise_sigma."
)

# What of a simulation says which places of k-space were read.
_PLACES = ("trajectory", "trajectory_file", "interleaves", "rotation")

_UNTRAINED = (
    "{name} was not trained for aliased frames, which these are: its T1 and T2 can be twice as far off as those of "
    "dictionary, universal or a network of the preset aliased, or of coefficient images."
)
_OTHERWISE = (
    "{name} was trained with the aliasing of another scan ({trained}) than these frames have ({here}): its T1 and T2 "
    "may be off by more than those of a network trained for theirs."
)


def is_undersampled(record: Mapping[str, Any]) -> bool:
    """Whether the record of a stack, or of what it was made from, is of a simulation along a trajectory."""
    return bool(_sampling_of(record))


def read_the_same(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two stacks are, by their records, of simulations that undersampled k-space at the same places."""
    here, there = _sampling_of(record), _sampling_of(other)
    return bool(here) and bool(there) and all(here.get(name) == there.get(name) for name in _PLACES)


def _sampling_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of that simulation; empty of others."""
    here: Any = record
    while isinstance(here, Mapping):
        settings, inputs = here.get("settings"), here.get("inputs")
        if isinstance(settings, Mapping) and here.get("operation") == "simulate":
            return settings if settings.get("trajectory") is not None else {}
        # of a stack that was opened what its file says of it, of one to which noise was added what it was before
        before = inputs.get("stack") if isinstance(inputs, Mapping) else here.get("noise_free")
        here = before or here.get("made")
    return {}


def why_no_errors(
    stack: FingerprintStack, noise_sigma: float | None, noise_covariance: str | None = None
) -> str | None:
    """Return why standard errors of a stack would be wrong, in a sentence; None where they would not.

    Parameters
    ----------
    stack : FingerprintStack
        Images that this package undersampled, or frames that are sums of a few time courses, have errors that are no
        white noise.
    noise_sigma : float, optional
        Standard deviation that a person gives for the noise in each real channel: errors follow from it then.
    noise_covariance : str, optional
        How the covariance of coefficients' noise is known.
    """
    if noise_sigma is not None:
        return None
    if noise_covariance is not None:
        return _why_not_outside(_sampling_of(stack.record))
    if is_undersampled(stack.record):
        return _UNDERSAMPLED
    components = hidden_components(stack)
    return None if components is None else _SUMS.format(frames=stack.pulses, components=components)


def _why_not_outside(made: Mapping[str, Any]) -> str | None:
    """Return why what lies outside the object does not tell the errors of a simulation along a trajectory."""
    if not made:
        return None
    if made.get("images") == "coefficients" and made.get("low_rank") != 0:
        return _PRIOR
    trajectory, snr = made.get("trajectory"), made.get("snr")
    most = _MOST_SNR["coefficients" if made.get("images") == "coefficients" else "frames"]
    if trajectory != _COVERED or not isinstance(snr, (int, float)) or snr > most:
        noise = f"SNR {snr:g}" if isinstance(snr, (int, float)) else "no noise"
        return _ALIASING.format(found=f"trajectory {trajectory}, {noise}", most=most)
    return None


def warned_of_aliasing(estimator: Estimator, stack: FingerprintStack) -> list[str]:
    """Return, and warn, that a network does not know the aliasing of a stack; nothing where all is well."""
    made = _sampling_of(stack.record)
    if stack.is_compressed or not made:
        return []
    if not estimator.takes_aliasing:
        said = _UNTRAINED.format(name=estimator.name)
    elif (trained := estimator.trained_scan) is not None and trained.aliases_otherwise(here := Scan.of(made)):
        said = _OTHERWISE.format(name=estimator.name, trained=trained.describe(), here=here.describe())
    else:
        return []
    warnings.warn(said, DataWarning, stacklevel=3)
    return [said]
