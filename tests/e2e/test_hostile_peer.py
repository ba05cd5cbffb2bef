"""A program that reaches the peer port and greets rightly says what no node would, to a real cluster of three.

Whatever it says, afterwards writes go on and every node can be started again. What somebody who takes a voter's id
can still do is told in docs/design/peers.md.
"""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from orion.model.container import LogQuery
from orion.model.ids import AllocationId, JobName, NodeId, RaftId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.node.agent.assignment_stream import WatchAssignments
from orion.node.agent.confirm import Confirm
from orion.node.consensus.snapshots import FetchSnapshot
from orion.node.routing.submit import Submit
from orion.node.rpc.reads import Read
from orion.node.rpc.request import Request
from orion.node.services.backup import FetchBackup
from orion.node.services.configs import AskConfigs
from orion.node.services.logs import ReadLogs
from orion.node.services.raft import AskTransfer
from orion.node.services.tasks import AskTask, AskTasks
from orion.raft.confchange import encode_change
from orion.raft.messages import (
    AnyMessage,
    ConfChange,
    ConfState,
    Entry,
    EntryKind,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgReadIndex,
    MsgReadIndexResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
    SnapshotMeta,
)
from orion.state.commands import Command, encode_command
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import PutConfig
from orion.state.tables.jobs import CreateJob
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan
from orion.wire.frames import Kind
from support.hostile import STRANGER, ask, greeting_of, say, stranger, stream
from support.nodes import DEADLINE_S, NO_ENGINE, Cluster, NodeProcess, cluster

LARGEST = 2**64 - 1
FAR_TERM = 2**40
NEAR_TERMS = 1000  # so much higher that no elections come that far by themselves
FAR_INDEX = 10**9
NO_COMMAND = b"\x93\x63\x01\x02"


@pytest.fixture
def three() -> Iterator[Cluster]:
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        made.any().ask("PUT", "/configs/before", "kept")
        yield made
        for node in made.nodes:
            assert "Traceback" not in node.log_file.read_text(), node.log_tail(100)


class Position:
    """Where the cluster's log is, and who its voters are."""

    def __init__(self, made: Cluster) -> None:
        leader = made.wait(made.leader, "a leader")
        told: dict[str, Any] = leader.ask("GET", "/raft")
        self.cluster = int(told["cluster"], 16)
        self.term: int = told["term"]
        self.index: int = told["commitIndex"]
        self.leader = leader
        self.raft = {voter["id"]: int(voter["raftId"], 16) for voter in told["voters"]}
        self.followers = [node for node in made.nodes if node is not leader]
        self.stranger = stranger(self.cluster)


def another(made: Cluster, node: NodeProcess) -> NodeProcess:
    return next(other for other in made.nodes if other is not node)


def goes_on(made: Cluster, key: str) -> None:
    """Writes are taken through every node, and reads agree."""
    for node in made.nodes:
        assert node.alive, f"{node.name} has ended:\n{node.log_tail()}"
        made.wait(lambda n=node: n.ask("PUT", f"/configs/{key}", n.name), f"a write through {node.name}")
    assert made.any().ask("GET", "/raft")["term"] < 2**34


def starts_again(made: Cluster) -> None:
    """All at once, so that none is helped by another's memory."""
    for node in made.nodes:
        node.kill()
    for node in made.nodes:
        node.start()
    made.wait(made.leader, "a leader after all were started again")
    goes_on(made, "after-a-restart")
    assert made.any().ask("GET", "/configs/before") == '"kept"'


