import asyncio

import msgspec
import pytest
from cluster_kit import run

from orion.model.errors import AnswerForgotten, NotTaken, Refused, TooNew, Unavailable
from orion.model.job import Job, JobKind, TaskSpec
from orion.node.routing.submit import Submit
from orion.state.commands import encode_command
from orion.state.core import dedup
from orion.state.tables.configs import DeleteConfig
from orion.state.tables.jobs import CreateJob


def put(machine, key, service=None):
    service = service or machine.node.service
    asked = service.configs.put(key, b"", if_version=None, idempotency_key="", timeout_s=10)
    return asyncio.shield(machine.run.process.spawn(asked))


def follower(nodes):
    return next(m for m in nodes.machines if m is not nodes.leader)


def test_a_change_that_came_too_late_to_be_known_is_not_tried_again(monkeypatch):
    """By a node that knew the state of before so many changes that their answers are forgotten."""
    monkeypatch.setattr(dedup, "MAX_ANSWERS", 20)

    async def main(nodes):
        behind, leader = follower(nodes), nodes.leader
        service = behind.node.service
        behind.run.process.stall()
        await asyncio.sleep(0.3)
        for n in range(40):
            await put(leader, f"k{n}")
        before = leader.node.driver.applied_index
        asked = put(behind, "mine", service)
        behind.run.process.resume()
        with pytest.raises(AnswerForgotten, match=r"mine was left out.*; nothing was changed") as caught:
            await asked
        assert caught.value.code == "answer_forgotten"
        assert leader.node.driver.applied_index - before <= 1
        assert (await put(behind, "mine"))[0].key == "mine"

    run(main)


def test_an_earlier_copy_of_such_a_change_may_have_been_made():
    async def main(nodes):
        machine = follower(nodes)
        call, failures = machine.run.peers.call, [AnswerForgotten("left out"), Unavailable("no answer")]

        async def fail(*arguments, **more):
            if failures:
                raise failures.pop()
            return await call(*arguments, **more)

        machine.run.peers.call = fail
        with pytest.raises(AnswerForgotten, match="left out; the change may still have been made"):
            await put(machine, "mine")

    run(main)


def proposed(nodes, request):
    """What the leader says to a change that another node sends it."""
    leader = nodes.leader
    return asyncio.shield(leader.run.process.spawn(leader.node._submitter.take(request)))


def test_a_change_that_needs_a_newer_level_is_refused_by_a_leader_that_does_not_know_it():
    async def main(nodes):
        with pytest.raises(
            TooNew, match=r"not all nodes understand this yet, which is of level 9: node1 \(0.1.0-sim\)"
        ):
            await proposed(nodes, Submit(b"whatever it is", needs=9))

    run(main)


def test_a_change_of_a_cluster_that_no_node_has_joined_yet_is_tried_again():
    """Its level is not known, so nobody can be named who does not understand it."""

    async def main(nodes):
        job = Job("web", JobKind.SERVICE, 1, TaskSpec("nginx", drain_ms=5_000), created_at_ms=1)
        request = Submit(encode_command(CreateJob(1, job, "mark", 0)))
        state = nodes.leader.node.driver.state
        state.nodes.clear()
        state.level = 1
        state.facts_epoch += 1
        with pytest.raises(NotTaken, match="no node of the new cluster has said yet what it understands"):
            await proposed(nodes, request)

    run(main)


def test_a_change_with_a_field_that_the_leader_does_not_know_is_refused():
    """It would be read without that field, here and by all others of this version."""

    async def main(nodes):
        command = msgspec.msgpack.decode(encode_command(DeleteConfig(1, "key", None, "mark", 0)))
        before = nodes.leader.node.driver.raft.last_index
        with pytest.raises(Refused, match="DeleteConfig is not written as this version writes it"):
            await proposed(nodes, Submit(msgspec.msgpack.encode([*command, "one more"])))
        assert nodes.leader.node.driver.raft.last_index == before

    run(main)
