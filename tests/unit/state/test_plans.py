"""A plan says what a deployment does: on a cluster that nothing else changes, it is exactly that."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rollout_kit import Rollout
from state_kit import WEB

from orion.model.after import After, Condition
from orion.model.deployment import DeploymentState
from orion.model.errors import Invalid
from orion.model.job import Job, JobKind, PortBinding, TaskSpec
from orion.model.levels import LEVEL
from orion.model.placement_rules import PlacementRules
from orion.model.resources import Resources
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.node.views.plans import look, plan_view, refuse_infeasible
from orion.node.views.rehearsal import rehearse
from orion.state.apply import apply
from orion.state.check import rebuilt, state_hash
from orion.state.tables.job_changes import PutJob

FIXED = (PortBinding(80, "tcp", 8080),)
FREE = (PortBinding(80, "tcp"),)
RULES = (None, PlacementRules(max_per_node=1), PlacementRules(max_per_node=2), PlacementRules(distinct_hosts=True))


class Quick(Rollout):
    """Without a look at all indexes after each command."""

    def do(self, command):
        self.index += 1
        return apply(self.state, self.index, command)


def job_of(count=3, image="nginx:1", update=None, kind=JobKind.SERVICE, **task):
    return Job("web", kind, count, TaskSpec(image, **task), created_at_ms=20, update=update or UpdatePolicy())


def plan_of(world, job):
    before = look(world.view, job)
    steps = rehearse(rebuilt(world.state), job)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return plan_view(before, job, end.value)


def put(world, job):
    return world.do(PutJob(100, job, f"put {world.index}", world.index))


def works(allocation):
    """Tasks with ports are ready as soon as they run."""
    if allocation.wanted and allocation.status.state == "scheduled":
        return {"state": "running", "started_at_ms": 1, "ready_since_ms": 1}
    return None


def carry_out(world, job):
    """Returns (starts, stops, order, how it ended) of the deployment, with none of the plan's code."""
    former = {each.id: each for each in world.active()} if world.view.job_record("web") else {}
    unwanted = {each.id for each in former.values() if not each.wanted}
    last = world.deployment()
    put(world, job)
    row = world.deployment()
    if last is not None and row.id == last.id:
        return 0, 0, "", "done"
    started, stopped, alone, replaces, idle = set(), set(), False, False, 0
    for _ in range(600):
        world.plan()
        occupied = {each.index for each in world.active() if each.wanted and each.id in former}
        for each in world.active():
            if each.id not in former:
                started.add(each.id)
            if not each.wanted and each.id not in unwanted:
                stopped.add(each.id)
        before = state_hash(world.state)
        commands = world.tick(works, ms=500)
        for command in commands:
            if occupied.intersection(getattr(command, "begin", ())):
                replaces = True
                alone |= command.alone
        row = world.deployment()
        if not row.running and all(each.wanted for each in world.active()):
            break
        idle = idle + 1 if state_hash(world.state) == before else 0
        if row.rolling_back or idle > 60:
            break
    order = ("stop-first" if alone or job.update.order == "stop-first" else "start-first") if replaces else ""
    return len(started), len(stopped), order, "done" if row.state is DeploymentState.DONE else "stuck"


counts = st.integers(0, 5)
policies = st.builds(
    UpdatePolicy,
    order=st.sampled_from(UpdateOrder),
    parallelism=st.integers(0, 3),
    delay_ms=st.sampled_from((0, 3_000)),
    monitor_ms=st.sampled_from((0, 5_000)),
    min_available=st.integers(-1, 4),
    progress_deadline_ms=st.just(10_000_000),
)
jobs = st.builds(
    job_of,
    count=counts,
    image=st.sampled_from(("nginx:1", "nginx:2")),
    update=policies,
    resources=st.builds(Resources, st.sampled_from((0, 500, 1_000, 2_000)), st.sampled_from((0, 300_000_000))),
    ports=st.sampled_from(((), FIXED, FREE)),
    rules=st.sampled_from(RULES),
)
capacities = st.builds(
    Resources,
    st.integers(1, 6).map(lambda each: each * 500),
    st.integers(1, 4).map(lambda each: each * 300_000_000),
    st.just(10_000_000_000),
)


@settings(max_examples=120, deadline=None)
@given(nodes=st.lists(capacities, min_size=1, max_size=4), former=st.none() | jobs, asked=jobs)
def test_a_deployment_does_exactly_what_its_plan_said(nodes, former, asked):
    world = Quick(0)
    for number, capacity in enumerate(nodes):
        world.register(f"node{number}", capacity=capacity)
    if former is not None:
        _, _, _, end = carry_out(world, former)
        assume(end == "done")
    before = state_hash(world.state)
    plan = refused = None
    try:
        plan = plan_of(world, asked)
    except Invalid as error:
        refused = error.errors[0].pointer
    if plan is None:
        assert refused in ("/update/order", "/update/minAvailable")
        assert carry_out(world, asked)[3] == "stuck"
        return
    assert state_hash(world.state) == before
    assert plan_of(world, asked).token == plan.token
    starts, stops, order, end = carry_out(world, asked)
    assert (plan.starts, plan.stops, plan.order, plan.ends) == (starts, stops, order, end)
    assert sum(plan.start_nodes.values()) == plan.starts
    assert plan.kind != "unchanged" or (starts, stops) == (0, 0)


