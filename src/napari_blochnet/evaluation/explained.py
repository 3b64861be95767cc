"""Does it fit? What maps leave unexplained of their fingerprints, beside what noise explains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.noise import noise_in
from napari_blochnet.fingerprints.stack import FingerprintStack

if TYPE_CHECKING:
    from napari_blochnet.estimators.brought.conventions import OtherConvention

__all__ = ["misfit", "recorded_misfits", "sample_of"]

# Median residual up to which nothing is looked into.
_SUSPICIOUS = 0.5
# Share of a signal's energy, beyond that of the noise, which is most of it: half of its amplitude.
_MOST_OF_IT = 0.5**2
# The same without an inversion pulse: a file that says nothing of one is read so, and its maps are wrong by far more
# than their residual shows. 0.30 in an acquired stack that had one, 0.10 with its TI.
_NOT_INVERTED = 0.2
# A voxel has signal where its energy is this many times that of its noise, and this many standard deviations above it.
_SIGNAL, _DEVIATIONS = 1.3, 6.0
# Coefficients of this share of the energy of strong ones may be noise.
_FAINT = 0.1
# Voxels looked at, in slices.
_VOXELS, _SLICES = 512, 4


def misfit(maps: ParameterMaps, stack: FingerprintStack) -> str | None:
    """Say where most of the signal is unexplained in most voxels; None where maps fit their fingerprints.

    Of a schedule without an inversion pulse, a fifth of the amplitude is enough: that pulse may have been left out.

    Parameters
    ----------
    maps : ParameterMaps
    stack : FingerprintStack
        What they were made from.

    Returns
    -------
    str or None
        One sentence: how much, and what to check.

    Notes
    -----
    What white noise explains is left aside: of its known standard deviation, or else as `noise_in` finds it in a sample
    of the voxels. Voxels that hold nothing but noise say nothing.
    """
    if maps.residual is None:
        return None
    answered = maps.mask & ~maps.failed
    residual = maps.residual[answered]
    # preparations that somebody stated left none out
    is_inverted = stack.schedule is None or bool(stack.schedule.all_preparations)
    suspicious = _SUSPICIOUS if is_inverted else _NOT_INVERTED
    if not residual.size or (median := float(np.median(residual))) <= suspicious:
        return None
    chosen = sample_of(answered)
    # what a few voxels have of noise is seen beside others
    looked_at = chosen | sample_of(stack.mask)
    samples = stack.fingerprints(looked_at)
    channels = 2 if stack.kind == "complex" else 1
    # both channels add to the mean square of a magnitude
    share = 2.0 if stack.kind == "magnitude" else 1.0
    if stack.subspace is not None:
        samples = stack.subspace.coordinates(samples)
    sigma = stack.noise_of_coordinates
    if sigma is not None:
        numbers = share * channels * samples.shape[1]
        noise = np.full(np.count_nonzero(chosen), numbers * float(sigma) ** 2)
    elif stack.is_compressed:
        # a few coefficients do not tell it from signal: background, where the mask holds some, is what is much smaller
        energy = np.square(np.abs(samples), dtype=np.float64).sum(axis=1)
        noise = np.where(energy < _FAINT * np.quantile(energy, 0.95), energy, 0.0)[chosen[looked_at]]
    else:
        noise = share * noise_in(samples)[chosen[looked_at]]
    samples = samples[chosen[looked_at]]
    energy = np.square(np.abs(samples), dtype=np.float64).sum(axis=1)
    spread = _DEVIATIONS * np.sqrt(2.0 / (channels * samples.shape[1]))
    signal = energy > noise * max(_SIGNAL, 1.0 + spread)
    if not signal.any():
        return None
    left = np.square(maps.residual[chosen].astype(np.float64)) * energy - noise
    shares = left[signal] / (energy - noise)[signal]
    if not is_inverted and _is_most(shares > _NOT_INVERTED**2) and not _is_most(shares > _MOST_OF_IT):
        return (
            f"The maps by {maps.estimator} leave more of the signal unexplained in most voxels than noise does (median "
            f"residual {100 * median:.0f} %), and the schedule has no inversion pulse; check whether the scan had one, "
            "and its inversion time."
        )
    if not _is_most(shares > _MOST_OF_IT):
        return None
    if stack.basis is not None:
        other = None if stack.schedule is None else _other_convention(stack, looked_at)
        if other is not None:
            return (
                f"The maps by {maps.estimator} leave most of the signal unexplained in most voxels (median residual "
                f"{100 * median:.0f} %), and {100 * other.left:.0f} % would be left where the coefficients are taken "
                f"{other.how}; open them with {other.remedy.removesuffix(' as it is opened')}."
            )
        checks = ["whether basis and dictionary belong to these coefficients", "their order and conjugation",
                  "whether they are projections"]  # fmt: skip
        if stack.schedule is not None:
            checks.insert(0, "the schedule")
        return (
            f"The maps by {maps.estimator} leave most of the signal unexplained in most voxels (median residual "
            f"{100 * median:.0f} %); check {', '.join(checks[:-1])}, and {checks[-1]}."
        )
    checks = ["the schedule", "the units of its angles and times", f"the kind of signal ({stack.kind})"]
    if stack.kind != "magnitude":
        checks.insert(2, "the receiver phase")
    return (
        f"The maps by {maps.estimator} leave most of the signal unexplained in most voxels, more than noise does "
        f"(median residual {100 * median:.0f} %); check {', '.join(checks[:-1])} and {checks[-1]}."
    )


def recorded_misfits(maps: Iterable[ParameterMaps]) -> list[str]:
    """Return what `misfit` said of maps when they were made, each sentence once."""
    said = (item.record.get("misfit") for item in maps)
    return list(dict.fromkeys(sentence for sentence in said if isinstance(sentence, str)))


def _other_convention(stack: FingerprintStack, some: BoolArray) -> OtherConvention | None:
    from napari_blochnet.estimators.brought.conventions import convention_of_signals

    assert stack.basis is not None
    return convention_of_signals(stack.schedule, stack.fingerprints(some), stack.basis)


def _is_most(found: BoolArray) -> bool:
    return bool(2 * np.count_nonzero(found) > len(found))


def sample_of(inside: np.ndarray) -> np.ndarray:
    """Return some of the voxels inside, spread over a few slices: a stack on disk is read in slices."""
    slices = np.flatnonzero(inside.any(axis=(1, 2)))
    part = np.zeros_like(inside)
    few = np.unique(slices[np.linspace(0, len(slices) - 1, _SLICES).astype(np.intp)])
    part[few] = inside[few]
    index = np.flatnonzero(part)
    some = np.zeros_like(inside)
    some.reshape(-1)[index[np.linspace(0, len(index) - 1, min(_VOXELS, len(index))).astype(np.intp)]] = True
    return some
