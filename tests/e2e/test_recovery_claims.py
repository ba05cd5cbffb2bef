"""Anybody in gossip may say that the cluster was recovered from a lost quorum: a healthy majority lives on."""

import socket
import threading

from orion.model.ids import NodeId, RaftId
from orion.model.membership import NodeRole
from orion.model.recovery import next_recovery
from orion.node.membership.directory import NodeMetadata
from orion.wire.envelopes import LANE_CALL, Hello, encode_hello
from support.gossiper import gossiper
from support.nodes import NO_ENGINE, Cluster, cluster

RECOVERY = next_recovery(0, 1)


class PeerPort:
    """Says hello as one that has gone through a recovery, to whoever connects."""

    def __init__(self, name: str, made: Cluster) -> None:
        self._hello = encode_hello(Hello(LANE_CALL, int(made.id, 16), NodeId(name), RaftId(77), 0, RECOVERY))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.asked += 1
                connection.sendall(self._hello)
                connection.recv(1024)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def claim(name: str, made: Cluster, address: str) -> dict[str, str]:
    cluster_id = int(made.id, 16)
    return NodeMetadata(
        RaftId(77), address, "127.0.0.1:2", "0.1.0", NodeRole.LEADER, 9, cluster_id, None, RECOVERY
    ).encode()


def told_by(made: Cluster, words: str) -> bool:
    return all(words in node.log_file.read_text() for node in made.nodes if node.alive)


def test_a_claim_ends_no_healthy_majority() -> None:
    """Neither where the peer port that it names confirms it, nor while the majority is between two leaders."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        seeds = [node.gossip for node in made.nodes]
        port = PeerPort("ghost", made)
        try:
            with gossiper("ghost", claim("ghost", made, port.address), *seeds):
                made.wait(lambda: told_by(made, "ghost (at "), "all to have heard the claim")
                assert told_by(made, "That is not believed, for a majority of this one is heard")
                leader = made.wait(made.leader, "a leader")
                leader.kill()
                made.wait(lambda: made.leader() not in (None, leader), "another leader")
                made.any().ask("PUT", "/configs/after", "a majority lives")
                leader.start(*made.joining(leader))
                made.wait_settled(3, engines=False)
        finally:
            port.close()
        assert all(node.alive for node in made.nodes), made.report()


def test_a_claim_that_no_peer_port_confirms_ends_nobody() -> None:
    """Not even a node that hears nobody else: it may name a port where nobody listens, or another node's."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        one, *others = made.nodes
        for node in others:
            node.kill()
        made.wait(lambda: not one.ask("GET", "/raft")["leader"], "the last one to know that it has no majority")
        for name, address in (("ghost", "127.0.0.1:1"), ("other", f"127.0.0.1:{one.raft_port}")):
            with gossiper(name, claim(name, made, address), one.gossip):
                words = f"{name} is said to have gone through a recovery"
                made.wait(lambda w=words: w in one.log_file.read_text(), f"node1 to say what it thinks of {name}")
        assert one.alive
        for node in others:
            node.start(*made.joining(node))
        made.wait_settled(3, engines=False)
