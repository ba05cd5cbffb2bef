"""What a node takes in of what peers and its own disk say: whole nodes on the simulator's ports."""

import logging

import msgspec
import pytest
from cluster_kit import run

from orion.model.errors import Unreadable
from orion.model.ids import NodeId
from orion.node.consensus import driver as raft_driver
from orion.node.consensus import snapshots
from orion.node.consensus.intake import require_readable
from orion.process.config import Tuning
from orion.raft.confchange import encode_change
from orion.raft.interface import Persistent
from orion.raft.messages import (
    ConfChange,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    MsgApp,
    MsgHeartbeat,
    MsgSnap,
    MsgVote,
    SnapshotMeta,
)
from orion.state.commands import encode_command
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.tables.node_changes import DrainNode

STRANGER = 99
GOOD = encode_command(DrainNode(1, NodeId("node1"), draining=False))
NO_COMMANDS = [b"\xc1", b"\x93\x63\x01\x02", b"\x90", b"words", msgspec.msgpack.encode([99, 1])]


def raft_of(machine):
    return machine.node.driver.raft


def log_of(machine):
    log = raft_of(machine)._me.log
    return log.last, log.commit, log.term(log.last), raft_of(machine).term


def append(sender, machine, data, *, term=None, kind=EntryKind.NORMAL):
    """What `sender` would say as the leader."""
    last, commit, last_term, now = log_of(machine)
    term = term or now
    entry = Entry(term, last + 1, kind, data)
    return MsgApp(sender, raft_of(machine)._me.id, term, last, last_term, (entry,), commit + 1)


def follower_of(nodes):
    return next(m for m in nodes.machines if m is not nodes.leader)


async def still_writes(nodes):
    done = [False]

    async def write():
        await nodes.leader.node.driver.propose(GOOD)
        done[0] = True

    nodes.leader.run.process.spawn(write())
    await nodes.until(lambda: done[0], 5)
    await nodes.until(lambda: len({m.node.driver.applied_index for m in nodes.machines}) == 1, 5)
    assert all(m.node.driver.raft.term < 100 for m in nodes.machines)


@pytest.mark.parametrize("data", NO_COMMANDS)
def test_an_entry_that_is_no_command_is_neither_kept_nor_acknowledged(data, caplog):
    async def main(nodes):
        machine, leader = follower_of(nodes), raft_of(nodes.leader)._me.id
        before = log_of(machine)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                machine.run.process.post(machine.node.driver.receive, append(leader, machine, data))
                await nodes.until(lambda: not machine.node.driver._inbox)
                assert log_of(machine) == before
        await still_writes(nodes)
        (line,) = [r.getMessage() for r in caplog.records if "not taken" in r.getMessage()]
        assert f"log entry {before[0] + 1} holds no command that this version knows" in line
        assert "do all nodes run one version?" in line

    run(main)


def test_an_entry_that_is_no_configuration_is_not_kept_either():
    async def main(nodes):
        machine, leader = follower_of(nodes), raft_of(nodes.leader)._me.id
        before = log_of(machine)
        for data in (b"", b"\xc1", encode_change(ConfChange((0,))), encode_change(ConfChange((-1, 1)))):
            message = append(leader, machine, data, kind=EntryKind.CONF_CHANGE)
            machine.run.process.post(machine.node.driver.receive, message)
        await nodes.until(lambda: not machine.node.driver._inbox)
        assert log_of(machine) == before
        await still_writes(nodes)

    run(main)


def test_messages_of_somebody_that_is_nowhere_known_are_not_taken():
    """No answer could reach it. Even where the core would hear a stranger out: with no leader."""

    async def main(nodes):
        machine = follower_of(nodes)
        nodes.isolate(*nodes.machines)
        await nodes.until(lambda: not raft_of(machine).leader)
        term = raft_of(machine).term
        last, _, last_term, _ = log_of(machine)
        # It hears nobody new until those that it knows have had their time.
        claim = append(STRANGER, machine, GOOD, term=term + 1)
        await nodes.until(lambda: raft_of(machine).believes(claim))
        own = raft_of(machine)._me.id
        for message in (
            MsgHeartbeat(STRANGER, own, term + 1, 10**9),
            MsgVote(STRANGER, own, term + 1, last, last_term),
            append(STRANGER, machine, GOOD, term=term + 1),
            MsgSnap(STRANGER, own, term + 1, SnapshotMeta(last + 9, term + 1, ConfState((STRANGER,)))),
        ):
            assert raft_of(machine).believes(message) is not isinstance(message, MsgHeartbeat)
            machine.node.driver.receive(message)
        assert not machine.node.driver._inbox
        assert machine.node.driver.snapshots._offer is None
        nodes.heal()
        await nodes.until(lambda: nodes.leader is not None)
        await still_writes(nodes)

    run(main)


