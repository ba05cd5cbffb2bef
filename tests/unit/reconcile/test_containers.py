import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orion.model.after import After, Condition
from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.container import Container, ContainerState, EndCause, Labels
from orion.model.health import CheckKind, Health, HealthCheck, HookCommand, TaskHooks, UnhealthyAction
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import DRAIN_MS, PortBinding, RestartMode, RestartPolicy, TaskSpec
from orion.model.volumes import VolumeMount
from orion.reconcile.containers import (
    ENDED_SOMEHOW,
    Attempts,
    BackOff,
    Desired,
    Drain,
    Remove,
    Report,
    Start,
    Stop,
    Wait,
    backoff_ms,
    reconcile,
    running_status,
)
from orion.reconcile.health import Checked
from orion.reconcile.refusals import gives_up

ME, OTHER, GONE = NodeId("node1"), NodeId("node2"), NodeId("node3")
ID = AllocationId(0xA)

FIVE = RestartPolicy(RestartMode.ON_FAILURE, 5)


def wish(*, wanted=True, status=None, ports=(), policy=None, kept=False, after=(), volumes=(), allocation=ID):
    made = Allocation(allocation, JobName("web"), 0, 0, ME, ports, wanted, 0, status or AllocationStatus())
    spec = TaskSpec("nginx", restart=policy or RestartPolicy(), after=after, volumes=volumes)
    return Desired(made, spec, kept)


def container(state="running", *, node=ME, allocation=ID, exit_code=None, ports=(), name="c1", ran_ms=0):
    labels = Labels(1, node, "web", 0, allocation)
    finished = 1_000 + ran_ms if state == "exited" else 0
    return Container(
        name,
        labels,
        ContainerState(state),
        ports,
        exit_code,
        started_at_ms=1_000,
        finished_at_ms=finished,
        address="172.17.0.2",
    )


def actions(wishes, containers, attempts=None, neighbours=(OTHER,), busy=(), now_ms=10_000, removing=()):
    return reconcile(
        ME,
        {w.allocation.id: w for w in wishes},
        containers,
        {ID: attempts} if attempts else {},
        frozenset(neighbours),
        frozenset(busy),
        now_ms,
        frozenset(removing),
    )


def test_a_wanted_allocation_without_a_container_is_started():
    (action,) = actions([wish()], [])
    assert isinstance(action, Start)
    assert action.container == ""


def test_a_created_container_is_started_not_made_again():
    (action,) = actions([wish()], [container("created")])
    assert isinstance(action, Start)
    assert action.container == "c1"


@pytest.mark.parametrize("held", [[], [container("created")]], ids=["none", "created"])
def test_a_first_start_waits_for_its_turn(held):
    assert actions([wish()], held)[0].in_turn is False
    assert actions([wish(after=(After("db", Condition.HEALTHY),))], held)[0].in_turn is True


@pytest.mark.parametrize(
    ("cause", "in_turn"), [(EndCause.ITSELF, False), (EndCause.TOLD, True), (EndCause.UNKNOWN, True)]
)
def test_a_restart_waits_for_its_turn_unless_its_program_ended_by_itself(cause, in_turn):
    ended = msgspec.structs.replace(container("exited", exit_code=1), cause=cause)
    tries = Attempts(ending=f"{ended.id} {ended.finished_at_ms}")
    (action,) = actions([wish(after=(After("db", Condition.HEALTHY),))], [ended], tries)
    assert action.in_turn is in_turn
    (action,) = actions([wish()], [ended], tries)
    assert action.in_turn is False


def test_a_failed_start_waits_for_its_backoff():
    assert actions([wish()], [], Attempts(retry_at_ms=10_001)) == [Wait(ID, 10_001)]
    assert isinstance(actions([wish()], [], Attempts(retry_at_ms=10_000))[0], Start)


def test_a_running_container_is_reported_when_state_does_not_know_it():
    (report,) = actions([wish()], [container()])
    assert report.status == AllocationStatus(
        AllocationState.RUNNING, started_at_ms=1_000, address="172.17.0.2", container="c1"
    )
    assert actions([wish(status=report.status)], [container()]) == []


