"""The catalogue: what is known of each operation, in one entry.

An operation is one function with one settings model. It takes its settings as a model or as keyword arguments of the
same names, reports progress, looks at ``cancelled`` once per batch, and returns a domain object that carries its
record. Records, recipes, copied Python, copied commands and the command line read this catalogue and know no operation
by name: a new one is one file with its function and its settings, and one entry here.

Functions and classes are named as ``module:name`` and found when they are called, so that the catalogue costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.estimating.settings_dictionary import DictionarySettings
from napari_blochnet.jobs.settings import (
    B1FieldSettings,
    BrainWebSettings,
    CutSettings,
    FingerprintsSettings,
    PhantomSettings,
    ReconstructSettings,
    Settings,
    SimulateSettings,
    SyntheticSettings,
)
from napari_blochnet.jobs.settings_arrays import ArraySettings
from napari_blochnet.jobs.settings_coefficients import CompressSettings, ExpandSettings
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings, RegionSettings
from napari_blochnet.jobs.settings_figures import MapFigureSettings, VoxelFigureSettings
from napari_blochnet.jobs.settings_schedules import FispSettings, ScheduleFileSettings, SplineSettings
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings

__all__ = ["KINDS", "OPERATIONS", "Input", "Kind", "Operation", "operation_of"]

_PART = re.compile(r"(?:(--[\w-]+) )?\{(\w+)\}|(\S+)")


@dataclass(frozen=True)
class Kind:
    """A kind of thing that operations make: its class, and how it is written.

    Parameters
    ----------
    name : str
        What a result is called in scripts, and its file.
    type : str
        Its class.
    write : str
        Called as ``write(result, path)``.
    suffix : str
        Of its file; none: a folder.
    watched : bool
        Whether ``write`` takes ``progress``.
    files : str
        Called as ``files(path, settings)``: which files ``write`` will surely write. None: its file, if it is one.
    endings : tuple of str
        How its file's name must end, where ``write`` tells formats apart by it.
    """

    name: str
    type: str
    write: str
    suffix: str = ""
    watched: bool = False
    files: str = ""
    endings: tuple[str, ...] = ()

    def check_name(self, path: Path) -> None:
        """Raise `InputError` where a file's name does not end as what is written to it."""
        if self.endings:
            check_ending(path, self.endings, f"{self.name}s", field="output")

    def targets(self, path: Path, settings: Settings | None = None) -> list[Path]:
        """Return the files that writing one to a path will surely write, as far as they are known before it is made."""
        if self.files:
            return list(resolve_name(self.files)(path, settings))
        return [path] if self.suffix else []

    def holds(self, thing: object) -> bool:
        """Whether a thing is of this kind; looks at names, so that no class is loaded that nobody made a thing of."""
        return any(f"{of.__module__}:{of.__qualname__}" == self.type for of in type(thing).__mro__)


