"""A job's tree as the JSON of its request, with the place of each of its parts.

A number or true is taken as it is written where text is wanted, and amounts may have units (64MB, 10s).
"""

import math
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import msgspec

from orion.jobfile.faults import Faults, Mark
from orion.jobfile.numbers import has_leading_zero
from orion.jobfile.tree import (
    MAX_ALL_NODES,
    MAX_JOB_NODES,
    MAX_JOB_TEXT,
    MISSING,
    Entry,
    ListNode,
    Node,
    ObjectNode,
    Scalar,
    join,
    place,
)
from orion.model.amounts import parse_seconds, parse_size
from orion.model.api.fields import fields_of
from orion.model.api.hints import absent, meant
from orion.model.api.values import alternatives, fields, limited, words_of
from orion.model.errors import pointer

_MOST_NAMED = 12  # keys that are listed where none is near
_PARSE: dict[str, Any] = {"size": parse_size, "seconds": parse_seconds}
_BYTES = ("Bytes", "memory", "Memory", "disk")  # ends of names of fields that are bytes


class Spot(msgspec.Struct, frozen=True):
    """A part of a job: where it stands, the keys that lead to it, and how messages about it begin."""

    mark: Mark
    path: str
    name: str


class TooLargeError(Exception):
    """A job would be too large once its aliases are put in."""


class Budget:
    """The values that are left to the jobs of a file."""

    def __init__(self) -> None:
        self.nodes = MAX_ALL_NODES


