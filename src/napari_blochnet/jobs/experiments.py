"""The paper's experiments: train under random splines, test under FISP, over several draws; resumable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.arrays import FloatArray
from napari_blochnet.errors import InputError
from napari_blochnet.files import read_json, replacing, write_json
from napari_blochnet.jobs.devices import resolve_device
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.progress import CancelEvent, ProgressCallback, raise_if_cancelled
from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimator

__all__ = ["ExperimentResult", "TestSet", "read_test_sets", "run_experiment", "training_schedules"]

_MODELS = ("dictionary", "fc", "rnn", "hydra", "autoencoder-fc", "autoencoder-rnn", "blochnet", "fc-adapted",
           "blochnet-adapted", "universal", "refined")  # fmt: skip
# Told the schedule of the test or needing no training: nothing in them depends on the draw.
_UNTRAINED = ("dictionary", "universal", "refined")
_SLOW = ("hydra", "autoencoder-rnn")
_ADAPTED = "-adapted"
_FIGURE_MODELS = "fc,rnn,hydra,blochnet"
# Fingerprints simulated and estimated at a time.
_BATCH = 4096


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


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment gave: the Markdown table, its tidy rows, and the files written."""

    text: str
    rows: list[dict[str, Any]]
    files: tuple[Path, ...]


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


def run_experiment(
    name: str,
    folder: str | os.PathLike[str],
    settings: ExperimentSettings | None = None,
    *,
    data: Path | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    say: Callable[[str], None] | None = None,
    **fields: Any,
) -> ExperimentResult:
    """Run an experiment of the paper, or go on with it.

    Every finished model of every draw is kept in ``folder`` and not computed again; a training that was interrupted
    goes on from its checkpoint.

    Parameters
    ----------
    name : {"table2", "table3", "figure6"}
    folder : path
    settings : ExperimentSettings, optional
    data : path, optional
        See `read_test_sets`.
    device : str
    progress, cancelled : optional
        See `napari_blochnet.progress`.
    say : callable, optional
        Called with a line about each model that is finished.
    **fields
        Fields of `ExperimentSettings`.

    Returns
    -------
    ExperimentResult

    Raises
    ------
    InputError
        An unknown model; a folder that holds results of other settings.
    Cancelled
        What was finished is in the folder.
    """
    from napari_blochnet.evaluation.experiment_report import markdown_table, write_rows

    if name == "figure6" and "models" not in fields and settings is None:
        fields["models"] = _FIGURE_MODELS
    given = settings_from(ExperimentSettings, settings, **fields)
    models = [model.strip() for model in given.models.split(",") if model.strip()]
    for model in models:
        if model not in _MODELS:
            raise InputError(f"models names {model!r}; expected some of {', '.join(_MODELS)}.", field="models")
    if not models:
        raise InputError(f"models is empty; expected some of {', '.join(_MODELS)}.", field="models")
    target = Path(folder)
    run = _Run(name, target, given, read_test_sets(data), resolve_device(device), progress, cancelled)
    rows: list[dict[str, Any]] = []
    for draw in range(1, given.draws + 1):
        for model in models:
            raise_if_cancelled(cancelled, f"experiment {name}")
            if draw > run.draws(model):
                continue
            found, new = run.result(model, draw)
            rows += found
            if new and say is not None:
                scores = ", ".join(f"{row['set']} {row['mse_log10']:.4f}" for row in found)
                say(f"draw {draw}, {model}: {scores}")
    rows.sort(key=lambda row: (models.index(row["model"]), row["draw"]))
    files = [target / f"{name}.csv", target / f"{name}.md"]
    write_rows(rows, files[0])
    text = markdown_table(name, rows)
    with replacing(files[1]) as temporary:
        temporary.write_text(text, encoding="utf-8")
    files += run.figures(models)
    return ExperimentResult(text, rows, tuple(files))


