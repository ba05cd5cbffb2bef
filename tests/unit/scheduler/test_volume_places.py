"""A task goes where its volumes are, and nowhere else; what waits for a volume says for which, and where it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schedule import GB, Cluster

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.ids import NodeId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.node import NodeStatus
from orion.model.placement_rules import PlacementRules, read_constraint
from orion.model.placement_text import waiting_text
from orion.model.update import UpdatePolicy
from orion.model.volumes import VolumeMount
from orion.state.check import check
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.jobs import CreateJob, RemoveJob
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.volume_changes import SetVolumeData
from orion.state.tables.volumes import Volumes

DATA = VolumeMount("/data", "data")
LOGS = VolumeMount("/logs", "logs")
EACH = VolumeMount("/data", "data", per_slot=True)


def volumes(cluster):
    return {name: row.home for name, row in cluster.state.of(Volumes).rows.items()}


def made(cluster, *names):
    """The homes of these volumes have made their data."""
    for name in names or tuple(cluster.state.of(Volumes).rows):
        row = cluster.state.of(Volumes).get(name)
        cluster.do(SetVolumeData(1, row.home, name, row.created_index, row.data or "d1"))


def report(cluster, job="db", index=0, state=AllocationState.RUNNING, **status):
    held = cluster.view.allocations_of_slot(job, index)[-1]
    cluster.do(UpdateAllocations(1, held.node, ((held.id, AllocationStatus(state, **status)),)))


def status(cluster, node, verdict, at_ms=50_460_000):
    cluster.do(SetNodeStatus(at_ms, NodeId(node), int(node[1:]), verdict))


def waits(cluster, job="db"):
    cluster.run()
    return f"{job} {waiting_text(cluster.view.refusal(job), cluster.view.job(job).task)}"


def database(cluster, **more):
    cluster.job("db", volumes=(DATA,), **more)
    cluster.run()
    made(cluster)
    report(cluster)
    return cluster.where("db")[0]


def test_a_volume_is_where_its_first_task_was_placed():
    cluster = Cluster(3)
    home = database(cluster)
    assert volumes(cluster) == {"data": home}
    report(cluster, state=AllocationState.FAILED)
    cluster.do(RemoveJob(1, "db", "rm", cluster.state.index))
    assert "db" not in cluster.state.jobs
    assert volumes(cluster) == {"data": home}  # removing a job removes no volume
    for n in range(4):  # fuller than the others
        cluster.job(f"other{n}", constraints=(), cpu=500)
    cluster.run()
    assert database(cluster) == home


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (NodeStatus.DOWN, "which is down since 14:01:00 UTC"),
        (NodeStatus.LEFT, "which was stopped on purpose since 14:01:00 UTC"),
    ],
)
def test_a_task_waits_for_the_node_of_its_volume(verdict, words):
    cluster = Cluster(3)
    home = database(cluster)
    if verdict is NodeStatus.LEFT:
        report(cluster, state=AllocationState.LOST)
    status(cluster, home, verdict)
    assert waits(cluster) == f"db waits: its volume data is on {home}, {words}"
    assert cluster.where("db") == {}
    status(cluster, home, NodeStatus.READY)
    cluster.run()
    assert cluster.where("db") == {0: home}
    assert cluster.view.refusal("db") == ""


def test_a_drain_ends_the_task_and_it_waits_for_the_node():
    cluster = Cluster(2)
    home = database(cluster)
    cluster.do(DrainNode(1, home, True))
    cluster.run()
    cluster.end("db", 0)
    assert waits(cluster) == f"db waits: its volume data is on {home}, which is draining"
    cluster.do(DrainNode(1, home, False))
    cluster.run()
    assert cluster.where("db") == {0: home}


def test_two_jobs_that_share_a_volume_go_to_one_node():
    cluster = Cluster(5)
    cluster.job("db", volumes=(DATA,))
    cluster.job("backup", volumes=(VolumeMount("/from", "data", read_only=True), LOGS))
    cluster.job("other", volumes=(LOGS,), count=3)
    cluster.run()
    assert len({*cluster.where("db").values(), *cluster.where("backup").values()}) == 1
    assert set(cluster.where("other").values()) == set(cluster.where("db").values())


def test_all_tasks_of_a_job_go_where_there_is_room_for_all():
    cluster = Cluster()
    cluster.node(1, memory=2 * GB)
    cluster.node(2, memory=5 * GB)
    cluster.node(3, memory=2 * GB)
    cluster.job("db", count=4, volumes=(DATA,), memory=GB)
    cluster.run()
    assert cluster.where("db") == dict.fromkeys(range(4), "n2")


def test_what_has_no_room_beside_its_volume_waits_there():
    cluster = Cluster(2, memory=2 * GB)
    cluster.job("db", count=3, volumes=(DATA,), memory=GB)
    cluster.run()
    home = cluster.where("db")[0]
    assert cluster.where("db") == {0: home, 1: home}
    assert waits(cluster) == (
        f"db waits: its volume data is on {home}; needs 1 GB of memory; the largest node has 0 B free"
    )


def test_each_slot_has_a_volume_of_its_own():
    cluster = Cluster(3)
    cluster.job("db", count=3, volumes=(EACH, VolumeMount("/tmp", source="/srv")))
    cluster.run()
    assert volumes(cluster) == {f"data-{index}": node for index, node in cluster.where("db").items()}
    assert set(volumes(cluster).values()) == {"n1", "n2", "n3"}
    row = cluster.state.of(Volumes).get("data-2")
    assert (row.base, row.slot) == ("data", 2)
    made(cluster)
    lost = cluster.where("db")[1]
    status(cluster, lost, NodeStatus.DOWN)
    assert waits(cluster).startswith(f"db waits: its volume data-1 is on {lost}, which is down")
    assert set(cluster.where("db")) == {0, 2}


def test_a_node_without_data_is_no_home():
    """Until its node has made the data, nothing of a volume can be lost: another node may have it."""
    cluster = Cluster(2)
    cluster.job("db", volumes=(DATA,))
    cluster.run()
    first = cluster.where("db")[0]
    status(cluster, first, NodeStatus.DOWN)
    cluster.run()
    assert cluster.where("db")[0] != first
    assert volumes(cluster) == {"data": cluster.where("db")[0]}
    made(cluster)
    with_data = cluster.state.of(Volumes).get("data")
    cluster.do(SetVolumeData(1, NodeId(first), "data", with_data.created_index, "d2"))  # it comes late
    assert cluster.state.of(Volumes).get("data") == with_data


def test_a_start_in_vain_goes_on_where_there_is_no_data_yet():
    cluster = Cluster(2)
    cluster.job("db", volumes=(DATA,))
    cluster.run()
    first = cluster.where("db")[0]
    report(cluster, state=AllocationState.STARTING, reason="/srv is not there", failed_starts=2)
    cluster.do(cluster.plan().command(1))
    assert cluster.where("db") == {}  # it ends first
    report(cluster, state=AllocationState.STOPPED, failed_starts=2)
    cluster.run()
    assert cluster.where("db") == {0: "n2" if first == "n1" else "n1"}


def test_a_start_in_vain_stays_where_the_data_is():
    cluster = Cluster(3)
    home = database(cluster)
    report(cluster, state=AllocationState.STARTING, reason="/srv is not there", failed_starts=9)
    cluster.run()
    assert cluster.where("db") == {0: home}


def test_two_volumes_in_two_places_are_said():
    cluster = Cluster()
    cluster.node(1, labels=(("zone", "a"),))
    cluster.node(2, labels=(("zone", "b"),))
    cluster.job("one", volumes=(DATA,), constraints=(("zone", "a"),))
    cluster.job("two", volumes=(LOGS,), constraints=(("zone", "b"),))
    cluster.job("db", volumes=(DATA, LOGS))
    cluster.job("apart", volumes=(DATA,), rules=PlacementRules((read_constraint("zone=b"),)))
    assert waits(cluster) == (
        "db waits: its volume logs is on n2 and its volume data on n1: move one of them with 'orion volume move',"
        " or stop the tasks that have it there if it is a storage plugin's"
    )
    assert waits(cluster, "apart") == ("apart waits: its volume data is on n1, which the task's own rules exclude")


def test_an_update_that_writes_never_runs_beside_the_former_task():
    cluster = Cluster(3)
    home = database(cluster)
    record = cluster.view.job_record("db")
    assert record.writes_volumes
    cluster.do(DrainNode(1, home, True))
    plan = cluster.plan()
    assert plan.stops
    assert not plan.placements


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_happens_a_volume_with_data_stays_and_its_tasks_are_there(data):
    cluster = Cluster(3, memory=4 * GB)
    jobs = {}
    for step in range(data.draw(st.integers(5, 25))):
        kind = data.draw(st.sampled_from(["job", "made", "down", "ready", "drain", "undrain", "end", "rm", "run"]))
        if kind == "job" and len(jobs) < 5:
            name = f"job{step}"
            mounts = data.draw(st.lists(st.sampled_from([DATA, LOGS, EACH]), min_size=1, max_size=2, unique=True))
            targets = {each.target: each for each in mounts}
            count = data.draw(st.integers(1, 3))
            spec = TaskSpec("app", volumes=tuple(targets.values()))
            update = data.draw(st.sampled_from([None, UpdatePolicy()]))
            cluster.do(CreateJob(1, Job(name, JobKind.SERVICE, count, spec, update=update), name, 0))
            jobs[name] = count
        elif kind == "made":
            made(cluster)
        elif kind in ("down", "ready"):
            status(cluster, data.draw(st.sampled_from(["n1", "n2", "n3"])), NodeStatus(kind))
        elif kind in ("drain", "undrain"):
            cluster.do(DrainNode(1, NodeId(data.draw(st.sampled_from(["n1", "n2", "n3"]))), kind == "drain"))
        elif kind == "end" and cluster.state.allocations:
            held = data.draw(st.sampled_from(sorted(cluster.state.allocations)))
            row = cluster.state.allocations[held]
            cluster.do(UpdateAllocations(1, row.node, ((held, AllocationStatus(AllocationState.STOPPED)),)))
        elif kind == "rm" and jobs:
            name = data.draw(st.sampled_from(sorted(jobs)))
            cluster.do(RemoveJob(1, name, f"rm {step}", cluster.state.index))
            del jobs[name]
        before = {row.name: row for row in cluster.state.of(Volumes).rows.values()}
        cluster.run()
        check(cluster.state)
        for row in cluster.state.of(Volumes).rows.values():
            former = before.get(row.name)
            assert former is None or not former.data or (row.home, row.data) == (former.home, former.data)
        writers = {}
        for held in cluster.state.allocations.values():
            if held.terminal:
                continue
            spec = cluster.state.jobs[held.job].spec(held.job_version)
            for name in spec.volume_names(held.index):
                assert cluster.state.of(Volumes).get(name).home == held.node
            writers.setdefault((held.job, held.index), []).append(held)
        assert all(len(each) == 1 for each in writers.values())


def test_a_volume_that_a_leaving_task_holds_is_not_given_away_in_the_same_plan():
    """Who applies the plan would refuse it: the task has yet to end."""
    cluster = Cluster(3, memory=4 * GB)
    cluster.job("one", 2, volumes=(EACH,))
    cluster.run()
    cluster.job("two", 2, volumes=(LOGS, EACH))
    cluster.run()
    cluster.do(DrainNode(1, NodeId("n1"), True))
    cluster.run()  # all of the plan is taken
    assert not cluster.where("two")
