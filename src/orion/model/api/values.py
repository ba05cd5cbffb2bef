"""JSON values as a request declares them: every wrong field is named at once, with a JSON Pointer."""

import functools
from collections.abc import Iterable, Mapping
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from orion.model.api.hints import MAX_HINTED, meant
from orion.model.errors import FieldError, FieldErrors, pointer


def members(
    value: dict[str, Any],
    kind: type[msgspec.Struct],
    name: str,
    where: tuple[str | int, ...],
    errors: FieldErrors,
) -> dict[str, Any]:
    """Returns the arguments of a `kind`, by the names of its fields, of an object that is called `name`. What is
    wrong is added to `errors`; a field that is wrong is None, or has wrong parts.
    """
    known = fields(kind)
    values: dict[str, Any] = {}
    of = f"{name} " if name else ""
    for key, field in known.items():
        if key in value:
            values[field.name] = _checked(value[key], field.type, f"{of}{key}", (*where, key), errors)
        elif field.required:
            errors.append(FieldError(pointer(*where, key), f"{of}{key} is missing"))
    unknown = (key for key in value if key not in known)
    for key in unknown:
        errors.append(FieldError(pointer(*where, key), _unknown(key, list(known))))
        if errors.full:
            break
    errors.count(sum(1 for _ in unknown))
    return values


MAX_KNOWN = 16  # fields that are named to who writes one that is none


@functools.cache
def fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Returns the fields of a `kind` by their names in JSON."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _unknown(key: str, known: list[str]) -> str:
    close = meant(key, set(known))
    if close:
        return f"{key[:80]!r} is not a field: did you mean {close}?"
    more = len(known) - MAX_KNOWN
    others = f" and {more} more" if more > 0 else ""
    return f"{key[:80]!r} is not a field: known are {', '.join(known[:MAX_KNOWN])}{others}"


_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str | int: "text or a whole number",
    str | None: "text or null",
}


def _checked(value: Any, kind: Any, name: str, where: tuple[str | int, ...], errors: FieldErrors) -> Any:
    """Returns `value` as a `kind`; what is wrong is added to `errors`. Only the shapes that request bodies use."""
    whole, (kind, most) = kind, limited(_chosen(value, kind))
    origin = get_origin(kind)
    if origin is list:
        if isinstance(value, list):
            return _elements(enumerate(value), len(value), most, get_args(kind)[0], name, where, errors)
        errors.append(FieldError(pointer(*where), _not_a_list(value, name)))
        return None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if isinstance(value, dict):
            items = _elements(value.items(), len(value), most, get_args(kind)[1], name, where, errors)
            return dict(zip(value, items, strict=False))
        message = f'{name} must be an object such as {{"name": "value"}}, not {kind_of(value)}'
        errors.append(FieldError(pointer(*where), message))
        return None
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if isinstance(value, dict):
            wrong = len(errors)
            values = members(value, kind, name, where, errors)
            return kind(**values) if len(errors) == wrong else None
        message = f"{name} must be an object{_such_as(value, kind)}, not {kind_of(value)}"
        errors.append(FieldError(pointer(*where), message))
        return None
    return _single(value, kind, whole, name, where, errors)


def _single(value: Any, kind: Any, whole: Any, name: str, where: tuple[str | int, ...], errors: FieldErrors) -> Any:
    """Returns a value that is neither a list nor an object as a `kind`, which is of the alternatives of `whole`."""
    if isinstance(value, float) and value.is_integer() and (kind is int or int in get_args(kind)):
        return int(value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        errors.append(FieldError(pointer(*where), f"{name} must be {words_of(whole)}, not {kind_of(value)}"))
        return None


def limited(kind: Any) -> tuple[Any, int | None]:
    """Returns a list's or an object's kind, and how many elements it may have at the most."""
    if get_origin(kind) is not Annotated:
        return kind, None
    inner, *notes = get_args(kind)
    return inner, next((n.max_length for n in notes if isinstance(n, msgspec.Meta) and n.max_length), None)


def not_null(kind: Any) -> Any:
    """Returns an optional kind without its null."""
    return functools.reduce(or_, (each for each in get_args(kind) if each is not NoneType))


def alternatives(kind: Any) -> list[Any]:
    """Returns the kinds that a value may have, each with its annotations."""
    plain, _ = limited(kind)
    return list(get_args(plain)) if get_origin(plain) in {Union, UnionType} else [kind]


def _chosen(value: Any, kind: Any) -> Any:
    """Returns those of the alternatives of a kind that a value is to be judged by: lists, objects or the others."""
    kinds = [each for each in alternatives(kind) if value is None or each is not NoneType]
    if len(kinds) == 1:
        return kinds[0]
    shape = type(value) if isinstance(value, list | dict) else None
    chosen = [each for each in kinds if _shape(each) is shape]
    return functools.reduce(or_, chosen or kinds)


def _shape(kind: Any) -> type | None:
    """Returns list, dict, or None for what is neither a list nor an object."""
    plain, _ = limited(kind)
    origin = get_origin(plain) or plain
    if origin is list or not isinstance(origin, type):
        return list if origin is list else None
    return dict if issubclass(origin, Mapping | msgspec.Struct) else None


def _elements(
    items: Iterable[tuple[str | int, Any]],
    count: int,
    most: int | None,
    kind: Any,
    name: str,
    where: tuple[str | int, ...],
    errors: FieldErrors,
) -> list[Any]:
    """Too many are one error, whatever they are."""
    if most is not None and count > most:
        errors.append(FieldError(pointer(*where), f"{name} has {count:,} elements; at most {most:,} are taken"))
        return []
    return [
        _checked(item, kind, f"{name}[{at}]" if isinstance(at, int) else f"{name} {at[:80]}", (*where, at), errors)
        for at, item in items
    ]


def _such_as(value: Any, kind: type[msgspec.Struct]) -> str:
    """Returns what to write for a text in the place of an object that needs one text alone, or says by `example`
    how a text would be written; "" for any other.
    """
    example = getattr(kind, "example", None)
    if example is not None and isinstance(value, str) and len(value) <= MAX_HINTED:
        return f" such as {msgspec.json.encode(example(value)).decode()}"
    needed = [each for each in fields(kind).values() if each.required]
    if (
        not isinstance(value, str)
        or len(value) > MAX_HINTED
        or len(needed) != 1
        or limited(needed[0].type)[0] is not str
    ):
        return ""
    return f" such as {msgspec.json.encode({needed[0].encode_name: value}).decode()}"


def _not_a_list(value: Any, name: str) -> str:
    if not isinstance(value, str):
        return f"{name} must be a list, not {kind_of(value)}"
    if len(value) > MAX_HINTED:
        return f'{name} must be a list of words: write ["sh","-c","…"]'
    import shlex

    try:
        words = shlex.split(value)
    except ValueError:
        words = ["sh", "-c", value]
    return f"{name} must be a list of words: write {msgspec.json.encode(words).decode()}"


def words_of(kind: Any) -> str:
    """Returns words for a kind of values."""
    plain, _ = limited(kind)
    if plain in _WORDS:
        return _WORDS[plain]
    kinds = alternatives(plain)
    if len(kinds) > 1:
        return " or ".join(dict.fromkeys(words_of(each) for each in kinds if each is not NoneType))
    shape = _shape(plain)
    return "a list" if shape is list else "an object" if shape is dict else "null"


def kind_of(value: Any) -> str:
    """Returns words for what a value is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int() | float():
            return "a fraction" if isinstance(value, float) and not value.is_integer() else "a number"
        case list():
            return "a list"
        case _:
            return "an object"
