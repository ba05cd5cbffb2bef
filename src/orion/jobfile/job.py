"""One job of a file, checked by the rules of the API: each part that is wrong is told with its place."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from orion.jobfile.faults import Fault, Faults, Mark, WrongFiles
from orion.jobfile.request import PLACEHOLDERS, REQUEST, refuse_wrong
from orion.jobfile.shape import Budget, Shape, Spot, TooLargeError
from orion.jobfile.tree import ObjectNode
from orion.model.api.codec import refuse_name
from orion.model.api.fields import Field, Reading, fields_of
from orion.model.api.values import members
from orion.model.errors import FieldError, FieldErrors, Invalid, Refused, pointer
from orion.model.limits import MAX_BODY_BYTES

_Rule: TypeAlias = Callable[[Any, Reading], Any]


class Found(msgspec.Struct, frozen=True):
    """A job as it stands in a file. `name` is None where none is given; `path`: the keys that lead to it."""

    file: str
    name: str | None
    path: str
    mark: Mark
    node: ObjectNode
    whole: bool


class LoadedJob(msgspec.Struct, frozen=True):
    """A job that can be asked for: its name, and the body of the request in JSON's terms."""

    name: str
    request: dict[str, Any]
    file: str
    spots: dict[str, Spot]  # by JSON Pointers

    def fault(self, error: FieldError) -> Fault:
        """Returns what the cluster says of a field with the field's place in the file."""
        where = error.pointer
        while where not in self.spots:
            where = where.rpartition("/")[0]
        spot = self.spots[where]
        return Fault(self.file, spot.mark, spot.path, error.message.removeprefix(f"{spot.name} "))

    def refused(self, error: Refused) -> WrongFiles:
        """Returns a refusal by the cluster in terms of the file."""
        errors = error.errors or (FieldError("", error.detail),)
        return WrongFiles([self.fault(each) for each in errors])


def read_job(found: Found, faults: Faults, budget: Budget) -> LoadedJob | None:
    """Returns the job, or None once all is told that is wrong with it."""
    shape = Shape(faults, budget)
    try:
        values = shape.job(found.node, REQUEST, found.path, found.mark, whole=found.whole)
    except TooLargeError:
        faults.add(found.mark, found.path, "is too large with its aliases put in")
        return None
    if found.name is not None:
        _ask_name(found.name, found, shape)
    _ask_rules(values, found.name or "", shape)
    if found.name is None or not found.whole or shape.told or shape.wrong:
        return None
    body = {"name": found.name, **values}
    if len(msgspec.json.encode(body)) > MAX_BODY_BYTES:
        faults.add(found.mark, found.path, f"is larger than {MAX_BODY_BYTES:,} bytes, the most that a job has")
        return None
    return LoadedJob(found.name, body, found.file, shape.spots)


def _ask_name(name: str, found: Found, shape: Shape) -> None:
    errors = FieldErrors()
    refuse_name(name, errors)
    shape.spots.setdefault("/name", Spot(found.mark, found.path, ""))
    for error in errors.shown:
        shape.refuse(error.pointer, error.message)


def _ask_rules(values: dict[str, Any], name: str, shape: Shape) -> None:
    """Tells what is wrong with the values of a request: their types, the rules of fields, and the whole."""
    errors = FieldErrors()
    made = members(values, REQUEST, "", (), errors)
    _tell(errors, shape)
    if errors.full:  # it is not known which others are wrong
        return
    shape.wrong |= shape.unsure
    partial = _Partial(made, {"/".join(where.split("/", 2)[1:2]) for where in shape.wrong})
    for field in _RULED:
        if field.read is not None:
            _ask(field, field.read, made, partial, shape)
    _ask_whole(made, name, partial, shape)


def _ask(field: Field, rule: _Rule, made: dict[str, Any], partial: "_Partial", shape: Shape) -> None:
    """Asks a field's rule about those of its parts that are not wrong already."""
    errors = FieldErrors()
    value, places = made.get(field.name), None
    if shape.is_wrong(pointer(field.json)):
        return
    if isinstance(value, dict):
        value = {key: each for key, each in value.items() if not shape.is_wrong(pointer(field.json, key))}
    elif isinstance(value, list) and field.json in partial.wrong:
        places = [at for at, each in enumerate(value) if _is_right(each, pointer(field.json, at), shape)]
        value = [value[at] for at in places]
    with suppress(_UnknownError):  # what the rule looks at is wrong itself
        if not isinstance(value, dict) and places is None:
            value = getattr(partial, field.name)
        rule(value, Reading(partial, field.json, errors))
    if places is not None:
        errors.shown = [_moved(error, field.json, places) for error in errors.shown]
    _tell(errors, shape)


def _is_right(item: Any, where: str, shape: Shape) -> bool:
    """Returns True for an object in a list that has no fault. Rules name words of a list by their numbers, which
    are others when one is left out.
    """
    return isinstance(item, msgspec.Struct) and not shape.is_wrong(where)


def _moved(error: FieldError, name: str, places: list[int]) -> FieldError:
    """Returns an error of a part of a list in terms of the list that it was taken from."""
    _, _, at, *below = [*error.pointer.split("/"), ""]
    if not at:
        return error
    rest = "".join(f"/{each}" for each in below[:-1])
    return FieldError(f"{pointer(name, places[int(at)])}{rest}", error.message)


def _ask_whole(made: dict[str, Any], name: str, partial: "_Partial", shape: Shape) -> None:
    """Makes a job of the request, and tells what is wrong with fields that have no rule of their own. Others that
    are wrong have their defaults here, so that nothing else that is said is believed then.
    """
    if not partial.wrong.isdisjoint(_UNRULED):
        return
    right = {name: value for name, value in made.items() if _DEFAULTS[name].encode_name not in partial.wrong}
    try:
        refuse_wrong(REQUEST(**{**PLACEHOLDERS, **right}), name or PLACEHOLDERS["name"])
    except Invalid as error:
        errors = FieldErrors()
        errors.extend(each for each in error.errors if not shape.told or each.pointer.split("/")[1] in _UNRULED)
        _tell(errors, shape)


def _tell(errors: FieldErrors, shape: Shape) -> None:
    for error in errors.shown:
        if not shape.is_wrong(error.pointer):
            shape.refuse(error.pointer, error.message)
    shape.count(errors.more)


class _UnknownError(Exception):
    """A field's value is not known, because what stands there is wrong."""


_RULED = tuple(fields_of(REQUEST))
_UNRULED = {info.encode_name for info in msgspec.structs.fields(REQUEST)} - {field.json for field in _RULED}
_DEFAULTS = {info.name: info for info in msgspec.structs.fields(REQUEST)}


class _Partial:
    """A request of which some fields are not known."""

    def __init__(self, made: Mapping[str, Any], wrong: set[str]) -> None:
        self._made = made
        self.wrong = wrong

    def __getattr__(self, name: str) -> Any:
        """Returns a field's value, or its default. Raises _UnknownError where it is wrong."""
        info = _DEFAULTS.get(name)
        if info is None:
            raise AttributeError(name)
        if info.encode_name in self.wrong or (info.required and name not in self._made):
            raise _UnknownError(name)
        if name in self._made:
            return self._made[name]
        return info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default
