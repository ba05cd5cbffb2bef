"""What the leader decides, and what becomes of it."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.node.consensus import proposals
from orion.ports.peers import PortProbe
from orion.state.commands import encode_command
from orion.state.tables.node_changes import DrainNode, RemoveNode
from orion.state.tables.nodes import RegisterNode


def status(nodes, machine):
    return nodes.leader.node.driver.view.node(machine.config.node).status


def test_a_conversation_that_goes_on_is_stronger_than_gossip_and_dropped_connections():
    """Gossip gives up everybody and new connections are not answered, while Raft goes on."""

    async def main(nodes):
        leader, term, hints = nodes.leader, nodes.leader.node.driver.raft.term, []

        async def no_answer(address, *, tries):
            await asyncio.sleep(tries * 0.1)
            return PortProbe.SILENT

        for machine in nodes.machines:
            machine.run.peers.probe = no_answer
            machine.node.driver.peer_dead = hints.append
        nodes.cluster.network.no_datagrams, nodes.cluster.gossip.late_pings = True, 1.0
        await nodes.until(lambda: nodes.world.counts["member called dead though it runs"] >= 6)
        for _ in range(100):
            await asyncio.sleep(0.1)
            assert {status(nodes, machine) for machine in nodes.machines} == {NodeStatus.READY}
        assert (nodes.leader, leader.node.driver.raft.term) == (leader, term)
        assert not hints, "nor does a follower take its leader for dead"

    run(main)


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_a_decision_that_the_log_can_not_take_is_told_as_an_error(caplog, monkeypatch):
    async def main(nodes):
        gone = next(m for m in nodes.machines if m is not nodes.leader)
        monkeypatch.setattr(proposals, "MAX_COMMAND_BYTES", 10)
        gone.kill()
        await nodes.until(lambda: errors(caplog))
        text = errors(caplog)[0]
        assert text.startswith("a decision can't be committed: a command of ")
        assert "is over the limit of 10; it was SetNodeStatus(at_ms=" in text
        monkeypatch.undo()
        await nodes.until(lambda: status(nodes, gone) is NodeStatus.DOWN)

    run(main)


@pytest.mark.parametrize("looks", [False, True])
def test_a_name_that_was_removed_starts_anew(looks):
    """Whether the leader saw it gone or not: what it waits for from now on is the new one."""

    async def main(nodes):
        async def propose(command):
            await nodes.leader.node.driver.propose(encode_command(command))

        async def register(raft):
            await propose(
                RegisterNode(
                    1, "ghost", raft, "10.9.9.9:7000", "10.9.9.9:8000", Resources(), (), "", "0.1", level=LEVEL
                )
            )

        await register(98)
        await asyncio.sleep(6)
        await propose(DrainNode(1, "ghost", draining=True))
        removal = propose(RemoveNode(1, "ghost"))
        if looks:
            await removal
            await asyncio.sleep(0.1)
            await register(99)
        else:
            await asyncio.gather(removal, register(99))
        await asyncio.sleep(6)
        assert ghost(nodes).status is NodeStatus.READY
        await nodes.until(lambda: ghost(nodes).status is NodeStatus.DOWN)  # nobody has seen this one either

    run(main)


def ghost(nodes):
    return nodes.leader.node.driver.view.node("ghost")


def test_a_node_whose_name_a_new_disk_took_and_died_under_before_it_registered_is_down():
    async def main(nodes):
        lost = next(m for m in nodes.machines if m is not nodes.leader)
        former, seen = lost.raft, nodes.leader.node.directory.seen
        lost.kill()
        lost.wipe()
        lost.boot()
        await nodes.until(lambda: seen(lost.config.node).metadata.raft_id != former)
        lost.kill()
        assert status(nodes, lost) is NodeStatus.READY
        await nodes.until(lambda: status(nodes, lost) is NodeStatus.DOWN)

    run(main)
