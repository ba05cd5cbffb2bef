from itertools import product

import pytest
from state_kit import ANY, WEB, World, texts

from orion.model.allocation import TRANSITIONS, AllocationState, AllocationStatus
from orion.model.errors import NotFound
from orion.model.job import JobKind
from orion.model.levels import LEVEL
from orion.model.pull import PullProgress
from orion.model.resources import Resources
from orion.node.views import counts, render, render_rows
from orion.state.records import MAX_REASON, MAX_REFUSED_PORTS
from orion.state.tables.allocation_updates import UpdateAllocations


def placed(kind=JobKind.SERVICE, **task):
    world = World(nodes=2)
    world.create("web", kind=kind, **task)
    ports = [tuple(p.host_port or 20_000 for p in task["ports"])] if "ports" in task else ()
    world.place("web", (0, "node1"), ports=ports)
    return world


def test_a_life():
    world = placed()
    world.state.level = LEVEL
    assert texts(world.update("pulling", pull=PullProgress())) == []
    assert world.view.task("web", 0).reason == "pulling nginx"
    assert texts(world.update("starting")) == []
    assert texts(world.update("running", started_at_ms=1, address="172.17.0.2")) == ["web/0 runs on node1"]
    assert texts(world.update("starting", reason="exit code 1", restarts=1)) == [
        "web/0 is started again on node1: exit code 1"
    ]
    assert texts(world.update("failed", reason="exit code 1", exit_code=1)) == [
        "web/0 failed on node1: exit code 1"
    ]
    assert world.view.task("web", 0).state == "failed"


@pytest.mark.parametrize(("before", "after"), list(product(AllocationState, AllocationState)))
def test_only_legal_transitions_are_taken(before, after):
    world = placed()
    if before is not AllocationState.SCHEDULED:
        world.update(before)
    allocation = world.newest()
    world.update(after, restarts=3)
    legal = after in TRANSITIONS[before] or (after is before and not allocation.terminal)
    now = world.view.allocation(allocation.id).status
    assert now == (AllocationStatus(after, restarts=3) if legal else allocation.status)


@pytest.mark.parametrize(
    ("end", "kind", "open_again"),
    [
        ("completed", JobKind.SERVICE, False),
        ("completed", JobKind.BATCH, False),
        ("failed", JobKind.SERVICE, False),
        ("failed", JobKind.BATCH, False),
        ("stopped", JobKind.SERVICE, True),
        ("lost", JobKind.SERVICE, True),
        ("lost", JobKind.BATCH, True),
    ],
)
def test_which_ends_open_the_slot_again(end, kind, open_again):
    world = placed(kind, resources=Resources(500, 0, 0), ports=(WEB,))
    epoch = world.view.capacity_epoch
    world.update(end)
    assert world.view.open_count("web") == open_again
    assert world.state_of() == ("pending" if open_again else end)
    # an end frees what was held, whatever kind of end it is
    assert world.view.free("node1") == world.view.node("node1").capacity
    assert world.view.ports_held("engine-of-node1") == {}
    assert world.view.capacity_epoch != epoch


@pytest.mark.parametrize(
    ("end", "kind", "open_still"),
    [
        ("stopped", JobKind.BATCH, True),
        ("failed", JobKind.BATCH, True),  # killed because it had to move
        ("completed", JobKind.SERVICE, True),
        ("completed", JobKind.BATCH, False),  # it was done before it was stopped
    ],
)
def test_how_an_unwanted_one_ends(end, kind, open_still):
    world = placed(kind)
    world.stop_allocations(world.newest().id)
    assert world.view.open_count("web") == 1
    world.update(end)
    assert world.view.open_count("web") == open_still


@pytest.mark.parametrize(("end", "outcome"), [("completed", "completed"), ("failed", "failed"), ("lost", "")])
def test_the_row_of_a_batch_job_says_how_it_has_ended(end, outcome):
    world = placed(JobKind.BATCH)
    shown = lambda: render_rows.job_row(world.view, world.view.job_record("web"), counts.NONE)  # noqa: E731
    assert shown().outcome == ""
    world.update(end)
    assert shown().outcome == outcome


def test_the_row_of_a_task_says_when_its_run_was_made():
    world = placed()
    row = render_rows.task_row(world.view.job_record("web"), 0, world.view.node)
    assert row.placed_at == render.time_text(world.newest().created_at_ms)


def test_a_replacement_may_run_before_the_old_one_has_stopped():
    world = placed(resources=Resources(1_000, 0, 0), ports=(ANY,))
    old = world.newest()
    world.stop_allocations(old.id)
    world.place("web", (0, "node1"), ports=[(20_001,)])
    assert world.view.free("node1").cpu_millis == 2_000
    new = world.newest()
    assert world.view.task("web", 0).allocation == new
    world.update("stopped", allocation=old)
    assert world.view.free("node1").cpu_millis == 3_000
    assert world.view.open_count("web") == 0
    assert world.view.task("web", 0).allocation == new


