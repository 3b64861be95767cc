"""Commands of the model store: ``blochnet train``, ``blochnet adapt``, ``blochnet models``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_blochnet.cli.operation_commands import STACK, open_schedule, open_stack
from napari_blochnet.cli.running import quiet_cluster
from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import DEVICE, FILE, Answer, Console, command, named_files, output
from napari_blochnet.common.errors import Cancelled
from napari_blochnet.common.progress import Watch
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.jobs.last_step import write_or_keep
from napari_blochnet.jobs.settings import FingerprintsSettings, settings_from
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings

if TYPE_CHECKING:
    from napari_blochnet.estimators.training.state import LossPoint
    from napari_blochnet.schedules.schedule import Schedule

__all__ = ["adapt", "models", "train"]

_MODEL = output("Model file (.safetensors), or a bare name for the model store.")


def _model_path(output: Path, inputs: list[Path]) -> Path:
    """Return where a model is written to; nothing is in the way there."""
    from napari_blochnet.common.errors import InputError
    from napari_blochnet.estimators.networks.cards import SUFFIX, user_folder
    from napari_blochnet.io.origin import check_outputs

    if not output.suffix and output.name == str(output):
        output = user_folder() / f"{output.name}{SUFFIX}"
    if output.suffix != SUFFIX:
        raise InputError(
            f"{output.name}: a model is written as safetensors; expected a name ending in {SUFFIX}.", field="output"
        )
    check_outputs([output, *(output.with_suffix(ending) for ending in (".json", ".training"))], inputs=inputs,
                  instead="another name", field="output")  # fmt: skip
    return output


@command(
    click.option("--schedule", "paths", multiple=True, required=True, type=FILE,
                 help="Schedule file; may be given again."),
    settings_options(TrainSettings), settings_options(EngineSettings, leave_out=("workers",)), _MODEL, DEVICE,
)  # fmt: skip
def train(console: Console, paths: tuple[str, ...], output: Path, device: str, **options: Any) -> Answer:
    """Train a network for one or several schedules.

    Interrupted, the same command goes on where it was.
    """
    from napari_blochnet.estimators.training.stopped import CHECKPOINT
    from napari_blochnet.jobs.operations.train import train as run

    output = _model_path(output, named_files({"paths": paths, **options}))
    output.parent.mkdir(parents=True, exist_ok=True)
    schedules = [open_schedule(console, path, options) for path in paths]
    last = 0

    def watch(point: LossPoint) -> None:
        nonlocal last
        if point.epoch > last:
            last = point.epoch
            held_out = "" if point.held_out is None else f", held out {point.held_out:.3g}"
            console.say(f"epoch {point.epoch}: loss {point.loss:.3g}{held_out}, {point.seconds:.0f} s")

    engine = settings_from(EngineSettings, **given_settings(EngineSettings, options))
    fields = given_settings(TrainSettings, options)
    checkpoint = output.with_suffix(CHECKPOINT)
    if engine.scheduler is not None:
        return _train_elsewhere(console, schedules, output, settings_from(TrainSettings, **fields), engine, device)
    try:
        trained = run(
            fields.pop("estimator", None), schedules, device=device, checkpoint=checkpoint, progress=console.progress,
            watch=watch, **fields,
        )  # fmt: skip
    except KeyboardInterrupt:
        if checkpoint.is_file():
            console.say(f"The training is saved in {checkpoint}; the same command goes on with it.")
        raise
    written = write_or_keep(trained.save, output)
    return _trained(written, trained.card["scores"], trained.card["training"]["seconds"])


def _train_elsewhere(
    console: Console,
    schedules: Sequence[Schedule],
    output: Path,
    settings: TrainSettings,
    engine: EngineSettings,
    device: str,
) -> Answer:
    from napari_blochnet.cohorts.one_training import train_elsewhere

    quiet_cluster()
    try:
        made = train_elsewhere(schedules, output, settings, engine, device=device, watch=Watch(console.progress),
                               say=console.say)  # fmt: skip
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(kept=f"the training is saved beside {output.name}, and the same command goes on.") from None
    return _trained(output, made["scores"], made["seconds"])


def _trained(output: Path, found: dict[str, Any], seconds: float | None) -> Answer:
    lines = []
    for name, scores in found.items():
        ratios = ", ".join(f"{key} {value['ratio']:.2f}" for key, value in scores.items() if isinstance(value, dict))
        lines.append(f"{name}: RMSE over the Cramér–Rao bound at SNR {scores['snr']:g}: {ratios}")
    return "\n".join([*lines, f"Written to {output}."]), {"output": output, "seconds": seconds, "scores": found}


@command()
def models(console: Console) -> Answer:
    """List the trained networks at hand: the user's own and those of the package."""
    from napari_blochnet.estimators.networks.cards import stored_models, user_folder
    from napari_blochnet.estimators.training.stopped import stopped_trainings

    found = stored_models()
    lines = []
    for model in found:
        lines += [model.describe(), *(f"    {note}" for note in model.card.get("notes", []))]
    stopped = stopped_trainings(user_folder())
    lines += [f"Stopped: {training.describe()}; the command that began it goes on with it." for training in stopped]
    text = "\n".join([*lines, f"Your own models lie in {user_folder()}."])
    return text, {
        "models": [{key: getattr(model, key) for key in ("name", "path", "packaged", "card")} for model in found],
        "stopped": [{key: getattr(training, key) for key in ("name", "path", "step", "total")} for training in stopped],
    }


@command(
    click.argument("model"), STACK,
    click.option("--schedule", "schedule_path", type=FILE, help="Where the stack does not carry it."),
    settings_options(FingerprintsSettings), settings_options(AdaptSettings), _MODEL, DEVICE,
)  # fmt: skip
def adapt(console: Console, model: str, stack_path: str, output: Path, device: str, **options: Any) -> Answer:
    """Fine-tune MODEL, a name or a file, on the fingerprints in STACK, without labels, for their schedule."""
    from napari_blochnet.jobs.operations.adapt import adapt as run

    def watch(point: LossPoint) -> None:
        console.say(f"epoch {point.epoch}: loss {point.loss:.3g}, {point.seconds:.0f} s")

    output = _model_path(output, named_files({"model": model, "stack": stack_path, **options}))
    stack = open_stack(console, stack_path, options)
    fields = given_settings(AdaptSettings, options)
    adapted = run(model, stack, device=device, progress=console.progress, watch=watch, **fields)
    written = write_or_keep(adapted.save, output)
    return f"Written to {written}.", {"output": written, "seconds": adapted.card["record"].get("seconds")}
