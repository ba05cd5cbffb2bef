"""How replicated records are made up: their fields in order, and what those are made of, read from the types.

Everything here follows from annotations, so it holds for any record, wherever it is defined.
"""

import enum
import functools
import types
from typing import Annotated, Any, NewType, Union, get_args, get_origin, get_type_hints

import msgspec

from orion.model.levels import FIRST, Since


class Field(msgspec.Struct, frozen=True):
    """One field of a record. `kind` is its type, marks taken off. `default` is `msgspec.NODEFAULT` where it has
    none.
    """

    name: str
    kind: Any
    since: int
    default: Any


@functools.cache
def fields_of(record: type[msgspec.Struct]) -> tuple[Field, ...]:
    """In the order in which they are written."""
    hints = get_type_hints(record, include_extras=True)
    found = []
    for field in msgspec.structs.fields(record):
        hint = hints[field.name]
        marks = [mark.level for mark in _marks(hint) if isinstance(mark, Since)]
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        found.append(Field(field.name, bare(hint), max(marks, default=FIRST), default))
    return tuple(found)


def tag_of(record: type[msgspec.Struct]) -> int | str | None:
    """Returns what stands before the fields of a record of a union."""
    return record.__struct_config__.tag


def is_record(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def bare(kind: Any) -> Any:
    """The type under its marks and names."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        else:
            return kind


def parts_of(kind: Any) -> tuple[Any, ...]:
    """Returns what a union or a container is made of; () for what has no parts."""
    return tuple(bare(part) for part in get_args(kind) if part is not Ellipsis)


def is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def reachable(roots: tuple[Any, ...]) -> list[type]:
    """All records and enums that the roots are made of, each once, in the order in which they are met."""
    found: dict[type, None] = {}
    waiting = [bare(root) for root in reversed(roots)]
    while waiting:
        kind = waiting.pop()
        if is_record(kind) or is_enum(kind):
            if kind in found:
                continue
            found[kind] = None
        inner = tuple(field.kind for field in fields_of(kind)) if is_record(kind) else parts_of(kind)
        waiting.extend(reversed(inner))
    return list(found)


def name_of(kind: Any) -> str:
    """A type as text, the same in every build that has it: names of classes, no modules."""
    kind = bare(kind)
    if kind is type(None):
        return "None"
    if is_union(kind):
        return " | ".join(name_of(part) for part in get_args(kind))
    if origin := get_origin(kind):
        parts = ", ".join("..." if part is Ellipsis else name_of(part) for part in get_args(kind))
        return f"{origin.__name__}[{parts}]"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _marks(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()