def test_a_paused_container_is_told_and_told_again_when_it_goes_on():
    paused = msgspec.structs.replace(container(), paused=True)
    (report,) = actions([wish()], [paused])
    assert report.status.state is AllocationState.RUNNING
    assert report.status.reason == "paused, until somebody says docker unpause web-0-0000000a"
    assert actions([wish(status=report.status)], [paused]) == []
    (report,) = actions([wish(status=report.status)], [container()])
    assert report.status.reason == ""


def test_a_busy_allocation_is_left_alone():
    assert actions([wish()], [], busy=[ID]) == []


def test_a_crash_backs_off_then_starts_the_same_container_again():
    crashed = container("exited", exit_code=1)
    (back_off,) = actions([wish()], [crashed])
    assert isinstance(back_off, BackOff)
    assert back_off.attempt == 1
    assert back_off.status.state is AllocationState.STARTING
    assert back_off.status.reason == "restarting after exit code 1"
    tries = Attempts(ending=back_off.ending, retry_at_ms=12_000)
    assert actions([wish()], [crashed], tries) == [Wait(ID, 12_000)]
    (start,) = actions([wish()], [crashed], tries, now_ms=12_000)
    assert (start.container, start.restarts) == ("c1", 1)


def test_an_end_that_the_engine_can_t_explain_is_neither_a_success_nor_a_restart():
    running = wish(status=running_status(container(), 0), policy=RestartPolicy(RestartMode.ALWAYS))
    unclear = container("exited", exit_code=None)
    (report,) = actions([running], [unclear])
    assert (report.status.state, report.status.reason) == (AllocationState.RUNNING, ENDED_SOMEHOW)
    assert actions([wish(status=report.status)], [unclear]) == []
    assert isinstance(actions([wish(wanted=False)], [unclear])[0], Remove)


@pytest.mark.parametrize(
    ("mode", "exit_code", "expected"),
    [
        (RestartMode.NO, 0, AllocationState.COMPLETED),
        (RestartMode.NO, 3, AllocationState.FAILED),
        (RestartMode.ON_FAILURE, 0, AllocationState.COMPLETED),
        (RestartMode.ON_FAILURE, 3, None),
        (RestartMode.ALWAYS, 0, None),
        (RestartMode.ALWAYS, 3, None),
    ],
)
def test_the_restart_policy_decides_between_a_restart_and_the_end(mode, exit_code, expected):
    (action,) = actions([wish(policy=RestartPolicy(mode))], [container("exited", exit_code=exit_code)])
    if expected is None:
        assert isinstance(action, BackOff)
    else:
        assert isinstance(action, Report)
        assert action.status.state is expected


def test_a_container_stopped_outside_of_orion_has_not_succeeded_and_costs_no_restart():
    stopped = msgspec.structs.replace(container("exited", exit_code=0), cause=EndCause.TOLD)
    spent = Attempts(restarts=5)
    (back_off,) = actions([wish()], [stopped], spent)
    assert (back_off.attempt, back_off.status.state) == (1, AllocationState.STARTING)
    assert back_off.status.reason == "restarting after exit code 0, stopped outside of Orion"
    assert back_off.status.exit_code is None, "that would be the program's own word"
    (start,) = actions([wish()], [stopped], Attempts(restarts=5, ending=back_off.ending))
    assert (start.container, start.restarts) == ("c1", 5)
    (report,) = actions([wish(policy=RestartPolicy(RestartMode.NO))], [stopped])
    assert report.status.state is AllocationState.FAILED


