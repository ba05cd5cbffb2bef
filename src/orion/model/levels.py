"""Levels: which records, fields and enum members of what is replicated exist since when (docs/design/versions.md).

A build understands all levels up to `LEVEL`. What the cluster writes stays at or below the least level of its
nodes, so that a former build finds only bytes that it knows.
"""

from typing import TypeVar

T = TypeVar("T")

# Each level and what it brought, in words for people, a line each. A new level's number goes with `since`.
LEVELS = {
    1: "all that the first version has",
    2: "tasks whose program runs as a user, "
    "the history of jobs, "
    "why tasks wait and how far pulls are as numbers, "
    "host names of tasks, "
    "health, readiness and hooks of tasks",
}
FIRST = 1
LEVEL = max(LEVELS)  # the highest that this build understands

_TYPES: dict[type, int] = {}
_MEMBERS: dict[type, dict[str, int]] = {}


class Since:
    """As a mark of a field: `user: Annotated[str, since(2)] = ""`. As a decorator: of a whole record, or with names
    of enum members, of those.
    """

    __slots__ = ("level", "members")

    def __init__(self, level: int, members: tuple[str, ...]) -> None:
        self.level = level
        self.members = members

    def __call__(self, kind: type[T]) -> type[T]:
        if self.members:
            _MEMBERS.setdefault(kind, {}).update(dict.fromkeys(self.members, self.level))
        else:
            _TYPES[kind] = self.level
        return kind


def since(level: int, *members: str) -> Since:
    """Raises ValueError for a level that LEVELS does not have."""
    if level not in LEVELS:
        raise ValueError(f"there is no level {level}: model/levels.py has {', '.join(map(str, LEVELS))}")
    return Since(level, members)


def level_of_type(kind: type) -> int:
    """The level since which a record or an enum exists."""
    return _TYPES.get(kind, FIRST)


def level_of_member(kind: type, name: str) -> int:
    """The level since which an enum has a member."""
    return _MEMBERS.get(kind, {}).get(name, FIRST)
