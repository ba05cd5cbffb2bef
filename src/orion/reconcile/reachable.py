"""Which of the ready tasks of a job are worth a try, by what gossip says of their nodes."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from orion.model.ids import NodeId

Says = Callable[[NodeId], bool]
T = TypeVar("T")


def reachable(ready: Iterable[T], node: Callable[[T], NodeId], *, is_alive: Says, is_gone: Says) -> list[T]:
    """Returns those on nodes that are alive. Where no other is left, those of which it is in doubt, and then those
    that are given up: nobody loses by a try.
    """
    found = list(ready)
    alive = [each for each in found if is_alive(node(each))]
    return alive or [each for each in found if not is_gone(node(each))] or found