def test_an_end_that_nobody_saw_is_not_a_success_and_costs_no_restart():
    unseen = msgspec.structs.replace(container("exited", exit_code=0), cause=EndCause.UNKNOWN)
    (back_off,) = actions([wish()], [unseen], Attempts(restarts=5))
    assert (back_off.attempt, back_off.status.state) == (1, AllocationState.STARTING)
    assert back_off.status.reason == "restarting after exit code 0, and nobody saw whether by itself"
    assert back_off.status.exit_code is None
    (start,) = actions([wish()], [unseen], Attempts(restarts=5, ending=back_off.ending))
    assert start.restarts == 5
    (report,) = actions([wish(policy=RestartPolicy(RestartMode.NO))], [unseen])
    assert report.status.state is AllocationState.FAILED


def test_restarts_are_spent_unless_it_ran_long():
    tries = Attempts(restarts=5)
    (action,) = actions([wish(policy=FIVE)], [container("exited", exit_code=1)], tries)
    assert action.status.state is AllocationState.FAILED
    (action,) = actions([wish(policy=FIVE)], [container("exited", exit_code=1, ran_ms=600_000)], tries)
    assert isinstance(action, BackOff)
    assert action.attempt == 1


def test_restarts_survive_the_agents_own_restart():
    known = AllocationStatus(AllocationState.STARTING, restarts=5)
    (action,) = actions([wish(status=known, policy=FIVE)], [container("exited", exit_code=1)])
    assert action.status.state is AllocationState.FAILED


def test_on_failure_without_a_number_restarts_without_a_limit():
    tries = Attempts(restarts=1_000)
    (action,) = actions(
        [wish(policy=RestartPolicy(RestartMode.ON_FAILURE))], [container("exited", exit_code=1)], tries
    )
    assert isinstance(action, BackOff)


def test_the_container_of_a_stopped_job_stays_for_its_logs():
    stopped = wish(wanted=False, kept=True)
    assert isinstance(actions([stopped], [container()])[0], Stop)
    (report,) = actions([stopped], [container("exited", exit_code=143)])
    assert (report.status.state, report.status.exit_code) == (AllocationState.STOPPED, 143)
    ended = wish(wanted=False, kept=True, status=report.status)
    assert actions([ended], [container("exited", exit_code=143)]) == []
    assert isinstance(actions([stopped], [container("created")])[0], Remove), "which has written nothing"


def test_an_unwanted_container_is_stopped_then_removed_then_reported():
    unwanted = wish(wanted=False)
    meanwhile = Report(ID, running_status(container(), 0))
    assert actions([unwanted], [container()]) == [Stop(ID, "c1", 10_000, meanwhile)]
    (remove,) = actions([unwanted], [container("exited", exit_code=0)])
    assert isinstance(remove, Remove)
    assert remove.then.status.state is AllocationState.STOPPED
    (report,) = actions([unwanted], [])
    assert report.status.state is AllocationState.STOPPED


@pytest.mark.parametrize("shown", [ENDED_SOMEHOW, "its container can't be removed: busy", "pulling nginx", ""])
def test_an_allocation_that_never_started_ends_with_the_reason_of_its_failed_start(shown):
    stuck = wish(wanted=False, status=AllocationStatus(AllocationState.STARTING, shown, failed_starts=2))
    tries = Attempts(failures=2, last_error="port 80 is taken")
    (gone,) = actions([stuck], [], tries)
    (remove,) = actions([stuck], [container("created")], tries)
    for end in (gone.status, remove.then.status):
        assert (end.state, end.reason, end.failed_starts) == (AllocationState.STOPPED, "port 80 is taken", 2)


def test_an_allocation_whose_starts_failed_in_an_earlier_process_ends_with_the_reason_in_state():
    known = AllocationStatus(AllocationState.STARTING, "port 80 is taken; trying again in 2 s", failed_starts=2)
    (report,) = actions([wish(wanted=False, status=known)], [])
    assert report.status.reason == known.reason


def test_an_allocation_that_ran_ends_without_the_error_of_an_earlier_start():
    ran = wish(wanted=False, status=running_status(container(), 0))
    (report,) = actions([ran], [], Attempts(last_error="port 80 is taken"))
    assert report.status.reason == ""


