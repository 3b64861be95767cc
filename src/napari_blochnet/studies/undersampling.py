"""What undersampling does to estimators: whole images, aliased frames and coefficient images of one slice of a head."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.peak_memory import peak_growth
from napari_blochnet.common.plain_text import counted
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.declaring.settings_sampling import CoefficientSettings, TrajectorySettings
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.generators import fisp_schedule
from napari_blochnet.studies.interval_coverage import coverage_page, score_coverage
from napari_blochnet.studies.mrpro_peer import check_peer, grid_and_match
from napari_blochnet.studies.paper_tables import markdown_grid
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study, head_of
from napari_blochnet.studies.settings_studies import UndersamplingSettings

if TYPE_CHECKING:
    from napari_blochnet.evaluation.maps import ParameterMaps

__all__ = ["centred_slice", "score_undersampling"]

_IMAGES = ("full", "frames", "coefficients")
_TITLES = {"full": "whole images", "frames": "aliased frames", "coefficients": "coefficient images"}
_REFINED = "+refine"

T = TypeVar("T")


def score_undersampling(study: Study, given: UndersamplingSettings) -> ExperimentResult:
    """Map a slice of a head under FISP from whole images, from aliased frames, and from coefficient images.

    All three have the same noise in k-space. The head is ``brainweb/mritc_2mm`` of the data folder or, without it, the
    built-in one; its middle slice lies in an image of ``size`` voxels. A row for each kind of images, estimator and
    tissue; times are of this machine, memory is beyond what was there before. With ``coverage`` the page ends with how
    often 95 % intervals hold the truth; its rows are in ``coverage-….json``.
    """
    if not _names(given):
        raise InputError("No estimator is named", "one or more, separated by commas", field="estimators")
    if given.peer:
        check_peer()
    phantom = centred_slice(head_of(study.data), given.size)
    schedule = fisp_schedule()
    rows: list[Row] = []
    for images in _IMAGES:
        key = {"settings": given.model_dump(mode="json", exclude={"coverage"}), "head": phantom.name,
               "shape": list(phantom.shape), "schedule": schedule.digest, "images": images}  # fmt: skip
        rows += study.piece(f"{images}.json", key, partial(_Images(study, given, phantom).rows, images),
                            partial(_words, images))  # fmt: skip
    page = _page(rows, given, phantom)
    if given.coverage:
        page += "\n".join(coverage_page(score_coverage(study, given, phantom, schedule))) + "\n"
    return study.finished(rows, page)


def _names(given: UndersamplingSettings) -> list[str]:
    return [name for each in given.estimators.split(",") if (name := each.strip())]


def centred_slice(head: Phantom, size: int) -> Phantom:
    """Return a head's middle slice in the middle of a square image; what reaches beyond it is cut off."""
    z = head.shape[0] // 2
    one = head[z : z + 1]

    def laid(values: AnyArray | None) -> AnyArray | None:
        if values is None:
            return None
        out = np.zeros((1, size, size), np.asarray(values).dtype)
        there, here = zip(*(_overlap(n, size) for n in one.shape[1:]), strict=True)
        out[:, there[0], there[1]] = np.asarray(values)[:, here[0], here[1]]
        return out

    maps = {name: laid(getattr(one, name)) for name in ("t1", "t2", "pd", "mask", "b1", "labels")}
    shares = None if one.fractions is None else {name: laid(share) for name, share in one.fractions.items()}
    laid_out = {"fractions": shares, "affine": None, "record": {}, "name": f"{head.name}, slice {z}", **maps}
    return replace(one, **laid_out)  # type: ignore[arg-type]


def _overlap(length: int, size: int) -> tuple[slice, slice]:
    """Return where an axis lies in a longer or shorter one of the same middle, and what of it."""
    start = (size - length) // 2
    first, last = max(start, 0), min(start + length, size)
    return slice(first, last), slice(first - start, last - start)