def every_kind(sender: int, to: int, term: int, index: int, log_term: int) -> list[AnyMessage]:
    conf = ConfState((sender,))
    low = min(log_term, term - 1)
    return [
        MsgApp(sender, to, term, index, log_term, (Entry(term, index + 1, 0, NO_COMMAND),), index + 1),
        MsgApp(sender, to, term, index, log_term, (Entry(term, index + 1, 1, b"\xc1"),), index + 1),
        MsgApp(sender, to, term, index, log_term, (), FAR_INDEX),
        MsgAppResp(sender, to, term, index),
        MsgVote(sender, to, term, FAR_INDEX, low),
        MsgVote(sender, to, term, FAR_INDEX, term - 1, transfer=True),
        MsgVoteResp(sender, to, term, False, index, log_term),
        MsgPreVote(sender, to, term, FAR_INDEX, term - 1),
        MsgPreVoteResp(sender, to, term, True, index, log_term),
        MsgHeartbeat(sender, to, term, index),
        MsgHeartbeat(sender, to, term, FAR_INDEX, 7),
        MsgHeartbeatResp(sender, to, term, 7),
        MsgSnap(sender, to, term, SnapshotMeta(FAR_INDEX, term, conf)),
        MsgSnapStatus(sender, to, term, index),
        MsgTimeoutNow(sender, to, term),
        MsgReadIndex(sender, to, term, 7),
        MsgReadIndexResp(sender, to, term, 7, FAR_INDEX),
    ]


@pytest.mark.parametrize("term", [FAR_TERM, LARGEST], ids=["far", "largest"])
def test_a_term_from_nowhere_stops_nobody(three: Cluster, term: int) -> None:
    at = Position(three)
    for node in three.nodes:
        for who in (at.stranger, greeting_of(another(three, node))):
            say(node, who, MsgHeartbeat(who.raft_id, at.raft[node.name], term, 0))
    goes_on(three, "after-a-term")
    starts_again(three)


@pytest.mark.parametrize("member", [False, True], ids=["stranger", "voter"])
def test_an_entry_that_is_nothing_is_kept_by_nobody(three: Cluster, *, member: bool) -> None:
    at = Position(three)
    who, term = (greeting_of(at.leader), at.term) if member else (at.stranger, at.term + 1)
    for node in at.followers:
        for kind, data in ((EntryKind.NORMAL, NO_COMMAND), (EntryKind.CONF_CHANGE, b"\xc1")):
            entry = Entry(term, at.index + 1, kind, data)
            say(node, who, MsgApp(who.raft_id, at.raft[node.name], term, at.index, at.term, (entry,), at.index + 1))
    goes_on(three, "after-an-entry")
    starts_again(three)


def test_a_commit_index_from_a_stranger_ends_nobody(three: Cluster) -> None:
    at = Position(three)
    for node in three.nodes:
        for term in (at.term, at.term + 1):
            say(node, at.stranger, MsgHeartbeat(STRANGER, at.raft[node.name], term, FAR_INDEX))
    goes_on(three, "after-a-commit")
    starts_again(three)


def test_no_message_of_a_stranger_at_any_term_changes_anything(three: Cluster) -> None:
    at = Position(three)
    evict = encode_change(ConfChange((STRANGER,)))
    for node in three.nodes:
        to = at.raft[node.name]
        for term in (at.term, at.term + 1, at.term + NEAR_TERMS, FAR_TERM):
            say(node, at.stranger, *every_kind(STRANGER, to, term, at.index, at.term))
        taken = Entry(at.term + 1, at.index + 1, EntryKind.CONF_CHANGE, evict)
        say(node, at.stranger, MsgApp(STRANGER, to, at.term + 1, at.index, at.term, (taken,), at.index + 1))
    raft = three.any().ask("GET", "/raft")
    assert {voter["id"] for voter in raft["voters"]} == set(at.raft)
    assert raft["term"] < at.term + NEAR_TERMS, "nobody was moved by any of it"
    goes_on(three, "after-everything")
    starts_again(three)


def test_what_a_lying_voter_says_of_terms_and_entries_ends_nobody(three: Cluster) -> None:
    """It can depose a leader, as a voter may; but not for good, and no node ends."""
    at = Position(three)
    for node in three.nodes:
        liar = greeting_of(another(three, node))
        for term in (1, FAR_TERM):
            say(node, liar, *every_kind(liar.raft_id, at.raft[node.name], term, at.index, at.term))
    goes_on(three, "after-a-liar")
    starts_again(three)


