"""The command line: ``blochnet``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from napari_blochnet import __version__
from napari_blochnet.cli.benchmarks import benchmark
from napari_blochnet.cli.models import adapt, models, train
from napari_blochnet.cli.operation_commands import add_operation, open_maps, open_phantom
from napari_blochnet.cli.running import run
from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import FILE, OUTPUT, PATH, Answer, Console, command, named_files
from napari_blochnet.cli.studies import experiment
from napari_blochnet.common.plain_text import plain_line
from napari_blochnet.jobs.catalogue import OPERATIONS
from napari_blochnet.jobs.settings import BrainWebSettings, PhantomSettings, SyntheticSettings
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings, RegionSettings
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings

__all__ = ["blochnet", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="blochnet")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_context
def blochnet(context: click.Context, quiet: bool, as_json: bool) -> None:
    """Magnetic resonance fingerprinting: simulate, map T1 and T2, compare with the truth."""
    context.obj = Console(quiet, as_json)


@command(click.argument("output", default="blochnet-demo", type=PATH))
def demo(console: Console, output: Path) -> Answer:
    """Do the whole main job on the built-in head, offline, into the folder OUTPUT."""
    from napari_blochnet.jobs.demo import run_demo

    result = run_demo(output, progress=console.progress)
    return result.text, {"output": output, "files": list(map(str, result.files)), "seconds": result.seconds}


@command(
    click.argument("sources", nargs=-1, type=PATH),
    click.option("--synthetic", is_flag=True, help="Make the built-in head instead of reading files."),
    click.option(
        "--brainweb", "subject", help="A subject of BrainWeb's 20 normal brains (04, 05, …), downloaded once."
    ),
    settings_options(BrainWebSettings, leave_out=("subject", "tissues")),
    settings_options(PhantomSettings),
    settings_options(SyntheticSettings, leave_out=("shape", "tissues")),
    OUTPUT,
)
def phantom(
    console: Console, sources: tuple[Path, ...], synthetic: bool, subject: str | None, output: Path, **options: Any
) -> Answer:
    """Turn BrainWeb or NIfTI memberships, labels or maps (SOURCES) into a phantom folder."""
    from napari_blochnet.common.errors import InputError
    from napari_blochnet.jobs.operations.opening import brainweb_phantom, open_phantom, synthetic_head
    from napari_blochnet.phantoms.write import write_phantom

    if bool(sources) + synthetic + (subject is not None) != 1:
        raise InputError(
            "Name files or a folder to read, --synthetic, or --brainweb; expected one of them.", field="sources"
        )
    if synthetic:
        result = synthetic_head(progress=console.progress, **given_settings(SyntheticSettings, options))
    elif subject is not None:
        fields = given_settings(BrainWebSettings, options)
        result = brainweb_phantom(subject=subject, progress=console.progress, **fields)
    else:
        source = sources[0] if len(sources) == 1 else list(sources)
        result = open_phantom(source, progress=console.progress, **given_settings(PhantomSettings, options))
    write_phantom(result, output, progress=console.progress)
    text = "\n".join([result.describe(), *result.notes, f"Written to {output}."])
    return text, {"output": output, "description": result.describe(), "notes": result.notes}


@click.group()
def schedule() -> None:
    """Make, show and convert RF schedules."""


@click.group()
def figure() -> None:
    """Draw figures for a paper, in the width of a journal's column."""


@command(click.argument("path", type=FILE), settings_options(ScheduleFileSettings, leave_out=("path",)))
def show(console: Console, path: str, **options: Any) -> Answer:
    """Say what a schedule file holds."""
    from napari_blochnet.jobs.operations.opening import make_schedule

    made = make_schedule(kind="file", path=path, **given_settings(ScheduleFileSettings, options))
    understood = made.record.get("understood", [])
    text = "\n".join([made.describe(), *understood])
    return text, {"description": made.describe(), "pulses": len(made), "understood": understood}


# Options of a comparison or of means that agreement has, too.
_OF_BOTH = ("title", "radius", "t1_limits", "t2_limits")


