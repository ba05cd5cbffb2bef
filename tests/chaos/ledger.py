"""What clients were told about tasks, and whether the cluster stood by it. Pure.

A name is used once and by one client, so its story is a line: absent, (perhaps) created, (perhaps) deleted.
"""

import enum
from collections.abc import Iterable

import msgspec


class Told(enum.StrEnum):
    MAYBE = "maybe created"  # asked, never answered
    CREATED = "created"
    REFUSED = "refused"  # so it is not there
    MAYBE_DELETED = "maybe deleted"
    DELETED = "deleted"


_MUST_BE_THERE = frozenset({Told.CREATED})
_MUST_BE_GONE = frozenset({Told.REFUSED, Told.DELETED})


class Ledger(msgspec.Struct):
    """One client's tasks."""

    told: dict[str, Told] = msgspec.field(default_factory=dict)

    def tell(self, name: str, told: Told) -> None:
        self.told[name] = told

    def live(self) -> list[str]:
        """What is there for certain, oldest first."""
        return [name for name, told in self.told.items() if told is Told.CREATED]


def lost(told: dict[str, Told], there: Iterable[str]) -> list[str]:
    """Acknowledged, never deleted, and not there."""
    found = set(there)
    return sorted(name for name, word in told.items() if word in _MUST_BE_THERE and name not in found)


def undead(told: dict[str, Told], there: Iterable[str]) -> list[str]:
    """There, though its deletion was acknowledged or its creation refused, or though nobody asked for it."""
    return sorted(name for name in there if name not in told or told[name] in _MUST_BE_GONE)
