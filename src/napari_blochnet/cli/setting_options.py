"""Options of the command line, made from the settings models."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import click

from napari_blochnet.jobs.settings import Settings

__all__ = ["given_settings", "settings_options"]

# Letters that fields of settings have, too: K is how many components a basis has.
_LETTERS = {"components": ["-K"]}


def _option_type(annotation: Any) -> tuple[Any, int, bool]:
    """Return (click type, number of values or 0 for any, whether None is allowed) of a field's annotation."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        optional = len(inner) < len(get_args(annotation))
        # a number or a word: the model tells them apart
        kind, count, _ = _option_type(inner[0]) if len(inner) == 1 else (str, 1, False)
        return kind, count, optional
    if get_origin(annotation) is Literal:
        return click.Choice(list(get_args(annotation))), 1, False
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        return parts[0], len(parts) if parts[-1] is not Ellipsis else 0, False
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
            shown = "" if default is None or default in ("", ()) else f"  (default: {_words(default)})"
            flag = "--" + name.replace("_", "-")
            text = f"{info.description}{unit}{shown}"
            if kind is bool:
                function = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)(function)
                continue
            if count == 0:
                flag = flag.removesuffix("s")
            several: dict[str, Any] = {"multiple": True} if count == 0 else {"nargs": count}
            names = [*_LETTERS.get(name, []), flag]
            function = click.option(*names, name, type=kind, default=None, help=text, **several)(function)
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
        # an option that may be given several times and was not is empty
        if value is not None and value != ():
            fields[name] = value
        if options.pop(f"no_{name}", False):
            fields[name] = None
    return fields
