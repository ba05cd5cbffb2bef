"""Bugs planted on purpose, each a small change of the code under test, and the rules that have to find it.

`script/sim --planted` tries each on seeds from FIRST_SEED on and prints how many it took; test_sim_teeth.py runs
each where it is known to be found soon. A bug is planted in a seed's own process, so nothing has to be put back.
"""

from collections import deque
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

import orion.node.consensus.applier
import orion.node.consensus.log_writer
import orion.node.consensus.snapshots
import orion.node.leader.storage
import orion.node.leader.subnets
import orion.node.network.names
import orion.node.network.published
import orion.raft.election
import orion.raft.leader
import orion.raft.member
import orion.raft.reads
import orion.raft.receive
import orion.raft.replication
import orion.reconcile.containers
import orion.reconcile.guard
import orion.reconcile.health
import orion.scheduler.schedule
import orion.scheduler.volume_homes
import orion.state.mutations
import orion.state.node_moves
import orion.state.tables.configs
import orion.state.tables.ingress
import orion.state.tables.job_links
import orion.state.tables.jobs
import orion.state.tables.nodes
import orion.state.tables.plans
import orion.state.tables.reconnect
import orion.state.tables.subnets
import orion.state.tables.volume_changes
import orion.state.tables.volumes
from orion.model.allocation import AllocationState
from orion.model.container import EndCause
from orion.model.errors import EngineError
from orion.model.job import TaskSpec
from orion.model.update import UpdateOrder
from orion.node.agent.hooks.cluster_network import GuardBeforeStart
from orion.node.agent.reconciler import Reconciler
from orion.node.agent.starter import Starter
from orion.node.agent.turns import Turns
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.log_writer import LogWriter
from orion.node.network.names import Names
from orion.ports.log import LogBatch
from orion.raft.core import Raft
from orion.raft.interface import ConfApplied, Role
from orion.raft.log import RaftLog
from orion.raft.member import Member
from orion.raft.messages import NOBODY, ConfState, MsgHeartbeat, MsgPreVote, MsgVote, MsgVoteResp, SnapshotMeta
from orion.raft.quorum import joint_index, joint_vote
from orion.reconcile.containers import Remove
from orion.state.apply import Applied, apply
from orion.state.core.dedup import DedupTable
from orion.state.job_record import JobRecord
from orion.state.records import port_key
from sim import planted_storage as storage
from sim.aliased import LINKS
from sim.builds import newer_build
from sim.deployments import BATCH_ONCE
from sim.guarded import GUARDED_FIRST
from sim.guarding import Guarding
from sim.hand_over import HandOver
from sim.lost import Lost
from sim.networked import FRESH_NAMES, OWN_NETWORKS
from sim.ordered import AFTER_AN_OUTAGE, IN_ORDER
from sim.outage import Outage
from sim.published import PORTS_OF_JOBS
from sim.scenario import Scenario
from sim.steps import Steps
from sim.storage_rules import CONTENT, ON_MOUNTS, ONE_NODE, ONE_WRITER, RECORDED, STAGED_LAST, UNDER_A_TASK
from sim.stored import CLAIMED, PUBLISHED, StoredScenario
from sim.upgrade import Upgrade
from sim.volume_making import ONCE
from sim.volumed import AT_HOME, ONE_HOME
from sim.volumed import ONE_WRITER as ONE_WRITER_OF_A_SLOT

FIRST_SEED = 30_000
MOST_SEEDS = 60


class Planted(msgspec.Struct, frozen=True):
    """`rules`: any of them may find it. `first`: from there on it is known to be found within `seeds`. `scenario`:
    what each seed lives through.
    """

    name: str
    plant: Callable[[], None]
    rules: frozenset[str]
    first: int
    seeds: int
    scenario: type[Scenario]


# --- what must be on disk ----------------------------------------------------------------------------------


def vote_not_persisted() -> None:
    def batch(hard_state, entries, must_sync):
        kept = replace(hard_state, vote=NOBODY) if hard_state is not None else None
        return LogBatch(kept, entries, must_sync=must_sync)

    orion.node.consensus.log_writer.LogBatch = batch


