"""Refined maps of pure tissues against the Cramér–Rao bound: error, bias, and whether the intervals hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.generators import fisp_schedule
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study, with_noise
from napari_blochnet.studies.pieces import head_of as _head
from napari_blochnet.studies.settings_studies import PrecisionSettings

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimates

__all__ = ["score_precision"]

_TISSUES = ("white matter", "grey matter", "CSF")
# Voxels at a time: complex data, signal and noise of 1000 TRs take 50 MB.
_BATCH = 2048
# Of a normal distribution: 95 % lie within so many standard deviations.
_WITHIN = 1.959964


@dataclass(frozen=True)
class _Case:
    """Data of one kind and SNR, with or without a slice profile in them and in the model."""

    kind: SignalKind
    snr: float
    data_profile: bool = False
    model_profile: bool = False

    @property
    def name(self) -> str:
        profile = "" if not self.data_profile else f"_profile_{'modelled' if self.model_profile else 'ignored'}"
        return f"{self.kind}_snr_{self.snr:g}{profile}"


def score_precision(study: Study, given: PrecisionSettings) -> ExperimentResult:
    """Refine pure voxels of a head under FISP, noise drawn anew for each, and compare with what noise allows.

    Complex data, each voxel's PD with a random phase; magnitude data against the Rician bound; data with a slice
    profile, refined with it and without. The head is ``brainweb/mritc_2mm`` of the data folder or, without it, the
    built-in one. Fits run on the CPU. A row for each kind of data, SNR, tissue and parameter.
    """
    from napari_blochnet.physics.slice_profiles import sinc_profile

    head = _head(study.data)
    plain = fisp_schedule()
    profiled = plain.replace(slice_profile=sinc_profile(given.positions, given.time_bandwidth, 2.0))
    cases = [_Case(kind, snr) for kind in ("complex", "magnitude") for snr in given.snr]
    cases += [_Case("complex", given.profile_snr, True, modelled) for modelled in (True, False)]
    rows: list[Row] = []
    for case in cases:
        schedules = (profiled if case.data_profile else plain), (profiled if case.model_profile else plain)
        count = given.voxels if case.data_profile == case.model_profile else given.unmodelled
        key = {"head": head.name, "shape": list(head.shape), "case": case.name, "voxels": count, "seed": given.seed,
               "schedules": [schedule.digest for schedule in schedules]}  # fmt: skip
        make = partial(_rows, head, case, schedules, given.seed, study.watch, count)
        rows += study.piece(f"{case.name}.json", key, make, partial(_words, case))
    return study.finished(rows, _page(rows, head, given))


def _rows(
    head: Phantom, case: _Case, schedules: tuple[Schedule, Schedule], seed: int, watch: Watch, count: int
) -> list[Row]:
    return _Cases(head, case, *schedules, seed, watch).rows(count)


def _words(case: _Case, rows: list[Row]) -> str:
    ratios = [row["rmse_per_bound"] for row in rows]
    return f"{case.name.replace('_', ' ')}: RMSE over the bound {min(ratios):.3f} to {max(ratios):.3f}"


class _Cases:
    """Noisy fingerprints of pure voxels of one case, and what refinement makes of them."""

    def __init__(
        self, head: Phantom, case: _Case, made_by: Schedule, modelled: Schedule, seed: int, watch: Watch
    ) -> None:
        from napari_blochnet.estimators.fitting.refined import Refined
        from napari_blochnet.estimators.universal.universal_estimator import Universal
        from napari_blochnet.physics.decoder import EPGDecoder

        self.head, self.case, self.made_by, self.modelled, self.seed = head, case, made_by, modelled, seed
        self.watch, self.decoder, self.refined = watch, EPGDecoder(made_by), Refined(Universal())

    def rows(self, count: int) -> list[Row]:
        """Return the scores of ``count`` voxels of each tissue."""
        self.refined.prepare(
            self.modelled, self.case.kind, progress=self.watch.progress, cancelled=self.watch.cancelled
        )
        sigma = self._sigma()
        rows: list[Row] = []
        for number, tissue in enumerate(_TISSUES):
            random = np.random.default_rng((self.seed, number, crc32(self.case.name.encode())))
            t1, t2, pd = self._voxels(tissue, count, random)
            found = self._refine(t1, t2, pd, sigma, random, tissue)
            rows += [self._row(tissue, parameter, truth, found, self._bound(t1, t2, pd, sigma, parameter))
                     for parameter, truth in (("t1", t1), ("t2", t2))]  # fmt: skip
        return rows

    def _sigma(self) -> float:
        """Return the noise of the SNR: the signal's root mean square is that of the whole mask and all TRs."""
        inside = self.head.mask
        tissues, voxels = np.unique(
            np.column_stack([getattr(self.head, name)[inside] for name in ("t1", "t2", "pd")]),
            axis=0,
            return_counts=True,
        )
        power = 0.0
        for start in range(0, len(tissues), _BATCH):
            self.watch.check("experiment precision")
            self.watch.report(start, len(tissues), "mean signal of the head")
            t1, t2, pd = tissues[start : start + _BATCH].T.astype(np.float64)
            samples = self.decoder.signal(t1, t2)
            power += float(np.sum(voxels[start : start + _BATCH] * pd**2 * np.mean(np.abs(samples) ** 2, axis=1)))
        return float(np.sqrt(power / voxels.sum())) / self.case.snr

    def _voxels(self, tissue: str, count: int, random: np.random.Generator) -> FloatArray:
        """Return T1, T2 and PD of pure voxels, shape (3, count)."""
        labels = self.head.pure_labels
        pure = np.empty(0, int)
        if labels is not None and tissue in self.head.tissues:
            pure = np.flatnonzero(labels == self.head.tissues.index(tissue) + 1)
        if not pure.size:
            raise InputError(
                f"{self.head.name} has no pure voxel of {tissue}; expected a head with memberships.", field="data"
            )
        # without replacement, as often through all of them as the number asks for
        index = np.concatenate([random.permutation(pure) for _ in range(-(-count // len(pure)))])[:count]
        return np.stack([getattr(self.head, name).ravel()[index] for name in ("t1", "t2", "pd")]).astype(np.float64)

    def _refine(
        self, t1: FloatArray, t2: FloatArray, pd: FloatArray, sigma: float, random: np.random.Generator, tissue: str
    ) -> Estimates:
        from napari_blochnet.estimators.base import Estimates

        parts = []
        for start in range(0, len(t1), _BATCH):
            self.watch.check("experiment precision")
            self.watch.report(start, len(t1), f"refining {tissue}, {self.case.name.replace('_', ' ')}")
            here = slice(start, start + _BATCH)
            samples = self.decoder.signal(t1[here], t2[here]) * pd[here, None]
            noisy = with_noise(samples, sigma, random)
            if self.case.kind == "magnitude":
                noisy = np.abs(noisy)
            parts.append(self.refined.predict(noisy, self.modelled, self.case.kind, cancelled=self.watch.cancelled))
        return Estimates.joined(parts)

    def _bound(self, t1: FloatArray, t2: FloatArray, pd: FloatArray, sigma: float, parameter: str) -> FloatArray:
        from napari_blochnet.physics.bounds import cramer_rao_bound

        values, where = np.unique(np.column_stack([t1, t2, pd]), axis=0, return_inverse=True)
        bound = cramer_rao_bound(
            self.made_by, *values.T, sigma=sigma, kind=self.case.kind, cancelled=self.watch.cancelled
        )
        return np.asarray(getattr(bound, parameter)[where.ravel()])

    def _row(self, tissue: str, parameter: str, truth: FloatArray, found: Estimates, bound: FloatArray) -> Row:
        made, error = (getattr(found, name).astype(np.float64) for name in (parameter, f"{parameter}_se"))
        deviation, good = made - truth, ~found.failed
        least = float(np.sqrt(np.mean(bound**2)))
        inside = np.abs(np.log(made[good] / truth[good])) < _WITHIN * error[good] / made[good]
        rmse = float(np.sqrt(np.mean(deviation**2)))
        return {
            "kind": self.case.kind,
            "snr": self.case.snr,
            "profile_in_data": self.case.data_profile,
            "profile_in_model": self.case.model_profile,
            "tissue": tissue,
            "parameter": parameter.upper(),
            "voxels": len(truth),
            "bound_percent": 100.0 * least / float(truth.mean()),
            "rmse_percent": 100.0 * rmse / float(truth.mean()),
            "rmse_per_bound": rmse / least,
            "bias_percent": 100.0 * float(np.mean(deviation / truth)),
            "bias_per_bound": float(deviation.mean()) / least,
            "coverage_percent": 100.0 * float(inside.sum()) / len(truth),
            "failures": int((~good).sum()),
            "not_converged": int((~np.asarray(found.converged)).sum()),
        }


def _page(rows: list[Row], head: Phantom, given: PrecisionSettings) -> str:
    from napari_blochnet.studies.paper_tables import markdown_grid

    columns = ["SNR", "tissue", "map", "bound, %", "RMSE / bound", "bias / bound", "95 % intervals hold, %",
               "not converged"]  # fmt: skip
    lines = ["# Refined maps against the Cramér–Rao bound", "",
             f"{given.voxels:,} pure voxels of each tissue of {head.name}, under FISP; noise and PD phase drawn anew "
             "for each; refined from universal, the noise found from each voxel's residual."]  # fmt: skip
    titles = {
        ("complex", False, False): "Complex data",
        ("magnitude", False, False): "Magnitude data, Rician bound",
        ("complex", True, True): f"A slice profile (sinc, time-bandwidth {given.time_bandwidth:g}) in data and model",
        ("complex", True, False): f"The same data, the profile left out of the model ({given.unmodelled:,} voxels)",
    }
    for which, title in titles.items():
        mine = [row for row in rows if (row["kind"], row["profile_in_data"], row["profile_in_model"]) == which]
        lines += ["", f"## {title}", ""]
        lines += markdown_grid(columns, [
            [f"{row['snr']:g}", row["tissue"], row["parameter"], f"{row['bound_percent']:.2f}",
             f"{row['rmse_per_bound']:.3f}", f"{row['bias_per_bound']:+.3f}", f"{row['coverage_percent']:.1f}",
             str(row["not_converged"])] for row in mine
        ])  # fmt: skip
        if which[1] and not which[2]:
            lost = ", ".join(f"{row['tissue']} {row['parameter']} {row['bias_percent']:+.1f} %" for row in mine)
            lines += ["", f"Bias without the profile: {lost}."]
    root = given.voxels**-0.5
    lines += ["", f"By chance alone, RMSE / bound scatters by {root / np.sqrt(2):.3f}, bias / bound by {root:.3f} and "
              f"coverage by {100 * np.sqrt(0.95 * 0.05) * root:.2f} points."]  # fmt: skip
    return "\n".join(lines) + "\n"
