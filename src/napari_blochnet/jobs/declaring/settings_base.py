"""What all settings models have in common, and how their fields are declared."""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_blochnet.common.errors import InputError

__all__ = ["Settings", "of_data", "quantity", "settings_from"]

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of all settings: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def fields_of_data(cls) -> tuple[str, ...]:
        """Return the fields that were declared by `of_data`."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return tuple(name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("of_data"))

    @classmethod
    def fields_of_several(cls) -> tuple[str, ...]:
        """Return the fields that hold any number of values, each of which a command takes as an option of its own."""
        kinds = {name: (field.annotation, *get_args(field.annotation)) for name, field in cls.model_fields.items()}
        return tuple(name for name, each in kinds.items() if any(Ellipsis in get_args(kind) for kind in each))


def quantity(
    default: Any,
    title: str,
    description: str,
    unit: str = "",
    *,
    files: str | None = None,
    blank: str | None = None,
    **bounds: Any,
) -> Any:
    """Return a field with what people read of it, its unit, and its bounds (``ge``, ``le``, ``gt``, ``lt``).

    ``files``: of a field that may name a file, endings as a file dialog takes them, such as "NIfTI (*.nii *.nii.gz)".
    ``blank``: what a choice that is left out is called, where that is not "automatic".
    """
    extra: dict[str, Any] = {"unit": unit}
    extra |= {key: value for key, value in (("files", files), ("blank", blank)) if value is not None}
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)


def of_data(*what: Any, **more: Any) -> Any:
    """Return a `quantity` whose value belongs to one data set: its noise, what its file leaves open, a part of it.

    No window gives it to the next data set; see `Settings.fields_of_data`.
    """
    field = quantity(*what, **more)
    field.json_schema_extra["of_data"] = True
    return field


def settings_from(model: type[S], settings: S | None = None, /, **fields: Any) -> S:
    """Return settings with some fields changed, validated.

    Raises
    ------
    InputError
        The first field that is unknown or out of bounds, with what was found and what was expected.
    """
    known = {} if settings is None else settings.model_dump()
    try:
        return model.model_validate({**known, **fields})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            expected = f"one of {', '.join(model.model_fields)}"
            raise InputError(f"There is no setting {name}; expected {expected}.", field=name) from None
        raise InputError(
            f"{_label(model, first['loc'])} is {first['input']!r}; {_expected(first)}.", field=name
        ) from None


def _label(model: type[Settings], location: tuple[Any, ...]) -> str:
    return str(location[0]) if location else model.__name__


def _expected(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:].replace("Input should be", "expected").replace(
        "input should be", "expected"
    )