def acknowledge_before_fsync() -> None:
    handle = RaftDriver._handle

    async def at_once(self, ready):
        early = replace(ready, messages=ready.messages + ready.messages_after_persist, messages_after_persist=())
        await handle(self, early)

    RaftDriver._handle = at_once


def leader_counts_itself_before_fsync() -> None:
    hand_out = RaftLog.hand_out

    def and_call_it_stable(self, persist_seq):
        entries = hand_out(self, persist_seq)
        self.stable = self.handed
        return entries

    RaftLog.hand_out = and_call_it_stable


def disk_error_is_survived() -> None:
    finished = LogWriter._finished

    def shrug(self, batch, work):
        if not work.cancelled() and work.exception() is not None:
            self._busy = False
            self._written(batch)
            return
        finished(self, batch, work)

    LogWriter._finished = shrug


def term_reset_on_restart() -> None:
    load = RaftDriver.load

    async def as_the_log_says(self, persistent):
        term = persistent.entries[-1].term if persistent.entries else persistent.snapshot.term
        hard = replace(persistent.hard_state, term=term, vote=NOBODY)
        await load(self, replace(persistent, hard_state=hard))

    RaftDriver.load = as_the_log_says


def lost_truncation() -> None:
    truncate = RaftLog._truncate

    def in_memory_only(self, last):
        stable, handed = self.stable, self.handed
        truncate(self, last)
        self.stable, self.handed = stable, handed

    try_append = RaftLog.try_append

    def and_forget(self, prev, prev_term, entries):
        agreed = try_append(self, prev, prev_term, entries)
        self.stable, self.handed = min(self.stable, self.last), min(self.handed, self.last)
        return agreed

    RaftLog._truncate, RaftLog.try_append = in_memory_only, and_forget


# --- who decides -------------------------------------------------------------------------------------------


def votes_carry_no_commit() -> None:
    learn = orion.raft.election.learn_commit

    def from_answers_alone(me, message):
        if not isinstance(message, MsgVote | MsgPreVote):
            learn(me, message)

    orion.raft.election.learn_commit = from_answers_alone


def old_term_committed_by_counting() -> None:
    def maybe_commit(self):
        index = joint_index(self.conf, {member: p.match for member, p in self.progress.items()})
        if index > self.log.commit:
            self.log.commit_to(index)

    Member.maybe_commit = maybe_commit


def _count_with(change: Callable[[ConfState], ConfState]) -> None:
    def index(conf, reached):
        return joint_index(change(conf), reached)

    def vote(conf, votes):
        return joint_vote(change(conf), votes)

    orion.raft.member.joint_index = orion.raft.reads.joint_index = index
    orion.raft.election.joint_vote = orion.raft.leader.joint_vote = vote


def quorum_of_one() -> None:
    orion.raft.member.joint_index = lambda conf, matches: max(matches.values())


def joint_quorum_of_new_voters_only() -> None:
    _count_with(lambda conf: replace(conf, voters_outgoing=()))


def learner_counted_in_quorum() -> None:
    _count_with(lambda conf: replace(conf, voters=tuple(sorted({*conf.voters, *conf.learners}))))


def voter_says_yes_to_all() -> None:
    def on_vote(me, message):
        me.vote = message.sender
        me.after_persist.append(MsgVoteResp(me.id, message.sender, message.term, reject=False))

    for handlers in orion.raft.receive._HANDLERS.values():
        handlers[MsgVote] = on_vote


def voter_does_not_compare_logs() -> None:
    RaftLog.is_up_to_date = lambda self, index, term: True


def pre_vote_without_lease_check() -> None:
    orion.raft.receive._NEWER[MsgPreVote] = lambda me, message: True


def leader_without_check_quorum() -> None:
    def never_doubt(me):
        me.quorum_checked_ms = me.now_ms
        me.quorum_due_ms = me.now_ms + me.config.election_ms
        return True

    orion.raft.leader._check_quorum = never_doubt