class _Images:
    """Images of one kind, and what estimators make of them."""

    def __init__(self, study: Study, given: UndersamplingSettings, phantom: Phantom) -> None:
        self.study, self.given, self.phantom = study, given, phantom
        self.schedule = fisp_schedule()

    def rows(self, images: str) -> list[Row]:
        """Return a row for each estimator and tissue."""
        made, seconds, memory = _timed(partial(self._simulated, images))
        common = {"images": images, "made_in_seconds": seconds, "made_with_mib": memory}
        rows: list[Row] = []
        for name in _names(self.given):
            self.study.watch.check("experiment undersampling")
            estimator = name.removesuffix(_REFINED)
            call = partial(self._mapped, made, estimator, refine=name != estimator)
            try:
                # what is made once for a schedule (a dictionary, anchors) is made before the clock starts
                self._mapped(made, estimator, some=True)
                maps, seconds, memory = _timed(call)
            except InputError as error:
                rows += [{**common, **_row(name, "all"), "refused": str(error)}]
                continue
            assert maps.t1 is not None  # our own estimators have both
            assert maps.t2 is not None
            found = maps.t1, maps.t2, maps.failed
            rows += [{**common, **row, "seconds": seconds, "mib": memory} for row in self._scored(name, *found)]
        if self.given.peer and images == "frames":
            rows += self._of_peer(common)
        return rows

    def _sampling(self) -> dict[str, Any]:
        fields = {*TrajectorySettings.model_fields, *CoefficientSettings.model_fields}
        return self.given.model_dump(include=fields)

    def _simulated(self, images: str) -> FingerprintStack:
        sampling = {} if images == "full" else {**self._sampling(), "images": images}
        watch = self.study.watch
        return simulate(self.phantom, self.schedule, snr=self.given.snr, seed=self.given.seed, device="cpu",
                        progress=watch.progress, cancelled=watch.cancelled, **sampling)  # fmt: skip

    def _mapped(
        self, stack: FingerprintStack, estimator: str, *, refine: bool = False, some: bool = False
    ) -> ParameterMaps:
        mask = None
        if some:
            mask = np.zeros(stack.mask.shape, bool)
            mask.reshape(-1)[np.flatnonzero(stack.mask)[:64]] = True
        watch = self.study.watch
        with warnings.catch_warnings():
            # that aliased frames leave much unexplained is what is measured here
            warnings.simplefilter("ignore", DataWarning)
            return reconstruct(stack, estimator, mask, refine=refine, device=self.study.device,
                               progress=watch.progress, cancelled=watch.cancelled)  # fmt: skip

    def _scored(self, name: str, t1: FloatArray, t2: FloatArray, failed: BoolArray) -> list[Row]:
        """Return the errors over the mask, and over the pure voxels of each tissue."""
        inside = self.phantom.mask
        parts = {"all": inside}
        labels = self.phantom.pure_labels
        for number, tissue in enumerate(self.phantom.tissues, 1):
            if labels is not None and (labels == number).any():
                parts[tissue] = labels == number
        rows = []
        for tissue, part in parts.items():
            good = part & ~failed
            row = _row(name, tissue) | {"voxels": int(part.sum()), "failed": int((part & failed).sum())}
            for parameter, found in (("t1", t1), ("t2", t2)):
                error = 100.0 * np.abs(found[good] / getattr(self.phantom, parameter)[good] - 1.0)
                row[f"{parameter}_median_percent"] = float(np.median(error)) if good.any() else None
                row[f"{parameter}_rms_percent"] = float(np.sqrt(np.mean(error**2))) if good.any() else None
            rows.append(row)
        return rows

    def _of_peer(self, common: Row) -> list[Row]:
        """Return the rows of mrpro, which grids and matches the same k-space."""
        whole = simulate(self.phantom, self.schedule, cancelled=self.study.watch.cancelled)
        found = grid_and_match(whole, self.schedule, self.given)
        made = {**common, "made_in_seconds": found.gridding_seconds, "made_with_mib": None}
        failed = np.zeros(self.phantom.shape, bool)
        rows = self._scored("mrpro: gridding, dictionary", found.t1, found.t2, failed)
        return [{**made, **row, "seconds": found.matching_seconds} for row in rows]


def _timed(call: Callable[[], T]) -> tuple[T, float, float | None]:
    started = time.perf_counter()
    made, memory = peak_growth(call)
    return made, time.perf_counter() - started, memory


def _row(estimator: str, tissue: str) -> Row:
    """Return a row in which nothing is known yet: every row has the same columns."""
    names = ("voxels", "failed", "t1_median_percent", "t1_rms_percent", "t2_median_percent", "t2_rms_percent",
             "seconds", "mib", "refused")  # fmt: skip
    return {"estimator": estimator, "tissue": tissue, **dict.fromkeys(names)}


def _words(images: str, rows: list[Row]) -> str:
    return f"{_TITLES[images]}: made in {rows[0]['made_in_seconds']:.1f} s, {len(rows)} rows"


def _page(rows: list[Row], given: UndersamplingSettings, phantom: Phantom) -> str:
    lines = [
        f"# Undersampling: {phantom.name}, FISP, {given.size} × {given.size} voxels, SNR {given.snr:g}", "",
        f"{given.trajectory}, {counted(given.interleaves, 'interleave')}, one in each TR, turned by "
        f"{given.rotation} rotation; "
        f"{counted(given.coils, 'coil')}; {given.components} coefficients. Median |error| / root mean square error, %.",
    ]  # fmt: skip
    for images in _IMAGES:
        mine = [row for row in rows if row["images"] == images]
        tissues = list(dict.fromkeys(row["tissue"] for row in mine))
        peak, title = mine[0]["made_with_mib"], _TITLES[images]
        made = f"Made in {mine[0]['made_in_seconds']:.1f} s{'' if peak is None else f', {peak:,.0f} MiB'}."
        lines += ["", f"## {title[:1].upper()}{title[1:]}", "", made, ""]
        body = []
        for estimator in dict.fromkeys(row["estimator"] for row in mine):
            of = {row["tissue"]: row for row in mine if row["estimator"] == estimator}
            known = [f"{value:{form}}" if value is not None else "" for value, form in
                     ((of["all"]["seconds"], ".1f"), (of["all"]["mib"], ",.0f"))]  # fmt: skip
            body.append([estimator, *(_cell(of.get(tissue), "t1") for tissue in tissues),
                         *(_cell(of.get(tissue), "t2") for tissue in tissues), *known])  # fmt: skip
        head = [
            "estimator",
            *(f"T1 {tissue}" for tissue in tissues),
            *(f"T2 {tissue}" for tissue in tissues),
            "s",
            "MiB",
        ]
        lines += markdown_grid(head, body)
        lines += [f"\n{row['estimator']}: {row['refused']}" for row in mine if row["refused"]]
    return "\n".join(lines) + "\n"


def _cell(row: Row | None, parameter: str) -> str:
    if row is None or row[f"{parameter}_median_percent"] is None:
        return ""
    return f"{row[f'{parameter}_median_percent']:.2f} / {row[f'{parameter}_rms_percent']:.1f}"
