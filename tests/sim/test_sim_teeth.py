"""The checks bite: a node that is broken on purpose is found out within a few seeds, by the rule that it breaks."""

import pytest

import orion.node.raft_driver
import orion.raft.member
import orion.raft.receive
from orion.node.agent import Agent
from orion.node.raft_driver import RaftDriver
from orion.raft.log import RaftLog
from orion.raft.messages import MsgVote, MsgVoteResp
from orion.reconcile.containers import Remove
from orion.state.apply import Applied, apply
from sim.disk import SimLog
from sim.runner import report, run_seeds
from sim.scenario import run_seed

FIRST_SEED = 30_000
SEEDS = 20


def rule(outcome):
    return outcome.failure.partition(":")[0]


def a_leader_that_counts_its_vote_before_its_fsync():
    async def pretend(self, kind):
        pass

    SimLog._fsync = pretend


def followers_that_answer_before_their_fsync():
    honest = SimLog._fsync

    async def pretend(self, kind):
        if self.process.name == "node1":
            await honest(self, kind)

    SimLog._fsync = pretend


def a_quorum_of_one():
    orion.raft.member.joint_index = lambda conf, matches: max(matches.values())


def a_voter_who_says_yes_to_all():
    def on_vote(me, message):
        me.vote = message.sender
        me.after_persist.append(MsgVoteResp(me.id, message.sender, message.term, reject=False))

    for handlers in orion.raft.receive._HANDLERS.values():
        handlers[MsgVote] = on_vote


def a_voter_who_does_not_compare_logs():
    RaftLog.is_up_to_date = lambda self, index, term: True


def a_read_that_asks_nobody():
    async def read_barrier(self):
        return self.applied_index

    RaftDriver.read_barrier = read_barrier


def an_apply_that_depends_on_the_node():
    def skip_some(state, index, command):
        return Applied(None) if index % 7 == 0 and id(state) // 64 % 2 else apply(state, index, command)

    orion.node.raft_driver.apply = skip_some


def an_agent_that_removes_nothing():
    perform = Agent._perform

    def forget_removals(self, action, *rest):
        if not isinstance(action, Remove):
            perform(self, action, *rest)

    Agent._perform = forget_removals


@pytest.mark.sim
@pytest.mark.parametrize(
    ("prepare", "rules"),
    [
        (a_leader_that_counts_its_vote_before_its_fsync, {"no leader without its own durable vote"}),
        (followers_that_answer_before_their_fsync, {"no append acknowledged before its fsync"}),
        (a_quorum_of_one, {"committed means durable on a quorum"}),
        (a_voter_who_says_yes_to_all, {"term, vote and commit never go back", "one leader per term"}),
        (a_voter_who_does_not_compare_logs, {"leader completeness", "state machine safety"}),
        (a_read_that_asks_nobody, {"linearizable reads", "linearizable history"}),
        (an_apply_that_depends_on_the_node, {"one state per index"}),
        (an_agent_that_removes_nothing, {"liveness"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_node_is_found_out(prepare, rules):
    def live(seed):
        prepare()
        return run_seed(seed)

    summary = run_seeds(
        FIRST_SEED,
        seconds=600,
        count=SEEDS,
        live=live,
        on_failure=lambda _: None,
        until=lambda outcome: rule(outcome) in rules,
    )
    seen = {rule(outcome) for outcome in summary.failures}
    others = "\n".join(report(outcome, 20) for outcome in summary.failures)
    assert rules & seen, f"none of {rules} in {sorted(seen)}\n{others}"