def heartbeat_commits_what_is_not_there() -> None:
    def send_heartbeats(me):
        for follower in me.progress:
            if follower != me.id:
                commit = me.log.commit
                me.messages.append(MsgHeartbeat(me.id, follower, me.term, commit, me.rounds.context))

    orion.raft.replication.send_heartbeats = send_heartbeats


def configuration_applied_early() -> None:
    step = Raft.step

    def eager(self, now_ms, value):
        step(self, now_ms, value)
        me = self._me
        for index in [i for i in me.log.confs if i > me.conf_index]:
            step(self, now_ms, ConfApplied(me.log.slice(index, index)[0]))

    Raft.step = eager


# --- reads -------------------------------------------------------------------------------------------------


def stale_read() -> None:
    async def read_barrier(self):
        return self.applied_index

    RaftDriver.read_barrier = read_barrier


def leader_reads_without_a_round() -> None:
    def read(me, reader, context):
        if me.role is Role.LEADER:
            me.answer_read(orion.raft.reads.Read(0, reader, context, me.log.commit), me.log.commit)

    orion.raft.leader.read = read


# --- state -------------------------------------------------------------------------------------------------


def snapshot_past_the_applied_index() -> None:
    orion.node.consensus.snapshots.SnapshotMeta = lambda index, term, conf: SnapshotMeta(index + 1, term, conf)


def snapshot_forgets_idempotency() -> None:
    DedupTable.restore = lambda self, frame: None


def compare_and_set_without_comparing() -> None:
    orion.state.tables.configs._version_error = lambda *_: None


def command_carried_out_twice() -> None:
    """Copies of a client's command are not known as such."""
    DedupTable.once = lambda self, *arguments: arguments[-1]()


def duplicate_apply() -> None:
    """An entry is applied again after the next two, as when a queue is drained twice."""
    queues = {}

    def stutter(state, index, command):
        applied = apply(state, index, command)
        queue = queues.setdefault(id(state), deque(maxlen=3))
        queue.append(command)
        if index % 5 == 0 and queue[0]:
            state.index -= 1
            apply(state, index, queue[0])
        return applied

    orion.node.consensus.applier.apply = stutter


def apply_depends_on_the_node() -> None:
    def skip_some(state, index, command):
        return Applied(None) if index % 7 == 0 and id(state) // 64 % 2 else apply(state, index, command)

    orion.node.consensus.applier.apply = skip_some


def static_port_given_twice() -> None:
    """A port is free again when its task is told to end, not when it has ended."""
    set_unwanted, release = orion.state.mutations.set_unwanted, orion.state.mutations._release

    def keys(state, allocation):
        bindings = state.jobs[allocation.job].job.task.ports
        return [port_key(port, b.protocol) for port, b in zip(allocation.ports, bindings, strict=True)]

    def too_early(state, allocation):
        set_unwanted(state, allocation)
        for key in keys(state, allocation):
            state.records[allocation.node].ports.pop(key, None)

    def what_is_left(state, record, allocation):
        for key in keys(state, allocation):
            state.records[allocation.node].ports.setdefault(key, allocation.id)
        release(state, record, allocation)

    orion.state.mutations.set_unwanted, orion.state.mutations._release = too_early, what_is_left


def capacity_given_twice() -> None:
    """Resources of a task that is told to end are given away before it has ended."""
    set_unwanted, release = orion.state.mutations.set_unwanted, orion.state.mutations._release

    def too_early(state, allocation):
        set_unwanted(state, allocation)
        node = state.records[allocation.node]
        node.release(state.jobs[allocation.job].job.task.resources)

    def once(state, record, allocation):
        if not allocation.wanted:
            state.records[allocation.node].hold(record.job.task.resources)
        release(state, record, allocation)

    orion.state.mutations.set_unwanted, orion.state.mutations._release = too_early, once