def served(count=3, nodes=3, **task):
    world = Rollout(nodes)
    assert carry_out(world, job_of(count, **task))[3] == "done"
    return world


def test_fields_are_told_from_old_to_new():
    world = served()
    plan = plan_of(world, job_of(2, "nginx:2", env=(("A", "1"),)))
    shown = [(each.field, each.old, each.new) for each in plan.changes]
    assert shown == [("count", "3", "2"), ("env.A", "", '"1"'), ("image", '"nginx:1"', '"nginx:2"')]
    assert (plan.kind, plan.version, plan.starts, plan.stops) == ("update", 0, 2, 3)
    assert plan.warnings == ["web has no health check: ready means that it has run for update.monitorSeconds"]


def test_the_same_again_is_unchanged_and_another_count_scales():
    world = served()
    assert plan_of(world, job_of()).kind == "unchanged"
    plan = plan_of(world, job_of(5))
    assert (plan.kind, plan.starts, plan.stops, plan.order) == ("scale", 2, 0, "")


def test_a_fixed_port_on_each_node_leads_to_stop_first_with_the_reason():
    world = served(ports=FIXED)
    plan = plan_of(world, job_of(image="nginx:2", ports=FIXED))
    assert (plan.order, plan.starts, plan.stops, plan.ends) == ("stop-first", 3, 3, "done")
    assert plan.order_reason == "one more task beside those that run port 8080 is taken on 3 of 3 nodes"


def test_start_first_that_can_never_be_is_refused_with_the_reason():
    world = served(ports=FIXED)
    asked = job_of(image="nginx:2", ports=FIXED, update=UpdatePolicy(UpdateOrder.START_FIRST))
    with pytest.raises(Invalid, match=r"start-first can't be: .* port 8080 is taken on 3 of 3 nodes; write"):
        refuse_infeasible(world.view, asked)


def test_a_floor_that_stop_first_can_never_keep_is_refused():
    world = served(ports=FIXED)
    asked = job_of(image="nginx:2", ports=FIXED, update=UpdatePolicy(min_available=3))
    with pytest.raises(Invalid, match="minAvailable 3 of 3 tasks can't be kept without room for one more"):
        refuse_infeasible(world.view, asked)
    refuse_infeasible(world.view, job_of(image="nginx:2", ports=FIXED, update=UpdatePolicy(min_available=2)))


def test_what_finds_no_place_waits_with_the_reason():
    plan = plan_of(Rollout(2), job_of(3, ports=FIXED))
    assert (plan.kind, plan.starts, plan.waits, plan.ends) == ("create", 2, 1, "stuck")
    assert "port 8080 is taken on 2 of 2 nodes" in plan.reason


def test_canaries_are_held():
    world = served()
    plan = plan_of(world, job_of(image="nginx:2", update=UpdatePolicy(canary=1)))
    assert (plan.ends, plan.starts, plan.stops) == ("held", 1, 1)
    assert "orion promote web" in plan.reason


def test_another_version_or_less_room_makes_another_token():
    world = served(ports=(WEB,))
    asked = job_of(image="nginx:2", ports=(WEB,))
    token = plan_of(world, asked).token
    for node in ("node7", "node8", "node9"):
        world.register(node, level=LEVEL)
    assert plan_of(world, asked).token != token
    put(world, job_of(image="nginx:3", ports=(WEB,)))
    assert plan_of(world, asked).token != token


def test_a_plan_says_that_a_job_would_wait_for_others_and_for_which():
    world = Rollout()
    after = (After("db", Condition.HEALTHY),)
    plan = plan_of(world, job_of(2, after=after))
    assert (plan.ends, plan.waits, plan.starts) == ("held", 2, 0)
    assert plan.reason == "web/0 waits for db to be healthy (there is no job of that name)"
    world.deploy("db", 1)
    world.plan()
    db = world.view.allocations_of_slot("db", 0)[0]
    assert plan_of(world, job_of(2, after=after)).reason == "web/0 waits for db to be healthy"
    world.report(db, "running", started_at_ms=1)
    plan = plan_of(world, job_of(2, after=after))
    assert (plan.ends, plan.starts) == ("done", 2)


def test_a_plan_of_an_update_that_would_wait_ends_no_task():
    world = Rollout()
    world.deploy(count=1)
    world.run()
    after = (After("migrate", Condition.COMPLETED),)
    for order in UpdateOrder:
        plan = plan_of(world, job_of(1, "nginx:2", UpdatePolicy(order=order), after=after))
        assert (plan.ends, plan.starts, plan.stops) == ("held", 0, 0)
        assert "waits for migrate to be completed" in plan.reason