def test_an_ended_allocation_keeps_its_container_for_its_logs():
    done = AllocationStatus(AllocationState.FAILED)
    assert actions([wish(status=done)], [container("exited", exit_code=1)]) == []


def test_a_run_called_lost_is_stopped_and_removed():
    lost = wish(status=AllocationStatus(AllocationState.LOST))
    assert actions([lost], [container()]) == [Stop(ID, "c1", 10_000)]
    assert actions([lost], [container("exited", exit_code=0)]) == [Remove("c1")]


@pytest.mark.parametrize("held", [container(), container("exited", exit_code=0)], ids=["running", "exited"])
def test_it_is_left_alone_until_the_cluster_has_said_whether_it_goes_on(held):
    lost = msgspec.structs.replace(wish(status=AllocationStatus(AllocationState.LOST)), may_return=True)
    assert actions([lost], [held]) == []


@pytest.mark.parametrize(("cause", "again"), [(EndCause.UNKNOWN, True), (EndCause.ITSELF, False)])
def test_what_is_never_restarted_is_run_again_where_it_ended_with_its_machine(cause, again):
    """As it is where another node takes over."""
    never = wish(policy=RestartPolicy(RestartMode.NO), status=AllocationStatus(container="c1"))
    ended = msgspec.structs.replace(container("exited", exit_code=255), cause=cause)
    (action,) = actions([never], [ended])
    assert isinstance(action, Start if again else Report)


def test_a_container_without_an_allocation_is_removed():
    assert actions([], [container()]) == [Remove("c1")]


def test_a_living_neighbours_containers_are_never_touched():
    assert actions([], [container(node=OTHER)]) == []


DATA = VolumeMount("/data", "data")


@pytest.mark.parametrize(
    ("volumes", "former", "waits"),
    [
        ((DATA,), (DATA,), True),
        ((DATA,), (VolumeMount("/x", "data", read_only=True),), True),
        ((DATA,), (VolumeMount("/data", "other"),), False),
        ((DATA,), (), False),
        ((VolumeMount("/data", "data", read_only=True),), (DATA,), False),
        ((VolumeMount("/data", source="/srv"),), (VolumeMount("/data", source="/srv"),), False),
    ],
)
def test_a_start_waits_for_the_end_of_what_may_write_to_its_volumes(volumes, former, waits):
    lost = AllocationStatus(AllocationState.LOST)
    wishes = [wish(status=lost, volumes=former, allocation=AllocationId(1)), wish(volumes=volumes)]
    found = actions(wishes, [container(allocation=AllocationId(1))])
    assert any(isinstance(action, Start) for action in found) is not waits
    ended = actions(wishes, [container("exited", allocation=AllocationId(1), exit_code=0)])
    assert any(isinstance(action, Start) for action in ended)


def test_a_start_with_a_volume_waits_for_the_end_of_what_nobody_knows():
    stray = container(allocation=AllocationId(99), name="stray")
    assert [type(action) for action in actions([wish(volumes=(DATA,))], [stray])] == [Remove]
    assert [type(action) for action in actions([wish()], [stray])] == [Remove, Start]


def test_a_dead_neighbours_containers_go_before_a_start_that_needs_their_port():
    left_behind = container(node=GONE, allocation=AllocationId(0xB), ports=(8080,), name="old")
    assert actions([wish(ports=(8080,))], [left_behind]) == [Remove("old", owner=GONE)]
    assert actions([], [left_behind]) == [Remove("old", owner=GONE, drains=True)]
    free = actions([wish(ports=(9090,))], [left_behind])
    assert [type(a) for a in free] == [Remove, Start]


def test_only_what_the_user_wrote_wrong_ends_a_task_that_never_ran():
    assert not gives_up(2, ran=False)
    assert gives_up(3, ran=False)
    assert not gives_up(1_000, ran=True), "it was written well enough to run"


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_and_grows(attempt, jitter):
    assert 750 <= backoff_ms(attempt, jitter) <= 75_000
    assert backoff_ms(attempt + 1, jitter) >= backoff_ms(attempt, jitter)


