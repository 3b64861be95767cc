"""Draws of the paper's experiments: networks trained under random splines and tested under FISP; resumable."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.io.atomic import replacing
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.studies.pieces import Row, Study

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimates, Estimator

__all__ = ["ADAPTED", "Draws", "TestSet", "model_names", "read_test_sets", "training_schedules"]

_MODELS = ("dictionary", "fc", "rnn", "hydra", "autoencoder-fc", "autoencoder-rnn", "blochnet", "fc-adapted",
           "blochnet-adapted", "universal", "refined")  # fmt: skip
# Told the schedule of the test or needing no training: nothing in them depends on the draw.
_UNTRAINED = ("dictionary", "universal", "refined")
_SLOW = ("hydra", "autoencoder-rnn")
#: How the names of models end that were adapted to the test's data.
ADAPTED = "-adapted"
# Fingerprints simulated and estimated at a time.
_BATCH = 4096
_MAPS = ("t1", "t2", "t1_se", "t2_se")


@dataclass(frozen=True)
class TestSet:
    """Tissues that the models are tested on.

    Parameters
    ----------
    name : str
    t1, t2 : array of shape (voxel,)
        ms.
    part_of : str, optional
        The set whose voxels these are some of: a network adapted to that one is scored on these too.
    """

    name: str
    t1: FloatArray
    t2: FloatArray
    part_of: str | None = None


def training_schedules(experiment: str, seed: int) -> tuple[Schedule, Schedule]:
    """Return the two random training schedules of a draw.

    Table 2: one SplineNoise11 and one Spline5; otherwise two Spline5. TR is that of FISP, TE 10 ms.
    """
    if experiment == "table2":
        return spline_schedule(control_points=11, noise_variance=10.0, seed=seed), spline_schedule(seed=seed + 1)
    return spline_schedule(seed=seed), spline_schedule(seed=seed + 1)


def read_test_sets(data: Path | None) -> list[TestSet]:
    """Return the test sets: phantom slices, and the measured brain where it is at hand.

    Parameters
    ----------
    data : path, optional
        Folder with ``brainweb/mritc_2mm`` and ``anatomical/brain_t1_t2_pd_128.mat``. Phantom: slices 40 and 45 of the
        former with the paper's tissue values, or, without it, the middle slice of the built-in head. Anatomical:
        voxels with T1 and T2 of at least 1 ms, and of these the physical ones, T1 ≥ 50 and T2 ≥ 5 ms.
    """
    from napari_blochnet.phantoms.read import read_phantom
    from napari_blochnet.phantoms.synthetic import synthetic_phantom

    if data is not None and not data.is_dir():
        raise InputError(f"{data}: there is no such folder; expected one with brainweb/ or anatomical/.", field="data")
    sets: list[TestSet] = []
    brainweb = None if data is None else data / "brainweb" / "mritc_2mm"
    if brainweb is not None and brainweb.is_dir():
        head = read_phantom(brainweb)
        parts = [head[40], head[45]]
    else:
        head = synthetic_phantom()
        parts = [head[head.shape[0] // 2]]
    t1, t2 = (np.concatenate([getattr(part, name)[part.mask] for part in parts]) for name in ("t1", "t2"))
    sets.append(TestSet("phantom", t1.astype(np.float64), t2.astype(np.float64)))
    measured = None if data is None else data / "anatomical" / "brain_t1_t2_pd_128.mat"
    if measured is not None and measured.is_file():
        from scipy.io import loadmat

        maps = loadmat(measured, variable_names=["T1_128", "T2_128"])
        t1, t2 = (np.asarray(maps[name], np.float64).ravel() for name in ("T1_128", "T2_128"))
        usable, physical = (t1 >= 1) & (t2 >= 1), (t1 >= 50) & (t2 >= 5)
        sets.append(TestSet("anatomical", t1[usable], t2[usable]))
        sets.append(TestSet("anatomical, physical", t1[physical], t2[physical], part_of="anatomical"))
    return sets


def model_names(models: str) -> list[str]:
    """Return the names in a setting, which separates them by commas.

    Raises
    ------
    InputError
        A name that no model has; none.
    """
    names = [model.strip() for model in models.split(",") if model.strip()]
    for model in names:
        if model not in _MODELS:
            raise InputError(f"models names {model!r}; expected some of {', '.join(_MODELS)}.", field="models")
    if not names:
        raise InputError(f"models is empty; expected some of {', '.join(_MODELS)}.", field="models")
    return names


class Draws:
    """The results of one experiment in one folder.

    Parameters
    ----------
    experiment : {"table2", "table3", "figure6"}
    study : Study
    settings : ExperimentSettings
    sets : list of TestSet
    """

    def __init__(self, experiment: str, study: Study, settings: ExperimentSettings, sets: list[TestSet]) -> None:
        self.experiment, self.study, self.settings, self.sets = experiment, study, settings, sets
        self.test_schedule = fisp_schedule()
        self._signals: dict[str, FloatArray] = {}

    def count(self, model: str) -> int:
        """Return in how many draws a model is tested."""
        if model in _UNTRAINED:
            return 1
        is_short = model in _SLOW and self._preset(model) == "reduced"
        return min(self.settings.draws, self.settings.slow_draws) if is_short else self.settings.draws

    def _preset(self, model: str) -> str:
        if model in _UNTRAINED:
            return "none"
        return "reduced" if model in _SLOW and not self.settings.full else self.settings.preset

    def place(self, model: str, draw: int) -> Path:
        """Return where a model of a draw is kept, without suffix."""
        return self.study.folder / f"draw_{draw:02}" / model

    def is_made(self, model: str, draw: int) -> bool:
        """Whether a model of a draw is finished, or another lies in its place, which `result` will refuse."""
        return self.place(model, draw).with_suffix(".json").is_file()

    def result(self, model: str, draw: int, *, silent: bool = False) -> list[Row]:
        """Return the rows of a model and a draw, made if need be."""
        seed = self.settings.seed + 2 * (draw - 1)
        key: Row = {
            "model": model, "preset": self._preset(model), "seed": seed, "sets": [item.name for item in self.sets],
            "voxels": [len(item.t1) for item in self.sets],
            **({} if model in _UNTRAINED else {"precision": self.settings.precision,
                                               "decoder_weight": self.settings.decoder_weight}),
        }  # fmt: skip
        if model.endswith(ADAPTED):
            key["adaptation"] = self._adaptation()
        study = replace(self.study, say=None) if silent else self.study
        file = str(self.place(model, draw).with_suffix(".json").relative_to(study.folder))
        return study.piece(file, key, partial(self._made, model, draw, key), partial(_words, model, draw))

    def _made(self, model: str, draw: int, key: Row) -> list[Row]:
        place = self.place(model, draw)
        estimator_for = self._estimator(model, draw, place, key["seed"])
        rows, estimates = [], {}
        for item in self.sets:
            estimator, seconds = estimator_for(item)
            found = self._map(estimator, item)
            what = {"experiment": self.experiment, "draw": draw, "model": model, "preset": key["preset"],
                    "seed": key["seed"]}  # fmt: skip
            rows.append({**what, **_scores(model, item, found), "training_seconds": seconds})
            known = {name: getattr(found, name) for name in _MAPS}
            estimates.update({f"{item.name} {name}": each for name, each in known.items() if each is not None})
        with replacing(place.with_suffix(".npz")) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **estimates)
        return rows

    def estimates(self, model: str, draw: int, item: TestSet) -> dict[str, FloatArray]:
        """Return what a finished model estimated of a test set: t1, t2 and, of refined ones, their standard errors."""
        with np.load(self.place(model, draw).with_suffix(".npz"), allow_pickle=False) as file:
            start = f"{item.name} "
            return {name.removeprefix(start): file[name] for name in file.files if name.removeprefix(start) in _MAPS}

    def _estimator(
        self, model: str, draw: int, place: Path, seed: int
    ) -> Callable[[TestSet], tuple[Estimator, float | None]]:
        """Return what gives a test set its estimator and how many seconds that one was trained."""
        if model.endswith(ADAPTED):
            return self._adapted(model.removesuffix(ADAPTED), draw)
        watch, device = self.study.watch, self.study.device
        made = (_untrained(model, device), None) if model in _UNTRAINED else self._trained(model, place, seed)
        made[0].prepare(self.test_schedule, "real", progress=watch.progress, cancelled=watch.cancelled)
        return lambda _: made

    def _trained(self, model: str, place: Path, seed: int) -> tuple[Estimator, float | None]:
        from napari_blochnet.estimators.training.loop import train_estimator

        place.parent.mkdir(parents=True, exist_ok=True)
        trained = train_estimator(
            model,
            training_schedules(self.experiment, seed),
            self._preset(model),
            device=self.study.device,
            checkpoint=place.with_suffix(".training"),
            watch=self.study.watch,
            precision=self.settings.precision,
            decoder_weight=self.settings.decoder_weight,
        )
        trained.save(place.with_suffix(".safetensors"))
        # the experiment asks for what every other use refuses: another schedule than the training's
        trained.other_schedule, trained.explain = True, False
        return trained, trained.card["training"]["seconds"]

    def _adaptation(self) -> dict[str, Any]:
        from napari_blochnet.estimators.training.adaptation import AdaptationOptions

        return asdict(AdaptationOptions())

    def _adapted(self, base: str, draw: int) -> Callable[[TestSet], tuple[Estimator, float | None]]:
        """Adapt the draw's trained network to the fingerprints of a test set, which carry no labels."""
        from napari_blochnet.estimators.networks.store import load_estimator
        from napari_blochnet.estimators.training.adaptation import AdaptationOptions, adapt_estimator

        self.result(base, draw, silent=True)
        trained = self.place(base, draw).with_suffix(".safetensors")
        network = load_estimator(trained, device=self.study.device, other_schedule=True)
        found: dict[str, tuple[Estimator, float | None]] = {}

        def adapted(item: TestSet) -> tuple[Estimator, float | None]:
            name = item.part_of or item.name
            if name not in found:
                whole = next(each for each in self.sets if each.name == name)
                started = time.perf_counter()
                made = adapt_estimator(
                    network, self.fingerprints(whole), self.test_schedule, "real", AdaptationOptions(),
                    watch=self.study.watch,
                )  # fmt: skip
                found[name] = made, round(time.perf_counter() - started, 1)
            return found[name]

        return adapted

    def fingerprints(self, item: TestSet) -> FloatArray:
        """Return the noise-free fingerprints of a test set under the schedule of the test, shape (voxel, time)."""
        from napari_blochnet.physics.decoder import EPGDecoder

        if item.name not in self._signals:
            self._signals[item.name] = EPGDecoder(self.test_schedule).signal(item.t1, item.t2)
        return self._signals[item.name]

    def _map(self, estimator: Estimator, item: TestSet) -> Estimates:
        from napari_blochnet.estimators.base import Estimates

        signals, parts = self.fingerprints(item), []
        for start in range(0, len(signals), _BATCH):
            self.study.watch.check("mapping")
            parts.append(estimator.predict(signals[start : start + _BATCH], self.test_schedule, "real"))
        return Estimates.joined(parts)


