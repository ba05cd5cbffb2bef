"""What is looked at of a node after each event, and what was seen of it last."""

import msgspec

from orion.node.consensus.applier import MAX_UNAPPLIED_ENTRIES
from orion.node.consensus.driver import MAX_INBOX_MESSAGES
from orion.node.consensus.log_writer import MAX_WAITING
from orion.node.consensus.proposals import MAX_WAITING_PROPOSALS
from orion.node.consensus.read_rounds import MAX_READ_ROUNDS
from orion.raft.interface import Role
from orion.raft.messages import ConfState
from orion.raft.reads import MAX_WAITING_READS
from sim.cluster import Machine, Run

QUEUES = ("messages", "proposals", "batches to write", "entries to apply", "rounds of reads", "forwarded reads")
MOST = (
    MAX_INBOX_MESSAGES,
    MAX_WAITING_PROPOSALS,
    MAX_WAITING,
    2 * MAX_UNAPPLIED_ENTRIES,
    2 * MAX_READ_ROUNDS,
    MAX_WAITING_READS,
)


class Look(msgspec.Struct, frozen=True):
    """What was seen of a node last."""

    role: Role
    term: int
    commit: int
    applied: int
    last: int
    last_term: int
    conf: ConfState


class Followed:
    """One run of a node, from its start on."""

    __slots__ = ("applier", "log", "look", "machine", "raft", "run")

    def __init__(self, machine: Machine, run: Run) -> None:
        assert run.node is not None
        self.machine = machine
        self.run = run
        self.raft = run.node.driver.raft._me
        self.log = self.raft.log
        self.applier = run.node.driver._applier
        self.look: Look | None = None


def queues(run: Run) -> tuple[int, ...]:
    """How much there is in each of QUEUES."""
    assert run.node is not None
    driver = run.node.driver
    return (
        len(driver._inbox),
        len(driver._proposals),
        len(driver._writer._waiting),
        len(driver._applier),
        len(driver._read_rounds),
        len(driver.raft._me.forwarded._contexts),
    )
