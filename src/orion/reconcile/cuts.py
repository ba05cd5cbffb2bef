"""Which connections to tasks behind published ports nobody ends unless they are cut.

Its own node's kernel ends the TCP connections of a program that has ended, and looking for them among all that
there are takes long. So cut are those of nodes that gossip has given up; and of ended tasks, those of datagrams.

The cluster's word that a task is lost may come before gossip's that its node is dead, so one that has left is
remembered for a while. What is not cut stays in the kernel for minutes to days, and a client that uses the same
port again is led to the dead.
"""

from collections.abc import Iterator
from typing import NamedTuple

from orion.model.ids import NodeId
from orion.model.ingress import Backend
from orion.model.published import Ports
from orion.reconcile.published import backend_of
from orion.reconcile.reachable import Says

REMEMBERED_MS = 60_000  # gossip takes less to give up a node that is dead
MAX_REMEMBERED = 10_000


class Open(NamedTuple):
    """A task behind a port, to which there may be connections."""

    backend: Backend
    protocol: str
    node: NodeId


class Cuts:
    """`due`: yet to be cut. A node that is given up is cut off once, however long the state has its tasks still."""

    def __init__(self) -> None:
        self.due: set[Backend] = set()
        self._open: frozenset[Open] = frozenset()
        self._left: dict[Open, int] = {}  # since when
        self._were: set[Backend] = set()

    def look(self, ports: Ports, is_gone: Says, now_ms: int) -> None:
        now = frozenset(_opened(ports))
        for each in sorted(self._open - now):
            if each.protocol == "udp":
                self.due.add(each.backend)
            elif each.backend not in self._were:
                self._left[each] = now_ms
        for each in now:
            self._left.pop(each, None)
        gone = {each for each in now if is_gone(each.node)}
        lost = [each for each in self._left if is_gone(each.node)]
        self.due |= {each.backend for each in gone} - self._were
        self.due |= {each.backend for each in lost}
        self._were &= {each.backend for each in gone}
        self._forget(lost, now_ms)
        self._open = now

    def done(self) -> None:
        """All that was due has been cut."""
        self._were |= self.due
        self.due.clear()

    def _forget(self, lost: list[Open], now_ms: int) -> None:
        for each in lost:
            del self._left[each]
        for each, since_ms in list(self._left.items()):
            if now_ms < since_ms + REMEMBERED_MS and len(self._left) <= MAX_REMEMBERED:
                break
            del self._left[each]


def _opened(ports: Ports) -> Iterator[Open]:
    return (Open(backend_of(place), port.protocol, place.node) for port in ports for place in port.places)
