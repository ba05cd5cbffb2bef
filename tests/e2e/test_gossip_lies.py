"""Whoever reaches a gossip port may say anything there. No node ends by it."""

import pytest

from orion.model.ids import RaftId
from orion.model.membership import NodeRole
from orion.node.membership.directory import NodeMetadata
from support.gossiper import gossiper
from support.nodes import NO_ENGINE, Cluster, cluster

HONEST = NodeMetadata(RaftId(77), "127.0.0.1:1", "127.0.0.1:2", "0.1.0", NodeRole.WORKER, 0, 99).encode()

LIES = {
    "usage": {"u": "9" * 330 + "/1"},
    "term": {"o": "leader", "t": "9" * 300},
    "raft": {"r": "f" * 300},
    "address": {"p": "x\n1999-12-31 00:00:00,000 ERROR   forged:1", "a": "\x1b[2J"},
    "nothing": dict.fromkeys(HONEST, ""),
}


def heard_of(made: Cluster, name: str) -> bool:
    return all(f"{name} seen by gossip" in node.log_tail(1_000) for node in made.nodes)


def test_no_lie_ends_a_node() -> None:
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        seeds = [node.gossip for node in made.nodes]
        for kind, lie in LIES.items():
            with gossiper(f"liar-{kind}", HONEST | {"c": made.id} | lie, *seeds):
                made.wait(lambda k=kind: heard_of(made, f"liar-{k}"), f"all to hear the lie about {kind}")
                # What is heard after it shows that the lie has been dealt with.
                with gossiper(f"after-{kind}", HONEST, *seeds):
                    made.wait(lambda k=kind: heard_of(made, f"after-{k}"), "all to hear of one more")
                    assert all(node.alive for node in made.nodes), made.report()
        made.wait(made.leader, "a leader")
        assert {node["status"] for node in made.any().ask("GET", "/nodes")} <= {"alive", "suspect"}


@pytest.mark.parametrize("name", ["node1\n\x1b[2J 1999-12-31 00:00:00,000 ERROR   forged"])
def test_no_name_writes_lines_into_a_log(name: str) -> None:
    with cluster(NO_ENGINE) as made:
        made.grow_to(1, engines=False)
        (node,) = made.nodes
        with gossiper(name, HONEST, node.gossip):
            made.wait(lambda: "no node's name" in node.log_tail(1_000), "the node to say that it is none")
        with gossiper("after", HONEST, node.gossip):
            made.wait(lambda: "after seen by gossip" in node.log_tail(1_000), "the node to hear of another")
        text = node.log_file.read_text()
        assert "\x1b" not in text
        assert not [line for line in text.splitlines() if line.lstrip().startswith("1999-12-31")]
