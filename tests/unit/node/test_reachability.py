"""Nodes that look which others they reach by the cluster's own network: whole nodes on simulated kernels."""

import asyncio

import pytest
from cluster_kit import Nodes, run

from orion.model.errors import NotFound
from orion.model.events import EventChoice
from orion.model.settings import NETWORK
from sim.reach import SimReach


def networked(main, count=3):
    """As `run`, with a network that is up everywhere."""

    async def whole(nodes: Nodes):
        await nodes.leader.ask(
            lambda s: s.configs.put(NETWORK, b"10.200.0.0/16", if_version=None, idempotency_key="", timeout_s=5.0)
        )
        await nodes.until(lambda: all(len(targets(each)) == count - 1 for each in nodes.machines))
        await main(nodes)

    run(whole, count=count)


def targets(machine):
    return machine.node._reachability.targets()


async def check(machine, node=""):
    return await machine.ask(lambda s: s.network_check(node, timeout_s=60.0))


async def events(machine, kind):
    told = machine.node.service.events(None, follow=False, chosen=EventChoice(tail=1_000))
    return [event.text async for event in told if event is not None and event.kind == kind]


async def reasons(machine):
    shown = await machine.ask(lambda s: s.network(timeout_s=5.0))
    return [each.reason for each in shown.nodes]


def test_all_ways_are_tried_and_timed():
    async def main(nodes):
        found = await check(nodes[1])
        assert (found.pairs, found.failed, found.failures, found.median_us) == (6, 0, [], 1_000)
        assert [(each.node_id, each.peers, each.reached) for each in found.nodes] == [
            ("node1", 2, 2),
            ("node2", 2, 2),
            ("node3", 2, 2),
        ]
        assert len(found.worst) == 2

    networked(main)


def test_of_one_node_its_ways_to_others_and_theirs_to_it():
    async def main(nodes):
        found = await check(nodes[1], "node3")
        assert [(each.node_id, each.peers) for each in found.nodes] == [("node1", 1), ("node2", 1), ("node3", 2)]
        with pytest.raises(NotFound, match="there is no node node9"):
            await check(nodes[1], "node9")

    networked(main)


def test_ways_that_fail_are_named_with_the_node():
    async def main(nodes):
        nodes[2].engine.kernel.is_deaf = True
        found = await check(nodes[1])
        assert (found.pairs, found.failed) == (6, 4)
        assert {(each.node_id, each.peer_id) for each in found.failures} == {
            ("node1", "node2"),
            ("node2", "node1"),
            ("node2", "node3"),
            ("node3", "node2"),
        }
        assert {each.cause for each in found.failures} == {"unknown"}
        assert all("a simulated kernel shows no packets" in each.reason for each in found.failures)

    networked(main)


def test_a_node_that_does_not_answer_is_said_and_the_others_are_there():
    async def main(nodes):
        nodes[3].kill()
        found = await check(nodes[1])
        silent = [each for each in found.nodes if each.reason]
        assert [each.node_id for each in silent] == ["node3"]
        assert [each.node_id for each in found.nodes if each.peers] == ["node1", "node2"]

    networked(main)


def test_without_a_network_there_is_nothing_to_check():
    async def main(nodes):
        found = await check(nodes[1])
        assert (found.range, found.nodes, found.pairs) == ("", [], 0)

    run(main)


def test_a_node_tells_once_that_it_does_not_reach_a_peer_and_once_that_it_does_again():
    async def main(nodes):
        async def told(kind, count):
            for _ in range(400):
                if len(found := await events(nodes[1], kind)) >= count:
                    return found
                await asyncio.sleep(0.5)  # virtual
            raise AssertionError(f"{kind}: {found}")

        nodes[2].engine.kernel.is_deaf = True
        lost = await told("NetworkPeerLost", 4)
        assert any("does not reach node2" in each for each in await reasons(nodes[1]))
        assert len(set(lost)) == len(lost) == 4
        nodes[2].engine.kernel.is_deaf = False
        assert len(await told("NetworkPeerReached", 4)) == 4
        assert await reasons(nodes[1]) == ["", "", ""]

    networked(main)


def test_what_is_lost_is_not_forgotten_while_gossip_is_in_doubt(monkeypatch):
    async def main(nodes):
        async def until_said(words):
            for _ in range(400):
                if words == any("does not reach node2" in each for each in await reasons(nodes[1])):
                    return
                await asyncio.sleep(0.5)  # virtual
            raise AssertionError(await reasons(nodes[1]))

        nodes[2].engine.kernel.is_deaf = True
        await until_said(True)
        directory = nodes[1].node._reach_watch._directory
        with monkeypatch.context() as doubted:
            doubted.setattr(directory, "is_alive", lambda node: node != "node2")
            await asyncio.sleep(60)  # virtual
            await until_said(True)
        nodes[2].engine.kernel.is_deaf = False
        await until_said(False)
        told = [text for text in await events(nodes[1], "NetworkPeerReached") if text.startswith("node1")]
        assert len(told) == 1

    networked(main)


def test_a_bug_in_a_probe_ends_no_node(monkeypatch, caplog):
    async def main(nodes):
        async def broken(*_args, **_options):
            raise ValueError("as nobody foresaw")

        monkeypatch.setattr(SimReach, "echo", broken)
        monkeypatch.setattr(SimReach, "serve", broken)
        await asyncio.sleep(60)  # virtual
        assert all(each.up for each in nodes.machines)

    networked(main)
    assert "a bug in Orion, in the network's check" in caplog.text