class _Run:
    """The results of one experiment in one folder."""

    def __init__(
        self,
        experiment: str,
        folder: Path,
        settings: ExperimentSettings,
        sets: list[TestSet],
        device: str,
        progress: ProgressCallback | None,
        cancelled: CancelEvent | None,
    ) -> None:
        self.experiment, self.folder, self.settings, self.sets = experiment, folder, settings, sets
        self.device, self.progress, self.cancelled = device, progress, cancelled
        self.test_schedule = fisp_schedule()
        self._signals: dict[str, FloatArray] = {}

    def draws(self, model: str) -> int:
        """Return in how many draws a model is tested."""
        if model in _UNTRAINED:
            return 1
        is_short = model in _SLOW and self._preset(model) == "reduced"
        return min(self.settings.draws, self.settings.slow_draws) if is_short else self.settings.draws

    def _preset(self, model: str) -> str:
        if model in _UNTRAINED:
            return "none"
        return "reduced" if model in _SLOW and not self.settings.full else self.settings.preset

    def _place(self, model: str, draw: int) -> Path:
        return self.folder / f"draw_{draw:02}" / model

    def result(self, model: str, draw: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the rows of a model and a draw, and whether they had to be made."""
        seed = self.settings.seed + 2 * (draw - 1)
        key: dict[str, Any] = {
            "model": model, "preset": self._preset(model), "seed": seed, "sets": [item.name for item in self.sets],
            "voxels": [len(item.t1) for item in self.sets],
            **({} if model in _UNTRAINED else {"precision": self.settings.precision,
                                               "decoder_weight": self.settings.decoder_weight}),
        }  # fmt: skip
        if model.endswith(_ADAPTED):
            key["adaptation"] = self._adaptation()
        place = self._place(model, draw)
        record = place.with_suffix(".json")
        if record.is_file():
            content = read_json(record)
            if content.get("key") != key:
                raise InputError(f"{record}: holds a result of other settings; expected the same settings, or another "
                                 "folder.", field="output")  # fmt: skip
            return list(content["rows"]), False
        estimator_for = self._estimator(model, draw, place, seed)
        rows, estimates = [], {}
        for item in self.sets:
            estimator, seconds = estimator_for(item)
            t1, t2, failed = self._map(estimator, item)
            what = {"experiment": self.experiment, "draw": draw, "model": model, "preset": key["preset"], "seed": seed}
            rows.append({**what, **_scores(model, item, t1, t2, failed), "training_seconds": seconds})
            estimates[f"{item.name} t1"], estimates[f"{item.name} t2"] = t1, t2
        with replacing(place.with_suffix(".npz")) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **estimates)
        write_json({"key": key, "rows": rows}, record)
        return rows, True

    def _estimator(
        self, model: str, draw: int, place: Path, seed: int
    ) -> Callable[[TestSet], tuple[Estimator, float | None]]:
        """Return what gives a test set its estimator and how many seconds that one was trained."""
        if model.endswith(_ADAPTED):
            return self._adapted(model.removesuffix(_ADAPTED), draw)
        made = (_untrained(model, self.device), None) if model in _UNTRAINED else self._trained(model, place, seed)
        made[0].prepare(self.test_schedule, "real", progress=self.progress, cancelled=self.cancelled)
        return lambda _: made

    def _trained(self, model: str, place: Path, seed: int) -> tuple[Estimator, float | None]:
        from napari_blochnet.estimators.training import train_estimator

        place.parent.mkdir(parents=True, exist_ok=True)
        trained = train_estimator(
            model,
            training_schedules(self.experiment, seed),
            self._preset(model),
            device=self.device,
            checkpoint=place.with_suffix(".training"),
            progress=self.progress,
            cancelled=self.cancelled,
            precision=self.settings.precision,
            decoder_weight=self.settings.decoder_weight,
        )
        trained.save(place.with_suffix(".safetensors"))
        # the experiment asks for what every other use refuses: another schedule than the training's
        trained.other_schedule, trained.explain = True, False
        return trained, trained.card["training"]["seconds"]

    def _adaptation(self) -> dict[str, Any]:
        from napari_blochnet.estimators.adaptation import AdaptationOptions

        return asdict(AdaptationOptions())

    def _adapted(self, base: str, draw: int) -> Callable[[TestSet], tuple[Estimator, float | None]]:
        """Adapt the draw's trained network to the fingerprints of a test set, which carry no labels."""
        from napari_blochnet.estimators.adaptation import AdaptationOptions, adapt_estimator
        from napari_blochnet.estimators.store import load_estimator

        self.result(base, draw)
        trained = self._place(base, draw).with_suffix(".safetensors")
        network = load_estimator(trained, device=self.device, other_schedule=True)
        found: dict[str, tuple[Estimator, float | None]] = {}

        def adapted(item: TestSet) -> tuple[Estimator, float | None]:
            name = item.part_of or item.name
            if name not in found:
                whole = next(each for each in self.sets if each.name == name)
                started = time.perf_counter()
                made = adapt_estimator(
                    network, self._fingerprints(whole), self.test_schedule, "real", AdaptationOptions(),
                    progress=self.progress, cancelled=self.cancelled,
                )  # fmt: skip
                found[name] = made, round(time.perf_counter() - started, 1)
            return found[name]

        return adapted

    def _fingerprints(self, item: TestSet) -> FloatArray:
        from napari_blochnet.physics.decoder import EPGDecoder

        if item.name not in self._signals:
            self._signals[item.name] = EPGDecoder(self.test_schedule).signal(item.t1, item.t2)
        return self._signals[item.name]

    def _map(self, estimator: Estimator, item: TestSet) -> tuple[FloatArray, FloatArray, Any]:
        signals = self._fingerprints(item)
        parts = []
        for start in range(0, len(signals), _BATCH):
            raise_if_cancelled(self.cancelled, "mapping")
            parts.append(estimator.predict(signals[start : start + _BATCH], self.test_schedule, "real"))
        t1, t2, failed = (np.concatenate([getattr(part, name) for part in parts]) for name in ("t1", "t2", "failed"))
        return t1, t2, failed

    def figures(self, models: list[str]) -> list[Path]:
        """Draw the first draw's estimates against the truth, a figure for each test set."""
        from napari_blochnet.evaluation.experiment_report import scatter_of_models
        from napari_blochnet.evaluation.figures import save_figure

        made: list[Path] = []
        for item in self.sets:
            estimates = {}
            for model in models:
                with np.load(self._place(model, 1).with_suffix(".npz"), allow_pickle=False) as file:
                    estimates[model] = (file[f"{item.name} t1"], file[f"{item.name} t2"])
            path = self.folder / f"{self.experiment}_{item.name.replace(', ', '_')}.png"
            title = f"{item.name[:1].upper()}{item.name[1:]} data under FISP, trained under splines, draw 1"
            save_figure(scatter_of_models(title, (item.t1, item.t2), estimates), path)
            made.append(path)
        return made


def _untrained(model: str, device: str) -> Estimator:
    if model == "dictionary":
        from napari_blochnet.estimators.dictionary import DictionaryMatching

        return DictionaryMatching(device=device)
    from napari_blochnet.estimators.refinement_estimator import Refined
    from napari_blochnet.estimators.universal import Universal

    return Universal(device=device) if model == "universal" else Refined(Universal(device=device))


def _scores(model: str, item: TestSet, t1: FloatArray, t2: FloatArray, failed: Any) -> dict[str, Any]:
    from napari_blochnet.evaluation.scores import best_constant, mean_of_logs, score

    both = [
        score(truth, made, failed, best_constant(truth), model=model, tissue=item.name, parameter=name, unit="ms")
        for name, truth, made in (("T1", item.t1, t1), ("T2", item.t2, t2))
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
