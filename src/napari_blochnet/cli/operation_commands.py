"""Commands of operations, made from their entries in the catalogue."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import DEVICE, FILE, OUTPUT, Answer, Console, Part, command, named_files
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.freed_memory import give_back_freed_memory
from napari_blochnet.common.plain_text import counted
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.jobs.catalogue import KINDS, Input, Operation
from napari_blochnet.jobs.last_step import write_or_keep
from napari_blochnet.jobs.settings import FingerprintsSettings, PhantomSettings, Settings, settings_from
from napari_blochnet.jobs.volumes.stated_memory import memory_said

if TYPE_CHECKING:
    from napari_blochnet.evaluation.maps import ParameterMaps
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.phantoms.phantom import Phantom
    from napari_blochnet.schedules.schedule import Schedule

__all__ = ["STACK", "add_operation", "open_maps", "open_phantom", "open_schedule", "open_stack", "operation_command"]

Options = dict[str, Any]

# What is said of work in parts that was stopped.
_KEPT = "what is finished is kept, and the same command goes on with it."

#: How a stack is named.
STACK = click.argument("stack_path", metavar="STACK", type=FILE)


def open_schedule(console: Console, path: str, options: Options) -> Schedule:
    """Read a schedule that was named; what it leaves open is asked for by another command."""
    from napari_blochnet.jobs.operations.opening import make_schedule
    from napari_blochnet.schedules.missing import MissingHintError

    try:
        return make_schedule(kind="file", path=path)
    except MissingHintError as error:
        option = " ".join(f"--{field.replace('_', '-')} {each.examples[0]}" for field, each in error.asked.items())
        named, made = shlex.quote(path), shlex.quote(f"{Path(path).stem}-schedule.csv")
        others = f" (or {', '.join(error.examples[1:])})" if error.examples[1:] and len(error.asked) == 1 else ""
        convert = f"blochnet schedule convert {named} {option} -o {made}{others}"
        raise InputError(f"{error.without_hint}; make a schedule that says it: {convert}", field=error.field) from None


def open_phantom(console: Console, path: str, options: Options) -> Phantom:
    """Open a phantom that was named; takes its settings out of the options."""
    from napari_blochnet.jobs.operations.opening import open_phantom

    return open_phantom(path, progress=console.progress, **given_settings(PhantomSettings, options))


def open_maps(console: Console, path: str, options: Options) -> ParameterMaps:
    """Read maps that were named."""
    from napari_blochnet.evaluation.maps_io import read_maps

    return read_maps(path)


def open_stack(console: Console, path: str, options: Options) -> FingerprintStack:
    """Open a stack that was named, with its schedule where that was named too."""
    from napari_blochnet.estimators.brought.dictionary_files import bases_for_stack
    from napari_blochnet.fingerprints.compressed.bases import basis_inside
    from napari_blochnet.jobs.operations.opening import open_fingerprints
    from napari_blochnet.jobs.recognise import has_own_schedule

    named = options.pop("schedule_path")
    schedule = None if named is None else open_schedule(console, named, options)
    fields = given_settings(FingerprintsSettings, options)
    dictionary = options.get("dictionary")
    if dictionary is not None and schedule is None and "basis" not in fields:
        is_told = has_own_schedule(path) or basis_inside(Path(path).expanduser(), fields.get("variable"), None)
        if not is_told:
            # what came with the dictionary is the basis of coefficients, or tells how long whole signals are
            *others, last = bases_for_stack(dictionary, options.get("dictionary_variable"))
            for one in others:
                try:
                    return open_fingerprints(path, schedule, progress=console.progress, **one | fields)
                except InputError as error:
                    if error.field != "basis":
                        raise
            fields = last | fields
    return open_fingerprints(path, schedule, progress=console.progress, **fields)


def _described_stack(console: Console, path: str, options: Options) -> FingerprintStack:
    stack = open_stack(console, path, options)
    console.say("\n".join([stack.describe(), *stack.notes]))
    return stack


# Of each kind of input: what help says of it, what opens it, and further options that this takes. Those opened first
# come first: that a schedule cannot be read is told before a large phantom is.
_INPUTS: dict[str, tuple[str, Callable[[Console, str, Options], Any], tuple[Part, ...]]] = {
    "": ("Name or file.", lambda console, path, options: path, ()),
    "estimator": ("Name or file of a trained network.", lambda console, path, options: path, ()),
    "schedule": ("Schedule file.", open_schedule, ()),
    "phantom": ("Phantom folder or file.", open_phantom, (settings_options(PhantomSettings),)),
    "maps": ("Folder of maps.", open_maps, ()),
    "stack": ("Fingerprint stack.", _described_stack, (
        click.option("--schedule", "schedule_path", type=FILE, help="Schedule file; not needed for our own stacks."),
        settings_options(FingerprintsSettings),
    )),
}  # fmt: skip


def _maps_said(maps: ParameterMaps, output: Path) -> Answer:
    record = maps.record
    voxels, failed, lost, seconds = (record.get(key, 0) for key in ("voxels", "failed", "not_converged", "seconds"))
    text = (
        f"{counted(voxels, 'voxel', ',')} mapped with {maps.estimator} in {seconds:.1f} s"
        f"{f', {failed:,} without an answer' if failed else ''}"
        f"{f', {lost:,} fits without convergence' if lost else ''}.\nWritten to {output}."
    )
    note = [*record.get("understood", ()), *([record["note"]] if "note" in record else [])]
    return "\n".join([text, *note]), {"output": output, "voxels": voxels, "failed": failed, "seconds": seconds}


def _said(result: Any, output: Path) -> Answer:
    description = next((getattr(result, words)() for words in ("describe", "to_text") if hasattr(result, words)), "")
    record = getattr(result, "record", {})
    seconds = {"seconds": record["seconds"]} if "seconds" in record else {}
    content = {"output": output, "description": description, **seconds}
    return f"{description}\nWritten to {output}.".lstrip(), content


def _input_part(option: str, each: Input) -> Part:
    if option:
        return click.option(option, f"{each.name}_path", required=not each.optional, multiple=each.several, type=FILE,
                            help=_INPUTS[each.kind][0])  # fmt: skip
    return click.argument(f"{each.name}_path", metavar=each.name.upper(), nargs=-1 if each.several else 1, type=FILE,
                          required=not each.optional)  # fmt: skip


def operation_command(operation: Operation, name: str) -> click.Command:
    """Return the command of an operation: its inputs, all its settings, where to write, what computes."""
    fields = operation.settings.model_fields
    named = [(option, what) for option, what, word in operation.words() if not word]
    # an input that a setting may name is an option among the settings
    inputs = [(option, each) for option, what in named if (each := operation.input(what)) and what not in fields]
    typed = [what for option, what in named if not option and operation.input(what) is None]
    parts = [_input_part(option, each) for option, each in inputs]
    parts += [click.argument(what, type=FILE) for what in typed]
    kinds = dict.fromkeys(each.kind for _, each in inputs)
    # of a stack with its truth, options of one name are the stack's
    stacks = {*FingerprintsSettings.model_fields} & {*PhantomSettings.model_fields} if "stack" in kinds else set()
    for kind in kinds:
        of_truth = kind == "phantom" and stacks
        parts += (settings_options(PhantomSettings, leave_out=stacks),) if of_truth else _INPUTS[kind][2]
    parts += [settings_options(operation.settings, leave_out=typed), OUTPUT, *([DEVICE] if operation.device else [])]

    @command(*parts, name=name, help=operation.summary)
    def run(console: Console, output: Path, **options: Any) -> Answer:
        given: dict[str, Any] = {"device": options.pop("device")} if operation.device else {}
        kind = KINDS[operation.result]
        # no work is lost to a file that is in the way, or to a name that nothing can be written to
        kind.check_name(output)
        settings = settings_from(operation.settings, **given_settings(operation.settings, dict(options)))
        in_parts = operation.goes_in_parts(output, settings)
        if in_parts:
            give_back_freed_memory()
        check_outputs(kind.targets(output, settings), inputs=named_files(options), field="output")
        named = {name: value for name, value in options.items() if name.endswith("_path")}
        for each in sorted((each for _, each in inputs), key=lambda each: list(_INPUTS).index(each.kind)):
            open_one, path = _INPUTS[each.kind][1], options.pop(f"{each.name}_path")
            own = {name: value for name, value in options.items() if each.kind != "phantom" or name not in stacks}
            if each.several:
                given[each.name] = [open_one(console, one, dict(own)) for one in path]
            elif path is not None:
                given[each.name] = open_one(console, path, own)
        if operation.watched:
            given["progress"] = console.progress
        settings = settings_from(operation.settings, **given_settings(operation.settings, options))
        console.say(memory_said(operation, output, given, settings))
        if in_parts:
            result = _in_parts(operation, output, given, named, settings)
        else:
            result = operation(**given, settings=settings)
            watched = {"progress": console.progress} if kind.watched else {}
            write_or_keep(lambda path: resolve_name(kind.write)(result, path, **watched), output)
        return (_maps_said if kind.name == "maps" else _said)(result, output)

    return run


def _in_parts(operation: Operation, output: Path, given: dict[str, Any], named: Options, settings: Settings) -> Any:
    """Run an operation that writes its result itself; what it has finished stays if it is stopped."""
    source = {"source": named["stack_path"]} if "stack_path" in named else {}
    try:
        return resolve_name(operation.in_parts)(output, **given, **source, settings=settings)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(kept=_KEPT) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{error.filename or output}: {error.strerror or error}; what is finished is kept",
            "room on the disk, and then the same command again, which goes on with it",
            field="output",
        ) from None


def add_operation(root: click.Group, operation: Operation) -> None:
    """Add the command of an operation, unless its words are no command or one that is there already."""
    group = root
    for _, _, word in operation.words():
        found = group.commands.get(word)
        if not isinstance(found, click.Group):
            if word and found is None:
                group.add_command(operation_command(operation, word))
            return
        group = found
