"""The acquired phantom, refined, against the truth and the site.

Of the scan that played its train once, with and without plausible slice profiles; of the scan that played it four
times, as one train and as it was played.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.regions import read_spheres
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study, data_file
from napari_blochnet.studies.settings_studies import AcquiredSettings

__all__ = ["plausible_profiles", "score_acquired"]

_FOLDER = ("acquired", "vumc_mrf_500")
# The same phantom and slice, of which the site published the means of nine spheres, ms.
_REPEATED = ("acquired", "vumc_mrf_210")
_SITE = {
    "T1": (2714.6, 2212.3, 2086.7, 1828.3, 1423.4, 1187.9, 842.6, 616.8, 444.3),
    "T2": (625.8, 352.4, 233.5, 176.4, 159.5, 111.6, 79.7, 39.5, 24.0),
}
# The spheres whose T1 and T2 lie where this scan can tell them.
_SCORED = 9
_WITH = {"none": "without a profile"}


def plausible_profiles(positions: int, flip_angle: float) -> dict[str, FloatArray | None]:
    """Return slice profiles that a scan may have had: those of common pulses, Bloch-simulated, and none.

    Parameters
    ----------
    positions : int
        Across the slice.
    flip_angle : float
        At which they are simulated, degrees.
    """
    from napari_blochnet.physics.slice_profiles import gaussian_profile, sinc_profile

    return {
        "none": None,
        "sinc, TBW 8": sinc_profile(positions, 8.0, 1.6, flip_angle),
        "sinc, TBW 4": sinc_profile(positions, 4.0, 2.0, flip_angle),
        "sinc, TBW 2": sinc_profile(positions, 2.0, 2.5, flip_angle),
        "Gaussian": gaussian_profile(positions, 3.0, 3.0, flip_angle),
    }


def score_acquired(study: Study, given: AcquiredSettings) -> ExperimentResult:
    """Refine the spheres of an acquired phantom: a row for each profile or number of trains, sphere and parameter.

    The data folder holds ``acquired/vumc_mrf_500``: ``frames.npz``, ``MRF_500.csv`` and ``spheres.csv``; and for the
    train played four times ``acquired/vumc_mrf_210``: ``frames.npz`` and ``MRF_210.csv``.
    """
    from napari_blochnet.schedules.schedule_files import read_schedule

    is_repeated = given.scan == "vumc_mrf_210"
    schedules: dict[str, Schedule]
    if is_repeated:
        column, folder = "trains", _REPEATED
        plain = read_schedule(data_file(study.data, *folder, "MRF_210.csv"), flip_angle=70.0, repetition_time=28.0,
                              echo_time=3.3, inversion_time=28.0)  # fmt: skip
        schedules = {
            "1": plain,
            "4": plain.replace(trains=4, recovery_time=1000.0),
            "steady": plain.replace(trains="steady", recovery_time=1000.0),
        }
    else:
        column, folder = "profile", _FOLDER
        plain = read_schedule(data_file(study.data, *folder, "MRF_500.csv"), flip_angle=60.0, repetition_time=15.0,
                              echo_time=3.3, inversion_time=15.0)  # fmt: skip
        profiles = plausible_profiles(given.positions, 60.0)
        schedules = {name: plain.replace(slice_profile=profile) for name, profile in profiles.items()}
    frames = _frames(data_file(study.data, *folder, "frames.npz"))
    spheres = read_spheres(data_file(study.data, *_FOLDER, "spheres.csv"), (1, *frames.shape[1:]), given.radius)
    if is_repeated:
        spheres = _with_site(spheres)
    rows: list[Row] = []
    for name, schedule in schedules.items():
        # a scan's rows depend on it by its schedule
        key = {column: name, "schedule": schedule.digest, **given.model_dump(mode="json", exclude={"scan"})}
        make = partial(_rows, {column: name}, frames, schedule, spheres, given, study)
        label = name.replace(",", "").replace(" ", "_").lower()
        rows += study.piece(f"acquired_{column}_{label}.json", key, make, partial(_words, f"{column} {name}"))
    if is_repeated:
        rows = [{**row, "percent_of_site": _percent(row["mean"], row["site"])} for row in rows]
    return study.finished(rows, _page_of_trains(rows, given) if is_repeated else _page(rows, given))


def _with_site(spheres: tuple[Region, ...]) -> tuple[Region, ...]:
    """Return spheres with the site's means of the repeated train; those beyond the ninth have none."""
    known = [{"T1": t1, "T2": t2} for t1, t2 in zip(_SITE["T1"], _SITE["T2"], strict=True)]
    return tuple(
        replace(sphere, references={**sphere.references, "site": known[n] if n < len(known) else {}})
        for n, sphere in enumerate(spheres)
    )


