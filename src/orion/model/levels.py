"""Levels: which records, fields and enum members of what is replicated exist since when (docs/design/versions.md).

A build understands all levels up to `LEVEL`. What the cluster writes stays at or below the least level of its
nodes, so that a former build finds only bytes that it knows.
"""

from typing import TypeVar

T = TypeVar("T")

# Each level. Here are words for people of what several records make up; what is one record, field or member has its
# words where it is: `since(2, words="host names of tasks")`. `brought` gives both.
LEVELS = {
    1: "all that the first version has",
    2: "why tasks wait and how far pulls are as numbers, health, readiness and hooks of tasks",
}
FIRST = 1
LEVEL = max(LEVELS)  # the highest that this build understands

_TYPES: dict[type, int] = {}
_MEMBERS: dict[type, dict[str, int]] = {}
_WORDS: dict[int, set[str]] = {}


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


def since(level: int, *members: str, words: str = "") -> Since:
    """`words` say for people what this brings, "" where that is said elsewhere. Raises ValueError for a level that
    LEVELS does not have.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level}: model/levels.py has {', '.join(map(str, LEVELS))}")
    if words:
        _WORDS.setdefault(level, set()).add(words)
    return Since(level, members)


def brought(level: int) -> str:
    """All that a level brought, in words for people, once what is replicated has been imported."""
    return ", ".join(filter(None, (LEVELS[level], *sorted(_WORDS.get(level, ())))))


def level_of_type(kind: type) -> int:
    """The level since which a record or an enum exists."""
    return _TYPES.get(kind, FIRST)


def level_of_member(kind: type, name: str) -> int:
    """The level since which an enum has a member."""
    return _MEMBERS.get(kind, {}).get(name, FIRST)
