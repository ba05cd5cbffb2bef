"""How containers of another cluster are told of."""

from orion.model.container import Container, ContainerState, Labels
from orion.node.agent import leftovers
from orion.process.config import Config

CONFIG = Config(node="node1", data_dir="/data")


def container(number, *ports, cluster=0xABC, node="node1"):
    return Container(
        f"id{number}", Labels(cluster, node, f"job{number}", 0, number), ContainerState.RUNNING, host_ports=ports
    )


def test_what_runs_holds_and_ends_it_is_said():
    assert leftovers.told(CONFIG, 0xABC, [container(2, 443, 80), container(1)]) == (
        "containers of another cluster (0000000000000abc) run on this node's engine: job1-0-00000001,"
        " job2-0-00000002, holding host ports 80, 443. If that cluster is gone, end them: docker rm -f"
        " $(docker ps -aq --filter label=dev.orion.cluster=0000000000000abc)"
    )


def test_another_engine_is_named_in_the_command():
    there = Config(node="node1", data_dir="/data", docker_host="tcp://h:1")
    assert "docker -H tcp://h:1 rm -f $(docker -H tcp://h:1 ps -aq" in leftovers.told(there, 1, [container(1)])


def test_many_are_counted():
    words = leftovers.outcast(CONFIG, 0xABC, [container(n, n + 8_000) for n in range(1, 1_001)])
    assert "and 992 more, holding host ports 8001, 8002, 8003, 8004, 8005, 8006, 8007, 8008 and 992 more." in words
    assert len(words) < 1_200


def test_each_cluster_is_told_by_itself():
    one, other, third = container(1), container(2, cluster=5), container(3, node="node2")
    assert leftovers.by_cluster([one, other, third]) == {0xABC: [one, third], 5: [other]}
    assert leftovers.started_by("node1", [one, third]) == [one]