@command(
    click.argument("folders", nargs=-1, required=True, type=FILE),
    click.option("--truth", "source", type=FILE, help="Phantom folder or file."),
    click.option("--regions", type=FILE, help="Regions to average over: a label image, or spheres in a CSV file."),
    settings_options(PhantomSettings),
    settings_options(CompareSettings),
    click.option("--figures", type=PATH, help="Write the figures too, as .png, .svg or .pdf."),
    settings_options(RegionSettings, leave_out=("title",)),
    click.option(
        "--agreement",
        is_flag=True,
        help="Bias and limits of agreement (Bland-Altman) of the models, with --regions in each; so without --truth.",
    ),
    settings_options(AgreementSettings, leave_out=_OF_BOTH),
    OUTPUT,
)
def compare(
    console: Console,
    folders: tuple[str, ...],
    source: str | None,
    regions: str | None,
    figures: Path | None,
    agreement: bool,
    output: Path,
    **options: Any,
) -> Answer:
    """Compare the maps in FOLDERS with the truth or with each other, or average them over regions; write an HTML page.

    With --truth they are scored. Without it, or with --agreement, they are compared with the first of them, or with
    what --reference names: differences, bias and limits of agreement. With --regions alone, means are written.
    """
    from napari_blochnet.common.endings import check_ending
    from napari_blochnet.common.errors import InputError
    from napari_blochnet.evaluation.agreement.agreement_figures import agreement_files
    from napari_blochnet.evaluation.drawing.figure_files import ENDINGS
    from napari_blochnet.evaluation.drawing.figures import comparison_figures
    from napari_blochnet.io.atomic import replacing_set
    from napari_blochnet.io.origin import check_outputs
    from napari_blochnet.jobs.operations.compare import agreement as agree
    from napari_blochnet.jobs.operations.compare import compare as run
    from napari_blochnet.jobs.operations.compare import region_means

    named = given_settings(AgreementSettings, dict(options))
    agrees = agreement or any(key not in _OF_BOTH for key in named) or (source is None and regions is None)
    if agrees and source is None and len(folders) < 2:
        raise InputError("There is one model; expected another to compare it with, --truth (a phantom), or --regions "
                         "(labels or spheres).", field="truth")  # fmt: skip
    if figures is not None and regions is not None and not agrees:
        raise InputError(
            "figures are drawn of a comparison with --truth alone, or with --agreement; expected no --regions.",
            field="figures",
        )
    check_ending(output, (".html", ".htm"), "reports", field="output")
    if figures is not None:
        check_ending(figures, ENDINGS, "figures", field="figures")
    table = output.with_suffix(".csv")
    files = agreement_files if agrees else comparison_figures
    drawn = [] if figures is None else files(figures)
    check_outputs([output, table, *drawn], inputs=named_files({**options, "source": source, "regions": regions}),
                  field="output")  # fmt: skip
    several = [open_maps(console, folder, options) for folder in folders]
    truth = None if source is None else open_phantom(console, source, options)
    comparison: Any
    if agrees:
        fields = given_settings(AgreementSettings, options)
        comparison = agree(several, truth, regions, progress=console.progress, **fields)
    elif truth is not None and regions is None:
        fields = given_settings(CompareSettings, options)
        comparison = run(truth, several, progress=console.progress, **fields)
    else:
        comparison = region_means(several, str(regions), truth, **given_settings(RegionSettings, options))
    check_outputs([output, table], record=comparison.record, field="output")
    with replacing_set([output, table]) as draft:
        comparison.to_html(draft / output.name)
        comparison.to_csv(draft / table.name)
    if figures is not None:
        comparison.to_figures(figures)
    text = f"{comparison.to_text()}\nWritten to {output} and {table.name}."
    return text, {"output": output, "table": comparison.rows()}


schedule.add_command(show)
for _command in (adapt, benchmark, compare, demo, experiment, figure, models, phantom, run, schedule, train):
    blochnet.add_command(_command)
for _operation in OPERATIONS:
    add_operation(blochnet, _operation)


def main() -> None:
    """Run the command line."""
    try:
        blochnet(prog_name="blochnet")
    except Exception as error:
        # a defect of ours: still one sentence, with what a report of it needs
        detail = f"{type(error).__name__}: {error}".split("\n")[0]
        click.echo(
            f"blochnet: an unexpected fault ({plain_line(detail)}); please report it with the command you gave.",
            err=True,
        )
        sys.exit(1)