def test_so_many_bytes_of_entries_wait_for_the_core_and_no_more(monkeypatch):
    async def main(nodes):
        monkeypatch.setattr(raft_driver, "MAX_INBOX_BYTES", 10_000)
        machine, leader = follower_of(nodes), raft_of(nodes.leader)._me.id
        message = append(leader, machine, GOOD)
        entry = message.entries[0]
        full = msgspec.structs.replace(message, entries=tuple(entry for _ in range(100)))
        for _ in range(100):  # in one turn of the loop
            machine.node.driver.receive(full)
        assert 1 <= len(machine.node.driver._inbox) <= 10_000 // (100 * len(GOOD))
        await still_writes(nodes)
        assert machine.node.driver._inbox_bytes == 0

    run(main)


def test_an_offer_of_a_snapshot_is_taken_up_from_the_leader_only():
    """Another would keep a follower from the snapshot that it needs."""

    async def main(nodes):
        machine = follower_of(nodes)
        other = next(m for m in nodes.machines if m not in (machine, nodes.leader))
        own, term = raft_of(machine)._me.id, raft_of(machine).term
        meta = SnapshotMeta(10**6, term, ConfState((own,)))
        for sender, at in ((STRANGER, term), (STRANGER, term + 1), (raft_of(other)._me.id, term)):
            machine.node.driver.receive(MsgSnap(sender, own, at, meta))
            assert machine.node.driver.snapshots._offer is None
        machine.node.driver.receive(MsgSnap(raft_of(nodes.leader)._me.id, own, term, meta))
        assert machine.node.driver.snapshots._offer is not None

    run(main)


@pytest.mark.parametrize(
    ("cluster", "index_past", "words"), [(None, 1, "was offered as one of"), (77, 0, "it is of cluster")]
)
def test_a_snapshot_that_does_not_fit_is_not_installed(cluster, index_past, words, caplog):
    """Its state is past the entries that would be applied to it, or another cluster's."""

    async def main(nodes):
        machine, leader = follower_of(nodes), nodes.leader
        installs = machine.node.driver.installs
        state = State()
        state.cluster = cluster or machine.node.driver.view.cluster
        meta = SnapshotMeta(machine.node.driver.applied_index + 50, raft_of(machine).term, ConfState((1, 2)))
        state.index = meta.index + index_past
        chunks = list(encode(capture(state)))

        async def serve(_node, _body):
            for chunk in chunks:
                yield chunk

        leader.run.peers._on_stream = serve
        offer = MsgSnap(raft_of(leader)._me.id, raft_of(machine)._me.id, raft_of(machine).term, meta)
        with caplog.at_level(logging.WARNING):
            machine.run.process.post(machine.node.driver.receive, offer)
            await nodes.until(lambda: any(words in r.getMessage() for r in caplog.records), 5)
        assert machine.node.driver.installs == installs
        await still_writes(nodes)

    run(main)


def test_a_snapshot_without_an_end_is_given_up(monkeypatch, caplog):
    async def main(nodes):
        monkeypatch.setattr(snapshots, "MAX_FETCH_BYTES", 100)
        late, leader = follower_of(nodes), nodes.leader
        installs = late.node.driver.installs
        nodes.isolate(late)
        for _ in range(20):
            leader.run.process.spawn(leader.node.driver.propose(GOOD))
        await nodes.until(lambda: leader.node.driver.raft.snapshot_index > late.node.driver.applied_index)
        nodes.heal()
        with caplog.at_level(logging.WARNING):
            await nodes.until(lambda: any("sent more than 100 bytes" in r.getMessage() for r in caplog.records))
        monkeypatch.undo()
        await nodes.until(lambda: late.node.driver.installs == installs + 1)

    run(main, tuning=Tuning(snapshot_entries=5, trailing_entries=0))


# --- the log on the disk ---

META = SnapshotMeta(1, 1, ConfState((1,)))


def found(*entries, term=2):
    return Persistent(HardState(term, 0, 1), META, entries)


def test_a_log_that_can_be_read_is():
    change = encode_change(ConfChange((1, 2)))
    require_readable(found(Entry(1, 2, 0, GOOD), Entry(1, 3, 1, change), Entry(2, 4), term=2**62))


@pytest.mark.parametrize("data", NO_COMMANDS)
def test_a_log_with_what_is_no_command_names_the_entry(data):
    with pytest.raises(Unreadable, match="log entry 3 holds no command that this version knows"):
        require_readable(found(Entry(1, 2, 0, GOOD), Entry(1, 3, 0, data)))


@pytest.mark.parametrize("data", [b"", b"\xc1", encode_change(ConfChange((0,)))])
def test_a_log_with_what_is_no_configuration_names_the_entry(data):
    with pytest.raises(Unreadable, match="log entry 2 holds no configuration"):
        require_readable(found(Entry(1, 2, 1, data)))


def test_a_vote_record_of_a_term_that_there_can_not_be_is_named():
    with pytest.raises(Unreadable, match="term 18446744073709551615"):
        require_readable(found(term=2**64 - 1))
