"""What ``blochnet experiment`` runs: the paper's tables, what goes beyond them, and running each by its name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.engines.engine import Engine, open_engine
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.settings import Settings, settings_from
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.pieces import ExperimentResult, Study
from napari_blochnet.studies.settings_studies import (
    AcquiredSettings,
    BeyondSettings,
    PrecisionSettings,
    SchedulesSettings,
    UndersamplingSettings,
    WeightsSettings,
)

__all__ = ["STUDIES", "run_study"]

_PAPER = "Trained under random splines, tested under FISP."
_FIGURE_MODELS = "fc,rnn,hydra,blochnet"
#: Of each study its settings, module and function, and what people read of it.
STUDIES: dict[str, tuple[type[Settings], str, str]] = {
    "table2": (ExperimentSettings, "paper:score_paper", f"The paper's Table 2. {_PAPER}"),
    "table3": (ExperimentSettings, "paper:score_paper", f"The paper's Table 3. {_PAPER}"),
    "figure6": (ExperimentSettings, "paper:score_paper", f"The paper's Figure 6. {_PAPER}"),
    "beyond": (BeyondSettings, "beyond:score_beyond",
               "Adapted, universal and refined maps on the paper's test. OUTPUT may be the folder of a table3 run."),
    "weights": (WeightsSettings, "loss_weights:score_weights",
                "Networks trained with several weights λ of the signal's loss, on the test of table3."),
    "schedules": (SchedulesSettings, "every_schedule:score_schedules",
                  "Universal and refined maps under every published schedule."),
    "precision": (PrecisionSettings, "noise_limit:score_precision",
                  "Refined maps of pure tissues against the Cramér–Rao bound."),
    "acquired": (AcquiredSettings, "acquired:score_acquired",
                 "The acquired phantom, refined, against the truth and the site."),
    "undersampling": (UndersamplingSettings, "undersampling:score_undersampling",
                      "Estimators on whole images, aliased frames and coefficient images of a slice of a head."),
}  # fmt: skip


def run_study(
    name: str,
    folder: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    data: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    say: Callable[[str], None] | None = None,
    **fields: Any,
) -> ExperimentResult:
    """Run a study, or go on with it.

    Parameters
    ----------
    name : str
        One of `STUDIES`.
    folder : path
        Every piece that is finished is kept there and not computed again.
    settings : Settings, optional
        Of `STUDIES`.
    data : path, optional
        Folder of data sets: ``brainweb/``, ``anatomical/``, ``schedules/``, ``acquired/``.
    workers : int, optional
        How many pieces are made at a time, on threads of this process. None: one.
    scheduler : str, optional
        Address of a dask scheduler, whose workers share a file system with this machine.
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    say : callable, optional
        Called with a line about each piece that is finished.
    **fields
        Fields of its settings.

    Returns
    -------
    ExperimentResult

    Raises
    ------
    InputError
        A setting out of bounds; a data set that is missing; a folder that holds results of other settings.
    Cancelled
        What was finished is in the folder.
    """
    model, home, _ = STUDIES[name]
    if name == "figure6" and "models" not in fields and settings is None:
        fields["models"] = _FIGURE_MODELS
    given = settings_from(model, settings, **fields)
    module, _, function = home.partition(":")
    score = getattr(importlib.import_module(f"napari_blochnet.studies.{module}"), function)
    check_outputs([Path(folder) / f"{name}{ending}" for ending in (".csv", ".md")], instead="another folder",
                  field="output")  # fmt: skip
    watch = Watch(progress, cancelled)
    study = Study(name, Path(folder), data, resolve_device(device), watch, say)
    if workers is not None or scheduler is not None:
        with open_engine(settings_from(EngineSettings, workers=workers, scheduler=scheduler), device) as engine:
            _make_pieces(study, given, engine)
    result: ExperimentResult = score(study, given)
    return result


def _make_pieces(study: Study, given: Settings, engine: Engine) -> None:
    """Let an engine make what a study's tables are then made from."""
    from napari_blochnet.studies.draw_tasks import make_draws
    from napari_blochnet.studies.loss_weights import of_each_weight

    if isinstance(given, WeightsSettings):
        for _, own, settings in of_each_weight(study, given):
            make_draws("table3", own, settings, engine)
    elif isinstance(given, ExperimentSettings):
        make_draws("table3" if study.name == "beyond" else study.name, study, given, engine)
    else:
        raise InputError(f"The experiment {study.name} is one piece", "no workers and no scheduler", field="workers")
