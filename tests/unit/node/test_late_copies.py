"""Commands of which a second copy comes when their client has long been answered: one that lay in a stalled leader,
or on its way to the leader.
"""

import asyncio

import pytest
from cluster_kit import run
from msgspec.structs import replace

from orion.model.errors import Conflict
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.state.commands import encode_command
from orion.state.tables.node_changes import RemoveNode
from orion.state.tables.nodes import RegisterNode


def spawn(machine, work):
    return asyncio.shield(machine.run.process.spawn(work))


def propose(machine, command):
    return spawn(machine, machine.node.driver.propose(encode_command(command)))


def node_of(nodes, machine):
    return nodes.leader and nodes.leader.node.driver.view.node(machine.name)


async def leaderless(driver):
    """Returns when it knows of no leader, though the next one is elected a moment later."""
    while driver.standing.leader:
        await driver.watch.changed()


def log_of(submitter):
    """The commands that it is given from now on."""
    asked, submit = [], submitter.submit

    async def listen(command, **more):
        asked.append(command)
        return await submit(command, **more)

    submitter.submit = listen
    return asked


def test_a_drain_that_a_stalled_leader_passes_on_late():
    async def main(nodes):
        old = nodes.leader
        other, target = (m for m in nodes.machines if m is not old)
        old.run.process.stall()
        await spawn(other, leaderless(other.node.driver))
        for draining in (True, False):
            await spawn(other, other.node.service.drain(target.name, draining=draining, timeout_s=20))
        await asyncio.sleep(4)
        old.run.process.resume()
        await asyncio.sleep(5)
        assert not node_of(nodes, target).draining

    run(main)


def test_a_removal_spares_the_node_that_has_the_name_by_then():
    """It was removed, came back with an empty data directory, and restarts."""

    async def main(nodes):
        machine = next(m for m in nodes.machines if m is not nodes.leader)
        former = node_of(nodes, machine).raft_id
        machine.kill()
        await nodes.until(lambda: node_of(nodes, machine).status is NodeStatus.DOWN)
        leader = nodes.leader
        asked = log_of(leader.node._submitter)
        await spawn(leader, leader.node.service.remove_node(machine.name, timeout_s=5))
        (removal,) = asked
        assert isinstance(removal, RemoveNode)
        assert (removal.raft_id, bool(removal.idempotency_key)) == (former, True)
        assert node_of(nodes, machine) is None
        machine.wipe()
        machine.boot()
        await nodes.until(lambda: node_of(nodes, machine) and node_of(nodes, machine).status is NodeStatus.READY)
        machine.kill()
        await nodes.until(lambda: node_of(nodes, machine).status is NodeStatus.DOWN)
        await propose(nodes.leader, removal)
        assert node_of(nodes, machine).raft_id not in (former, 0)
        # Nor would it be removed if the first copy came only now.
        with pytest.raises(Conflict, match="another data directory"):
            await propose(nodes.leader, replace(removal, idempotency_key="another"))

    run(main)


def test_a_worker_too_names_the_data_directory_that_a_removal_means():
    async def main(nodes):
        conf = nodes.leader.node.driver.raft.conf
        worker = next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))
        machine = next(m for m in nodes.machines if m not in (nodes.leader, worker))
        machine.kill()
        await nodes.until(lambda: node_of(nodes, machine).status is NodeStatus.DOWN)
        asked = log_of(worker.node._submitter)
        await spawn(worker, worker.node.service.remove_node(machine.name, timeout_s=5))
        assert [command.raft_id for command in asked] == [machine.raft]
        await nodes.until(lambda: node_of(nodes, machine) is None)

    run(main, count=8, voters=5)


@pytest.mark.parametrize(("count", "voters"), [(3, 3), (8, 5)])
def test_an_earlier_registration_is_corrected(count, voters):
    """Of the process before, that ran with half the capacity, other labels and other addresses."""

    async def main(nodes):
        others = [m for m in nodes.machines if m is not nodes.leader]
        machine = next(
            (m for m in others if not m.node.driver.is_member), others[0]
        )  # a worker, where there is one
        node = node_of(nodes, machine)
        small, labels = Resources(1, 1, 1), (("old", "1"),)
        early = RegisterNode(
            1, node.id, node.raft_id, "10.9.9.9:1", "10.9.9.9:2", small, labels, node.engine, "0.0", level=LEVEL
        )
        await propose(nodes.leader, early)
        assert node_of(nodes, machine).capacity == small
        await nodes.until(lambda: node_of(nodes, machine) == node, 10)

    run(main, count=count, voters=voters)