def a_name_is_used_again_at_once() -> None:
    """A removed job is forgotten when somebody uses its name again, not when its last container has ended."""
    create = orion.state.tables.jobs.create_job.change

    def too_early(state, step, command):
        former = state.jobs.get(command.job.name)
        if former and former.job.stopping and former.active:
            for index in range(former.job.count):
                for allocation in former.history(index):
                    if not allocation.terminal:
                        stopped = replace(allocation.status, state=AllocationState.STOPPED)
                        orion.state.mutations.set_status(state, allocation, stopped)
            orion.state.tables.jobs.settle(state, step, former)
        return create(state, step, command)

    orion.state.tables.jobs.create_job.change = too_early


def a_stop_is_forgotten() -> None:
    """A job that was stopped is placed again when its allocation has ended."""
    settle = orion.state.tables.jobs.settle

    def start_again(state, step, record):
        if record.job.stopped and not record.job.stopping and not record.active:
            orion.state.mutations.open_job(state, record, replace(record.job, stopped=False))
        settle(state, step, record)

    orion.state.tables.jobs.settle = start_again


def a_subnet_is_taken_back_while_tasks_have_addresses_of_it() -> None:
    orion.state.tables.subnets.addresses_in_use = lambda _state, _record: set()
    orion.node.leader.subnets._addresses = lambda _view, _node: []


def addresses_begin_anew_with_each_plan() -> None:
    """Those in use are passed over only if the search for the next one goes on where it ended."""
    orion.state.tables.subnets._hosts_from = lambda _: iter(range(2, 255))
    used = orion.state.tables.subnets.addresses_in_use
    orion.state.tables.subnets.addresses_in_use = lambda state, record: {min(used(state, record), default=0)}


def names_are_never_forgotten() -> None:
    """Of tasks that have ended too, while the state remembers them."""
    orion.node.network.names._is_ready = lambda _allocation, _spec: True


def ports_are_told_of_once() -> None:
    """The kernel leads where it led first."""
    tell = orion.node.network.published.Published._tell

    def told_once(self, told):
        if self.told is None:
            tell(self, told)

    orion.node.network.published.Published._tell = told_once


def ports_are_never_given_back() -> None:
    """The table keeps a port that no version asks for any more."""
    orion.state.tables.ingress.Ingress.drop = lambda _self, _key: None


def guards_let_in_whoever_is_known() -> None:
    """All jobs that some allow reach all that are guarded."""
    rules = orion.reconcile.guard.guard_rules

    def open_to_all(addresses, parts, mine, sources, may_return):
        everybody = tuple({address for each in sources.values() for address in each})
        return rules(addresses, parts, mine, dict.fromkeys(sources, everybody), may_return)

    orion.reconcile.guard.guard_rules = open_to_all


def a_task_starts_before_its_guard() -> None:
    """The agent does not wait for the kernel's rules."""

    async def at_once(_self, _start, prepared):
        return prepared

    GuardBeforeStart.prestart = at_once


def an_alias_is_forgotten() -> None:
    """Jobs have the aliases that they had first."""
    put = orion.state.tables.job_links.JobLinks.put
    orion.state.tables.job_links.JobLinks.put = lambda self, row: None if self.get(row.job) else put(self, row)


def names_are_told_to_everybody() -> None:
    """Whatever network he is on who asks."""
    tasks = Names.tasks

    def of_any(self, job, _networks):
        return tasks(self, job, tuple(range(100_000)))

    Names.tasks = of_any


def an_address_of_another_network_is_given() -> None:
    """A task on several networks has all of its addresses on the first."""
    give = orion.state.tables.subnets.AddressGiver.give

    def of_the_first(self, record):
        self._numbers[1:] = [self._numbers[0] for _ in self._numbers[1:]]
        return give(self, record)

    orion.state.tables.subnets.AddressGiver.give = of_the_first


def lost_allocation_forgotten() -> None:
    active_of = orion.state.node_moves.active_of
    orion.state.node_moves.active_of = lambda state, node: active_of(state, node)[1:]


