"""Options of `orion run`, made from the fields of a task (model/api/tasks.py), and what they say as a request."""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

import click
import msgspec

from orion.cli.shared import container_types
from orion.cli.shared.placement_options import OPTION_OF
from orion.cli.shared.types import (
    AfterJob,
    ConfigUse,
    Environment,
    HealthCheck,
    Ingress,
    LabelRule,
    NetworkAlias,
    Published,
    Seconds,
    Size,
)
from orion.cli.shared.volume_types import VolumeUse
from orion.model.api.fields import Field, Option, fields_of, unannotated
from orion.model.api.tasks import TaskFields
from orion.model.api.values import not_null
from orion.model.errors import FieldError, Invalid

F = TypeVar("F", bound=Callable[..., Any])

_KINDS: dict[str, click.ParamType[Any]] = {
    **container_types.KINDS,
    "size": Size(),
    "seconds": Seconds(),
    "port": Published(),
    "variable": Environment(),
    "label": LabelRule(),
    "config": ConfigUse(),
    "check": HealthCheck(),
    "after": AfterJob(),
    "ingress": Ingress(),
    "volume": VolumeUse(),
    "alias": NetworkAlias(),
}
_PLAIN: dict[Any, click.ParamType[Any]] = {str: click.STRING, int: click.INT, float: click.FLOAT}
# Of a variable that is given twice the last one counts, as in docker run; a port that is may be a slip.
_ONCE = {"port": "{} is published twice: each port of a task has one host port"}

_DEFAULTS = {info.name: info.default for info in msgspec.structs.fields(TaskFields)}
FIELDS = {field.name: field for field in fields_of(TaskFields) if field.option is not None}


def task_options(command: F) -> F:
    """Adds an option for each field that has one."""
    for name, field in reversed(FIELDS.items()):
        command = _option(name, field)(command)
    return command


def _option(name: str, field: Field) -> Callable[[F], F]:
    option, many = field.option, _is_many(field)
    assert option is not None
    if field.kind is bool:
        return click.option(*option.names, name, is_flag=True, default=None, help=field.description)
    return click.option(
        *option.names,
        name,
        type=_type(option, _element(field) if _origin(field) is list else _given(field.kind)),
        multiple=many,
        default=() if many else None,
        metavar=option.metavar or None,
        help=_help(field, many=many),
    )


def _type(option: Option, kind: Any) -> click.ParamType[Any]:
    if option.choices:
        return click.Choice(option.choices)
    return _KINDS[option.kind] if option.kind else _PLAIN[kind]


def _help(field: Field, *, many: bool) -> str:
    assert field.option is not None
    default = field.option.default or _default_text(field)
    parts = (
        field.description,
        field.option.also,
        "Repeatable." if many else "",
        f" [default: {default}]" if default else "",
    )
    return " ".join(part for part in parts if part)


def _default_text(field: Field) -> str:
    default = _DEFAULTS[field.name]
    if isinstance(default, int | float) and default:
        return f"{default:g}"
    return default if isinstance(default, str) else ""


def _is_many(field: Field) -> bool:
    return (_origin(field) is list and not _is_whole(field)) or _is_object(field)


def _is_whole(field: Field) -> bool:
    return field.option is not None and field.option.kind in container_types.WHOLE


def _given(kind: Any) -> Any:
    """The type of a value that is given, of one that may be null."""
    return not_null(kind) if NoneType in get_args(kind) else kind


def _is_object(field: Field) -> bool:
    return isinstance(_origin(field), type) and issubclass(_origin(field), Mapping)


def _origin(field: Field) -> Any:
    return get_origin(field.kind)


def _element(field: Field) -> Any:
    """The type of a list's elements."""
    return unannotated(get_args(field.kind)[0])[0]


def asked_for(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a request that the `options` ask for. Raises UsageError."""
    given = {name: options[name] for name in FIELDS if options[name] not in (None, (), "")}
    return {name: _value(FIELDS[name], value) for name, value in given.items()}


def _value(field: Field, value: Any) -> Any:
    if _is_object(field):
        return _object(field, value)
    if _origin(field) is list and not _is_whole(field):
        return [_of(_element(field), each) for each in value]
    return _of(field.kind, value)


def _of(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(*value) if isinstance(value, tuple) else kind(value)
    return value


def _object(field: Field, pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    assert field.option is not None
    made = dict(pairs)
    words = _ONCE.get(field.option.kind)
    if words is not None and len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise click.UsageError(words.format(next(key for key in keys if keys.count(key) > 1)))
    return made


def bad_usage(error: Invalid) -> click.UsageError:
    """Returns an error that says of options what the cluster says of the fields that they asked for."""
    if not error.errors:
        return click.UsageError(error.detail)
    return click.UsageError("; ".join(map(_of_option, error.errors)))


def _of_option(error: FieldError) -> str:
    _, json, *rest = [*error.pointer.split("/"), ""]
    name = (OPTION_OF.get(rest[0]) if json == "placement" else None) or _AS_TYPED.get(json, "")
    words = error.message.removeprefix(f"{json} ")
    if not name:
        return error.message
    return f"{name} {words}" if words != error.message else f"{name}: {words}"


def _long(option: Option) -> str:
    return next(name for name in option.names if name.startswith("--"))


_AS_TYPED = {
    "image": "IMAGE",
    "command": "COMMAND",
    **{field.json: _long(field.option) for field in FIELDS.values() if field.option is not None},
}