#: By name.
KINDS = {
    kind.name: kind
    for kind in (
        Kind("phantom", "napari_blochnet.phantoms.phantom:Phantom",
             "napari_blochnet.phantoms.write:write_phantom", watched=True),
        Kind("schedule", "napari_blochnet.schedules.schedule:Schedule",
             "napari_blochnet.schedules.schedule_files:write_schedule", ".csv"),
        Kind("stack", "napari_blochnet.fingerprints.stack:FingerprintStack",
             "napari_blochnet.fingerprints.stack_files:write_fingerprints", ".nii.gz", watched=True,
             files="napari_blochnet.fingerprints.stack_files:files_to_write"),
        Kind("maps", "napari_blochnet.evaluation.maps:ParameterMaps",
             "napari_blochnet.evaluation.maps_io:write_maps", watched=True,
             files="napari_blochnet.evaluation.maps_io:files_to_write"),
        Kind("comparison", "napari_blochnet.evaluation.comparison:Comparison",
             "napari_blochnet.evaluation.comparison:Comparison.to_html", ".html"),
        Kind("regions", "napari_blochnet.evaluation.regions:RegionMeans",
             "napari_blochnet.evaluation.regions:RegionMeans.to_html", ".html"),
        Kind("figure", "napari_blochnet.evaluation.drawing.sheets:DrawnFigure",
             "napari_blochnet.evaluation.drawing.sheets:DrawnFigure.save", ".pdf",
             endings=(".pdf", ".svg", ".png")),
        Kind("agreement", "napari_blochnet.evaluation.agreement.agreeing:Agreement",
             "napari_blochnet.evaluation.agreement.agreeing:Agreement.to_html", ".html"),
        Kind("dictionary", "napari_blochnet.estimators.brought.brought_dictionary:BroughtDictionary",
             "napari_blochnet.estimators.brought.write_dictionary:write_dictionary", ".npz",
             endings=(".npz", ".mat", ".h5", ".hdf5")),
        Kind("estimator", "napari_blochnet.estimators.networks.network_estimator:NetworkEstimator",
             "napari_blochnet.estimators.networks.network_estimator:NetworkEstimator.save", ".safetensors"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Input:
    """What an operation takes beside its settings.

    Parameters
    ----------
    name : str
        Of the function's argument, and of the input in records.
    kind : str
        What kind of thing; none: a path or a name, as it is.
    several : bool
        Whether it is a sequence of them.
    optional : bool
        Whether it may be left out.
    by_name : bool
        Whether it is given by name in Python: after other optional ones.
    """

    name: str
    kind: str = ""
    several: bool = False
    optional: bool = False
    by_name: bool = False


@dataclass(frozen=True)
class Operation:
    """All that is known of an operation.

    Parameters
    ----------
    name : str
        What records call it.
    function : str
        Where it is: ``module:function``.
    settings : type of Settings
        Its settings.
    result : str
        What kind of thing it makes, one of `KINDS`.
    inputs : tuple of Input
        In the function's order.
    variant : str
        Where several operations have one name: the ``kind`` in the settings of this one.
    python_name : str
        Its public name, such as "nb.simulate". None: scripts import the function.
    first : str
        The setting that is the first argument in Python, said there even where it is the default.
    command : str
        The words after ``blochnet``, such as "simulate --phantom {phantom} --schedule {schedule}". Braces name inputs
        and settings; those left out take their option with them. Other settings are options of their own names.
    inline : bool
        Whether ``command`` is no command, but the words by which other commands open its result themselves.
    summary : str
        What the command's help says.
    device : bool
        Whether it takes ``device``.
    watched : bool
        Whether it takes ``progress`` and ``cancelled``.
    in_parts : str
        Where it is as a function that writes its result itself, part by part, so that it need not fit into memory and
        is gone on with after it was broken off: called as ``in_parts(path, …)``. Its command takes this one.
    parts_endings : tuple of str
        Of the names that it writes so; any, where there are none.
    """

    name: str
    function: str
    settings: type[Settings]
    result: str
    inputs: tuple[Input, ...] = ()
    variant: str = ""
    python_name: str = ""
    first: str = ""
    command: str = ""
    inline: bool = False
    summary: str = ""
    device: bool = False
    watched: bool = True
    in_parts: str = ""
    parts_endings: tuple[str, ...] = ()

    def goes_in_parts(self, path: Path, settings: Settings) -> bool:
        """Whether it writes its result part by part to a path."""
        is_named = not self.parts_endings or path.name.lower().endswith(self.parts_endings)
        return bool(self.in_parts) and is_named and not getattr(settings, "is_made_whole", False)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run it."""
        return resolve_name(self.function)(*args, **named)

    def input(self, name: str) -> Input | None:
        """Return the input of a name; None where it has none."""
        return next((given for given in self.inputs if given.name == name), None)

    def words(self) -> list[tuple[str, str, str]]:
        """Return the parts of ``command`` as (option, input or setting, plain word); what a part lacks is empty."""
        return _PART.findall(self.command)


_JOBS = "napari_blochnet.jobs.operations"
_STACK = Input("stack", "stack")
_TRUTH = Input("truth", "phantom")
_MAPS = Input("maps", "maps", several=True)

#: Every operation; append one and it has records, recipes, scripts and a command.
OPERATIONS: list[Operation] = [
    Operation(
        "open_phantom", f"{_JOBS}.opening:open_phantom", PhantomSettings, "phantom", (Input("source", several=True),),
        python_name="nb.read_phantom", command="phantom {source}",
    ),
    Operation(
        "brainweb_phantom", f"{_JOBS}.opening:brainweb_phantom", BrainWebSettings, "phantom",
        python_name="nb.brainweb_phantom", command="phantom --brainweb {subject}",
    ),
    Operation(
        "synthetic_head", f"{_JOBS}.opening:synthetic_head", SyntheticSettings, "phantom",
        python_name="nb.synthetic_phantom", command="phantom --synthetic",
    ),
    Operation(
        "make_schedule", f"{_JOBS}.opening:make_schedule", FispSettings, "schedule", variant="fisp",
        python_name="nb.fisp_schedule", command="schedule fisp",
        summary="Write the published FISP schedule (Jiang 2015).",
    ),
    Operation(
        "make_schedule", f"{_JOBS}.opening:make_schedule", SplineSettings, "schedule", variant="spline",
        python_name="nb.spline_schedule", command="schedule spline",
        summary="Write a random spline schedule (Spline5; SplineNoise11: --control-points 11 --noise-variance 10).",
    ),
    Operation(
        "make_schedule", f"{_JOBS}.opening:make_schedule", ScheduleFileSettings, "schedule", variant="file",
        python_name="nb.read_schedule", first="path", command="schedule convert {path}",
        summary="Write a schedule from another program as CSV.",
    ),
    Operation(
        "make_dictionary", "napari_blochnet.jobs.estimating.dictionaries:make_dictionary", DictionarySettings,
        "dictionary", (Input("schedule", "schedule"),),
        python_name="nb.make_dictionary", command="dictionary {schedule}",
        summary="Write the dictionary of SCHEDULE (.npz, .mat): atoms with their look-up table, and their basis.",
    ),
    Operation(
        "open_fingerprints", f"{_JOBS}.opening:open_fingerprints", FingerprintsSettings, "stack",
        (Input("path"), Input("schedule", "schedule", optional=True)),
        python_name="nb.read_fingerprints", command="{path} --schedule {schedule}", inline=True,
    ),
    Operation(
        "fingerprints_from_array", f"{_JOBS}.taking:fingerprints_from_array", ArraySettings, "stack",
        (Input("data"), Input("schedule", "schedule")), python_name="nb.fingerprints_from_array",
        command="{data} --schedule {schedule}", inline=True,
    ),
    Operation(
        "cut_phantom", f"{_JOBS}.cutting:cut_phantom", CutSettings, "phantom", (Input("phantom", "phantom"),),
        python_name="nb.cut_phantom", command="cut-phantom {phantom}", watched=False,
        summary="Write some slices of PHANTOM as one of their own.",
    ),
    Operation(
        "add_b1_field", f"{_JOBS}.b1_maps:add_b1_field", B1FieldSettings, "phantom", (Input("phantom", "phantom"),),
        python_name="nb.add_b1_field", command="add-b1-field {phantom}", watched=False,
        summary="Write PHANTOM with a synthetic transmit field B1, smooth and of a given range.",
    ),
    Operation(
        "cut_stack", f"{_JOBS}.cutting:cut_stack", CutSettings, "stack", (_STACK,),
        python_name="nb.cut_stack", command="cut-stack {stack}", watched=False,
        summary="Write some slices of STACK as one of their own.",
    ),
    Operation(
        "compress", "napari_blochnet.jobs.coefficients.compressing:compress", CompressSettings, "stack", (_STACK,),
        python_name="nb.compress", command="compress {stack}",
        summary="Write the fingerprints in STACK as coefficients of a few time courses, with this basis.",
    ),
    Operation(
        "expand", "napari_blochnet.jobs.coefficients.compressing:expand", ExpandSettings, "stack", (_STACK,),
        python_name="nb.expand", command="expand {stack}",
        summary="Write the whole fingerprints that the coefficients in STACK stand for.",
    ),
    Operation(
        "simulate", f"{_JOBS}.simulate:simulate", SimulateSettings, "stack",
        (Input("phantom", "phantom"), Input("schedule", "schedule")),
        python_name="nb.simulate", command="simulate --phantom {phantom} --schedule {schedule}", device=True,
        summary="Simulate the fingerprints of a phantom. A Zarr store (-o NAME.zarr), uncompressed NIfTI (.nii) or "
                "HDF5 (.h5) is written part by part and may be larger than the memory; the same command goes on with "
                "one that was broken off.",
        in_parts="napari_blochnet.jobs.volumes.volume_stacks:simulate_to",
        parts_endings=(".zarr", ".nii", ".h5", ".hdf5"),
    ),
    Operation(
        "reconstruct", f"{_JOBS}.reconstruct:reconstruct", ReconstructSettings, "maps",
        (_STACK, Input("estimator", "estimator", optional=True), Input("mask", optional=True, by_name=True),
         Input("b1", optional=True, by_name=True)),
        python_name="nb.reconstruct", command="reconstruct {stack} --estimator {estimator}", device=True,
        summary="Map T1, T2 and PD from the fingerprints in STACK, into a folder. The same command goes on with a "
                "mapping that was broken off.",
        in_parts="napari_blochnet.jobs.volumes.volume_maps:reconstruct_to",
    ),
    Operation(
        "compare", f"{_JOBS}.compare:compare", CompareSettings, "comparison", (_TRUTH, _MAPS),
        python_name="nb.compare", command="compare --truth {truth} {maps}",
    ),
    Operation(
        "region_means", f"{_JOBS}.compare:region_means", RegionSettings, "regions",
        (_MAPS, Input("regions"), Input("truth", "phantom", optional=True)), watched=False,
        python_name="nb.region_means", command="compare --regions {regions} {maps} --truth {truth}",
    ),
    Operation(
        "draw_voxel", f"{_JOBS}.draw:draw_voxel", VoxelFigureSettings, "figure",
        (_STACK, Input("maps", "maps", several=True, optional=True), Input("truth", "phantom", optional=True)),
        python_name="nb.draw_voxel", command="figure voxel {stack} {maps} --truth {truth}",
        summary="Draw a voxel of STACK as a figure (.pdf, .svg, .png): fingerprints, residuals and T1–T2 plane.",
    ),
    Operation(
        "draw_maps", f"{_JOBS}.draw:draw_maps", MapFigureSettings, "figure",
        (_MAPS, Input("truth", "phantom", optional=True)),
        python_name="nb.draw_maps", command="figure maps {maps} --truth {truth}",
        summary="Draw maps in a grid as a figure (.pdf, .svg, .png), with colour bars and a scale bar.",
    ),
    Operation(
        "agreement", f"{_JOBS}.compare:agreement", AgreementSettings, "agreement",
        (_MAPS, Input("truth", "phantom", optional=True, by_name=True), Input("regions", optional=True, by_name=True)),
        python_name="nb.agreement", command="compare --agreement {maps} --truth {truth} --regions {regions}",
    ),
    Operation(
        "train", f"{_JOBS}.train:train", TrainSettings, "estimator",
        (Input("schedules", "schedule", several=True), Input("aliasing_from", "stack", optional=True, by_name=True)),
        python_name="nb.train", first="estimator",
        command="train --schedule {schedules} --aliasing-from {aliasing_from}", device=True,
    ),
    Operation(
        "adapt", f"{_JOBS}.adapt:adapt", AdaptSettings, "estimator", (Input("estimator", "estimator"), _STACK),
        python_name="nb.adapt", command="adapt {estimator} {stack}", device=True,
    ),
]  # fmt: skip


def operation_of(name: object, settings: Mapping[str, Any]) -> Operation | None:
    """Return the operation that a step of a history names; None where there is none of that name.

    Raises
    ------
    InputError
        One of several of a name, of a kind that none of them is.
    """
    found = [operation for operation in OPERATIONS if operation.name == name]
    if len(found) < 2:
        return found[0] if found else None
    chosen = next((operation for operation in found if operation.variant == settings.get("kind")), None)
    if chosen is None:
        raise InputError(f"The kind of {found[0].result} is {settings.get('kind')!r}; expected one of "
                         f"{', '.join(operation.variant for operation in found)}.", field="kind")  # fmt: skip
    return chosen
