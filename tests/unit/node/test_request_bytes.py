"""Nodes of different builds ask each other, so the bytes of each request and of each answer stay as they are.

A new field goes to the end, with a default; then its bytes are added here.
"""

import pytest
from cluster_kit import run

from orion.model.after import Condition, Gap, JobWait
from orion.model.allocation import Allocation
from orion.model.api.cluster import MemberView, RaftView
from orion.model.api.jobs import JobRequest
from orion.model.api.watch import Noun
from orion.model.configs import Config, ConfigStat
from orion.model.container import LogEntry, LogQuery
from orion.model.events import Event, EventChoice
from orion.model.health import CheckResult
from orion.model.reach import Arrivals, Cause, Reach, Verdict, Witness
from orion.model.secret_values import SecretPairs
from orion.model.sessions import (
    Alive,
    Began,
    Connect,
    Exec,
    Exited,
    GetFiles,
    Input,
    InputEnd,
    Output,
    PutFiles,
    Resize,
)
from orion.model.stats import ContainerStats
from orion.node.agent.assignment_stream import AssignmentSet, WatchAssignments
from orion.node.agent.confirm import Confirm, Confirmed
from orion.node.agent.turns import AskRuns, AskTurn, Runs
from orion.node.consensus.position import AskPosition, Position
from orion.node.consensus.snapshots import FetchSnapshot
from orion.node.network.names import NamedJob, NamedPlace, NamesChunk, WatchNames
from orion.node.network.published import WatchPublished
from orion.node.network.reachability import AskWitness
from orion.node.routing.plugin_calls import AskClaim, AskClear, AskWait, CallDone, PublishVolume, UnpublishVolume
from orion.node.routing.pull_image import Pulled, PullImage
from orion.node.routing.storage_calls import (
    AskSecrets,
    AskStored,
    DeleteStored,
    GrowStored,
    MakeStored,
    StoredFacts,
)
from orion.node.routing.submit import Submit, Submitted
from orion.node.routing.volume_data import (
    AskCopy,
    CopyData,
    CopyState,
    DropData,
    Dropped,
    Piece,
    PutData,
    ReadData,
    Stored,
)
from orion.node.routing.volumes_here import AllHere, AskHere, Given, Here
from orion.node.rpc.lists import ListHead
from orion.node.rpc.reads import Listing, Page, Read
from orion.node.rpc.request import ListRequest, Request, answer_type, encode_reply, encode_request
from orion.node.services.backup import FetchBackup
from orion.node.services.checks import AskChecks, RememberedChecks
from orion.node.services.configs import AskConfigs, FindConfigs
from orion.node.services.endpoints import AskEndpoints, WatchEndpoints
from orion.node.services.events import WatchEvents
from orion.node.services.images import AskDigest, FindDigest, FoundDigest
from orion.node.services.jobs import AskDeployment, AskDeployments, AskJob, AskJobs, AskVersions
from orion.node.services.logs import ReadLogs
from orion.node.services.named_networks import AskNetworkDetail, AskNetworks
from orion.node.services.network import AskNetwork, AskNetworkStatus
from orion.node.services.network_check import AskReach, Reaches
from orion.node.services.nodes import AskNode, AskNodes, AskRaftId, StopNode, Stopping
from orion.node.services.plans import AskPlan
from orion.node.services.plugins import AskPlugins
from orion.node.services.raft import AskRaft, AskTransfer
from orion.node.services.rebalancing import AskRebalance
from orion.node.services.rows import AskRow
from orion.node.services.sessions import OpenSession
from orion.node.services.stats import ReadStats
from orion.node.services.storage import AskVolumeSnapshot, AskVolumeSnapshots
from orion.node.services.tasks import AskTask, AskTasks
from orion.node.services.volumes import AskSizes, AskTarget, AskUnused, AskVolume, AskVolumes, Sizes
from orion.node.services.watch import WatchRows
from orion.ports.volumes import VolumeSize
from support.node_requests import declared, decode_request

