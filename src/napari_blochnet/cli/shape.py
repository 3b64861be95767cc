"""The shape of a command: what it is given, where it writes, what it says, how it fails."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import click

from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.plain_text import plain_line, plain_lines
from napari_blochnet.common.progress import ProgressCallback
from napari_blochnet.io.origin import check_place

__all__ = [
    "DEVICE",
    "FILE",
    "OUTPUT",
    "PATH",
    "Answer",
    "Console",
    "Part",
    "command",
    "device",
    "named_files",
    "output",
]

#: What a command has to say, and the result as JSON.
Answer: TypeAlias = tuple[str, dict[str, Any]]
#: A decorator that adds an argument or options.
Part: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

#: A path as it was typed.
FILE = click.Path()
PATH = click.Path(path_type=Path)


def output(help: str) -> Part:  # noqa: A002 - click's own word
    """Return the option that says where to write."""
    return click.option("-o", "--output", required=True, type=PATH, help=help)


def named_files(options: Mapping[str, Any]) -> list[Path]:
    """Return the files among what was given to a command: a result replaces none of them."""
    values = [part for value in options.values() for part in (value if isinstance(value, tuple) else (value,))]
    return [Path(value) for value in values if isinstance(value, (str, Path)) and Path(value).is_file()]


def device(default: str) -> Part:
    """Return the option that says what computes."""
    return click.option("--device", default=default, show_default=True, help="auto, cpu, or a GPU such as cuda:0.")


OUTPUT = output("Where to write.")
DEVICE = device("auto")


@dataclass
class Console:
    """What a command prints where: results on standard output, progress and warnings on standard error.

    Parameters
    ----------
    quiet : bool
        No progress, no words; errors remain.
    as_json : bool
        Print the result as one JSON object.
    progress : callable, optional
        Told how far a command is, while `bar` draws it.
    """

    quiet: bool = False
    as_json: bool = False
    progress: ProgressCallback | None = None

    def say(self, text: str) -> None:
        """Print words, unless only JSON or nothing is wanted."""
        if not (self.quiet or self.as_json):
            click.echo(plain_lines(text))

    def result(self, **content: Any) -> None:
        """Print the result as JSON, if that is wanted."""
        if self.as_json:
            click.echo(json.dumps(content, ensure_ascii=False, default=str))

    @contextlib.contextmanager
    def bar(self) -> Iterator[None]:
        """Draw ``progress`` as a bar, where there is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from tqdm import tqdm

        bar: Any = None

        def show(done: int, total: int, message: str = "", /) -> None:
            nonlocal bar
            message = plain_line(message)
            if bar is None or bar.desc != message:
                if bar is not None:
                    bar.close()
                bar = tqdm(total=total, desc=message, leave=False, file=sys.stderr,
                           bar_format="{desc} {bar} {percentage:3.0f} % {remaining}")  # fmt: skip
                bar.desc = message
            bar.total = total
            bar.update(done - bar.n)

        self.progress = show
        try:
            yield
        finally:
            self.progress = None
            if bar is not None:
                bar.close()


def command(
    *parts: Part,
    name: str | None = None,
    help: str | None = None,  # noqa: A002 - click's own word
) -> Callable[[Callable[..., Answer]], click.Command]:
    """Return a decorator that makes a command of a function.

    The function is called with the `Console` and what was given; what goes wrong becomes one sentence on standard
    error, and an exit status: 2 for input, 130 for a stop, 1 for a defect.

    Parameters
    ----------
    *parts : decorators
        Its arguments and options, in the order of its help.
    name, help : str, optional
        By default of the function and its docstring.
    """

    def decorate(function: Callable[..., Answer]) -> click.Command:
        @functools.wraps(function)
        def shaped(console: Console, **given: Any) -> None:
            told: set[str] = set()

            def show(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
                if issubclass(category, DataWarning):
                    told.add(str(message))
                    click.echo(f"blochnet: note: {plain_line(str(message))}", err=True)

            with warnings.catch_warnings():
                warnings.simplefilter("always", DataWarning)
                warnings.showwarning = show
                try:
                    if OUTPUT in parts:  # before any work
                        check_place(given["output"] if given["output"].is_dir() else given["output"].parent)
                    with console.bar():
                        text, content = function(console, **given)
                    # what was told while it worked is not said again
                    console.say("\n".join(line for line in text.splitlines() if line not in told))
                    console.result(**content)
                except InputError as error:
                    _fail(str(error), 2)
                except (KeyboardInterrupt, Cancelled) as stop:
                    kept = stop.kept if isinstance(stop, Cancelled) else ""
                    _fail(f"Stopped; {kept or 'nothing that was there before was changed.'}", 130)
                except OSError as error:
                    _fail(
                        f"{_file_of(error)}: {error.strerror or error}; expected a file or folder that can be used.", 2
                    )
                except MemoryError:
                    _fail("The memory of this machine does not suffice; choose fewer slices or voxels.", 2)

        built: Callable[..., Any] = click.make_pass_decorator(Console)(shaped)
        for part in reversed(parts):
            built = part(built)
        return click.command(name, help=help)(built)

    return decorate


def _file_of(error: OSError) -> str:
    return Path(error.filename).name if error.filename else "A file"


def _fail(sentence: str, code: int) -> None:
    click.echo(f"blochnet: {plain_line(sentence)}", err=True)
    sys.exit(code)
