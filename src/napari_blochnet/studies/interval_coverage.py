"""How often 95 % intervals hold the truth: of whole images, of compressed aliased frames, and of coefficient images."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.fingerprints.compressed.noise_covariance import BACKGROUND
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.coefficients.compressing import compress
from napari_blochnet.jobs.declaring.settings_sampling import CoefficientSettings, TrajectorySettings
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.sampling.acquiring import acquire
from napari_blochnet.sampling.trajectory_files import trajectory_of
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.studies.paper_tables import markdown_grid
from napari_blochnet.studies.pieces import Row, Study
from napari_blochnet.studies.settings_studies import UndersamplingSettings

if TYPE_CHECKING:
    from napari_blochnet.evaluation.maps import ParameterMaps

__all__ = ["coverage_page", "score_coverage"]

#: What is made of k-space, and with what noise it is mapped.
_KINDS = {
    "full": "whole images, white noise",
    "frames": "aliased frames",
    "compressed": "aliased frames, compressed; noise covariance of the background",
    "prior": "coefficient images, low-rank prior; noise covariance of the background",
    "plain": "coefficient images, no prior; noise covariance of the background",
}
_ESTIMATORS = {"dictionary": "dictionary", "universal": "universal, refined"}
# Of an interval of 95 % of a normal distribution.
_WIDTH = 1.959964


def score_coverage(study: Study, given: UndersamplingSettings, phantom: Phantom, schedule: Schedule) -> list[Row]:
    """Return a row for each kind of images and estimator: the share of voxels whose 95 % intervals hold the truth.

    Every voxel has noise, and of whole images a phase of PD, of its own. Intervals are in the logarithm. The truth is
    the voxel's own; and, of images along spirals, what noise-free images as sharp as k-space tells them are mapped to.
    """
    score = _Coverage(study, given, phantom, schedule)
    rows: list[Row] = []
    for kind in _KINDS:
        key = {"settings": given.model_dump(mode="json", exclude={"coverage", "estimators", "peer"}),
               "head": phantom.name, "shape": list(phantom.shape), "schedule": schedule.digest,
               "coverage": kind}  # fmt: skip
        rows += study.piece(f"coverage-{kind}.json", key, partial(score.rows, kind), _words)
    return rows


class _Coverage:
    def __init__(self, study: Study, given: UndersamplingSettings, phantom: Phantom, schedule: Schedule) -> None:
        self.study, self.given, self.phantom, self.schedule = study, given, phantom, schedule
        self._watched: dict[str, Any] = {"progress": study.watch.progress, "cancelled": study.watch.cancelled}
        self._sharp: tuple[FloatArray, FloatArray] | None = None

    def rows(self, kind: str) -> list[Row]:
        stack, mask = self._stack(kind), None
        if kind == "frames":
            # there are none: a few voxels say why
            mask = np.zeros(stack.mask.shape, bool)
            mask.reshape(-1)[np.flatnonzero(stack.mask)[:64]] = True
        rows = []
        for name, title in _ESTIMATORS.items():
            maps = self._mapped(stack, name, mask)
            row: Row = {"images": kind, "estimator": title, "voxels": None, "why": None}
            row |= dict.fromkeys(f"{parameter}_{of}_percent" for of in ("own", "sharp") for parameter in ("t1", "t2"))
            if maps.t1_se is None or maps.t2_se is None:
                rows.append(row | {"why": maps.record.get("note")})
                continue
            inside = self.phantom.mask & ~maps.failed
            row["voxels"] = int(inside.sum())
            row |= _shares(maps, inside, self.phantom.t1, self.phantom.t2, "own")
            if kind != "full" and self.given.trajectory == "spiral":
                row |= _shares(maps, inside, *self._as_sharp(), "sharp")
            rows.append(row)
        return rows

    def _stack(self, kind: str) -> FingerprintStack:
        sampling: dict[str, Any] = {}
        if kind != "full":
            fields = {*TrajectorySettings.model_fields, *CoefficientSettings.model_fields}
            sampling = self.given.model_dump(include=fields)
            sampling["images"] = "coefficients" if kind in ("prior", "plain") else "frames"
        if kind == "plain":
            sampling["low_rank"] = 0.0
        stack = simulate(self.phantom, self.schedule, snr=self.given.snr, seed=self.given.seed, device="cpu",
                         **self._watched, **sampling)  # fmt: skip
        if kind == "full":
            # noise that is the same in both channels stays so
            turn = np.exp(2j * np.pi * np.random.default_rng(self.given.seed).random(stack.shape[1:]))
            np.multiply(stack.data, turn.astype(np.complex64), out=stack.data)
        return self._compressed(stack) if kind == "compressed" else stack

    def _compressed(self, stack: FingerprintStack) -> FingerprintStack:
        return compress(stack, components=self.given.components, **self._watched)

    def _mapped(self, stack: FingerprintStack, estimator: str, mask: BoolArray | None) -> ParameterMaps:
        fields: dict[str, Any] = {"refine": True} if estimator == "universal" else {"uncertainty": True}
        covariance = BACKGROUND if stack.is_compressed else None
        with warnings.catch_warnings():
            # what aliasing does to maps is another table's
            warnings.simplefilter("ignore", DataWarning)
            return reconstruct(stack, estimator, mask, noise_covariance=covariance, device=self.study.device,
                               **fields, **self._watched)  # fmt: skip

    def _as_sharp(self) -> tuple[FloatArray, FloatArray]:
        """Return T1 and T2 of noise-free coefficient images that were read and gridded whole, 0 where they failed."""
        if self._sharp is None:
            whole = simulate(self.phantom, self.schedule, device="cpu", **self._watched)
            found = self._compressed(whole)
            images = np.moveaxis(np.array(found.data, np.complex64), 0, -1)
            # the same transform for each TR, and so for each coefficient: all of k-space by one spiral
            trajectory = trajectory_of(self.schedule, found.shape[2:], "spiral", None, 1, self.given.rotation)
            images = acquire(images, found.mask, trajectory, coils=self.given.coils, watch=self.study.watch)
            blurred = FingerprintStack(np.moveaxis(images, -1, 0), self.schedule, "complex", found.mask,
                                       basis=found.basis)  # fmt: skip
            maps = reconstruct(blurred, "universal", device=self.study.device, **self._watched)
            assert maps.t1 is not None
            assert maps.t2 is not None
            good = maps.mask & ~maps.failed
            self._sharp = np.where(good, maps.t1, 0), np.where(good, maps.t2, 0)
        return self._sharp


def _shares(maps: ParameterMaps, inside: BoolArray, t1: AnyArray, t2: AnyArray, of: str) -> Row:
    """Return the percentage of voxels whose intervals hold a truth, of T1 and T2."""
    here = inside & (t1 > 0) & (t2 > 0)
    row: Row = {}
    for name, truth in (("t1", t1), ("t2", t2)):
        value, error = (getattr(maps, each)[here].astype(np.float64) for each in (name, f"{name}_se"))
        held = np.abs(np.log(value / truth[here])) <= _WIDTH * error / value
        row[f"{name}_{of}_percent"] = 100.0 * float(np.mean(held)) if here.any() else None
    return row


def _words(rows: list[Row]) -> str:
    return f"coverage, {_KINDS[rows[0]['images']]}: {len(rows)} rows"


def coverage_page(rows: list[Row]) -> list[str]:
    """Return the lines of the table, and why some images have no intervals."""
    lines = ["", "## Coverage of 95 % intervals, %", "",
             "Every voxel is a repetition, with noise of its own (and a phase, of whole images). Own: the truth is the "
             "phantom's voxel, whose blur is no noise. As sharp: what noise-free images of k-space's resolution are "
             "mapped to.",
             ""]  # fmt: skip
    columns = [f"{parameter}_{of}_percent" for of in ("own", "sharp") for parameter in ("t1", "t2")]
    body = [
        [_KINDS[row["images"]], row["estimator"], f"{row['voxels']:,}" if row["voxels"] else "",
         *("" if row[column] is None else f"{row[column]:.1f}" for column in columns)]
        for row in rows if row["why"] is None
    ]  # fmt: skip
    head = ["images", "estimator", "voxels", "T1, own", "T2, own", "T1, as sharp", "T2, as sharp"]
    lines += markdown_grid(head, body)
    lines += [f"\n{_KINDS[row['images']]}, {row['estimator']}: {row['why']}" for row in rows if row["why"] is not None]
    return lines