READ = Read(stale=True, after_index=300, wait_s=1.5, timeout_s=2.5)
PAGE = Page("web/1", 5)
STAT = ConfigStat("app/key", 7, 3, 1_000, 2_000)
ALLOCATION = Allocation(0x1234, "web", 3, 0, "node1")
REQUESTS = [
    (Submit(b"\x93\x01", forwarded=True), "9401c4029301c301"),
    (AskTasks(READ, PAGE), "930294c3cd012ccb3ff8000000000000cb400400000000000092a57765622f3105"),
    (AskTask("web/0", READ), "9303a57765622f3094c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskNodes(READ, PAGE), "930494c3cd012ccb3ff8000000000000cb400400000000000092a57765622f3105"),
    (AskNode("node1", READ), "9305a56e6f64653194c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskRaft(), "9106"),
    (AskRebalance(dry_run=True, max_moves=5), "9423c305c2"),
    (AskTransfer("node2", forwarded=True), "9307a56e6f646532c3"),
    (Confirm((0x1234,), ("node3",)), "930891cd123491a56e6f646533"),
    (FetchSnapshot(900), "9209cd0384"),
    (WatchAssignments("node1", 2**63 + 1), "930aa56e6f646531cf8000000000000001"),
    (ReadLogs(0x1234, LogQuery(follow=True, tail=5)), "930bcd123495c30500c3c3"),
    (WatchEvents((9, 1), follow=True, chosen=EventChoice(1_000, 5, ("web",))), "940c920901c393cd03e80591a3776562"),
    (
        AskConfigs(("app/key", "b"), READ),
        "930d92a76170702f6b6579a16294c3cd012ccb3ff8000000000000cb4004000000000000",
    ),
    (
        FindConfigs("app/", READ, PAGE),
        "940ea46170702f94c3cd012ccb3ff8000000000000cb400400000000000092a57765622f3105",
    ),
    (FetchBackup(READ), "920f94c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskPosition(), "9114"),
    (AskRaftId("node1"), "9215a56e6f646531"),
    (StopNode("node1"), "9216a56e6f646531"),
    (AskEndpoints("web", True, READ), "941ea3776562c394c3cd012ccb3ff8000000000000cb4004000000000000"),
    (WatchEndpoints("web", False), "931fa3776562c2"),
    (WatchRows((Noun.NODES, Noun.TASKS)), "926192a56e6f646573a57461736b73"),
    (AskJobs(READ, PAGE), "931894c3cd012ccb3ff8000000000000cb400400000000000092a57765622f3105"),
    (AskJob("web", READ), "9319a377656294c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskVersions("web", READ), "931aa377656294c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskDeployments(READ, PAGE), "931b94c3cd012ccb3ff8000000000000cb400400000000000092a57765622f3105"),
    (AskDeployment(7, READ), "931c0794c3cd012ccb3ff8000000000000cb4004000000000000"),
    (
        OpenSession(0x1234, Exec(("sh", "-c", "ls"), True, True, "app", "/tmp", ("A=b",), 80, 24)),
        "9328cd1234990193a27368a22d63a26c73c3c3a3617070a42f746d7091a3413d625018",
    ),
    (OpenSession(0x1234, Connect(80)), "9328cd1234920250"),
    (OpenSession(0x1234, GetFiles("/etc")), "9328cd12349203a42f657463"),
    (OpenSession(0x1234, PutFiles("/etc")), "9328cd12349204a42f657463"),
    (ReadStats(0x1234, follow=True), "9329cd1234c3"),
    (AskTurn(0x1234), "9224cd1234"),
    (AskRuns((0x1234,)), "922591cd1234"),
    (AskChecks((0x1234,)), "922d91cd1234"),
    (AskNetwork(), "912e"),
    (AskNetworkStatus(), "912f"),
    (WatchNames(), "9130"),
    (WatchPublished(), "913a"),
    (AskWitness("node1"), "9231a56e6f646531"),
    (AskReach("node1"), "9232a56e6f646531"),
    (AskNetworks(READ), "923394c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskNetworkDetail("front", READ), "9334a566726f6e7494c3cd012ccb3ff8000000000000cb4004000000000000"),
    (
        AskPlan("web", JobRequest("nginx"), READ),
        "9520a3776562de0001a5696d616765a56e67696e7894c3cd012ccb3ff8000000000000cb4004000000000000c3",
    ),
    (PullImage("nginx", "linux/amd64", "always"), "942ca56e67696e78ab6c696e75782f616d643634a6616c77617973"),
    (AskDigest("nginx", local=True), "932aa56e67696e78c3"),
    (
        FindDigest("web", "nginx", local=True, ask=False, read=READ),
        "962ba3776562a56e67696e78c3c294c3cd012ccb3ff8000000000000cb4004000000000000",
    ),
    (AskRow(8, "app/key", READ), "941708a76170702f6b657994c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskVolumes("data", 5, READ), "9440a4646174610594c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskVolume("data", READ), "9341a46461746194c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskTarget("data", READ), "9348a46461746194c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskUnused(READ), "924494c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskSizes(("data.7",)), "924291a6646174612e37"),
    (DropData("data.7", "d1"), "9343a6646174612e37a26431"),
    (CopyData("data.7", "node1", "d1", "d1.9"), "9545a6646174612e37a56e6f646531a26431a464312e39"),
    (AskPlugins(), "9150"),
    (PublishVolume("data", "node1", 7), "9451a464617461a56e6f64653107"),
    (UnpublishVolume("data", "node1", 7), "9452a464617461a56e6f64653107"),
    (AskClear("data", "node1", 7), "9453a464617461a56e6f64653107"),
    (AskWait("data", "node1", READ), "9456a464617461a56e6f64653194c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskClaim("data", "node1", READ), "9454a464617461a56e6f64653194c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskSecrets("data", 7, READ), "945aa4646174610794c3cd012ccb3ff8000000000000cb4004000000000000"),
    (
        AskStored("snapshot/a", 7, READ),
        "945baa736e617073686f742f610794c3cd012ccb3ff8000000000000cb4004000000000000",
    ),
    (MakeStored("data", 7), "935ca46461746107"),
    (DeleteStored("data", 7), "935da46461746107"),
    (GrowStored("data", 7, 5), "945ea4646174610705"),
    (AskVolumeSnapshots("a", 5, READ), "945fa1610594c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskVolumeSnapshot("a", READ), "9360a16194c3cd012ccb3ff8000000000000cb4004000000000000"),
    (AskHere((Given("data", 7, 5),)), "92629193a4646174610705"),
    (AskCopy("data.7", "d1.9"), "9346a6646174612e37a464312e39"),
    (PutData("data.7", "d1.9"), "9349a6646174612e37a464312e39"),
    (ReadData("data.7", "d1", live=True), "9447a6646174612e37a26431c3"),
]
ALIASES = (("api", 7), ("all", -1))
NAMED = NamedJob("web", 3, (NamedPlace(2, ((7, 0x0AC80102),), "node1"),), ((80, "tcp"),), (7,), ("db",), ALIASES)
ANSWERS = [
    (
        NamesChunk((NAMED,), (0x0AC80000, 65536)),
        "929197a377656203919302919207ce0ac80102a56e6f646531919250a3746370910791a264629292a36170690792a3616c6cff92ce0ac80000ce00010000",
    ),
    (
        Witness(("no route",), Arrivals(True, 64, 1450, 64, 2), "deaf", strict=True),
        "9491a86e6f20726f75746595c340cd05aa4002a464656166c3",
    ),
    (
        Reaches((Reach("node2", 210, 0, Verdict(Cause.MTU, "node1", "node2", "why")), Reach("node3", 210, 250))),
        "919294a56e6f646532ccd20094a36d7475a56e6f646531a56e6f646532a377687994a56e6f646533ccd2ccfac0",
    ),
    (
        Submitted(300, "web", 2**63 + 1, STAT, 4),
        "95cd012ca3776562cf800000000000000196a76170702f6b65790703cd03e8cd07d0c204",
    ),
    (
        RaftView(
            "00ff", "leader", 2, "node1", 3, 3, [MemberView("node1", "01", 3, "replicate", 0, "alive")], [], 1, 0, 9
        ),
        "8fa7636c7573746572a430306666a57374617465a66c6561646572a47465726d02a66c6561646572a56e6f646531ab636f6d6d6974496e64657803ac6170706c696564496e64657803a6766f746572739187a26964a56e6f646531a6726166744964a23031a56d6174636803a57374617465a97265706c6963617465a36c616700a6737461747573a5616c697665a573696e6365c0a86c6561726e65727390aa6669727374496e64657801ad736e617073686f74496e64657800a97461736b436f756e7409a7776f726b65727390a46e65787490a56c6576656c01ac6c6576656c4f75746c6f6f6ba0",
    ),
    (FoundDigest("sha256:00", "why", "node1", "nginx"), "94a97368613235363a3030a3776879a56e6f646531a56e67696e78"),
    (Confirmed((0x1234,), ("node3",)), "9291cd123491a56e6f646533"),
    (((Config(STAT, b"abc"), None), 300), "92929296a76170702f6b65790703cd03e8cd07d0c2c403616263c0cd012c"),
    (Position(300, True, (1, 2**63 + 1), True), "94cd012cc39201cf8000000000000001c3"),
    (2**63 + 1, "cf8000000000000001"),
    (Stopping(), "90"),
    (Pulled(), "90"),
    (Sizes([VolumeSize(4096, 1, True), None]), "919293cd100001c3c0"),
    (AllHere([Here(False, "why")]), "919192c2a3776879"),
    (Dropped(), "90"),
    (SecretPairs((("a", "b"),)), "919192a161a162"),
    (StoredFacts(7, secrets=SecretPairs(), nodes=("node1",)), "9607c0c091909091a56e6f646531"),
    (CallDone("why", "final", True, "id", 5), "9aa3776879a566696e616cc3a26964059090c2c200"),
    (Stored(), "90"),
    (Piece(b"rows"), "91c404726f7773"),
    (CopyState(300, False, "why", True), "94cd012cc2a3776879c3"),
    (ListHead(300, "web/1"), "92cd012ca57765622f31"),
    (
        [ALLOCATION.id, ALLOCATION.job, AssignmentSet(300, 5, True, (), ("node2",), None, (0x1234,))],
        "93cd1234a37765629ccd012c05c39091a56e6f646532c091cd12340190c09090",
    ),
    (
        Event(300, 1, 5_000, "NodeWentDown", "node1", "it is gone"),
        "96cd012c01cd1388ac4e6f646557656e74446f776ea56e6f646531aa697420697320676f6e65",
    ),
    (None, "c0"),
    ((JobWait("db", Condition.HEALTHY, Gap.ABSENT),), "9194a26462a76865616c746879a6616273656e7400"),
    (Runs((0x1234,), (0x1234,)), "9291cd123491cd1234"),
    (
        RememberedChecks(1_000, ((CheckResult(2_000, False, 5, "bad"),), ())),
        "92cd03e8929194cd07d0c205a362616490",
    ),
    (ContainerStats(1_000, 250, 3, 4, 5, 6, 7, 8, 9), "99cd03e8ccfa03040506070809"),
    (Began(), "9101"),
    (Output(2, b"bad"), "930202c403626164"),
    (Exited(7), "920307"),
    (Alive(), "9104"),
    (Input(b"ls"), "9201c4026c73"),
    (Resize(80, 24), "93025018"),
    (InputEnd(), "9103"),
    (
        [LogEntry("2026-01-01T00:00:00.000000000Z", True, b"out\n")],
        "9193be323032362d30312d30315430303a30303a30302e3030303030303030305ac3c4046f75740a",
    ),
]


@pytest.mark.parametrize(("request_", "known"), REQUESTS, ids=lambda value: type(value).__name__)
def test_a_request_has_the_bytes_it_always_had(request_, known):
    assert encode_request(request_).hex() == known
    assert decode_request(bytes.fromhex(known)) == request_


@pytest.mark.parametrize(("answer", "known"), ANSWERS, ids=lambda value: type(value).__name__)
def test_an_answer_has_the_bytes_it_always_had(answer, known):
    assert encode_reply(answer).hex() == known


def test_every_request_that_is_declared_is_pinned_here():
    assert {type(request) for request, _ in REQUESTS} == set(declared())


def test_a_node_answers_every_request_that_is_declared():
    async def main(nodes):
        assert set(nodes.leader.node.registry.kinds) == set(declared())

    run(main)


@pytest.mark.parametrize("kind", sorted(declared(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_a_request_says_with_what_it_is_answered(kind):
    assert answer_type(kind) is not None
    assert issubclass(kind, ListRequest) == (answer_type(kind) is Listing)


def test_no_two_requests_have_one_tag():
    found = {}
    for kind in kinds_of(Request):
        tag = kind.__struct_config__.tag
        assert found.setdefault(tag, kind) is kind, f"{tag} is that of {found[tag].__name__} and {kind.__name__}"


def kinds_of(base):
    for kind in base.__subclasses__():
        yield from kinds_of(kind)
        if not kind.__subclasses__() and "[" not in kind.__name__ and kind.__module__ != Request.__module__:
            yield kind
