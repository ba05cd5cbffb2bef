"""The door for what this node is told as a member: Raft messages from peers, and the log that it finds on its disk.
All of it is understood before anything is kept, acknowledged or acted on.
"""

import logging
from collections.abc import Callable, Iterable

from orion.model.errors import Unreadable
from orion.model.ids import RaftId
from orion.ports.clock import Clock
from orion.raft.confchange import change_fault
from orion.raft.interface import Persistent
from orion.raft.log import ENTRY_BYTES
from orion.raft.messages import AnyMessage, Entry, EntryKind, MsgApp
from orion.state.sound import command_fault
from orion.wire.envelopes import MAX_POSITION

log = logging.getLogger(__name__)

QUIET_MS = 10_000  # between two complaints: a leader sends what is not taken again and again


class Intake:
    """`address_of` finds a member's peer address; None when it is not known."""

    def __init__(self, clock: Clock, address_of: Callable[[RaftId], str | None]) -> None:
        self._clock = clock
        self._address_of = address_of
        self._complained_at_ms: int | None = None

    def size_of(self, message: AnyMessage) -> int | None:
        """How many bytes of entries it holds; None when it is not to be taken.

        No answer could be sent to who is known neither to gossip nor to state, so nothing is lost by that. A member
        of another version may send what this one does not know: it is not taken, so it is not acknowledged either,
        and this node goes on with what it has.
        """
        address = self._address_of(RaftId(message.sender))
        if address is None:
            return None
        if not isinstance(message, MsgApp):
            return 0
        if fault := fault_in(message.entries):
            self._complain(address, fault)
            return None
        return sum(ENTRY_BYTES + len(entry.data) for entry in message.entries)

    def _complain(self, address: str, fault: str) -> None:
        now = self._clock.now_ms()
        if self._complained_at_ms is None or now - self._complained_at_ms >= QUIET_MS:
            self._complained_at_ms = now
            log.warning("not taken from %s: %s; do all nodes run one version?", address, fault)


def fault_in(entries: Iterable[Entry]) -> str:
    """Names the first entry that can't be applied, and says why; "" when all can be."""
    for entry in entries:
        if entry.kind == EntryKind.CONF_CHANGE:
            if fault := change_fault(entry.data):
                return f"log entry {entry.index} holds no configuration ({fault})"
        elif entry.data and (fault := command_fault(entry.data)):
            return f"log entry {entry.index} holds no command that this version knows ({fault})"
    return ""


def require_readable(persistent: Persistent) -> None:
    """Raises Unreadable, naming what on the disk can't be understood."""
    if persistent.hard_state.term > MAX_POSITION:
        raise Unreadable(f"the vote record is of term {persistent.hard_state.term}, which no election leads to")
    if fault := fault_in(persistent.entries):
        raise Unreadable(fault)
