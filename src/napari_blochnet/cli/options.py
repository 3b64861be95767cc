"""Options of the command line, made from the settings models; how commands speak and fail."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click

from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import ProgressCallback
from napari_blochnet.jobs.settings import Settings

__all__ = ["Console", "given_settings", "sentences", "settings_options"]


def _option_type(annotation: Any) -> tuple[Any, int, bool]:
    """Return (click type, number of values, whether None is allowed) of a field's annotation."""
    if get_origin(annotation) in (Union, types.UnionType):
        (inner,) = (part for part in get_args(annotation) if part is not type(None))
        kind, count, _ = _option_type(inner)
        return kind, count, True
    if get_origin(annotation) is Literal:
        return click.Choice(list(get_args(annotation))), 1, False
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        return parts[0], len(parts), False
    return annotation, 1, False


def settings_options(model: type[Settings], **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that gives a command one option per field.

    A switch gets ``--NAME`` and ``--no-NAME``, and so does a field that may be None while its default is not. What a
    person does not give does not reach the command, so that the model's defaults have one home.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, info in reversed(model.model_fields.items()):
            if name == "kind" and get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1:
                continue
            if name in more.get("leave_out", ()):
                continue
            kind, count, optional = _option_type(info.annotation)
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            unit = f" [{extra['unit']}]" if extra.get("unit") else ""
            default = info.default
            shown = "" if default is None or default == "" else f"  (default: {_words(default)})"
            flag = "--" + name.replace("_", "-")
            text = f"{info.description}{unit}{shown}"
            if kind is bool:
                function = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)(function)
                continue
            function = click.option(flag, name, type=kind, nargs=count, default=None, help=text)(function)
            if optional and default is not None:
                function = click.option(
                    f"--no-{name.replace('_', '-')}", f"no_{name}", is_flag=True, help=f"No {str(info.title).lower()}."
                )(function)
        return function

    return decorate


def _words(default: Any) -> str:
    return " ".join(str(part) for part in default) if isinstance(default, tuple) else str(default)


def given_settings(model: type[Settings], options: dict[str, Any]) -> dict[str, Any]:
    """Take the fields of ``model`` that were given out of a command's options."""
    fields: dict[str, Any] = {}
    for name in model.model_fields:
        value = options.pop(name, None)
        if value is not None:
            fields[name] = value
        if options.pop(f"no_{name}", False):
            fields[name] = None
    return fields


@dataclass
class Console:
    """What a command prints where: results on standard output, progress and warnings on standard error.

    Parameters
    ----------
    quiet : bool
        No progress, no words; errors remain.
    as_json : bool
        Print the result as one JSON object.
    """

    quiet: bool = False
    as_json: bool = False

    def say(self, text: str) -> None:
        """Print words, unless only JSON or nothing is wanted."""
        if not (self.quiet or self.as_json):
            click.echo(text)

    def result(self, **content: Any) -> None:
        """Print the result as JSON, if that is wanted."""
        if self.as_json:
            click.echo(json.dumps(content, ensure_ascii=False, default=str))

    @contextlib.contextmanager
    def progress(self) -> Iterator[ProgressCallback | None]:
        """Give a progress callback that draws a bar on a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from tqdm import tqdm

        bar: Any = None

        def show(done: int, total: int, message: str = "", /) -> None:
            nonlocal bar
            if bar is None or bar.desc != message:
                if bar is not None:
                    bar.close()
                bar = tqdm(
                    total=total,
                    desc=message,
                    leave=False,
                    file=sys.stderr,
                    bar_format="{desc} {bar} {percentage:3.0f} % {remaining}",
                )
                bar.desc = message
            bar.total = total
            bar.update(done - bar.n)

        try:
            yield show
        finally:
            if bar is not None:
                bar.close()


def sentences(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what goes wrong into one sentence on standard error: 2 for input, 130 for a stop, 1 for a defect."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("always", DataWarning)
            warnings.showwarning = _show_warning
            try:
                return function(*args, **kwargs)
            except InputError as error:
                _fail(str(error), 2)
            except (KeyboardInterrupt, Cancelled):
                _fail("Stopped; nothing that was there before was changed.", 130)
            except OSError as error:
                _fail(f"{_file_of(error)}: {error.strerror or error}; expected a file or folder that can be used.", 2)
            except MemoryError:
                _fail("The memory of this machine does not suffice; choose fewer slices or voxels.", 2)

    return guarded


def _file_of(error: OSError) -> str:
    return Path(error.filename).name if error.filename else "A file"


def _fail(sentence: str, code: int) -> None:
    click.echo(f"blochnet: {sentence}", err=True)
    sys.exit(code)


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, DataWarning):
        click.echo(f"blochnet: note: {message}", err=True)
