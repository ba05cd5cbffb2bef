"""Parts of a value that are newer than a level: named, taken out, or left out of its bytes.

Each question is answered by a function made once for each type, and None for a type of which nothing is newer: such
values cost a lookup, whatever is in them.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from msgspec.structs import astuple, replace

from orion.model.levels import FIRST, level_of_member, level_of_type
from orion.state.core.shapes import Field, bare, fields_of, is_enum, is_record, is_union, parts_of, tag_of

T = TypeVar("T")

Map = Callable[[Any], Any]


class Need(msgspec.Struct, frozen=True, order=True):
    """The least level at which nothing of a value is lost, and the name of what needs it, "" at the first level."""

    level: int
    what: str = ""


NOTHING_NEW = Need(FIRST)


def need_of(value: object) -> Need:
    kind: Any = type(value)
    need = _need(kind)
    return need(value) if need is not None else NOTHING_NEW


def within(value: T, level: int) -> T:
    """The value with all fields that are newer than `level` as if nobody had set them."""
    kind: Any = type(value)
    reduce = _reducer(kind, level)
    return reduce(value) if reduce is not None else value


def lowered(value: object, level: int) -> object:
    """Returns what to encode in place of the value, so that a build which understands no more than `level` finds
    the bytes that it would write itself. Records become arrays without the newer fields at their ends.
    """
    kind: Any = type(value)
    lower = _lowerer(kind, level)
    return lower(value) if lower is not None else value


def is_ever_new(kind: Any) -> bool:
    """Returns whether something that values of this type are made of is newer than the first level."""
    return _need(kind) is not None


# --- what a value needs -----------------------------------------------------------------------------------


@functools.cache
def _need(kind: Any) -> Callable[[Any], Need] | None:
    kind = bare(kind)
    if is_enum(kind):
        levels = {member: level_of_member(kind, member.name) for member in kind}
        newer = {m: Need(n, f"{kind.__name__}.{m.name}") for m, n in levels.items() if n > FIRST}
        return (lambda member: newer.get(member, NOTHING_NEW)) if newer else None
    if is_record(kind):
        return _need_of_record(kind)
    return _need_of_parts(kind)


def _need_of_record(kind: type[msgspec.Struct]) -> Callable[[Any], Need] | None:
    own = Need(level_of_type(kind), kind.__name__)
    fields, count = fields_of(kind), _count_at(kind, own.level)
    inner = [(field.name, each) for field in fields[:count] if (each := _need(field.kind)) is not None]
    if own.level == FIRST and not inner and count == len(fields):
        return None
    least = own if own.level > FIRST else NOTHING_NEW
    of_newer = _need_of_fields(kind.__name__, fields[count:])
    unset = tuple(field.default for field in fields[count:])

    def need(value: Any) -> Need:
        most = least
        for name, each in inner:
            if (deeper := each(getattr(value, name))).level > most.level:
                most = deeper
        # Most values have nothing of what is newer: one comparison of them all.
        return most if not unset or astuple(value)[count:] == unset else of_newer(value, most)

    return need


def _need_of_fields(record: str, newer: tuple[Field, ...]) -> Callable[[Any, Need], Need]:
    rows = [(field, Need(field.since, f"{record}.{field.name}"), _need(field.kind)) for field in newer]

    def need(value: Any, most: Need) -> Need:
        for field, own, inner in rows:
            held = getattr(value, field.name)
            if held == field.default:
                continue
            if own.level > most.level:
                most = own
            if inner is not None and (deeper := inner(held)).level > most.level:
                most = deeper
        return most

    return need


def _count_at(kind: type[msgspec.Struct], level: int) -> int:
    """The number of a record's fields that a build of that level knows. They are its first ones. Raises TypeError
    when a newer one stands before them.
    """
    known = [field.since <= level for field in fields_of(kind)]
    if known != sorted(known, reverse=True):
        raise TypeError(f"{kind.__name__} is replicated, so its newer fields have to come last")
    return sum(known)


def _need_of_parts(kind: Any) -> Callable[[Any], Need] | None:
    inner = [_need(part) for part in parts_of(kind)]
    if not any(inner):
        return None
    if is_union(kind):
        by_type = {_runtime(part): need for part, need in zip(parts_of(kind), inner, strict=True) if need}

        def chosen(value: Any) -> Need:
            need = by_type.get(type(value))
            return need(value) if need is not None else NOTHING_NEW

        return chosen
    if get_origin(kind) is tuple and Ellipsis not in get_args(kind):
        pairs = [(at, need) for at, need in enumerate(inner) if need]
        return lambda row: _most([need(row[at]) for at, need in pairs])
    if get_origin(kind) is dict:
        keys, values = (need or (lambda _: NOTHING_NEW) for need in inner)
        return lambda rows: _most(max(keys(key), values(value)) for key, value in rows.items())
    (each,) = inner
    assert each is not None
    return lambda rows: _most(map(each, rows))


def _most(needs: Iterable[Need]) -> Need:
    most = NOTHING_NEW
    for need in needs:
        if need.level > most.level:
            most = need
    return most


# --- what is left of it at a level ------------------------------------------------------------------------


@functools.cache
def _reducer(kind: Any, level: int) -> Map | None:
    kind = bare(kind)
    if not is_record(kind):
        return _map_parts(kind, lambda part: _reducer(part, level))
    fields = fields_of(kind)
    newer = {field.name: field.default for field in fields if field.since > level}
    older = [(field.name, _reducer(field.kind, level)) for field in fields if field.since <= level]
    inner = {name: each for name, each in older if each is not None}
    if not newer and not inner:
        return None

    def reduce(value: Any) -> Any:
        kept = {name: each(getattr(value, name)) for name, each in inner.items()}
        return replace(value, **newer, **kept)

    return reduce


@functools.cache
def _lowerer(kind: Any, level: int) -> Map | None:
    kind = bare(kind)
    if not is_record(kind):
        return _map_parts(kind, lambda part: _lowerer(part, level))
    if level_of_type(kind) > level:
        return _refuse(kind, level)
    fields, count = fields_of(kind), _count_at(kind, level)
    inner = [(at, each) for at, field in enumerate(fields[:count]) if (each := _lowerer(field.kind, level))]
    if count == len(fields) and not inner:
        return None
    if not kind.__struct_config__.array_like:
        raise TypeError(f"{kind.__name__} is replicated, so it has to be array_like")
    tag = tag_of(kind)
    head = () if tag is None else (tag,)
    if not inner:
        return lambda value: head + astuple(value)[:count]
    places = [(len(head) + at, each) for at, each in inner]

    def lower(value: Any) -> list[Any]:
        row = [*head, *astuple(value)[:count]]  # a loop over the fields takes six times as long
        for at, each in places:
            row[at] = each(row[at])
        return row

    return lower


def _refuse(kind: type, level: int) -> Map:
    def refuse(_: Any) -> Any:
        raise ValueError(f"{kind.__name__} is of level {level_of_type(kind)} and can't be written at level {level}")

    return refuse


def _map_parts(kind: Any, make: Callable[[Any], Map | None]) -> Map | None:
    """For a union or a container, from what `make` gives for its parts."""
    inner = [make(part) for part in parts_of(kind)]
    if not any(inner):
        return None
    if is_union(kind):
        by_type = {_runtime(part): each for part, each in zip(parts_of(kind), inner, strict=True) if each}

        def chosen(value: Any) -> Any:
            each = by_type.get(type(value))
            return each(value) if each is not None else value

        return chosen
    maps = [each or _same for each in inner]
    if get_origin(kind) is tuple and Ellipsis not in get_args(kind):
        places = [(at, each) for at, each in enumerate(inner) if each]

        def mapped(row: Any) -> Any:
            parts = list(row)
            for at, each in places:
                parts[at] = each(parts[at])
            return tuple(parts)

        return mapped
    if get_origin(kind) is dict:
        return lambda rows: {maps[0](key): maps[1](value) for key, value in rows.items()}
    (each,) = maps
    container = get_origin(kind)
    return lambda rows: container(map(each, rows))


def _same(value: Any) -> Any:
    return value


def _runtime(kind: Any) -> Any:
    """The class that values of this type have."""
    kind = bare(kind)
    return get_origin(kind) or kind