def _words(what: str, rows: list[Row]) -> str:
    return f"{what}: mean |error| " + ", ".join(f"{p} {_mean(rows, p):.2f} %" for p in ("T1", "T2"))


def _frames(path: Path) -> AnyArray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            frames: AnyArray = archive["frames"]
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{path.name}: cannot be read as an archive of frames ({error}); expected an array frames "
                         "(time, y, x).", field="data") from None  # fmt: skip
    if frames.ndim != 3:
        raise InputError(f"{path.name}: frames has shape {frames.shape}; expected (time, y, x).", field="data")
    return frames


def _rows(
    first: Row,
    frames: AnyArray,
    schedule: Schedule,
    spheres: tuple[Region, ...],
    given: AcquiredSettings,
    study: Study,
) -> list[Row]:
    from napari_blochnet.jobs.operations.reconstruct import reconstruct

    inside = np.any([sphere.mask for sphere in spheres], axis=0)
    stack = FingerprintStack(frames[:, None], schedule, "magnitude", mask=inside)
    maps = reconstruct(stack, "universal", refine=True, saturation=given.saturation, device=study.device,
                       progress=study.watch.progress, cancelled=study.watch.cancelled)  # fmt: skip
    assert maps.converged is not None
    assert maps.residual is not None
    rows: list[Row] = []
    for sphere in spheres:
        good = sphere.mask & ~maps.failed
        for parameter in ("T1", "T2"):
            values, errors = (np.asarray(getattr(maps, name))[good].astype(np.float64)
                              for name in (parameter.lower(), f"{parameter.lower()}_se"))  # fmt: skip
            truth, site = (sphere.references[origin].get(parameter) for origin in ("true", "site"))
            mean = float(values.mean())
            rows.append({
                **first, "sphere": sphere.name, "parameter": parameter, "voxels": int(good.sum()),
                "failures": int((sphere.mask & maps.failed).sum()), "true": truth, "site": site,
                "mean": mean, "sd": float(values.std(ddof=1)),
                "standard_error": float(np.sqrt(np.mean(errors**2))),
                "percent": _percent(mean, truth), "site_percent": _percent(site, truth),
                "residual": float(maps.residual[good].mean()), "not_converged": int((good & ~maps.converged).sum()),
            })  # fmt: skip
    return rows


def _percent(value: float | None, reference: float | None) -> float | None:
    """Return the deviation of a value from a reference; None where there is none."""
    return None if value is None or reference is None else 100.0 * (value / reference - 1.0)


def _mean(rows: list[Row], parameter: str, column: str = "percent") -> float:
    """Return the mean of |error| over the scored spheres."""
    found = [row[column] for row in rows if row["parameter"] == parameter][:_SCORED]
    return float(np.mean(np.abs(found)))


def _residual(rows: list[Row]) -> float:
    return float(np.mean([row["residual"] for row in rows if row["parameter"] == "T1"][:_SCORED]))


