"""The whole main job on built-in data: phantom, schedule, simulation, maps, errors, a picture and a page."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.io.atomic import replacing_set
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.jobs.operations.compare import compare
from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.jobs.records import as_recipe

__all__ = ["DemoResult", "run_demo"]

# A slice through the lateral ventricles, and noise as in a good in-vivo scan.
_SNR = 30.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Parameters
    ----------
    text : str
        The table of errors and where to look next.
    files : tuple of Path
        What was written.
    seconds : float
        How long it took.
    """

    text: str
    files: tuple[Path, ...]
    seconds: float


def run_demo(
    folder: str | os.PathLike[str], *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None
) -> DemoResult:
    """Simulate and map one slice of the built-in head, and write everything about it.

    Parameters
    ----------
    folder : path
        Made if it is not there; files of the same names that this package wrote are replaced.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    DemoResult
    """
    from napari_blochnet.evaluation.drawing.figures import comparison_figure, save_figure
    from napari_blochnet.evaluation.maps_io import error_files, files_to_write, write_error_maps, write_maps
    from napari_blochnet.phantoms.write import phantom_files, write_phantom
    from napari_blochnet.schedules.schedule_files import write_schedule

    started = time.perf_counter()
    target = Path(folder)
    head = synthetic_head(progress=progress, cancelled=cancelled)
    middle = head.shape[0] // 2
    truth = head[middle]
    schedule = make_schedule(kind="fisp")
    names = ("truth", "schedule.csv", "maps", "errors", "maps.png", "report.html", "report.csv", "recipe.json")
    files = [target / name for name in names if Path(name).suffix]
    files += [
        *phantom_files(truth, target / "truth"),
        *files_to_write(target / "maps"),
        *error_files(target / "errors"),
    ]
    check_outputs(files, instead="another folder", field="output")
    stack = simulate(
        head, schedule, snr=_SNR, seed=1, slices=(middle, middle + 1), progress=progress, cancelled=cancelled
    )
    maps = reconstruct(stack, "dictionary", progress=progress, cancelled=cancelled)
    comparison = compare(truth, maps, title="T1 and T2 of the built-in head, dictionary matching at SNR 30")

    write_phantom(truth, target / "truth")
    write_maps(maps, target / "maps")
    write_error_maps(truth, maps, target / "errors")
    with replacing_set([target / name for name in names if Path(name).suffix]) as draft:
        write_schedule(schedule, draft / "schedule.csv")
        save_figure(comparison_figure(comparison), draft / "maps.png")
        comparison.to_html(draft / "report.html")
        comparison.to_csv(draft / "report.csv")
        write_json(as_recipe(maps.record), draft / "recipe.json")
    seconds = time.perf_counter() - started
    text = f"""{stack.describe()}
{schedule.describe()}

{comparison.to_text()}

Done in {seconds:.0f} s. Look at
  {target / "report.html"}   the page: tables, maps, errors, how they were made
  {target / "maps.png"}   the picture
  {target / "maps"}   T1, T2 and PD as NIfTI (seconds), {target / "errors"} the signed errors (per cent)
Next
  blochnet run {target / "recipe.json"} -o again   the same maps, once more
  blochnet schedule spline -o mine.csv; blochnet simulate --phantom {target / "truth"} --schedule mine.csv -o stack.nii
  napari, then Plugins > BlochNet > Workbench   the same by pointing and clicking
"""
    return DemoResult(text, tuple(target / name for name in names), seconds)
