"""Commands that no honest node proposes: each is either named as such, or does no harm when it is applied."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from state_kit import World

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.claims import ClaimPhase
from orion.model.container_options import ContainerOptions, DeviceRate, DeviceRequest, Ulimit
from orion.model.deployment import DeploymentState
from orion.model.ids import task_id
from orion.model.job import ConfigRef, Job, JobKind, PortBinding, RestartPolicy, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure, PortShortage, ResourceShortage
from orion.model.pull import PullProgress
from orion.model.resources import Resources
from orion.model.secret_values import SecretPairs
from orion.model.storage import SystemPart
from orion.model.update import UpdatePolicy
from orion.node.views import render
from orion.state import tables
from orion.state.apply import apply
from orion.state.check import check
from orion.state.commands import encode_command
from orion.state.core.faults import MAX_ID, MAX_MS, MAX_TEXT, MAX_WORD
from orion.state.sound import command_fault, fault_of
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.claims import BeginClaim, MoveClaim, NoteClaim
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import DeleteConfig, PutConfig
from orion.state.tables.cron import CollectJobs, FireCron, RunJob
from orion.state.tables.deployments import EndDeployment, StepDeployment, TurnDeployment
from orion.state.tables.job_changes import PromoteJob, PutJob, RestartJob, RollBackJob, SetJobCount
from orion.state.tables.jobs import CreateJob, RemoveJob, StartJob, StopJob
from orion.state.tables.late_addresses import GiveAddresses
from orion.state.tables.moves import MoveTasks
from orion.state.tables.network_changes import CreateNetwork, RemoveNetwork
from orion.state.tables.node_changes import DrainNode, RemoveNode
from orion.state.tables.node_labels import LabelNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan, Placements, Refusal
from orion.state.tables.reach import TellReach
from orion.state.tables.storage_outcomes import (
    EndStored,
    MarkStored,
    SetStoredSize,
    SetStoredSnapshot,
    SetStoredVolume,
)
from orion.state.tables.storage_volumes import CreateStorageVolume, ExpandVolume
from orion.state.tables.subnets import LeaseSubnet, ReleaseSubnets
from orion.state.tables.system import FitSystemJob
from orion.state.tables.volume_changes import CreateVolume, RemoveVolume, SetVolumeData
from orion.state.tables.volume_moves import BeginVolumeMove, EndVolumeMove
from orion.state.tables.volume_snapshots import CreateVolumeSnapshot, RemoveVolumeSnapshot

SPEC = TaskSpec("app", resources=Resources(100, 1_000_000, 0))
JOB = Job("web", JobKind.SERVICE, 1, SPEC)
NODE = RegisterNode(1, "node9", 9, "10.0.0.9:7000", "[::1]:8000", Resources(1, 2, 3), (("a", "b"),), "e", "0.1")
STATUS = AllocationStatus(AllocationState.RUNNING)
STORED = SystemPart(size_bytes=5, parameters=(("pool", "fast"),), secrets=1)


def job(**changes):
    return CreateJob(1, replace(JOB, **changes), "key", 0)


def spec(**changes):
    return job(task=replace(SPEC, **changes))


FAILURE = PlacementFailure(
    *range(5),
    ResourceShortage(1, 2),
    ResourceShortage(3, 4),
    ResourceShortage(5, 6),
    tuple(PortShortage(port, "udp", 1, own=bool(port % 2)) for port in range(128)),
)


def refused(**changes):
    return ApplyPlan(1, (), refusals=(Refusal("web", 1, replace(FAILURE, **changes)),))


def report(**changes):
    return UpdateAllocations(1, "node1", ((1, STATUS), (2, replace(STATUS, **changes))))


@pytest.mark.parametrize(
    "command",
    [
        InitCluster(1, 2**64 - 1),
        NODE,
        replace(NODE, engine_down="x" * MAX_TEXT, labels=(("a" * 100, "b" * 1_000),) * 50),
        SetNodeStatus(1, "node1", 1, NodeStatus.LEFT, "stops on purpose", 60_000),
        DrainNode(1, "node1", draining=True),
        RemoveNode(1, "node1", 0, "k" * 128, 5),
        LabelNode(1, "node1", (("a", None), ("b", "c")), "k", 5),
        job(),
        spec(ports=(PortBinding(80, "tcp", 8080), PortBinding(65_535, "udp")), env=(("A", "x" * 1_000_000),)),
        spec(configs=(ConfigRef("a", path="/a", mode=0o644),), restart=RestartPolicy(max_restarts=10**6)),
        RemoveJob(1, "web", "key", 0),
        report(reason="x" * 10_000, address="172.17.0.2", started_at_ms=-62_135_596_800_000),
        ApplyPlan(
            MAX_MS,
            (Placements("web", 5, 0, [0], [1]),),
            (1,),
            (Refusal("web", 5, ""), Refusal("web", 5, "x" * 2_000), Refusal("web", 5, FAILURE)),
        ),
        PutJob(1, replace(JOB, count=3, update=UpdatePolicy(canary=2)), "key", 0, 3),
        StepDeployment(1, 5, tuple(range(500)), tuple(range(500)), alone=True),
        CreateStorageVolume(1, "data", "dir", (), STORED, SecretPairs((("a", "x" * 65_000),)), "key", 0),
        ExpandVolume(1, "data", 5, "key", 0),
        MarkStored(1, "snapshot/a", 5, asked=True, why="x" * 500),
        SetStoredVolume(1, "data", 5, "x" * 1_024, 0, (), ()),
        SetStoredSnapshot(1, "a", 5, "id", 5, 5, ready=True),
        PutConfig(1, "a", bytes(65_536), None, "key", 0),
        PutConfig(1, "a" * 600, b"", None, "key", 0),  # refused by state, in words
    ],
)
def test_what_honest_nodes_propose_is_sound(command):
    assert fault_of(command) == command_fault(encode_command(command)) == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (replace(NODE, at_ms=-1), "at_ms is -1"),
        (replace(NODE, at_ms=MAX_MS + 1), "at_ms is 253402300800000"),
        (InitCluster(1, 0), "cluster is 0"),
        (PutJob(1, replace(JOB, update=UpdatePolicy(delay_ms=-1)), "key", 0), "delay_ms is -1"),
        (PutJob(1, replace(JOB, update=UpdatePolicy(canary=2**40)), "key", 0), "canary is 1099511627776"),
        (SetJobCount(1, "web", -1, "key", 0), "count is -1"),
        (StepDeployment(1, 5, tuple(range(501))), "begun slots is 501"),
        (StepDeployment(1, 5, (-1,)), "slot is -1"),
        (TurnDeployment(1, 5, "x" * (MAX_TEXT + 1)), "reason is 65,537 characters long"),
        (replace(NODE, node=""), "'' is no node's name"),
        (replace(NODE, node="a/b"), "'a/b' is no node's name"),
        (replace(NODE, raft_id=0), "raft_id is 0"),
        (replace(NODE, raft_id=-(2**63)), "raft_id is -9223372036854775808"),
        (replace(NODE, peer_address="nowhere"), "'nowhere' is not an address"),
        (replace(NODE, api_address=":1"), "':1' is not an address"),
        (replace(NODE, peer_address="x" * 10_000 + ":1"), "an address is 10,002 characters long"),
        (replace(NODE, capacity=Resources(-1)), "cpu_millis is -1"),
        (replace(NODE, capacity=Resources(1, 2**64 - 1)), "memory_bytes is 18446744073709551615"),
        (replace(NODE, labels=(("a", "x" * MAX_TEXT),)), "labels is 65,537 characters long"),
        (replace(NODE, version="x" * 2_000), "version is 2,000 characters long"),
        (SetNodeStatus(1, "node1", 1, NodeStatus.LEFT, grace_ms=2**63), "grace_ms is 9223372036854775808"),
        (DrainNode(1, "x" * 65, draining=True), "is no node's name"),
        (RemoveNode(1, "node1", 0, "k" * (MAX_WORD + 1)), "idempotency_key is 1,025 characters long"),
        (LabelNode(1, "", (), "k", 0), "is no node's name"),
        (LabelNode(1, "node1", (("a", "x" * MAX_TEXT),), "k", 0), "labels is 65,537 characters long"),
        (job(name="../web"), "'../web' is no job's name"),
        (job(created_at_ms=2**63), "created_at_ms is 9223372036854775808"),
        (spec(resources=Resources(-1)), "cpu_millis is -1"),
        (spec(ports=(PortBinding(0, "tcp"),)), "container_port is 0"),
        (spec(ports=(PortBinding(80, "tcp", 65_536),)), "host_port is 65536"),
        (spec(ports=(PortBinding(80, "sctp"),)), "'sctp' is no protocol"),
        (spec(stop_grace_ms=-1), "stop_grace_ms is -1"),
        (spec(restart=RestartPolicy(max_restarts=-1)), "max_restarts is -1"),
        (spec(configs=(ConfigRef("a", path="/a", mode=-1),)), "mode is -1"),
        (spec(options=ContainerOptions(shm_bytes=2**63)), "shm_bytes is 9223372036854775808"),
        (
            spec(options=ContainerOptions(ulimits=(Ulimit("core", 0, 2**63),))),
            "limit of core is 9223372036854775808",
        ),
        (spec(options=ContainerOptions(device_requests=(DeviceRequest(count=2**63),))), "count is 92233720368"),
        (spec(options=ContainerOptions(device_read_iops=(DeviceRate("a", 2**63),))), "rate is 9223372036854775808"),
        (StopJob(1, "x" * 2_000, "key", 0), "job is 2,000 characters long"),
        (StartJob(1, "web", "k" * 2_000, 0), "idempotency_key is 2,000 characters long"),
        (report(finished_at_ms=2**63), "finished_at_ms is 9223372036854775808"),
        (report(reason="x" * (MAX_TEXT + 1)), "reason is 65,537 characters long"),
        (report(refused_port=-1), "refused_port is -1"),
        (report(pull=PullProgress(-1, 1)), "done_bytes is -1"),
        (report(pull=PullProgress(0, 2**63)), "total_bytes is 9223372036854775808"),
        (ApplyPlan(1, (), refusals=(Refusal("web", 1, "x" * (MAX_TEXT + 1)),)), "refusal is 65,537"),
        (refused(away=-1), "nodes is -1"),
        (refused(without_labels=2**63), "nodes is 9223372036854775808"),
        (refused(cpu=ResourceShortage(-1, 0)), "nodes is -1"),
        (refused(disk=ResourceShortage(1, -1)), "most_free is -1"),
        (refused(ports=(PortShortage(65_536, "tcp", 1),)), "port is 65536"),
        (refused(ports=(PortShortage(80, "sctp", 1),)), "'sctp' is no protocol"),
        (refused(ports=(PortShortage(80, "tcp", -1),)), "nodes is -1"),
        (refused(ports=(PortShortage(80, "tcp", 1),) * 129), "ports is 129"),
        (PutConfig(1, "a" * 5_000, b"", None, "key", 0), "key is 5,000 characters long"),
        (DeleteConfig(1, "a", None, "k" * 2_000, 0), "idempotency_key is 2,000 characters long"),
    ],
)
def test_what_nobody_could_go_on_with_is_named(command, words):
    assert words in fault_of(command)
    assert words in command_fault(encode_command(command))


# --- anything that can be decoded ---------------------------------------------------------------------------

NUMBERS = st.sampled_from([0, 1, 2, 5, 80, 8080, -1, -(2**63), 2**31, 2**53, 2**62, 2**63, 2**64 - 1])
TIMES = st.sampled_from([0, 1, 1_700_000_000_000, MAX_MS, -1, 2**63])
WORDS = st.sampled_from(["", "node1", "node2", "web", "a", "a/b", "é\u202e", "x" * 60, "x" * 1_000, "127.0.0.1:7"])
TEXTS = WORDS | st.just("x" * 70_000)
COUNTS = st.sampled_from([0, 1, 2, -1, 2**40, 2**64 - 1])
FLAGS = st.booleans()
LISTS = st.lists(st.integers(0, 3) | NUMBERS, max_size=3)


@st.composite
def near(draw, base, **fields):
    """`base` with a field or two as somebody hostile would have them."""
    names = draw(st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True))
    return replace(base, **{name: draw(fields[name]) for name in names})


AMOUNTS = near(SPEC.resources, cpu_millis=NUMBERS, memory_bytes=NUMBERS, disk_bytes=NUMBERS)
PORTS = near(PortBinding(80, "tcp", 8080), container_port=NUMBERS, protocol=WORDS, host_port=NUMBERS)
SPECS = near(
    SPEC,
    image=WORDS,
    resources=AMOUNTS,
    ports=st.lists(PORTS, max_size=2).map(tuple),
    restart=st.builds(RestartPolicy, max_restarts=NUMBERS),
    stop_grace_ms=NUMBERS,
    configs=st.lists(st.builds(ConfigRef, WORDS, WORDS, WORDS, NUMBERS), max_size=1).map(tuple),
)
JOBS = near(
    JOB,
    name=WORDS,
    kind=st.sampled_from(JobKind),
    count=COUNTS,
    task=SPECS,
    version=NUMBERS,
    created_at_ms=TIMES,
    stopping=FLAGS,
    created_index=NUMBERS,
    stopped=FLAGS,
)
SHORTAGES = st.none() | st.builds(ResourceShortage, NUMBERS, NUMBERS)
FAILURES = near(
    FAILURE,
    away=NUMBERS,
    down=NUMBERS,
    draining=NUMBERS,
    without_engine=NUMBERS,
    without_labels=NUMBERS,
    cpu=SHORTAGES,
    memory=SHORTAGES,
    disk=SHORTAGES,
    ports=st.lists(st.builds(PortShortage, NUMBERS, WORDS, NUMBERS, FLAGS), max_size=2).map(tuple),
)
STATUSES = near(
    STATUS,
    state=st.sampled_from(AllocationState),
    reason=TEXTS,
    restarts=NUMBERS,
    exit_code=st.none() | NUMBERS,
    started_at_ms=TIMES,
    finished_at_ms=TIMES,
    address=TEXTS,
    failed_starts=NUMBERS,
    container=TEXTS,
    refused_port=NUMBERS,
    pull=st.none() | st.builds(PullProgress, NUMBERS, NUMBERS),
)
GROUPS = near(
    Placements("web", 4, 0, [0], [1]),
    job=WORDS,
    created_index=NUMBERS,
    job_version=NUMBERS,
    indexes=LISTS,
    nodes=LISTS,
    ports=st.lists(LISTS.map(tuple), max_size=3),
)
CHANGE = {"at_ms": TIMES, "idempotency_key": WORDS, "since": NUMBERS}
COMMANDS = st.one_of(
    near(InitCluster(1, 7), at_ms=TIMES, cluster=NUMBERS),
    near(
        NODE,
        at_ms=TIMES,
        node=WORDS,
        raft_id=NUMBERS,
        peer_address=WORDS,
        api_address=WORDS,
        capacity=AMOUNTS,
        engine=WORDS,
        version=TEXTS,
        engine_down=TEXTS,
        replaces=FLAGS,
    ),
    near(
        SetNodeStatus(1, "node9", 9, NodeStatus.DOWN),
        at_ms=TIMES,
        node=WORDS,
        raft_id=NUMBERS,
        status=st.sampled_from(NodeStatus),
        reason=TEXTS,
        grace_ms=NUMBERS,
    ),
    near(DrainNode(1, "node1", draining=True), node=WORDS, draining=FLAGS, **CHANGE),
    near(RemoveNode(1, "node9", 0, "key"), node=WORDS, raft_id=NUMBERS, **CHANGE),
    near(
        LabelNode(1, "node1", (("a", None),), "key", 100),
        node=WORDS,
        labels=st.lists(st.tuples(WORDS, st.none() | WORDS), max_size=3).map(tuple),
        **CHANGE,
    ),
    near(CreateJob(1, JOB, "key", 100), job=JOBS, **CHANGE),
    near(RemoveJob(1, "web", "key", 100), job=WORDS, **CHANGE),
    near(StopJob(1, "web", "key", 100), job=WORDS, **CHANGE),
    near(StartJob(1, "web", "key", 100), job=WORDS, **CHANGE),
    st.builds(lambda status, at_ms: UpdateAllocations(at_ms, "node1", ((0, status),)), STATUSES, TIMES),
    near(
        ApplyPlan(1, (Placements("web", 4, 0, [0], [1]),)),
        at_ms=TIMES,
        placements=st.lists(GROUPS, max_size=2).map(tuple),
        stops=LISTS.map(tuple),
        refusals=st.lists(st.builds(Refusal, WORDS, NUMBERS, TEXTS | FAILURES), max_size=1).map(tuple),
        moves=LISTS.map(tuple),
    ),
    near(PutJob(1, JOB, "key", 100), job=JOBS, if_version=NUMBERS, **CHANGE),
    near(SetJobCount(1, "web", 2, "key", 100), job=WORDS, count=NUMBERS, **CHANGE),
    near(RollBackJob(1, "web", "key", 100), job=WORDS, version=NUMBERS, **CHANGE),
    near(RestartJob(1, "web", "key", 100), job=WORDS, **CHANGE),
    near(PromoteJob(1, "web", "key", 100), job=WORDS, **CHANGE),
    near(
        FireCron(1, "nightly", 5, 6, 7),
        job=WORDS,
        created_index=NUMBERS,
        former_ms=NUMBERS,
        until_ms=NUMBERS,
        fires=LISTS.map(tuple),
        missed=NUMBERS,
        missed_from_ms=NUMBERS,
        missed_to_ms=NUMBERS,
    ),
    near(RunJob(1, "nightly", "key", 100), job=WORDS, **CHANGE),
    near(CollectJobs(1, ()), jobs=st.lists(st.tuples(WORDS, NUMBERS), max_size=3).map(tuple)),
    near(FitSystemJob(1, "agent", 5), job=WORDS, created_index=NUMBERS),
    near(LeaseSubnet(1, "node1"), node=WORDS),
    near(
        ReleaseSubnets(1, (("node1", 0),)),
        subnets=st.lists(st.tuples(WORDS, st.integers(-1, MAX_ID)), max_size=3).map(tuple),
    ),
    near(GiveAddresses(1, (7,)), allocations=st.lists(st.integers(-1, MAX_ID), max_size=3).map(tuple)),
    near(CreateNetwork(1, "front", False, "k", 5), name=WORDS),
    near(RemoveNetwork(1, "front", "k", 5), name=WORDS),
    near(CreateVolume(1, "data", (("a", "b"),), "k", 5), name=WORDS),
    near(RemoveVolume(1, "data", 0, "k", 5), name=WORDS, created_index=st.integers(-1, MAX_ID)),
    near(SetVolumeData(1, "node1", "data", 3, "d"), node=WORDS, name=WORDS, data=WORDS),
    near(BeginVolumeMove(1, "data", "node1", "k", 5), name=WORDS, to=WORDS),
    near(EndVolumeMove(1, "data", 3, "node1", 4), name=WORDS, to=WORDS, reason=WORDS),
    near(
        BeginClaim(1, "disk", 3, "node1", False, 5, "n1"),
        volume=WORDS,
        node=WORDS,
        created_index=st.integers(-1, MAX_ID),
        stop_after_ms=st.integers(-1, MAX_ID),
    ),
    near(
        CreateStorageVolume(1, "stored", "dir", (), STORED, SecretPairs((("a", "b"),)), "key", 0),
        name=WORDS,
        driver=WORDS,
        labels=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
        part=st.builds(
            SystemPart,
            size_bytes=st.integers(-1, MAX_ID),
            limit_bytes=st.integers(-1, MAX_ID),
            has_bytes=st.integers(-1, 5),
            parameters=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
            secrets=st.integers(-1, 2),
            source=TEXTS,
            given=TEXTS,
        ),
    ),
    near(ExpandVolume(1, "stored", 5, "key", 0), name=WORDS, size_bytes=st.integers(-1, MAX_ID)),
    near(
        MarkStored(1, "stored", 3, asked=True, why=""),
        key=WORDS,
        created_index=st.integers(-1, MAX_ID),
        asked=st.booleans(),
        why=TEXTS,
    ),
    near(
        SetStoredVolume(1, "stored", 3, "id", 5, (), ()),
        name=WORDS,
        created_index=st.integers(-1, MAX_ID),
        data=TEXTS,
        has_bytes=st.integers(-1, MAX_ID),
        context=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    ),
    near(
        SetStoredSize(1, "stored", 3, 5, 5, node_grows=True),
        name=WORDS,
        created_index=st.integers(-1, MAX_ID),
        size_bytes=st.integers(-1, MAX_ID),
        has_bytes=st.integers(-1, MAX_ID),
        why=TEXTS,
    ),
    near(
        SetStoredSnapshot(1, "monday", 3, "id", 5, 5, ready=True),
        name=WORDS,
        created_index=st.integers(-1, MAX_ID),
        data=TEXTS,
        size_bytes=st.integers(-1, MAX_ID),
        taken_ms=st.integers(-1, MAX_ID),
        ready=st.booleans(),
    ),
    near(EndStored(1, "stored", 3), key=WORDS, created_index=st.integers(-1, MAX_ID)),
    near(CreateVolumeSnapshot(1, "monday", "stored", "key", 0), name=WORDS, volume=WORDS),
    near(
        RemoveVolumeSnapshot(1, "monday", 0, "key", 0),
        name=WORDS,
        created_index=st.integers(-1, MAX_ID),
        force=st.booleans(),
    ),
    near(
        MoveClaim(1, "disk", "node1", 3, ClaimPhase.PUBLISHED, (("a", "b"),)),
        volume=WORDS,
        node=WORDS,
        as_of=st.integers(-1, MAX_ID),
        to=st.none() | st.sampled_from(ClaimPhase),
        context=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    ),
    near(NoteClaim(1, "disk", "node1", 3, "why"), volume=WORDS, node=WORDS, why=TEXTS),
    near(TellReach(1, "node1", ("node2",), lost=True, reason="why"), node=WORDS, reason=WORDS),
    near(
        StepDeployment(1, 6),
        deployment=NUMBERS,
        begin=LISTS.map(tuple),
        retire=LISTS.map(tuple),
        alone=FLAGS,
        progress=FLAGS,
    ),
    near(TurnDeployment(1, 6, "why"), deployment=NUMBERS, reason=TEXTS),
    near(EndDeployment(1, 6, DeploymentState.DONE), state=st.sampled_from(DeploymentState), reason=TEXTS),
    near(MoveTasks(1, "web"), job=WORDS, move=LISTS.map(tuple), retire=LISTS.map(tuple)),
    near(PutConfig(1, "a", b"", None, "key", 100), key=WORDS, if_version=st.none() | NUMBERS, **CHANGE),
    near(DeleteConfig(1, "a", None, "key", 100), key=WORDS, if_version=st.none() | NUMBERS, **CHANGE),
)


def test_every_command_is_tried():
    assert len(COMMANDS.original_strategies) == len(tables.COMMANDS)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(COMMANDS, min_size=1, max_size=8))
def test_whatever_is_sound_is_applied_shown_and_restored(commands):
    state = World(nodes=2).state
    state.level = LEVEL
    apply(state, 4, CreateJob(1, JOB, "first", 100))
    apply(state, 5, ApplyPlan(1, (Placements("web", 4, 0, [0], [1]),)))
    (placed,) = state.allocations
    for command in commands:
        if isinstance(command, UpdateAllocations):
            command = replace(command, updates=((placed, command.updates[0][1]),))  # noqa: PLW2901
        data = encode_command(command)
        if command_fault(data):
            continue
        apply(state, state.index + 1, data)
        check(state)
        for record in state.jobs.values():
            if record.latest.count:
                render.task(state.view, task_id(record.job.name, 0))
        for node in state.nodes.values():
            render.time_text(node.registered_at_ms)
            render.address_parts(node.peer_address)
            render.address_parts(node.api_address)