class Shape:
    """One job on its way. `spots` has its parts by their JSON Pointers, `wrong` those that are wrong, and `unsure`
    those that have a key which is not known: no rule can judge them. `told` is how many faults it has.
    """

    def __init__(self, faults: Faults, budget: Budget) -> None:
        self.spots: dict[str, Spot] = {}
        self.wrong: set[str] = set()
        self.unsure: set[str] = set()
        self.told = 0
        self._faults = faults
        self._budget = budget
        self._nodes = 0
        self._text = 0

    def job(self, node: ObjectNode, kind: type[msgspec.Struct], path: str, mark: Mark, *, whole: bool) -> Any:
        """Returns the members of a request. Nothing is called missing when the node is not `whole`."""
        self._whole = whole
        spot = Spot(mark, path, "")
        self.spots[""] = spot
        return self._members(node, kind, (), spot)

    def refuse(self, where: str, message: str, mark: Mark | None = None) -> None:
        """Adds a fault of a part, or of the nearest part around it that is in the file."""
        self.wrong.add(where)
        spot = self.spot(where)
        self.tell(mark or spot.mark, spot.path, message.removeprefix(f"{spot.name} "))

    def tell(self, mark: Mark, path: str, message: str) -> None:
        self.told += 1
        self._faults.add(mark, path, message)

    def count(self, number: int) -> None:
        """Adds faults that are not shown."""
        self.told += number
        self._faults.count(number)

    def spot(self, where: str) -> Spot:
        while where not in self.spots:
            where = where.rpartition("/")[0]
        return self.spots[where]

    def is_wrong(self, where: str) -> bool:
        """Returns True when a part, or what it is a part of, is wrong already."""
        while where:
            if where in self.wrong:
                return True
            where = where.rpartition("/")[0]
        return "" in self.wrong

    # --- parts ---------------------------------------------------------------------------------------------

    def _value(self, node: Node, kind: Any, where: tuple[str | int, ...], spot: Spot, unit: str = "") -> Any:
        self.spots.setdefault(pointer(*where), spot)
        self._count(node)
        kinds = [limited(each)[0] for each in alternatives(kind)]
        match node:
            case ObjectNode():
                struct = next((k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct)), None)
                if struct is not None:
                    return self._members(node, struct, where, spot)
                return self._object(node, _inner(kinds, Mapping), where, spot)
            case ListNode():
                inner = _inner(kinds, list)
                return [
                    self._value(item, inner, (*where, at), _item_spot(spot, item, at))
                    for at, item in enumerate(node.items)
                ]
            case Scalar():
                return self._single(node, kind, where, unit)

    def _members(
        self, node: ObjectNode, kind: type[msgspec.Struct], where: tuple[str | int, ...], spot: Spot
    ) -> dict[str, Any]:
        known, unit_of = fields(kind), units(kind)
        values: dict[str, Any] = {}
        hinted: set[str] = set()
        for key, entry in node.entries.items():
            below = _entry_spot(spot, entry, f"{spot.name} {key}".lstrip())
            if key in known:
                values[key] = self._value(entry.value, known[key].type, (*where, key), below, unit_of[key])
            else:
                hinted.add(self._unknown(entry, set(known), where, below))
        for key, info in known.items():
            if info.required and key not in values:
                self.wrong.add(pointer(*where, key))
                if self._whole and key not in hinted:
                    self.tell(spot.mark, join(spot.path, key), "is missing")
        return values

    def _unknown(self, entry: Entry, known: set[str], where: tuple[str | int, ...], spot: Spot) -> str:
        """Adds the fault of a key that is not known. Returns the key that was probably meant, or ""."""
        near = meant(entry.key, known)
        hint = f'did you mean "{near}"?' if near else f"known are {', '.join(sorted(known))}"
        words = f"no such key; {hint}" if near or len(known) <= _MOST_NAMED else "no such key"
        if not where and (why := absent(entry.key)):
            near, words = None, f"no such key; {why}"
        self.tell(entry.mark, spot.path, words)
        if where:
            self.unsure.add(pointer(*where))
        return near or ""

    def _object(self, node: ObjectNode, inner: Any, where: tuple[str | int, ...], spot: Spot) -> dict[str, Any]:
        return {
            key: self._value(entry.value, inner, (*where, key), _entry_spot(spot, entry, f"{spot.name} {key[:80]}"))
            for key, entry in node.entries.items()
        }

    def _single(self, node: Scalar, kind: Any, where: tuple[str | int, ...], unit: str) -> Any:
        kinds = [limited(each)[0] for each in alternatives(kind)]
        value, text = node.value, str in kinds
        if node.kind == MISSING:
            self.wrong.add(pointer(*where))
            return None
        if node.kind and not text:
            self.refuse(pointer(*where), f"must be {words_of(kind)}, not {node.kind}")
            return None
        if text and not isinstance(value, str) and value is not None and type(value) not in kinds:
            return node.text
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(pointer(*where), "is no number that is taken here")
            return None
        if isinstance(value, str) and not text and not {int, float}.isdisjoint(kinds):
            return self._amount(value, where, unit)
        return value

    def _amount(self, text: str, where: tuple[str | int, ...], unit: str) -> Any:
        if has_leading_zero(text):
            self.refuse(pointer(*where), f"{text[:20]} may be meant to base 8 or 10: write it without 0 in front")
        elif unit:
            try:
                return _PARSE[unit](text)
            except ValueError as error:
                self.refuse(pointer(*where), str(error))
        return text

    def _count(self, node: Node) -> None:
        self._nodes += 1
        self._budget.nodes -= 1
        self._text += len(node.text) if isinstance(node, Scalar) else 1
        if isinstance(node, ObjectNode):
            self._text += sum(map(len, node.entries))
        if self._nodes > MAX_JOB_NODES or self._text > MAX_JOB_TEXT or self._budget.nodes < 0:
            raise TooLargeError


def _entry_spot(around: Spot, entry: Entry, name: str) -> Spot:
    return Spot(place(entry.mark, entry.value), join(around.path, entry.key), name)


def _item_spot(around: Spot, item: Node, at: int) -> Spot:
    return Spot(item.mark, join(around.path, at), f"{around.name}[{at}]")


def _inner(kinds: list[Any], wanted: type) -> Any:
    """Returns the kind of what a list or an object holds."""
    for kind in kinds:
        origin = get_origin(kind)
        if isinstance(origin, type) and issubclass(origin, wanted):
            return get_args(kind)[-1]
    return Any


def units(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Returns the units of a request's fields: size, seconds or none. An option says it, or the end of the name."""
    asked = {field.json: field.option.kind for field in fields_of(kind) if field.option is not None}
    return {name: asked.get(name, "") if asked.get(name) in _PARSE else _named_unit(name) for name in fields(kind)}


def _named_unit(name: str) -> str:
    if name.endswith("Seconds"):
        return "seconds"
    return "size" if name.endswith(_BYTES) else ""
