"""Commands of the model store: ``blochnet train``, ``blochnet adapt``, ``blochnet models``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from napari_blochnet.cli.options import Console, given_settings, sentences, settings_options
from napari_blochnet.jobs.settings import FingerprintsSettings
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings

__all__ = ["COMMANDS"]

_console = click.make_pass_decorator(Console)
_device = click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU such as cuda:0.")
_model_output = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="Model file (.safetensors), or a bare name for the model store.",
)  # fmt: skip


def _model_path(output: Path) -> Path:
    """Return where a model is written to."""
    from napari_blochnet.common.errors import InputError
    from napari_blochnet.estimators.networks.cards import SUFFIX, user_folder

    if not output.suffix and output.name == str(output):
        output = user_folder() / f"{output.name}{SUFFIX}"
    if output.suffix != SUFFIX:
        raise InputError(f"{output.name}: a model is written as safetensors; expected a name ending in {SUFFIX}.",
                         field="output")  # fmt: skip
    return output


@click.command()
@click.option(
    "--schedule", "paths", multiple=True, required=True, type=click.Path(), help="Schedule file; may be given again."
)
@settings_options(TrainSettings)
@_model_output
@_device
@_console
@sentences
def train(console: Console, paths: tuple[str, ...], output: Path, device: str, **options: Any) -> None:
    """Train a network for one or several schedules.

    Interrupted, the same command goes on where it was.
    """
    from napari_blochnet.estimators.training.state import LossPoint
    from napari_blochnet.jobs.operations.opening import make_schedule
    from napari_blochnet.jobs.operations.train import train as run

    output = _model_path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    schedules = [make_schedule(kind="file", path=path) for path in paths]
    last = 0

    def watch(point: LossPoint) -> None:
        nonlocal last
        if point.epoch > last:
            last = point.epoch
            held_out = "" if point.held_out is None else f", held out {point.held_out:.3g}"
            console.say(f"epoch {point.epoch}: loss {point.loss:.3g}{held_out}, {point.seconds:.0f} s")

    fields = given_settings(TrainSettings, options)
    with console.progress() as progress:
        trained = run(
            fields.pop("estimator", None), schedules, device=device, checkpoint=output.with_suffix(".training"),
            progress=progress, watch=watch, **fields,
        )  # fmt: skip
    written = trained.save(output)
    for name, scores in trained.card["scores"].items():
        ratios = ", ".join(f"{key} {value['ratio']:.2f}" for key, value in scores.items() if isinstance(value, dict))
        console.say(f"{name}: RMSE over the Cramér–Rao bound at SNR {scores['snr']:g}: {ratios}")
    console.say(f"Written to {written}.")
    console.result(output=written, seconds=trained.card["training"]["seconds"], scores=trained.card["scores"])


@click.command()
@_console
@sentences
def models(console: Console) -> None:
    """List the trained networks at hand: the user's own and those of the package."""
    from napari_blochnet.estimators.networks.cards import stored_models, user_folder

    found = stored_models()
    for model in found:
        console.say(model.describe())
        for note in model.card.get("notes", []):
            console.say(f"    {note}")
    console.say(f"Your own models lie in {user_folder()}.")
    console.result(
        models=[{"name": model.name, "path": model.path, "packaged": model.packaged, "card": model.card}
                for model in found]
    )  # fmt: skip


@click.command()
@click.argument("model")
@click.argument("stack_path", metavar="STACK", type=click.Path(path_type=Path))
@click.option("--schedule", "schedule_path", type=click.Path(path_type=Path), help="Where the stack does not carry it.")
@settings_options(FingerprintsSettings)
@settings_options(AdaptSettings)
@_model_output
@_device
@_console
@sentences
def adapt(
    console: Console,
    model: str,
    stack_path: Path,
    schedule_path: Path | None,
    output: Path,
    device: str,
    **options: Any,
) -> None:
    """Fine-tune MODEL, a name or a file, on the fingerprints in STACK, without labels, for their schedule."""
    from napari_blochnet.estimators.training.state import LossPoint
    from napari_blochnet.jobs.operations.adapt import adapt as run
    from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints

    output = _model_path(output)
    schedule = None if schedule_path is None else make_schedule(kind="file", path=str(schedule_path))

    def watch(point: LossPoint) -> None:
        console.say(f"epoch {point.epoch}: loss {point.loss:.3g}, {point.seconds:.0f} s")

    with console.progress() as progress:
        stack = open_fingerprints(
            stack_path, schedule, progress=progress, **given_settings(FingerprintsSettings, options)
        )
        adapted = run(model, stack, device=device, progress=progress, watch=watch,
                      **given_settings(AdaptSettings, options))  # fmt: skip
    written = adapted.save(output)
    console.say(f"Written to {written}.")
    console.result(output=written, seconds=adapted.card["record"].get("seconds"))


COMMANDS = (train, models, adapt)
