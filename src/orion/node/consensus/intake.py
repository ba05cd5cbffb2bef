"""The checks of a member's input: Raft messages from peers, and the log on its disk. All of it is decoded before
any of it is kept, acknowledged or acted on.
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

QUIET_MS = 10_000  # between two warnings: a leader sends a refused message again and again


class Intake:
    """Checks messages. `address_of` returns a member's peer address, None when it is not known."""

    def __init__(self, clock: Clock, address_of: Callable[[RaftId], str | None]) -> None:
        self._clock = clock
        self._address_of = address_of
        self._complained_at_ms: int | None = None

    def size_of(self, message: AnyMessage) -> int | None:
        """Returns the bytes of entries in the message; None when it must be refused.

        A sender that neither gossip nor state knows is refused: no answer could be sent to it. An entry that this
        version does not know is refused too, so it is never acknowledged, and this node goes on with the log it
        has.
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
    """Returns words that name the first entry that can't be applied, and why; "" when all can be."""
    for entry in entries:
        if entry.kind == EntryKind.CONF_CHANGE:
            if fault := change_fault(entry.data):
                return f"log entry {entry.index} holds no configuration ({fault})"
        elif entry.data and (fault := command_fault(entry.data)):
            return f"log entry {entry.index} holds no command that this version knows ({fault})"
    return ""


def require_readable(persistent: Persistent) -> None:
    """Raises Unreadable, which names the first record on the disk that can't be understood."""
    if persistent.hard_state.term > MAX_POSITION:
        raise Unreadable(f"the vote record is of term {persistent.hard_state.term}, which no election leads to")
    if fault := fault_in(persistent.entries):
        raise Unreadable(fault)
