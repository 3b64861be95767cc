"""One estimator under every published schedule: what needs no training against dictionaries and the physical limit."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.progress import Watch
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study, data_file, with_noise
from napari_blochnet.studies.settings_studies import SchedulesSettings

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimates, Estimator

__all__ = ["published_schedules", "score_schedules"]

# Of the paper's phantom: T1 and T2, ms, and PD.
_TISSUES = {"white matter": (811.0, 77.0, 0.8), "grey matter": (1545.0, 83.0, 1.0), "CSF": (5012.0, 512.0, 1.0)}
_BATCH = 4096


def published_schedules(data: Path | None) -> dict[str, Schedule]:
    """Return the published schedules of the data folder, and one of constant flip angle.

    Parameters
    ----------
    data : path
        Folder with ``schedules/`` and ``acquired/vumc_mrf_500/MRF_500.csv``. What their files leave open is set to
        what they were published with, where that is known.

    Raises
    ------
    InputError
        A file that is not there.
    """
    from napari_blochnet.schedules.schedule_files import read_schedule

    def pair(name: str) -> list[str | os.PathLike[str]]:
        return [data_file(data, "schedules", f"{name}_fa.txt"), data_file(data, "schedules", f"{name}_tr.txt")]

    def fractions(*parts: str, **hints: Any) -> Schedule:
        return read_schedule(data_file(data, *parts), echo_time=3.3, **hints)

    return {
        "FISP": read_schedule(pair("yun"), echo_time=10.0, inversion_time=0.0),
        "cao": read_schedule(pair("cao"), echo_time=4.0, inversion_time=20.0),
        "fatr": read_schedule(data_file(data, "schedules", "fatr.mat"), echo_time=3.0, inversion_time=20.0),
        "MRF_210": fractions("schedules", "MRF_210.csv", flip_angle=70.0, repetition_time=28.0, inversion_time=28.0),
        "MRF_500": fractions(
            "acquired", "vumc_mrf_500", "MRF_500.csv", flip_angle=60.0, repetition_time=15.0, inversion_time=15.0
        ),
        "MRF_1000": fractions("schedules", "MRF_1000.csv", flip_angle=70.0, repetition_time=16.0, inversion_time=20.0),
        "constant 15°": Schedule(np.full(500, 15.0), 12.0, 4.0, inversion_time=20.0, name="constant 15°"),
    }


def score_schedules(study: Study, given: SchedulesSettings) -> ExperimentResult:
    """Score universal, refined and two dictionaries under every published schedule, noise-free and with noise.

    A row for each schedule, estimator, tissue ("all" noise-free) and parameter.
    """
    rows: list[Row] = []
    for name, schedule in published_schedules(study.data).items():
        key = {"schedule": schedule.digest, **given.model_dump(mode="json")}
        file = f"schedule_{name.replace(' ', '_').rstrip('°')}.json"
        make = partial(_scores, name, schedule, given, study)
        rows += study.piece(file, key, make, partial(_words, name))
    return study.finished(rows, _page(rows, given))


def _words(name: str, rows: list[Row]) -> str:
    clean = {row["estimator"]: row["mse_log10"] for row in rows if row["snr"] is None}
    return f"{name}: noise-free MSE of log10 " + ", ".join(f"{key} {mse:.1e}" for key, mse in clean.items())


def _scores(name: str, schedule: Schedule, given: SchedulesSettings, study: Study) -> list[Row]:
    from napari_blochnet.estimators.fitting.refined import Refined
    from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
    from napari_blochnet.estimators.universal.universal_estimator import Universal
    from napari_blochnet.physics.bounds import cramer_rao_bound
    from napari_blochnet.physics.decoder import EPGDecoder

    watch, device = study.watch, study.device
    dictionaries = [DictionaryMatching(device=device), DictionaryMatching(step=given.small_step, device=device)]
    estimators: dict[str, Estimator] = {
        "universal": Universal(device=device),
        "refined": Refined(Universal(device=device)),
        **{f"dictionary, {len(each.grid):,} atoms": each for each in dictionaries},
    }
    random, decoder = np.random.default_rng(given.seed), EPGDecoder(schedule)
    t2 = np.exp(random.uniform(np.log(10.0), np.log(1000.0), given.voxels))
    t1 = np.exp(random.uniform(np.log(np.maximum(t2, 100.0)), np.log(4500.0)))
    clean = decoder.signal(t1, t2).astype(np.complex64)
    values = np.repeat(list(_TISSUES.values()), given.noisy, axis=0)
    signal = decoder.signal(values[:, 0], values[:, 1]) * values[:, 2:]
    sigma = float(np.sqrt(np.mean(np.abs(signal) ** 2, dtype=np.float64))) / given.snr
    noisy = with_noise(signal, sigma, random)
    bound = cramer_rao_bound(schedule, values[:, 0], values[:, 1], values[:, 2], sigma=sigma, cancelled=watch.cancelled)
    rows: list[Row] = []
    for label, estimator in estimators.items():
        estimator.prepare(schedule, "complex", progress=watch.progress, cancelled=watch.cancelled)
        what: Row = {"schedule": name, "pulses": len(schedule), "estimator": label}
        found = _predict(estimator, clean, schedule, watch)
        decades = [np.log10(np.where(found.failed, 10.0 * truth, made) / truth)
                   for truth, made in ((t1, found.t1), (t2, found.t2))]  # fmt: skip
        rows.append(what | {"snr": None, "tissue": "all", "parameter": "T1, T2", "voxels": given.voxels,
                            "failures": int(found.failed.sum()), "mse_log10": float(np.mean(np.square(decades))),
                            "bound_percent": None, "rmse_percent": None, "rmse_per_bound": None})  # fmt: skip
        found = _predict(estimator, noisy, schedule, watch)
        for index, tissue in enumerate(_TISSUES):
            part = slice(index * given.noisy, (index + 1) * given.noisy)
            for column, parameter in enumerate(("t1", "t2")):
                truth, least = values[part, column], float(getattr(bound, parameter)[part][0])
                rmse = float(np.sqrt(np.mean((getattr(found, parameter)[part] - truth) ** 2)))
                rows.append(what | {"snr": given.snr, "tissue": tissue, "parameter": parameter.upper(),
                                    "voxels": given.noisy, "failures": int(found.failed[part].sum()), "mse_log10": None,
                                    "bound_percent": 100 * least / truth[0], "rmse_percent": 100 * rmse / truth[0],
                                    "rmse_per_bound": rmse / least})  # fmt: skip
    return rows


def _predict(estimator: Estimator, data: AnyArray, schedule: Schedule, watch: Watch) -> Estimates:
    from napari_blochnet.estimators.base import Estimates

    return Estimates.joined([
        estimator.predict(data[start : start + _BATCH], schedule, "complex", cancelled=watch.cancelled)
        for start in range(0, len(data), _BATCH)
    ])  # fmt: skip


def _page(rows: list[Row], given: SchedulesSettings) -> str:
    from napari_blochnet.studies.paper_tables import markdown_grid

    schedules = {row["schedule"]: row["pulses"] for row in rows}
    estimators = list(dict.fromkeys(row["estimator"] for row in rows))
    clean = {(row["schedule"], row["estimator"]): row["mse_log10"] for row in rows if row["snr"] is None}
    lines = ["# One estimator under every published schedule", "",
             f"Noise-free: MSE of log10 T1 and T2 of {given.voxels:,} tissues, T1 100 to 4500 ms, T2 10 to 1000 ms, "
             "T2 ≤ T1.", ""]  # fmt: skip
    lines += markdown_grid(
        ["schedule", "pulses", *estimators],
        [[name, str(pulses), *(f"{clean[name, each]:.1e}" for each in estimators)]
         for name, pulses in schedules.items()],
    )  # fmt: skip
    lines += ["", f"With noise: RMSE of T1 / T2 in per cent at SNR {given.snr:g}, in brackets over the Cramér–Rao "
              f"bound; {given.noisy:,} voxels of each tissue.", ""]  # fmt: skip
    noisy: dict[tuple[Any, ...], Row] = {
        (row["schedule"], row["estimator"], row["tissue"], row["parameter"]): row for row in rows if row["snr"]
    }
    body = []
    for name in schedules:
        for tissue in _TISSUES:
            pairs = [[noisy[name, each, tissue, parameter] for parameter in ("T1", "T2")] for each in estimators]
            body.append([name, tissue, *(_pair(pair) for pair in pairs)])
    lines += markdown_grid(["schedule", "tissue", *estimators], body)
    ratios: dict[str, FloatArray] = {
        each: np.array([row["rmse_per_bound"] for row in rows if row["snr"] and row["estimator"] == each])
        for each in estimators
    }
    lines += ["", "Over the bound, smallest to largest: "
              + "; ".join(f"{each} {found.min():.2f} to {found.max():.2f}" for each, found in ratios.items())
              + f". The root mean square of {given.noisy:,} voxels is itself known to "
              f"{100 / np.sqrt(2 * given.noisy):.1f} %."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _pair(pair: list[Row]) -> str:
    percent, ratio = (" / ".join(f"{row[name]:.2f}" for row in pair) for name in ("rmse_percent", "rmse_per_bound"))
    return f"{percent} ({ratio})"