def test_nothing_is_said_or_done_while_a_container_is_being_removed():
    ended = container("exited", exit_code=143)
    (remove,) = actions([wish(wanted=False)], [ended])
    assert isinstance(remove, Remove)
    assert actions([wish(wanted=False)], [ended], removing=["c1"]) == []


@pytest.mark.parametrize("owner", [ME, GONE])
def test_a_port_is_waited_for_until_its_holder_is_gone(owner):
    old = container(node=owner, allocation=AllocationId(0xB), ports=(8080,), name="c2")
    assert actions([wish(ports=(8080,))], [old], removing=["c2"]) == []
    (start,) = actions([wish(ports=(8081,))], [old], removing=["c2"])
    assert isinstance(start, Start)


def test_a_port_is_waited_for_while_a_lost_run_still_holds_it():
    lost = Desired(
        Allocation(
            AllocationId(0xB), JobName("web"), 0, 0, ME, (8080,), status=AllocationStatus(AllocationState.LOST)
        ),
        TaskSpec("nginx"),
    )
    old = container(allocation=AllocationId(0xB), ports=(8080,), name="c2")
    (stop,) = actions([wish(ports=(8080,)), lost], [old])
    assert isinstance(stop, Stop)
    assert actions([wish(ports=(8080,)), lost], [old], busy=[AllocationId(0xB)]) == []


# --- health, and the order at an end -----------------------------------------------------------------------

PORTS = (PortBinding(80, "tcp"),)
READY = Checked("c1", 1_000, Health.HEALTHY, 5)
FAILED = Checked(
    "c1", 1_000, Health.UNHEALTHY, reason="health check failed: 503", failed="health check failed: 503"
)
BYE = TaskHooks(pre_stop=(HookCommand(("bye",)),))


def ending(checked=READY, *, drains=True, policy=None, wanted=False, **spec):
    spec = {"ports": PORTS, "health": HealthCheck(CheckKind.TCP, 80)} | spec
    status = AllocationStatus(AllocationState.RUNNING, started_at_ms=1_000, container="c1")
    allocation = Allocation(ID, JobName("web"), 0, 0, ME, (80,), wanted, 0, status)
    task = TaskSpec("nginx", restart=policy or RestartPolicy(), **spec)
    return Desired(allocation, task, drains=drains, checked=checked)


def test_health_is_reported_with_the_run_that_it_is_of():
    (report,) = actions([ending(wanted=True)], [container()])
    assert (report.status.health, report.status.ready_since_ms) == (Health.HEALTHY, 5)
    former = Checked("c1", 999, Health.HEALTHY, 5)
    (report,) = actions([ending(former, wanted=True)], [container()])
    assert (report.status.health, report.status.ready_since_ms) == (Health.STARTING, 0)


def test_what_is_no_longer_wanted_drains_before_it_is_stopped():
    wish = ending(drain_ms=2_000)
    assert actions([wish], [container()]) == [Drain(ID, 2_000)]
    draining = Attempts(drained_at_ms=10_500)
    assert actions([wish], [container()], draining, now_ms=10_499) == [Wait(ID, 10_500)]
    (stop,) = actions([wish], [container()], draining, now_ms=10_500)
    assert isinstance(stop, Stop)


@pytest.mark.parametrize(
    "wish",
    [
        ending(drains=False),
        ending(drain_ms=0),
        ending(Checked("c1", 1_000, Health.STARTING)),
        ending(FAILED),
        ending(None, health=None),
        ending(ports=(), health=None),
    ],
    ids=["its job ends", "no drain time", "never ready", "unhealthy", "port never accepted", "no ports"],
)
def test_nobody_waits_where_nobody_uses_it(wish):
    (stop,) = actions([wish], [container()])
    assert isinstance(stop, Stop)


