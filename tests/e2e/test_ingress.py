"""Ports that are open on every node: nodes on hosts of their own, with real engines, and a host that is no node."""

import socket
import subprocess
from collections.abc import Iterator

import pytest

from support import api, images
from support.deployments import done
from support.lab_containers import wait_for_bridges
from support.lab_nodes import LabNodes, lab_hosts

pytestmark = [pytest.mark.engine, pytest.mark.root]

NODES, OUTSIDE = (1, 2, 3), 4
PORT = 8080
ME = "#!/bin/sh\necho; echo $REMOTE_ADDR $ORION_TASK $RELEASE"
SERVE = (
    f"mkdir -p /www/cgi-bin; printf '{ME}' > /www/cgi-bin/me; chmod +x /www/cgi-bin/me; exec httpd -f -p 80 -h /www"
)
JOB = {
    "image": images.BUSYBOX,
    "command": ["sh", "-c", SERVE],
    "count": 2,
    "ingress": [{"port": PORT, "containerPort": 80}],
    "placement": {"maxPerNode": 1},
    "stopGraceSeconds": 0,
    "update": {"monitorSeconds": 0.5},
}


@pytest.fixture
def lab() -> Iterator[LabNodes]:
    with lab_hosts(len(NODES), images.busybox, others=1, network="10.200.0.0/16") as made:
        wait_for_bridges(made)
        yield made


def deploy(lab: LabNodes, **more: object) -> None:
    done(lab, lab.ask(1, "PUT", "/jobs/web", {**JOB, **more}))