def _words(model: str, draw: int, rows: list[Row]) -> str:
    return f"draw {draw}, {model}: " + ", ".join(f"{row['set']} {row['mse_log10']:.2g}" for row in rows)


def _untrained(model: str, device: str) -> Estimator:
    if model == "dictionary":
        from napari_blochnet.estimators.matching.dictionary import DictionaryMatching

        return DictionaryMatching(device=device)
    from napari_blochnet.estimators.fitting.refined import Refined
    from napari_blochnet.estimators.universal.universal_estimator import Universal

    return Universal(device=device) if model == "universal" else Refined(Universal(device=device))


def _scores(model: str, item: TestSet, found: Estimates) -> Row:
    from napari_blochnet.evaluation.scores import best_constant, mean_of_logs, score

    both = [
        score(truth, made, found.failed, best_constant(truth), model=model, tissue=item.name, parameter=name, unit="ms")
        for name, truth, made in (("T1", item.t1, found.t1), ("T2", item.t2, found.t2))
    ]
    mean = mean_of_logs(*both)
    return {
        "set": item.name,
        "voxels": mean.voxels,
        "failures": mean.failures,
        "mse_log10_t1": both[0].mse_log10,
        "mse_log10_t2": both[1].mse_log10,
        "mse_log10": mean.mse_log10,
        "constant_mse_log10": mean.constant_mse_log10,
    }
