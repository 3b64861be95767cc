"""The command line: ``blochnet``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_blochnet import __version__
from napari_blochnet.cli.options import Console, given_settings, sentences, settings_options
from napari_blochnet.jobs.settings import (
    BrainWebSettings,
    CompareSettings,
    FingerprintsSettings,
    FispSettings,
    PhantomSettings,
    ReconstructSettings,
    RegionSettings,
    ScheduleFileSettings,
    SimulateSettings,
    SplineSettings,
    SyntheticSettings,
)

if TYPE_CHECKING:
    from napari_blochnet.schedules.schedule import Schedule

__all__ = ["main"]

_console = click.make_pass_decorator(Console)
_output = click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Where to write.")
_device = click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU such as cuda:0.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="blochnet")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_context
def blochnet(context: click.Context, quiet: bool, as_json: bool) -> None:
    """Magnetic resonance fingerprinting: simulate, map T1 and T2, compare with the truth."""
    context.obj = Console(quiet, as_json)


@blochnet.command()
@click.argument("output", default="blochnet-demo", type=click.Path(path_type=Path))
@_console
@sentences
def demo(console: Console, output: Path) -> None:
    """Do the whole main job on the built-in head, offline, into the folder OUTPUT."""
    from napari_blochnet.jobs.demo import run_demo

    with console.progress() as progress:
        result = run_demo(output, progress=progress)
    console.say(result.text)
    console.result(output=output, files=[str(path) for path in result.files], seconds=result.seconds)


@blochnet.command()
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path))
@click.option("--synthetic", is_flag=True, help="Make the built-in head instead of reading files.")
@click.option("--brainweb", "subject", help="A subject of BrainWeb's 20 normal brains (04, 05, …), downloaded once.")
@settings_options(BrainWebSettings, leave_out=("subject", "tissues"))
@settings_options(PhantomSettings)
@settings_options(SyntheticSettings, leave_out=("shape", "tissues"))
@_output
@_console
@sentences
def phantom(
    console: Console, sources: tuple[Path, ...], synthetic: bool, subject: str | None, output: Path, **options: Any
) -> None:
    """Turn BrainWeb or NIfTI memberships, labels or maps (SOURCES) into a phantom folder."""
    from napari_blochnet.common.errors import InputError
    from napari_blochnet.jobs.catalogue import brainweb_phantom, open_phantom, synthetic_head
    from napari_blochnet.phantoms.write import write_phantom

    if bool(sources) + synthetic + (subject is not None) != 1:
        raise InputError("Name files or a folder to read, --synthetic, or --brainweb; expected one of them.",
                         field="sources")  # fmt: skip
    with console.progress() as progress:
        if synthetic:
            result = synthetic_head(progress=progress, **given_settings(SyntheticSettings, options))
        elif subject is not None:
            fields = given_settings(BrainWebSettings, options)
            result = brainweb_phantom(subject=subject, progress=progress, **fields)
        else:
            source = sources[0] if len(sources) == 1 else list(sources)
            result = open_phantom(source, progress=progress, **given_settings(PhantomSettings, options))
        write_phantom(result, output, progress=progress)
    console.say("\n".join([result.describe(), *result.notes, f"Written to {output}."]))
    console.result(output=output, description=result.describe(), notes=result.notes)


@blochnet.group()
def schedule() -> None:
    """Make, show and convert RF schedules."""


def _write_schedule(console: Console, made: Schedule, output: Path) -> None:
    from napari_blochnet.schedules.schedule_files import write_schedule

    write_schedule(made, output)
    console.say(f"{made.describe()}\nWritten to {output}.")
    console.result(output=output, description=made.describe())


@schedule.command()
@settings_options(FispSettings)
@_output
@_console
@sentences
def fisp(console: Console, output: Path, **options: Any) -> None:
    """Write the published FISP schedule (Jiang 2015)."""
    from napari_blochnet.jobs.catalogue import make_schedule

    _write_schedule(console, make_schedule(kind="fisp", **given_settings(FispSettings, options)), output)


@schedule.command()
@settings_options(SplineSettings)
@_output
@_console
@sentences
def spline(console: Console, output: Path, **options: Any) -> None:
    """Write a random spline schedule (Spline5; SplineNoise11: --control-points 11 --noise-variance 10)."""
    from napari_blochnet.jobs.catalogue import make_schedule

    _write_schedule(console, make_schedule(kind="spline", **given_settings(SplineSettings, options)), output)


@schedule.command()
@click.argument("path", type=click.Path())
@settings_options(ScheduleFileSettings, leave_out=("path",))
@_console
@sentences
def show(console: Console, path: str, **options: Any) -> None:
    """Say what a schedule file holds."""
    made = _read_schedule(path, options)
    console.say(made.describe())
    console.result(description=made.describe(), pulses=len(made))


@schedule.command()
@click.argument("path", type=click.Path())
@settings_options(ScheduleFileSettings, leave_out=("path",))
@_output
@_console
@sentences
def convert(console: Console, path: str, output: Path, **options: Any) -> None:
    """Write a schedule from another program as CSV."""
    _write_schedule(console, _read_schedule(path, options), output)


def _read_schedule(path: str, options: dict[str, Any] | None = None) -> Schedule:
    from napari_blochnet.jobs.catalogue import make_schedule

    return make_schedule(kind="file", path=path, **given_settings(ScheduleFileSettings, options or {}))


@blochnet.command()
@click.option("--phantom", "source", required=True, type=click.Path(), help="Phantom folder or file.")
@click.option("--schedule", "schedule_path", required=True, type=click.Path(), help="Schedule file.")
@settings_options(PhantomSettings)
@settings_options(SimulateSettings)
@_output
@_device
@_console
@sentences
def simulate(console: Console, source: str, schedule_path: str, output: Path, device: str, **options: Any) -> None:
    """Simulate the fingerprints of a phantom."""
    from napari_blochnet.fingerprints.stack_files import write_fingerprints
    from napari_blochnet.jobs.catalogue import open_phantom
    from napari_blochnet.jobs.catalogue import simulate as run

    made = _read_schedule(schedule_path)
    with console.progress() as progress:
        truth = open_phantom(source, progress=progress, **given_settings(PhantomSettings, options))
        stack = run(truth, made, device=device, progress=progress, **given_settings(SimulateSettings, options))
        write_fingerprints(stack, output, progress=progress)
    console.say(f"{stack.describe()}\nWritten to {output}.")
    console.result(output=output, description=stack.describe(), seconds=stack.record["seconds"])


@blochnet.command()
@click.argument("stack_path", metavar="STACK", type=click.Path())
@click.option("--schedule", "schedule_path", type=click.Path(), help="Schedule file; not needed for our own stacks.")
@settings_options(FingerprintsSettings)
@settings_options(ReconstructSettings)
@_output
@_device
@_console
@sentences
def reconstruct(
    console: Console, stack_path: str, schedule_path: str | None, output: Path, device: str, **options: Any
) -> None:
    """Map T1, T2 and PD from the fingerprints in STACK, into a folder."""
    from napari_blochnet.evaluation.maps_io import write_maps
    from napari_blochnet.jobs.catalogue import open_fingerprints
    from napari_blochnet.jobs.catalogue import reconstruct as run

    made = None if schedule_path is None else _read_schedule(schedule_path)
    with console.progress() as progress:
        stack = open_fingerprints(stack_path, made, progress=progress, **given_settings(FingerprintsSettings, options))
        console.say("\n".join([stack.describe(), *stack.notes]))
        maps = run(stack, device=device, progress=progress, **given_settings(ReconstructSettings, options))
        write_maps(maps, output, progress=progress)
    failed, lost = maps.record["failed"], maps.record.get("not_converged", 0)
    console.say(
        f"{maps.record['voxels']:,} voxels mapped with {maps.estimator} in {maps.record['seconds']:.1f} s"
        f"{f', {failed:,} without an answer' if failed else ''}"
        f"{f', {lost:,} fits without convergence' if lost else ''}.\nWritten to {output}."
    )
    if "note" in maps.record:
        console.say(maps.record["note"])
    console.result(output=output, voxels=maps.record["voxels"], failed=failed, seconds=maps.record["seconds"])


@blochnet.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--truth", "source", type=click.Path(), help="Phantom folder or file.")
@click.option("--regions", type=click.Path(), help="Regions to average over: a label image, or spheres in a CSV file.")
@settings_options(PhantomSettings)
@settings_options(CompareSettings)
@click.option("--figures", type=click.Path(path_type=Path), help="Write the figures too, as .png, .svg or .pdf.")
@settings_options(RegionSettings, leave_out=("title",))
@_output
@_console
@sentences
def compare(
    console: Console,
    folders: tuple[Path, ...],
    source: str | None,
    regions: str | None,
    figures: Path | None,
    output: Path,
    **options: Any,
) -> None:
    """Compare the maps in FOLDERS with the truth, or average them over regions; write an HTML page."""
    from napari_blochnet.common.errors import InputError
    from napari_blochnet.evaluation.maps_io import read_maps
    from napari_blochnet.jobs.catalogue import compare as run
    from napari_blochnet.jobs.catalogue import open_phantom, region_means

    if source is None and regions is None:
        raise InputError("Give --truth (a phantom), --regions (labels or spheres), or both: means over the regions, "
                         "of the truth too.", field="truth")  # fmt: skip
    if figures is not None and regions is not None:
        raise InputError("figures are drawn of a comparison with --truth alone; expected no --regions.",
                         field="figures")  # fmt: skip
    several = [read_maps(folder) for folder in folders]
    truth = None if source is None else open_phantom(source, **given_settings(PhantomSettings, options))
    if truth is not None and regions is None:
        with console.progress() as progress:
            comparison: Any = run(truth, several, progress=progress, **given_settings(CompareSettings, options))
    else:
        comparison = region_means(several, str(regions), truth, **given_settings(RegionSettings, options))
    comparison.to_html(output)
    comparison.to_csv(output.with_suffix(".csv"))
    if figures is not None:
        comparison.to_figures(figures)
    console.say(f"{comparison.to_text()}\nWritten to {output} and {output.with_suffix('.csv').name}.")
    console.result(output=output, table=comparison.rows())


@blochnet.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@_output
@_console
@sentences
def run(console: Console, recipe: Path, output: Path) -> None:
    """Run RECIPE again: a recipe saved from napari, or the JSON beside any result; write into a folder."""
    from napari_blochnet.jobs.history.recipes import read_recipe, run_recipe, write_results

    with console.progress() as progress:
        results = run_recipe(read_recipe(recipe), progress=progress)
        files = write_results(results, output)
    console.say("Written: " + ", ".join(str(path) for path in files))
    console.result(output=output, files=[str(path) for path in files])


@blochnet.group()
def benchmark() -> None:
    """Measure speed and memory on this machine."""


def _add_commands() -> None:
    from napari_blochnet.cli import benchmarks as cli_benchmarks
    from napari_blochnet.cli import models as cli_training
    from napari_blochnet.cli import studies as cli_experiments

    for command in (*cli_training.COMMANDS, cli_experiments.experiment):
        blochnet.add_command(command)
    for measured in cli_benchmarks.COMMANDS:
        benchmark.add_command(measured)


_add_commands()


def main() -> None:
    """Run the command line."""
    try:
        blochnet(prog_name="blochnet")
    except Exception as error:
        # a defect of ours: still one sentence, with what a report of it needs
        detail = f"{type(error).__name__}: {error}".split("\n")[0]
        click.echo(f"blochnet: an unexpected fault ({detail}); please report it with the command you gave.", err=True)
        sys.exit(1)