def test_a_task_of_which_nothing_is_known_but_that_it_runs_drains_if_it_is_asked_to():
    wish = ending(None, health=None, ports=(PortBinding(53, "udp"),))
    assert actions([wish], [container()]) == [Drain(ID, DRAIN_MS)]


def test_what_fails_its_check_drains_before_it_is_started_again():
    was_ready = replace(FAILED, was_ready=True)
    wish = ending(was_ready, wanted=True, drain_ms=2_000)
    (drain,) = actions([wish], [container()])
    assert (drain.drain_ms, drain.before.status.health) == (2_000, Health.UNHEALTHY)
    draining = Attempts(drained_at_ms=10_500)
    assert actions([wish], [container()], draining, now_ms=10_499) == [Wait(ID, 10_500)]
    (stop,) = actions([wish], [container()], draining, now_ms=10_500)
    assert isinstance(stop, Stop)
    for unused in (ending(FAILED, wanted=True), ending(was_ready, wanted=True, drains=False)):
        (stop,) = actions([unused], [container()])
        assert isinstance(stop, Stop)


def test_what_fails_its_check_and_is_taken_back_at_once_drains_all_the_same():
    assert actions([ending(replace(FAILED, was_ready=True), drain_ms=2_000)], [container()]) == [Drain(ID, 2_000)]


def test_a_drain_holds_up_no_other_allocation():
    other = Desired(Allocation(AllocationId(2), JobName("db"), 0, 0, ME), TaskSpec("db"))
    drain, start = actions([ending(), other], [container()])
    assert isinstance(drain, Drain)
    assert isinstance(start, Start)


def test_commands_before_the_stop_go_with_it():
    (stop,) = actions([ending(drains=False, hooks=BYE)], [container()])
    assert stop.hooks == BYE.pre_stop
    lost = AllocationStatus(AllocationState.LOST)
    (stop,) = actions([wish_of(lost)], [container()])
    assert stop.hooks == BYE.pre_stop


def wish_of(status):
    return Desired(Allocation(ID, JobName("web"), 0, 0, ME, status=status), TaskSpec("nginx", hooks=BYE))


def test_a_run_whose_check_failed_is_reported_and_stopped():
    (stop,) = actions([ending(FAILED, wanted=True, hooks=BYE)], [container()])
    assert (stop.container, stop.hooks) == ("c1", BYE.pre_stop)
    assert (stop.before.status.health, stop.before.status.reason) == (Health.UNHEALTHY, FAILED.failed)


@pytest.mark.parametrize("exit_code", [0, 137, 143])
def test_its_end_counts_as_one_by_itself(exit_code):
    ended = container("exited", exit_code=exit_code)
    ended = msgspec.structs.replace(ended, cause=EndCause.TOLD)
    (back_off,) = actions([ending(FAILED, wanted=True)], [ended])
    assert (back_off.attempt, back_off.status.reason) == (1, FAILED.failed)
    assert back_off.status.health is Health.UNHEALTHY
    (start,) = actions([ending(FAILED, wanted=True)], [ended], Attempts(ending=back_off.ending))
    assert start.restarts == 1
    once = RestartPolicy(RestartMode.NO)
    (report,) = actions([ending(FAILED, wanted=True, policy=once)], [ended])
    assert (report.status.state, report.status.reason) == (AllocationState.FAILED, FAILED.failed)


@pytest.mark.parametrize(("action", "kept"), [(UnhealthyAction.REPLACE, True), (UnhealthyAction.RESTART, False)])
def test_one_that_was_replaced_as_unhealthy_says_so_at_its_end(action, kept):
    ill = AllocationStatus(AllocationState.RUNNING, "no database", health=Health.UNHEALTHY)
    gone = wish(wanted=False, status=ill)
    gone = replace(gone, spec=replace(gone.spec, health=HealthCheck(CheckKind.TCP, 80, action=action)))
    (report,) = actions([gone], [])
    told = report.status
    assert told.state is AllocationState.STOPPED
    assert (told.health, told.reason) == ((Health.UNHEALTHY, "no database") if kept else (Health.NONE, ""))
