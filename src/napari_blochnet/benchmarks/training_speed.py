"""How long trainings take here, and how near to the Cramér–Rao bound the quick one comes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from napari_blochnet.benchmarks.measuring import markdown_table
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.training.against_bound import tissue_scores
from napari_blochnet.estimators.training.loop import train_estimator
from napari_blochnet.schedules.generators import fisp_schedule

__all__ = ["TrainingBenchmark", "benchmark_training"]


@dataclass(frozen=True)
class TrainingBenchmark:
    """A benchmark of trainings under the FISP schedule.

    Attributes
    ----------
    epoch_seconds, epoch_cpu_seconds : list of float
        One epoch of BlochNet from nothing, wall and processor time, of each repeat: 80,100 tissues simulated at a
        tolerance of 1e-3, 81 steps of 1000 through FC encoder and Bloch decoder.
    quick_seconds, quick_cpu_seconds : float or None
        The quick preset from nothing; None where it was left out.
    ratios : dict of str to float
        Its RMSE at SNR 20 over the bound, by tissue and parameter.
    device : str
    """

    epoch_seconds: list[float]
    epoch_cpu_seconds: list[float]
    quick_seconds: float | None
    quick_cpu_seconds: float | None
    ratios: dict[str, float]
    device: str

    def to_text(self) -> str:
        """Return Markdown tables."""
        rows = [
            (f"BlochNet, one epoch from nothing, run {number}", f"{wall:.1f}", f"{cpu:.1f}")
            for number, (wall, cpu) in enumerate(zip(self.epoch_seconds, self.epoch_cpu_seconds, strict=True), start=1)
        ]
        if self.quick_seconds is not None:
            rows.append(("FC, preset quick", f"{self.quick_seconds:.1f}", f"{self.quick_cpu_seconds:.1f}"))
        text = [f"Trainings under the FISP schedule, 1000 samples, on {self.device}.", "",
                markdown_table(("training", "s", "CPU s"), rows)]  # fmt: skip
        if self.ratios:
            head = ("RMSE over the Cramér–Rao bound, SNR 20", *self.ratios)
            text += [
                "",
                markdown_table(head, [("FC, preset quick", *(f"{ratio:.3f}" for ratio in self.ratios.values()))]),
            ]
        return "\n".join(text)


def benchmark_training(
    repeats: int = 3,
    *,
    quick: bool = True,
    device: str = "cpu",
    watch: Watch = UNWATCHED,
) -> TrainingBenchmark:
    """Time one epoch of BlochNet at its published size, and the quick preset with its scores.

    Parameters
    ----------
    repeats : int
        Of the epoch, each from nothing, after a step that compiles.
    quick : bool
        Whether to train the quick preset, which takes longest.
    device : str
        "cpu", "auto" or a torch device.
    watch : Watch
        Told, and looked at, at every step.

    Returns
    -------
    TrainingBenchmark

    Raises
    ------
    InputError
        ``repeats`` below 1; a device that is absent.
    Cancelled
        Once nobody wants it any more.
    """
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; expected at least 1.", field="repeats")
    schedule = fisp_schedule()
    watch.check("the benchmark")
    train_estimator("blochnet", schedule, fingerprints=200, epochs=1, device=device, watch=watch)
    epochs: list[tuple[float, float]] = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        train_estimator("blochnet", schedule, epochs=1, device=device, watch=watch)
        epochs.append((time.perf_counter() - wall, time.process_time() - cpu))
    quick_wall = quick_cpu = None
    ratios: dict[str, float] = {}
    where = device
    if quick:
        cpu, wall = time.process_time(), time.perf_counter()
        trained = train_estimator("fc", schedule, "quick", device=device, watch=watch)
        quick_wall, quick_cpu = time.perf_counter() - wall, time.process_time() - cpu
        where = str(trained.card["training"]["device"])
        scores = tissue_scores(trained, schedule, watch=watch)
        ratios = {name: float(value["ratio"]) for name, value in scores.items() if isinstance(value, dict)}
    walls, cpus = ([float(value) for value in column] for column in zip(*epochs, strict=True))
    return TrainingBenchmark(walls, cpus, quick_wall, quick_cpu, ratios, where)
