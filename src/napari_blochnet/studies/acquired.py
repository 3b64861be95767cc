"""The acquired phantom, refined, with and without plausible slice profiles, against the truth and the site."""

from __future__ import annotations

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
    """Refine the spheres of an acquired phantom: a row for each profile, sphere and parameter.

    The data folder holds ``acquired/vumc_mrf_500``: ``frames.npz``, ``MRF_500.csv`` and ``spheres.csv``.
    """
    from napari_blochnet.schedules.schedule_files import read_schedule

    plain = read_schedule(data_file(study.data, *_FOLDER, "MRF_500.csv"), flip_angle=60.0, repetition_time=15.0,
                          echo_time=3.3, inversion_time=15.0)  # fmt: skip
    frames = _frames(data_file(study.data, *_FOLDER, "frames.npz"))
    spheres = read_spheres(data_file(study.data, *_FOLDER, "spheres.csv"), (1, *frames.shape[1:]), given.radius)
    rows: list[Row] = []
    for name, profile in plausible_profiles(given.positions, 60.0).items():
        schedule = plain.replace(slice_profile=profile)
        key = {"profile": name, "schedule": schedule.digest, **given.model_dump(mode="json")}
        make = partial(_rows, name, frames, schedule, spheres, given, study)
        label = name.replace(",", "").replace(" ", "_").lower()
        rows += study.piece(f"acquired_profile_{label}.json", key, make, partial(_words, name))
    return study.finished(rows, _page(rows, given))


def _words(profile: str, rows: list[Row]) -> str:
    return f"profile {profile}: mean |error| " + ", ".join(f"{p} {_mean(rows, p):.2f} %" for p in ("T1", "T2"))


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
    profile: str,
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
            truth, site = (sphere.references[origin][parameter] for origin in ("true", "site"))
            rows.append({
                "profile": profile, "sphere": sphere.name, "parameter": parameter, "voxels": int(good.sum()),
                "failures": int((sphere.mask & maps.failed).sum()), "true": truth, "site": site,
                "mean": float(values.mean()), "sd": float(values.std(ddof=1)),
                "standard_error": float(np.sqrt(np.mean(errors**2))),
                "percent": 100.0 * (float(values.mean()) / truth - 1.0), "site_percent": 100.0 * (site / truth - 1.0),
                "residual": float(maps.residual[good].mean()), "not_converged": int((good & ~maps.converged).sum()),
            })  # fmt: skip
    return rows


def _mean(rows: list[Row], parameter: str, column: str = "percent") -> float:
    """Return the mean of |error| over the scored spheres."""
    found = [abs(row[column]) for row in rows if row["parameter"] == parameter][:_SCORED]
    return float(np.mean(found))


def _residual(rows: list[Row]) -> float:
    return float(np.mean([row["residual"] for row in rows if row["parameter"] == "T1"][:_SCORED]))


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