def test_batch_work_that_was_done_after_all_is_not_done_again():
    world = placed(JobKind.BATCH)
    old = world.newest()
    world.stop_allocations(old.id)
    world.place("web", (0, "node2"))
    world.update("completed", allocation=old)
    world.down("node2")
    assert world.state_of() == "completed"
    assert world.view.open_count("web") == 0


def test_only_the_node_itself_speaks_of_its_allocations():
    world = placed()
    status = AllocationStatus(AllocationState.RUNNING)
    applied = world.do(UpdateAllocations(1, "node2", ((world.newest().id, status), (12345, status))))
    assert (applied.result, applied.events) == (None, ())
    assert world.state_of() == "scheduled"
    assert isinstance(world.refused(UpdateAllocations(1, "nobody", ())), NotFound)


def test_each_update_stands_alone():
    world = World(nodes=1)
    world.create(count=2)
    world.place("web", (0, "node1"), (1, "node1"))
    world.update("completed", index=0)
    updates = tuple((world.newest("web", n).id, AllocationStatus(AllocationState.RUNNING)) for n in (0, 1))
    assert texts(world.do(UpdateAllocations(1, "node1", updates))) == ["web/1 runs on node1"]


def test_a_late_word_about_a_lost_one_changes_nothing():
    world = placed()
    allocation = world.newest()
    world.down("node1")
    world.place("web", (0, "node2"))
    world.register("node1")
    world.update("running", allocation=allocation)
    assert world.view.allocation(allocation.id).status.state == "lost"


def test_a_slot_remembers_its_five_newest_ends():
    world = World(nodes=1)
    world.create()
    ids = []
    for _ in range(7):
        world.place("web", (0, "node1"))
        ids.append(world.newest().id)
        world.update("lost")
    assert [a.id for a in world.view.allocations_of_slot("web", 0)] == ids[-5:]
    assert world.view.allocation(ids[0]) is None
    assert len(world.view.allocations_of_node("node1")) == 5


def test_the_end_that_counts_is_not_forgotten():
    world = World(nodes=2)
    world.create(kind=JobKind.BATCH)
    world.place("web", (0, "node1"))
    old = world.newest()
    world.stop_allocations(old.id)
    others = []
    for _ in range(6):
        world.place("web", (0, "node2"))
        others.append(world.newest())
        world.stop_allocations(others[-1].id)
    world.place("web", (0, "node2"))
    world.update("completed", allocation=old)
    for other in others:
        world.update("stopped", allocation=other)
    world.update("lost")
    assert world.state_of() == "completed"


def test_a_reason_has_a_bound():
    world = placed()
    world.update("failed", reason="x" * 10_000)
    assert len(world.newest().status.reason) == MAX_REASON


def test_a_task_that_has_run_is_known_to_have_run_in_every_later_run():
    world = placed()
    assert not world.newest().ran
    world.update("starting")
    assert not world.newest().ran
    world.update("running", started_at_ms=1)
    world.update("starting", reason="exit code 1")
    assert world.newest().ran
    for _ in range(7):
        world.update("lost")
        world.place("web", (0, "node1"))
        assert world.newest().ran
        world.update("starting", failed_starts=3)


def test_a_run_that_ended_before_it_was_seen_running_has_run():
    world = placed()
    world.update("lost", started_at_ms=1)
    world.place("web", (0, "node2"))
    assert world.newest().ran


def test_one_that_waits_for_another_port_is_restored_as_such():
    """Else only those of the leaders that never restarted would move it. World checks against a restored state."""
    w = World(nodes=1)
    w.create(count=1)
    w.place("web", (0, "node1"))
    w.update("starting", refused_port=20_000)
    assert list(w.state.stuck) == [w.newest().id]


def refuse_port(world, port):
    return world.update("starting", reason=f"port {port} is taken", failed_starts=1, refused_port=port)


def test_a_refused_port_that_was_chosen_is_remembered_of_its_node():
    world = placed(ports=(ANY,))
    refuse_port(world, 20_000)
    assert world.view.node("node1").refused_ports == (20_000 << 1,)
    assert world.view.node("node2").refused_ports == ()
    assert [a.id for a in world.view.stuck()] == [world.newest().id]
    world.register("node1", version="0.2")
    assert world.view.node("node1").refused_ports == (20_000 << 1,)
    world.register("node1", engine="another")
    assert world.view.node("node1").refused_ports == ()


def test_a_refused_port_that_was_asked_for_is_not_remembered():
    world = placed(ports=(WEB,))
    refuse_port(world, WEB.host_port)
    refuse_port(world, 20_000)
    assert world.view.node("node1").refused_ports == ()


def test_the_last_refused_ports_are_remembered():
    world = World(nodes=1)
    world.create(count=MAX_REFUSED_PORTS + 1, ports=(ANY,))
    for index in range(MAX_REFUSED_PORTS + 1):
        port = 20_000 + index
        world.place("web", (index, "node1"), ports=[(port,)])
        world.update("starting", index=index, failed_starts=1, refused_port=port)
    refused = world.view.node("node1").refused_ports
    assert len(refused) == MAX_REFUSED_PORTS
    assert refused[-1] == port << 1