# --- containers --------------------------------------------------------------------------------------------


def agent_starts_before_confirm() -> None:
    async def surely(self, allocation, tries):
        return True

    Starter._still_wanted = surely


def agent_removes_nothing() -> None:
    perform = Reconciler._perform

    def forget_removals(self, action, *rest):
        if not isinstance(action, Remove):
            perform(self, action, *rest)

    Reconciler._perform = forget_removals


def unseen_end_is_a_success() -> None:
    exited = orion.reconcile.containers._exited

    def by_itself(wish, container, *rest):
        return exited(wish, replace(container, cause=EndCause.ITSELF), *rest)

    orion.reconcile.containers._exited = by_itself


def failed_start_counts_as_the_program_s() -> None:
    start_failed = Starter._failed

    def for_good(self, action, tries, error):
        start_failed(self, action, tries, EngineError(error.detail, permanent=True))

    Starter._failed = for_good


# --- two builds --------------------------------------------------------------------------------------------


def newer_fields_are_not_cut_off() -> None:
    """The newer build writes all fields that it has, whatever the cluster's level."""
    newer_build().module("orion.state.core.encoding").lowered = lambda value, level: value


def the_gate_is_open() -> None:
    """The newer build's leader takes what the others do not understand."""
    newer_build().module("orion.node.routing.submit").require_open = lambda command, view: None


def health_outlives_its_run() -> None:
    """A container that was started again is as healthy as it was."""
    orion.reconcile.health.Checked.is_of = lambda self, container: self.container == container.id


def a_batch_is_exchanged_as_a_service() -> None:
    """A task of the new version may start beside one of the former."""

    def alone(record):
        update, rollout = record.job.update, record.rollout
        stop_first = update is not None and update.order is UpdateOrder.STOP_FIRST
        return stop_first or (rollout is not None and rollout.alone)

    JobRecord.alone = property(alone)


# --- order between jobs ------------------------------------------------------------------------------------


def order_is_forgotten() -> None:
    """What comes after other jobs is placed and started as all else is."""
    orion.scheduler.schedule.unmet = lambda *_: ()
    _no_turns()


def _no_turns() -> None:
    async def surely(self, action, tries):
        return True

    Starter._is_its_turn = surely


def an_agent_starts_again_whatever_comes_first() -> None:
    _no_turns()


def what_state_says_of_other_nodes_is_believed() -> None:
    async def by_state(self, allocations, *, ready):
        return bool(list(allocations))

    Turns._any_is = by_state


def a_volume_that_may_be_there_is_forgotten() -> None:
    remove = orion.state.tables.volume_changes._remove_stored

    def forget(state, step, row, part, *, force):
        return remove(state, step, row, replace(part, asked=False), force=force)

    orion.state.tables.volume_changes._remove_stored = forget


def a_call_that_failed_has_done_nothing() -> None:
    orion.node.leader.storage.was_never_there = lambda each, _kind, _times: each.removing and not each.made


def what_was_lost_goes_on_beside_its_successor() -> None:
    """Whether its slot still wants it, and what it held is free, is not looked at."""

    def all_lost(state, node, down_since_ms):
        held = [state.allocations[identity] for identity in node.holdings.ids()]
        lost = (each for each in held if each.status.state is AllocationState.LOST)
        return [each for each in lost if each.status.finished_at_ms == down_since_ms and each.wanted]

    orion.state.tables.reconnect._lost = all_lost
    orion.state.tables.reconnect._may_go_on = lambda *_: True


def a_volume_goes_wherever_there_is_room() -> None:
    for module in (orion.scheduler.volume_homes, orion.state.tables.volumes):
        module.is_free = lambda *_: True


def a_new_task_writes_beside_the_former() -> None:
    TaskSpec.writes_volumes = property(lambda _: False)


def _bug(
    plant: Callable[[], None],
    *rules: str,
    first: int = FIRST_SEED,
    scenario: type[Scenario] = Scenario,
) -> Planted:
    """What costs a tenth of a whole cluster gets ten times its seeds."""
    seeds = 400 if scenario is HandOver else 40
    return Planted(plant.__name__.replace("_", " "), plant, frozenset(rules), first, seeds, scenario)


