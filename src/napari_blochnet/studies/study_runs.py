"""What ``blochnet experiment`` runs: the paper's tables, what goes beyond them, and running each by its name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
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
    study = Study(name, Path(folder), data, resolve_device(device), Watch(progress, cancelled), say)
    result: ExperimentResult = score(study, given)
    return result