NEW = RegisterNode(1, "node9", 9, "10.0.0.9:7000", "10.0.0.9:8000", Resources(1, 2, 3), (), "", "0.1", level=LEVEL)
COMMANDS: list[Command] = [
    replace(NEW, peer_address="nowhere"),
    replace(NEW, at_ms=2**63),
    replace(NEW, node="../node1"),
    replace(NEW, node="node1", replaces=True),
    replace(NEW, labels=(("a", "x" * 3_000_000),)),
    DrainNode(1, NodeId("x" * 3_000_000), draining=True, idempotency_key="k" * 500_000),
    CreateJob(2**63, Job(JobName("web"), JobKind.SERVICE, 1, TaskSpec("app")), "key", 10**6),
    CreateJob(1, Job(JobName("../web"), JobKind.SERVICE, 1, TaskSpec("app")), "key", 10**6),
    PutConfig(1, "k" * 1_000_000, b"", None, "key", 10**6),
    SetNodeStatus(1, NodeId("node1"), RaftId(1), NodeStatus.DOWN),
    ApplyPlan(1, ()),
    InitCluster(1, 7),
]
QUESTIONS: list[Request[Any]] = [
    Submit(NO_COMMAND),
    Submit(b""),
    AskConfigs(("before",) * 1_000_000, Read()),
    AskTask("before", Read(timeout_s=math.nan)),
    Confirm(tuple(AllocationId(number) for number in range(500_000)), ()),
    AskTransfer("nobody"),
    FetchSnapshot(FAR_INDEX),
]
STREAMS: list[Request[Any]] = [
    FetchSnapshot(-1),
    FetchSnapshot(LARGEST),
    FetchBackup(Read(timeout_s=math.inf)),
    AskTasks(Read(wait_s=1e300, after_index=LARGEST)),
    WatchAssignments(NodeId("x" * 1_000_000), RaftId(-1)),
    ReadLogs(AllocationId(-1), LogQuery(tail=-1)),
]


def test_no_call_and_no_stream_leaves_anything_behind(three: Cluster) -> None:
    """Commands that state, a snapshot or a view could not go on with, and questions without an end."""
    at = Position(three)
    shown = [node["name"] for node in at.leader.ask("GET", "/nodes")]
    for node in three.nodes:
        for command in COMMANDS:
            answer = ask(node, at.stranger, Submit(encode_command(command)))
            assert answer.failure is not None, command
            assert answer.failure.code == "refused", answer.failure
        for question in QUESTIONS:
            assert ask(node, at.stranger, question).failure is not None, question
        for question in STREAMS:
            assert stream(node, at.stranger, question) is not None, question
        for question in (*QUESTIONS, *STREAMS):
            failure = stream(node, at.stranger, question, Kind.DUPLEX)
            assert failure is not None, question
            assert failure.code == "refused", failure
    for node in three.nodes:
        nodes = node.ask("GET", "/nodes")
        assert [each["name"] for each in nodes] == shown
        assert {each["status"] for each in nodes} <= {"alive", "suspect"}
        assert node.ask("GET", "/tasks") == []
    goes_on(three, "after-calls")
    starts_again(three)


def test_a_node_that_is_said_to_have_lost_what_it_acknowledged_ends_in_words_and_starts_again(
    three: Cluster,
) -> None:
    """Where its leader says so: that is how a disk put back from a copy is found."""
    at = Position(three)
    node, leader = at.followers[0], greeting_of(at.leader)
    assert node.process is not None
    say(node, leader, MsgHeartbeat(leader.raft_id, at.raft[node.name], at.term, FAR_INDEX))
    assert node.process.wait(DEADLINE_S) == 1
    assert f"{FAR_INDEX} are committed, but the log ends at" in node.log_tail(1)
    node.start()
    three.wait_settled(3, engines=False)
    goes_on(three, "after-a-lost-log")