def _page_of_trains(rows: list[Row], given: AcquiredSettings) -> str:
    from napari_blochnet.estimators.fitting.standard_errors import PRECISION_NOTE
    from napari_blochnet.studies.paper_tables import markdown_grid

    named = {"1": "one train", "4": "four trains, the last recorded", "steady": "the steady state"}
    by_trains = {key: [row for row in rows if row["trains"] == key] for key in named}
    lines = ["# An acquired phantom whose train was played four times, refined", "",
             "Magnitude frames of 8 bits, 210 TRs, 1000 ms from a train to the next; samples of "
             f"{given.saturation:g} and more left out; universal, refined, Rician; means over spheres of radius "
             f"{given.radius:g} voxels.", "",
             f"Mean |deviation| over spheres 1 to {_SCORED}, per cent.", ""]  # fmt: skip
    summary = [
        [f"mapped as {named[key]}",
         *(f"{_mean(mine, p, column):.2f}" for column in ("percent_of_site", "percent") for p in ("T1", "T2")),
         f"{_residual(mine):.4f}"]
        for key, mine in by_trains.items()
    ]  # fmt: skip
    summary.append(["the site's own dictionary, complex data", "", "",
                    *(f"{_mean(by_trains['1'], p, 'site_percent'):.2f}" for p in ("T1", "T2")), ""])  # fmt: skip
    lines += markdown_grid(
        ["", "T1 from the site's", "T2 from the site's", "T1 from the truth", "T2 from the truth", "residual"], summary
    )
    for parameter in ("T1", "T2"):
        lines += ["", f"## {parameter}", "", "Means, ms, and their deviation from the site's, or from the truth where "
                  "the site gives none.", ""]  # fmt: skip
        body = []
        for each in zip(*([row for row in mine if row["parameter"] == parameter] for mine in by_trains.values()),
                        strict=True):  # fmt: skip
            has_site = each[0]["site"] is not None
            column, mark = ("percent_of_site", "") if has_site else ("percent", " of the truth")
            site = f"{each[0]['site']:.1f}" if has_site else ""
            body.append([each[0]["sphere"], f"{each[0]['true']:.1f}", site,
                         *(f"{row['mean']:.1f} ({row[column]:+.1f} %{mark})" for row in each)])  # fmt: skip
        lines += markdown_grid(["sphere", "true, ms", "site, ms", *named.values()], body)
    lines += ["", PRECISION_NOTE]
    return "\n".join(lines) + "\n"


def _page(rows: list[Row], given: AcquiredSettings) -> str:
    from napari_blochnet.estimators.fitting.standard_errors import PRECISION_NOTE
    from napari_blochnet.studies.paper_tables import markdown_grid

    profiles: dict[str, list[Row]] = {}
    for row in rows:
        profiles.setdefault(row["profile"], []).append(row)
    lines = ["# An acquired phantom, refined", "",
             f"Magnitude frames of 8 bits, 500 TRs; samples of {given.saturation:g} and more left out; universal, "
             f"refined, Rician; means over spheres of radius {given.radius:g} voxels.", "",
             f"Mean |error| over spheres 1 to {_SCORED} against the truth, per cent. No slice profile is published for "
             "this scan: the profiles are those of common pulses at 60°, none of them tuned.", ""]  # fmt: skip
    first = profiles["none"]
    summary = [["the site's own dictionary, complex data",
                *(f"{_mean(first, p, 'site_percent'):.2f}" for p in ("T1", "T2")), "", ""]]  # fmt: skip
    for name, mine in profiles.items():
        lost = sum(row["not_converged"] for row in mine if row["parameter"] == "T1")
        summary.append(
            [f"profile: {name}", *(f"{_mean(mine, p):.2f}" for p in ("T1", "T2")), f"{_residual(mine):.4f}", str(lost)]
        )
    lines += markdown_grid(["", "T1", "T2", "residual", "not converged"], summary)
    least = min(profiles, key=lambda name: _residual(profiles[name]))
    lines += ["", f"The data themselves are explained best {_WITH.get(least, f'with the profile {least}')}: there the "
              "residual is smallest."]  # fmt: skip
    for parameter in ("T1", "T2"):
        by_sphere = {row["sphere"]: row for row in first if row["parameter"] == parameter}
        head = ["sphere", "true, ms", "site", "refined, ms", "SD", "SE of a voxel", *(f"{name}" for name in profiles)]
        body = []
        for sphere, row in by_sphere.items():
            which = sphere, parameter
            errors = [next(each["percent"] for each in mine if (each["sphere"], each["parameter"]) == which)
                      for mine in profiles.values()]  # fmt: skip
            values = [f"{row[name]:.1f}" for name in ("mean", "sd", "standard_error")]
            body.append([sphere, f"{row['true']:.1f}", f"{row['site_percent']:+.1f} %", *values,
                         *(f"{each:+.1f} %" for each in errors)])  # fmt: skip
        lines += ["", f"## {parameter}", "", "Deviation of the mean from the truth; refined, SD and standard error "
                  "without a profile, then the deviation with each profile.", ""]  # fmt: skip
        lines += markdown_grid(head, body)
    lines += ["", PRECISION_NOTE]
    return "\n".join(lines) + "\n"