HISTORY = "linearizable history"
READS = ("linearizable reads", HISTORY, "a container is explained by the log")
UNSYNCED = "no append acknowledged before its fsync"
DURABLE = "committed means durable on a quorum"
TWO_WRITERS = (UNDER_A_TASK, ONE_WRITER, CONTENT, ON_MOUNTS)
UNDERSTOOD = "former builds understand the log"

PLANTED = (
    _bug(vote_not_persisted, "no vote before its fsync", "no leader without its own durable vote"),
    _bug(acknowledge_before_fsync, UNSYNCED, "no vote before its fsync"),
    _bug(leader_counts_itself_before_fsync, DURABLE, "committed means written"),
    _bug(disk_error_is_survived, "a disk error ends the process", UNSYNCED, first=30_005),
    _bug(
        term_reset_on_restart,
        "term never goes back across a crash",
        "a vote is remembered across a crash",
        "term, vote and commit never go back",
    ),
    _bug(lost_truncation, UNSYNCED, "an acknowledgement means the same entry", DURABLE, first=30_010),
    _bug(
        old_term_committed_by_counting,
        "only entries of the current term are committed by counting",
        first=30_002,
        scenario=Steps,
    ),
    _bug(quorum_of_one, DURABLE),
    _bug(joint_quorum_of_new_voters_only, DURABLE, "elected by a quorum"),
    _bug(learner_counted_in_quorum, DURABLE, "elected by a quorum", first=30_022),
    _bug(
        voter_says_yes_to_all,
        "term, vote and commit never go back",
        "one leader per term",
        "one vote a term",
        "no vote before its fsync",  # of the first of two votes, when the second is said at once
        first=30_076,
    ),
    _bug(voter_does_not_compare_logs, "leader completeness", "state machine safety", first=30_013),
    _bug(pre_vote_without_lease_check, "no pre-vote while a leader is heard", first=30_006),
    _bug(leader_without_check_quorum, "a leader that is cut off steps down", first=30_004),
    _bug(heartbeat_commits_what_is_not_there, "nodes live", "state machine safety"),
    _bug(configuration_applied_early, "a configuration is in force once it is committed", "the core's own checks"),
    _bug(stale_read, *READS, first=30_003),
    _bug(leader_reads_without_a_round, *READS, first=30_018),
    _bug(
        snapshot_past_the_applied_index,
        "snapshot is of what is committed",
        "snapshot equals the log prefix",
        first=30_001,
    ),
    _bug(
        snapshot_forgets_idempotency,
        "one state per index",
        "snapshot equals the log prefix",
        "the state's own checks",
    ),
    _bug(compare_and_set_without_comparing, HISTORY, first=30_001),
    _bug(command_carried_out_twice, HISTORY, "exactly once under one key"),
    _bug(duplicate_apply, "one state per index"),
    _bug(apply_depends_on_the_node, "one state per index"),
    _bug(static_port_given_twice, "host port once", "the state's own checks", first=30_045),
    _bug(capacity_given_twice, "capacity", first=30_012),
    _bug(lost_allocation_forgotten, "lost with its node"),
    _bug(what_was_lost_goes_on_beside_its_successor, "one allocation a slot", "host port once"),
    _bug(a_subnet_is_taken_back_while_tasks_have_addresses_of_it, "an address of its node's subnet", first=30_003),
    _bug(addresses_begin_anew_with_each_plan, "an address once", first=30_003),
    _bug(names_are_never_forgotten, FRESH_NAMES, "liveness", first=30_003),
    _bug(names_are_told_to_everybody, OWN_NETWORKS, "liveness", first=8),
    _bug(an_address_of_another_network_is_given, "an address of its job's networks", first=32),
    _bug(ports_are_told_of_once, "liveness", first=32),
    _bug(ports_are_never_given_back, PORTS_OF_JOBS, first=14),
    _bug(guards_let_in_whoever_is_known, "liveness", scenario=Guarding),
    _bug(a_task_starts_before_its_guard, GUARDED_FIRST, first=2),
    _bug(an_alias_is_forgotten, LINKS, first=8),
    _bug(a_name_is_used_again_at_once, "a name's former containers have ended", first=30_003),
    _bug(a_stop_is_forgotten, HISTORY, "the history of a job ends with what it is", first=30_002),
    _bug(agent_starts_before_confirm, "a container is confirmed first"),
    _bug(agent_removes_nothing, "liveness", first=30_001),
    _bug(votes_carry_no_commit, "liveness", first=40_004, scenario=Lost),
    _bug(unseen_end_is_a_success, AFTER_AN_OUTAGE, "what was told to end is not done", scenario=Outage),
    _bug(newer_fields_are_not_cut_off, "one state per index", UNDERSTOOD, scenario=Upgrade),
    _bug(
        the_gate_is_open, UNDERSTOOD, "what is newer is refused until all have it", first=30_002, scenario=Upgrade
    ),
    _bug(health_outlives_its_run, "ready is what has passed a check", first=30_001),
    _bug(a_batch_is_exchanged_as_a_service, BATCH_ONCE, first=30_010),
    _bug(order_is_forgotten, IN_ORDER, first=30_001),
    _bug(an_agent_starts_again_whatever_comes_first, AFTER_AN_OUTAGE, scenario=Outage),
    _bug(what_state_says_of_other_nodes_is_believed, AFTER_AN_OUTAGE, first=30_003, scenario=Outage),
    _bug(a_volume_that_may_be_there_is_forgotten, ONCE, first=30_016),
    _bug(a_call_that_failed_has_done_nothing, ONCE, first=30_002),
    _bug(a_volume_goes_wherever_there_is_room, ONE_HOME, AT_HOME, first=30_013),
    _bug(a_new_task_writes_beside_the_former, ONE_WRITER_OF_A_SLOT, first=30_035),
    _bug(storage.a_call_is_made_before_its_record, RECORDED, scenario=HandOver),
    _bug(storage.a_boot_is_not_noticed, ON_MOUNTS, first=30_064, scenario=HandOver),
    _bug(storage.a_plugin_is_believed_that_it_is_away, RECORDED, "liveness", first=30_020, scenario=HandOver),
    _bug(storage.a_record_that_the_disk_keeps_is_given_up, "liveness", first=30_634, scenario=HandOver),
    _bug(storage.what_is_staged_goes_first, STAGED_LAST, scenario=HandOver),
    _bug(storage.a_dead_node_is_not_waited_for, *TWO_WRITERS, scenario=StoredScenario),
    _bug(storage.tasks_go_on_without_the_cluster, *TWO_WRITERS, first=30_091, scenario=StoredScenario),
    _bug(storage.a_node_is_clear_before_it_has_heard, *TWO_WRITERS, scenario=StoredScenario),
    _bug(storage.a_volume_is_taken_from_under_a_container, *TWO_WRITERS, scenario=StoredScenario),
    _bug(
        storage.a_late_copy_of_a_call_is_carried_out,
        CLAIMED,
        PUBLISHED,
        *TWO_WRITERS,
        first=30_020,
        scenario=StoredScenario,
    ),
    _bug(storage.a_failed_unpublish_ends_the_claim, CLAIMED, PUBLISHED, scenario=StoredScenario),
    _bug(storage.two_nodes_claims_begin, ONE_NODE, *TWO_WRITERS, scenario=StoredScenario),
    _bug(failed_start_counts_as_the_program_s, "what never ran is tried again", first=30_070),
)


def bug_named(name: str) -> Planted:
    """Raises LookupError, with the names that there are."""
    for bug in PLANTED:
        if bug.name == name:
            return bug
    raise LookupError(f"no bug is called {name!r}; there are: " + ", ".join(bug.name for bug in PLANTED))
