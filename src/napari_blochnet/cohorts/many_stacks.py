"""A recipe done to many stacks: by this process, its threads or a cluster, with the same bits."""

from __future__ import annotations

import copy
import functools
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_blochnet.cohorts.one_training import make_network
from napari_blochnet.cohorts.settings_cohorts import CohortSettings
from napari_blochnet.cohorts.stack_names import folder_of
from napari_blochnet.cohorts.study_folder import (
    at_work_in,
    finished_note,
    key_of,
    models_folder,
    notes_of_study,
    stack_files,
    state_of,
)
from napari_blochnet.cohorts.study_stacks import StudyStack, list_stacks
from napari_blochnet.cohorts.summary import check_summary, write_summary
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.engines.engine import Engine, open_engine
from napari_blochnet.engines.one_task import Outcome, Task
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.jobs.history.other_stacks import StackRecipe, ancestors, recipe_for_stacks, renumbered
from napari_blochnet.jobs.history.recipes import absolute_files, files_read, read_recipe
from napari_blochnet.jobs.records import as_recipe, plain_path, software_versions
from napari_blochnet.jobs.settings import settings_from

__all__ = ["Study", "run_on_stacks", "run_whole_recipe"]

_HOME = "napari_blochnet.cohorts.one_stack"


@dataclass(frozen=True)
class Study:
    """What became of a recipe on many stacks.

    Parameters
    ----------
    folder : Path
    rows : tuple of dict
        One for each stack, region and parameter; see `napari_blochnet.cohorts.area_means.area_means`. A stack that
        failed has one with its sentence.
    done, before : int
        Stacks that were done now, and that had been already.
    failed : dict of str to str
        Of each stack that failed, by its prefix, the sentence that says why.
    notes : dict of str to tuple of str
        What was told of each.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...] = ()
    done: int = 0
    before: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def describe(self) -> str:
        """Say what became of it."""
        count = self.done + self.before
        already = f", {self.before} of them already before" if self.before else ""
        return f"{count} {'stack' if count == 1 else 'stacks'} done{already}; {len(self.failed)} failed."


def run_on_stacks(
    recipe: str | os.PathLike[str] | dict[str, Any],
    stacks: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    settings: CohortSettings | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    say: Callable[[str], None] | None = None,
    **fields: Any,
) -> Study:
    """Do to many stacks what a recipe did to one.

    Results have BIDS-derivative names: ``FOLDER/sub-01/ses-2/anat/sub-01_ses-2_T1map.nii.gz``. Beside them lie
    ``summary.csv`` and ``summary.html``. What is finished is not done again by the same call, whatever ended the first
    one, and one stack that fails does not stop the others. Bits depend neither on the engine nor on the workers.

    Parameters
    ----------
    recipe : path or dict
        A recipe saved from napari, the JSON beside any result, or the record of one.
    stacks : sequence of path
        See `napari_blochnet.cohorts.study_stacks.list_stacks`.
    folder : path
    settings : CohortSettings, optional
    workers : int, optional
        How many stacks are done at a time, on threads of this process. None: one.
    scheduler : str, optional
        Address of a dask scheduler, whose workers share a file system with this machine.
    device : str
        "auto", "cpu" or a GPU; auto: one for each worker, where there are several.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in stacks.
    say : callable, optional
        Called with a line about each stack that is finished.
    **fields
        Fields of `CohortSettings`.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        A recipe of no stack; stacks that cannot be told apart; another run into the folder, or files there that are
        not ours; a cluster that cannot do the work. What is finished is kept.
    Cancelled
        What is finished is kept.
    """
    given = settings_from(CohortSettings, settings, **fields)
    if isinstance(recipe, (str, os.PathLike)):
        content = read_recipe(recipe)
    else:
        content = recipe if "steps" in recipe else as_recipe(recipe)
    template = recipe_for_stacks(absolute_files(content))
    found = [_with_needs(stack, template) for stack in list_stacks(stacks)]
    root = Path(folder).expanduser().absolute()
    check_summary(root, [stack.path for stack in found])
    watch = Watch(progress, cancelled)
    engine_settings = settings_from(EngineSettings, workers=workers, scheduler=scheduler)
    with at_work_in(root), open_engine(engine_settings, device) as engine:
        run = _Run(root, template, given, engine, watch, say)
        try:
            run.do(found)
        finally:
            # also of a part: it tells what there is
            study = run.study(found)
            if study.rows:
                _write(run.with_earlier_runs(study), root, template)
    return study


def _write(study: Study, root: Path, template: StackRecipe) -> None:
    try:
        write_summary(study.rows, root, template.recipe, study.notes, study.failed)
    except OSError as error:
        raise InputError(
            f"The summary cannot be written to {root} ({error.strerror or error}); maps that are finished are kept",
            "room on the disk, and then the same command again, which goes on",
            field="output",
        ) from None


def _with_needs(stack: StudyStack, template: StackRecipe) -> StudyStack:
    """Return a stack with the B1 map that its recipe needs, where one lies beside it."""
    if "b1" not in template.needs or "b1" in stack.mapped:
        return stack
    if stack.b1 is None:
        raise InputError(
            f"The recipe maps with a B1 map, that of its own stack, and {stack.prefix} has none",
            "a table of stacks with a column b1 (none: without)",
            field="b1",
        )
    return replace(stack, mapped={**stack.mapped, "b1": str(stack.b1)})


class _Run:
    """One run of a study."""

    def __init__(
        self,
        root: Path,
        template: StackRecipe,
        given: CohortSettings,
        engine: Engine,
        watch: Watch,
        say: Callable[[str], None] | None,
    ) -> None:
        self._root, self._template, self._given = root, template, given
        self._engine, self._watch, self._say = engine, watch, say or (lambda text: None)
        self._key = key_of([template.recipe, list(template.results), given.model_dump(mode="json")])
        self._state = functools.cache(state_of)  # of a network, or an atlas, that many stacks share, once
        self._finished: dict[str, dict[str, Any]] = {}
        self._failed: dict[str, str] = {}
        self._notes: dict[str, tuple[str, ...]] = {}
        self._before = 0

    def do(self, stacks: Sequence[StudyStack]) -> None:
        """Do what is missing."""
        for note in self._template.notes:
            self._say(note)
        networks = self._networks()
        tasks: list[Task] = []
        for number, stack in enumerate(stacks):
            self._watch.check("looking for what is finished")
            self._watch.report(number, len(stacks), "looking for what is finished")
            task = self._task(stack, networks)
            finished = finished_note(self._root, stack.prefix, task["key"])
            if finished is None:
                tasks.append(task)
            else:
                self._finished[stack.prefix] = finished
                self._notes[stack.prefix] = tuple(finished.get("notes", ()))
        self._before = len(self._finished)
        if self._before:
            self._say(f"{self._before} of {len(stacks)} stacks are done already.")
        if not tasks:
            return
        self._say(f"{len(tasks)} {'stack' if len(tasks) == 1 else 'stacks'} by {self._engine.about}.")
        self._watch.report(self._before, len(stacks), "stacks")
        folders = dict.fromkeys(str(stack.path.parent) for stack in stacks if stack.path.exists())
        needs = self._needs(*folders)
        for number, outcome in self._engine.run(f"{_HOME}:do_one_stack", tasks, self._watch, needs=needs):
            self._count(tasks[number]["prefix"], outcome, len(stacks))

    def _count(self, prefix: str, outcome: Outcome, total: int) -> None:
        self._notes[prefix] = outcome.notes
        where = f" ({outcome.where})" if outcome.where else ""
        if outcome.failure:
            self._failed[prefix] = f"{outcome.failure}{where}"
            self._say(f"{prefix}: {outcome.failure}{where}")
        else:
            self._finished[prefix] = outcome.result
            said, seconds = outcome.result["said"], outcome.result["seconds"]
            mapped = f"{counted(said['voxels'], 'voxel', ',')} mapped with {said['estimator']}" if said else "done"
            self._say(f"{prefix}: {mapped} in {seconds:.1f} s{where}.")
        done = len(self._finished) + len(self._failed)
        self._watch.report(done, total, "stacks")

    def _needs(self, *folders: str) -> Task:
        """Return what each worker is asked for: estimators of other packages, folders."""
        from napari_blochnet.estimators.networks.cards import ARCHITECTURES
        from napari_blochnet.estimators.registry import declared_estimators

        names = [self._estimator(number) for number in self._template.mapped]
        brought = [name for name in names if name in declared_estimators() and name not in ARCHITECTURES]
        return {"estimators": brought, "folders": [str(self._root), *folders]}

    def _estimator(self, number: int) -> str:
        return str(self._template.steps[number].get("settings", {}).get("estimator", ""))

    def _task(self, stack: StudyStack, networks: dict[str, dict[str, Any]]) -> Task:
        """Return what a worker is told of one stack."""
        recipe = self._template.recipe
        if stack.mapped:
            recipe = copy.deepcopy(recipe)
            for number in self._template.mapped:
                recipe["steps"][number].setdefault("settings", {}).update(stack.mapped)
        common = None if self._given.schedule is None else str(Path(self._given.schedule).expanduser().absolute())
        of_all = None if self._given.regions is None else Path(self._given.regions).expanduser().absolute()
        regions = stack.regions or of_all
        task = {
            "recipe": recipe, "each": self._template.each, "results": list(self._template.results),
            "stack": str(stack.path), "prefix": stack.prefix, "opened": stack.opened, "networks": networks,
            "schedule": None if stack.schedule is None else str(stack.schedule), "common": common,
            "regions": None if regions is None else str(regions), "folder": str(self._root), "study": self._key,
        }  # fmt: skip
        opened = [value for value in stack.opened.values() if isinstance(value, str) and Path(value).is_file()]
        named = [*stack_files(stack.path), *opened, stack.schedule, common, regions, *files_read(recipe),
                 *(network["file"] for network in networks.values())]  # fmt: skip
        states = [self._state(None if each is None else str(each)) for each in named]
        place = str(folder_of(stack.prefix))
        key = key_of({**task, "folder": place, "states": states, "software": software_versions()})
        return {**task, "key": key}

    def _networks(self) -> dict[str, dict[str, Any]]:
        """Put the networks that the recipe names, or trains, where every worker finds them; return them by step."""
        from napari_blochnet.estimators.networks.cards import SUFFIX, is_path, stored_models

        found: dict[str, dict[str, Any]] = {}
        own = {model.name: model.path for model in stored_models() if not model.packaged}
        for number in self._template.mapped:
            name = self._estimator(number)
            path = Path(plain_path(name)) if is_path(name) else own.get(name)
            if path is not None and path.is_file():
                state = state_of(path)
                assert state is not None
                target = models_folder(self._root) / f"{state[1]}{SUFFIX}"
                if not target.is_file():
                    draft = target.with_suffix(f".{os.getpid()}")
                    shutil.copyfile(path, draft)
                    os.replace(draft, target)
                found[str(number)] = {"file": str(target), "name": path.stem, "source": str(path)}
        for number, step in enumerate(self._template.steps):
            # one that is adapted to its stack is adapted to each of them
            if step["operation"] == "train":
                found[str(number)] = self._trained(number)
        return found

    def _trained(self, number: int) -> dict[str, Any]:
        """Train what the recipe trains, once, where a worker is."""
        needed = sorted(ancestors(self._template.steps, number))
        place = {each: index for index, each in enumerate(needed)}
        steps = [renumbered(self._template.steps[each], place) for each in needed]
        recipe = {"blochnet_recipe": 1, "steps": steps}
        key = key_of([recipe, [state_of(each) for each in files_read(recipe)], software_versions()])
        target = models_folder(self._root) / f"{key}.safetensors"
        if not target.is_file():
            self._say(f"Trains {steps[-1].get('settings', {}).get('estimator', 'a network')} first, once for all.")
            task = {"recipe": recipe, "file": str(target)}
            home = f"{make_network.__module__}:{make_network.__name__}"
            for _, outcome in self._engine.run(home, [task], self._watch, needs=self._needs()):
                if outcome.failure:
                    raise InputError(outcome.failure)
        return {"file": str(target), "name": "", "source": None}

    def study(self, stacks: Sequence[StudyStack]) -> Study:
        """Return what became of it so far."""
        rows: list[dict[str, Any]] = []
        for stack in stacks:
            known = {"name": stack.prefix, "stack": str(stack.path)}
            note = self._finished.get(stack.prefix)
            if note is not None:
                rows += _rows_of(known, note)
            elif stack.prefix in self._failed:
                rows.append({**known, "failure": self._failed[stack.prefix]})
        done = len(self._finished) - self._before
        names = [stack.prefix for stack in stacks]
        failed = {name: self._failed[name] for name in names if name in self._failed}
        notes = {name: self._notes[name] for name in names if self._notes.get(name)}
        return Study(self._root, tuple(rows), done, self._before, failed, notes)

    def with_earlier_runs(self, study: Study) -> Study:
        """Add the stacks that earlier runs of the recipe did into the folder: a study may grow by a few at a time."""
        own = {row["name"] for row in study.rows}
        others = {name: note for name, note in notes_of_study(self._root, self._key).items() if name not in own}
        rows = [row for name, note in others.items() for row in _rows_of({"name": name, "stack": note["stack"]}, note)]
        notes = {name: tuple(note["notes"]) for name, note in others.items() if note.get("notes")}
        return replace(study, rows=(*study.rows, *rows), notes={**study.notes, **notes})


def _rows_of(known: dict[str, str], note: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**known, **row, "seconds": round(note["seconds"], 3)} for row in note["rows"]]


def run_whole_recipe(
    recipe: dict[str, Any],
    folder: str | os.PathLike[str],
    engine: EngineSettings,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Run a recipe as it is on a worker, and let that write its results; see
    `napari_blochnet.jobs.history.recipes.write_results`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        As `napari_blochnet.jobs.history.recipes.run_recipe`, and where the worker could not do it.
    """
    root = Path(folder).expanduser().absolute()
    root.mkdir(parents=True, exist_ok=True)
    task = {"recipe": absolute_files(recipe), "folder": str(root)}
    with open_engine(engine, device) as opened:
        run = opened.run(f"{_HOME}:do_recipe", [task], Watch(progress, cancelled), needs={"folders": [str(root)]})
        ((_, outcome),) = run
    for note in outcome.notes:
        warnings.warn(note, DataWarning, stacklevel=2)
    if outcome.failure:
        raise InputError(outcome.failure)
    return [Path(name) for name in outcome.result["files"]]
