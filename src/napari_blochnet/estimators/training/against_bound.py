"""How well an estimator does under its own schedule: its errors in brain tissue against the Cramér–Rao bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.physics.bounds import cramer_rao_bound
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["BRAIN_TISSUES", "tissue_scores"]

#: T1 and T2, ms, of the paper's phantom.
BRAIN_TISSUES = {"WM": (811.0, 77.0), "GM": (1545.0, 83.0), "CSF": (5012.0, 512.0)}


def tissue_scores(
    estimator: Estimator,
    schedule: Schedule,
    *,
    snr: float = 20.0,
    voxels: int = 4000,
    seed: int = 0,
    watch: Watch = UNWATCHED,
) -> dict[str, Any]:
    """Return bias, RMSE and Cramér–Rao bound of T1 and T2 in white matter, grey matter and CSF.

    Parameters
    ----------
    estimator : Estimator
    schedule : Schedule
        Under which the fingerprints are simulated.
    snr : float
        Root mean square of a tissue's noise-free signal over the noise standard deviation per real channel.
    voxels : int
        Per tissue. Complex data, each voxel with a random PD phase.
    seed : int
        Of phases and noise.

    Returns
    -------
    dict
        By tissue and parameter: ``bias`` and ``rmse`` (ms), ``bound`` (ms), ``ratio`` = rmse/bound; and ``snr``,
        ``voxels``.
    """
    decoder = EPGDecoder(schedule, tolerance=1e-6)
    scores: dict[str, Any] = {"snr": snr, "voxels": voxels, "seed": seed}
    random = np.random.default_rng(seed)
    for tissue, (t1, t2) in BRAIN_TISSUES.items():
        watch.check("scoring")
        signal = decoder.signal([t1], [t2])[0]
        sigma = float(np.sqrt(np.mean(np.abs(signal) ** 2))) / snr
        phase = np.exp(2j * np.pi * random.random((voxels, 1)))
        noise = random.standard_normal((voxels, len(schedule))) + 1j * random.standard_normal((voxels, len(schedule)))
        estimates = estimator.predict((signal * phase + sigma * noise).astype(np.complex64), schedule, "complex")
        bound = cramer_rao_bound(schedule, t1, t2, sigma=sigma)
        for name, truth, values, limit in (("T1", t1, estimates.t1, bound.t1), ("T2", t2, estimates.t2, bound.t2)):
            error = values.astype(np.float64) - truth
            rmse = float(np.sqrt(np.mean(error**2)))
            scores[f"{tissue} {name}"] = {
                "bias": float(error.mean()),
                "rmse": rmse,
                "bound": float(limit),
                "ratio": rmse / float(limit),
            }
    return scores