def get(lab: LabNodes, host: int, address: str) -> list[str]:
    """The words that a task answers with: who asks, which task it is, its release. Empty when none does."""
    words = [*lab.enter(host), "curl", "-s", "--max-time", "10", f"http://{address}:{PORT}/cgi-bin/me"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    said = done.stdout if done.returncode == 0 else ""
    return said.replace("[::ffff:", "").replace("]", "").split()


def answers(lab: LabNodes, host: int, address: str, times: int = 12) -> list[list[str]]:
    """As many answers, or none: the first question that is not answered is the last."""
    found = []
    for _ in range(times):
        if not (words := get(lab, host, address)):
            return []
        found.append(words)
    return found


def by_both(lab: LabNodes, host: int, address: str, client: str) -> bool:
    """Returns whether both tasks answer, and every question is answered."""
    found = answers(lab, host, address)
    assert {words[0] for words in found} <= {client}, "the client's own address"
    return {words[1] for words in found} == {"web/0", "web/1"}


def test_a_port_is_open_on_every_node_and_keeps_the_clients_address(lab: LabNodes) -> None:
    deploy(lab)
    addresses = {host: lab.lab.address(host) for host in (*NODES, OUTSIDE)}
    for node in NODES:
        lab.wait(lambda node=node: get(lab, OUTSIDE, addresses[node]), f"an answer at host {node}")
    for node in NODES:
        lab.wait(
            lambda node=node: by_both(lab, OUTSIDE, addresses[node], addresses[OUTSIDE]),
            f"any task to answer at host {node}",
        )
        other = next(each for each in NODES if each != node)
        for address in (addresses[node], "127.0.0.1", "[::1]", addresses[other]):
            lab.wait(
                lambda node=node, address=address: answers(lab, node, address),
                f"all answers on host {node}, asked at {address}",
            )
        lab.wait(
            lambda node=node: not lab.ask(1, "GET", "/network")["nodes"][node - 1]["reason"],
            f"nobody else to be what passes it on at host {node}",
        )

    # Whoever takes it away finds it back.
    lab.run(2, "nft", "flush", "ruleset")
    lab.run(2, "ip", "rule", "flush")
    lab.run(2, "ip", "rule", "add", "from", "all", "lookup", "main", "pref", "32766")
    lab.run(2, "ip", "rule", "add", "from", "all", "lookup", "local", "pref", "0")
    lab.wait(lambda: answers(lab, OUTSIDE, addresses[2], 6), "answers after a flush")

    # A node that dies takes with it what was asked there, and nothing else.
    lab.vanish(3)
    lab.wait(lambda: answers(lab, OUTSIDE, addresses[1], 6), "answers without the dead node")

    lab.ask(1, "DELETE", "/jobs/web")
    lab.wait(lambda: not get(lab, OUTSIDE, addresses[1]), "the port to be closed")


def test_a_port_that_is_taken_is_refused(lab: LabNodes) -> None:
    deploy(lab)
    with pytest.raises(OSError, match=r"409.*port 8080 is web's on every node"):
        lab.ask(1, "PUT", "/jobs/other", JOB)
    with pytest.raises(OSError, match="409"):
        lab.ask(1, "PUT", "/jobs/other", {"image": images.BUSYBOX, "portBindings": {"80/tcp": "8080"}})
    with pytest.raises(OSError, match="Orion itself listens on"):
        lab.ask(1, "PUT", "/jobs/other", {**JOB, "ingress": [{"port": 8000, "containerPort": 80}]})
    lab.ask(1, "DELETE", "/configs/orion%2Fnetwork")
    with pytest.raises(OSError, match="switch it on with"):
        lab.ask(1, "PUT", "/jobs/other", {**JOB, "ingress": [{"port": 9090, "containerPort": 80}]})


def test_a_container_of_somebody_else_that_has_the_port_is_told_of() -> None:
    settings = {"userland-proxy": False}  # so that its port is in rules alone
    with lab_hosts(len(NODES), images.busybox, network="10.200.0.0/16", **settings) as lab:
        wait_for_bridges(lab)
        engine = lab.engines[1]
        body = {
            "Image": images.BUSYBOX,
            "Cmd": ["sleep", "3600"],
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": str(PORT)}]}, "AutoRemove": True},
        }
        other = api.ask_json(engine, "POST", "/containers/create?name=legacy", body)["Id"]
        try:
            api.ask(engine, "POST", f"/containers/{other}/start")
            deploy(lab)
            words = f"nobody reaches container legacy (0.0.0.0, port {PORT}/tcp) here any more"
            lab.wait(lambda: words in lab.ask(1, "GET", "/network")["nodes"][1]["reason"], "it to be told of")
            lab.wait(
                lambda: [lab.ask(1, "GET", "/network")["nodes"][at]["reason"] for at in (0, 2)] == ["", ""],
                "nothing to be told of the others",
            )
        finally:
            api.ask(engine, "DELETE", f"/containers/{other}?force=1")
        lab.wait(lambda: not lab.ask(1, "GET", "/network")["nodes"][1]["reason"], "that it has gone")


ECHO = {
    "image": images.BUSYBOX,
    "command": ["nc", "-ll", "-p", "7", "-e", "cat"],
    "ingress": [{"port": 7007, "containerPort": 7}],
    "stopGraceSeconds": 0,
}


def echoes(connection: socket.socket, words: bytes) -> bool:
    connection.sendall(words)
    return connection.recv(100) == words


def another_leader(lab: LabNodes, former: int) -> bool:
    """Asks for it as long as it is the former one."""
    now = lab.ask(1, "GET", "/raft")["leader"]
    if now == f"node{former}":
        lab.ask(former, "POST", "/raft/transfer", {})
    return bool(now) and now != f"node{former}"


def test_a_connection_lives_through_what_is_no_concern_of_it(lab: LabNodes) -> None:
    done(lab, lab.ask(1, "PUT", "/jobs/echo", ECHO))
    (task,) = lab.ask(1, "GET", "/tasks")
    home = int(task["nodeId"].removeprefix("node"))
    asked = next(node for node in NODES if node != home)
    address = (lab.lab.address(asked), 7007)

    def connected() -> socket.socket | None:
        made = socket.create_connection(address, timeout=30)
        if echoes(made, b"hello\n"):
            return made
        made.close()
        return None

    with lab.wait(connected, "the first connection") as connection:
        deploy(lab)
        assert echoes(connection, b"another job\n")
        leader = int(lab.wait(lambda: lab.ask(1, "GET", "/raft")["leader"], "a leader").removeprefix("node"))
        lab.wait(lambda: another_leader(lab, leader), "another leader")
        assert echoes(connection, b"another leader\n")
        for host in (asked, home):
            lab.stop_node(host)
            assert echoes(connection, b"no program\n")
            lab.start_again(host)
            lab.wait(lambda host=host: lab.ask(host, "GET", "/raft")["leader"], f"node{host} again")
            lab.wait(
                lambda host=host: not lab.ask(host, "GET", "/network")["nodes"][host - 1]["reason"], "its network"
            )
            assert echoes(connection, b"a program again\n")
        engine = lab.daemons[home - 1]
        engine.kill_daemon()
        assert echoes(connection, b"no engine\n")
        engine.start()
        assert echoes(connection, b"an engine again\n")
        lab.ask(1, "DELETE", "/jobs/web")
        lab.ask(1, "PUT", "/jobs/echo/count", {"count": 3})
        lab.wait(lambda: len(lab.ask(1, "GET", "/jobs/echo/endpoints")) == 3, "three tasks")
        assert echoes(connection, b"more tasks\n")
        lab.ask(1, "DELETE", "/jobs/echo")

        def ended() -> bool:
            try:
                return not echoes(connection, b"still there?\n")
            except OSError:
                return True

        lab.wait(ended, "the end of what has lost its task")
