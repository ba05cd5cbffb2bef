"""What a peer asks for in one request is bounded: whoever greets may ask."""

import math

import pytest
from cluster_kit import run
from msgspec.structs import replace

from orion.model.api.watch import Noun
from orion.model.container import LogQuery
from orion.model.errors import Refused
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.model.sessions import Connect, Exec, GetFiles, PutFiles
from orion.node.agent.assignment_stream import WatchAssignments
from orion.node.agent.confirm import MAX_CONFIRMED, Confirm
from orion.node.agent.turns import MAX_RUNS, AskRuns
from orion.node.consensus.position import AskPosition
from orion.node.network.reachability import AskWitness
from orion.node.routing.plugin_calls import AskClaim, AskClear, AskWait, PublishVolume, UnpublishVolume
from orion.node.routing.pull_image import PullImage
from orion.node.routing.storage_calls import AskSecrets, AskStored, DeleteStored, GrowStored, MakeStored
from orion.node.routing.submit import Submit
from orion.node.routing.volume_data import AskCopy, CopyData, DropData, PutData, ReadData
from orion.node.routing.volumes_here import AskHere, Given
from orion.node.rpc.reads import Read
from orion.node.rpc.request import encode_request, request_fault
from orion.node.services import checks
from orion.node.services.backup import FetchBackup
from orion.node.services.checks import AskChecks
from orion.node.services.configs import AskConfigs, FindConfigs
from orion.node.services.endpoints import AskEndpoints, WatchEndpoints
from orion.node.services.images import AskDigest, FindDigest
from orion.node.services.logs import ReadLogs
from orion.node.services.network_check import AskReach
from orion.node.services.nodes import AskNodes, AskRaftId
from orion.node.services.rows import AskRow
from orion.node.services.sessions import OpenSession
from orion.node.services.storage import AskVolumeSnapshot, AskVolumeSnapshots
from orion.node.services.tasks import AskTasks
from orion.node.services.volumes import AskSizes, AskTarget, AskVolume, AskVolumes
from orion.node.services.watch import WatchRows
from orion.ports.peers import Principal
from orion.state.commands import encode_command
from orion.state.tables.cluster import InitCluster
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan

ENDLESS = [
    AskTasks(Read(timeout_s=math.nan)),
    AskNodes(Read(timeout_s=math.inf)),
    AskReach("no name"),
    AskWitness(""),
    AskNodes(Read(timeout_s=-1.0)),
    FindConfigs("", Read(wait_s=1e300)),
    FetchBackup(Read(timeout_s=1e9)),
    AskTasks(Read(after_index=-1)),
    AskConfigs(("a",) * 65, Read()),
    Confirm(tuple(range(MAX_CONFIRMED + 1)), ()),
    WatchAssignments("x" * 100, 1),
    AskRuns(tuple(range(MAX_RUNS + 1))),
    AskChecks(tuple(range(checks.MAX_RUNS + 1))),
    AskRaftId(""),
    AskVolumes("", 501, Read()),
    AskVolumes("v" * 257, 5, Read()),
    AskVolume("v" * 257, Read()),
    AskTarget("v" * 257, Read()),
    AskSizes(("a",) * 501),
    AskSizes(("a", "k" * 257)),
    PublishVolume("v" * 257, "node1", 7),
    UnpublishVolume("data", "a node", 7),
    AskClaim("data", "n/1", Read()),
    AskClear("", "node1", 7),
    AskWait("data", "n/1", Read()),
    AskSecrets("a/b", 7, Read()),
    AskStored("data", -1, Read()),
    MakeStored("snapshot/", 7),
    DeleteStored("v" * 72, 7),
    GrowStored("snapshot/a", 7, 5),
    GrowStored("data", 7, 0),
    AskVolumeSnapshots("", 501, Read()),
    AskVolumeSnapshot("a/b", Read()),
    AskHere((Given("data", 7),) * 501),
    AskHere((Given("a/b", 7),)),
    AskHere((Given("data", 7, -1),)),
    DropData("k" * 257, "d"),
    CopyData("k", "n" * 257, "d", "e"),
    AskCopy("k" * 257, "d"),
    ReadData("k", "d" * 257),
    PutData("k", "d" * 257),
    AskRow(8, "k" * 1_025, Read()),
    AskRow(5, "web", Read()),
    AskEndpoints("w" * 64, False, Read()),
    WatchEndpoints("Web", False),
    WatchRows(()),
    WatchRows((Noun.TASKS, Noun.TASKS)),
    ReadLogs(1, LogQuery(tail=-1)),
    PullImage(""),
    PullImage("nginx", "x" * 129),
    AskDigest("x" * 1_000, local=True),
    FindDigest("Web", "nginx", True, True, Read()),
    OpenSession(1, Exec(())),
    OpenSession(1, Exec(("x" * 40_000,))),
    OpenSession(1, Exec(("sh",), env=("no variable",))),
    OpenSession(1, Exec(("sh",), columns=70_000)),
    OpenSession(1, Exec(("sh",), workdir="tmp")),
    OpenSession(1, Connect(65_536)),
    OpenSession(1, GetFiles("etc")),
    OpenSession(1, PutFiles("/" * 5_000)),
]
FAIR = [
    AskTasks(Read(wait_s=600.0, timeout_s=600.0)),
    AskConfigs(("a",) * 64, Read()),
    AskRow(8, "k" * 1_024, Read()),
    Confirm(tuple(range(5_000)), ("node1",)),
    WatchAssignments("node1", 1),
    ReadLogs(1, LogQuery(tail=0)),
    AskPosition(),
    AskEndpoints("web", True, Read()),
    WatchEndpoints("web", False),
    WatchRows(tuple(Noun)),
    AskChecks(tuple(range(checks.MAX_RUNS))),
    PullImage("nginx"),
    AskDigest("nginx", local=True),
    FindDigest("web", "nginx", True, True, Read()),
    OpenSession(1, Exec(("sh", ""), tty=True, env=("A=",), columns=65_535)),
    OpenSession(1, Connect(1)),
]
NODE = RegisterNode(1, "node9", 9, "10.0.0.9:7000", "10.0.0.9:8000", Resources(1, 2, 3), (), "e", "0.1")
FOR_LEADERS = [
    (InitCluster(1, 5), "InitCluster is for the cluster's leader to decide"),
    (ApplyPlan(1, ()), "ApplyPlan is for the cluster's leader to decide"),
    (SetNodeStatus(1, "node2", 5, NodeStatus.DOWN), "SetNodeStatus is for the cluster's leader to decide"),
    (
        replace(NODE, replaces=True),
        "takes another one's place is for the cluster's leader to decide",
    ),
    (DrainNode(-1, "node1", draining=True), "not a command that can be carried out: at_ms is -1"),
]


@pytest.mark.parametrize("request_", ENDLESS, ids=lambda r: type(r).__name__)
def test_a_request_without_end_is_refused(request_):
    assert request_fault(request_)

    async def main(nodes):
        registry = nodes.leader.node.registry
        body = encode_request(request_)
        with pytest.raises(Refused, match=f"{type(request_).__name__} from node2 asks for too much"):
            await registry.on_call(Principal("node2"), body)
        with pytest.raises(Refused, match="asks for too much"):
            await anext(registry.on_stream(Principal("node2"), body))

    run(main)


@pytest.mark.parametrize("request_", FAIR, ids=lambda r: type(r).__name__)
def test_what_nodes_ask_for_is_answered(request_):
    assert request_fault(request_) == ""


@pytest.mark.parametrize(("command", "words"), FOR_LEADERS)
def test_what_a_leader_decides_is_taken_from_nobody_else(command, words):
    async def main(nodes):
        leader = nodes.leader
        before = leader.node.driver.raft.last_index
        with pytest.raises(Refused, match=words):
            await leader.node.registry.on_call(
                Principal("node2"), encode_request(Submit(encode_command(command), True))
            )
        assert leader.node.driver.raft.last_index == before

    run(main)
