"""Why no node fits: the counts, and the sentence that users read."""

import pytest
from test_schedule import GB, WEB, Cluster

from orion.model.job import PortBinding, TaskSpec
from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure, PortShortage, ResourceShortage
from orion.model.placement_text import MAX_CHARACTERS, placement_text
from orion.scheduler.explain import same_news
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.node_status import SetNodeStatus


def failure(cluster, **job):
    if cluster.view.job("asked") is None:
        cluster.job("asked", **job)
    (refusal,) = cluster.plan("asked").refusals
    return refusal.why


def why(cluster, failed=None, **job):
    """The sentence, made of `failed` if that is given."""
    found = failure(cluster, **job)
    assert failed is None or found == failed
    return placement_text(found, cluster.view.job("asked").task)


def memory_short(nodes, most_free):
    return PlacementFailure(memory=ResourceShortage(nodes, most_free))


def port_short(*taken, **more):
    return PlacementFailure(ports=(PortShortage(*taken, **more),))


def test_missing_memory_is_told_with_the_largest_node():
    assert why(Cluster(3, memory=15_200_000_000), memory_short(3, 15_200_000_000), memory=100 * GB) == (
        "needs 100 GB of memory; the largest node has 15.2 GB free"
    )


def test_a_node_that_shrank_has_nothing_free():
    cluster = Cluster(1)
    cluster.job(memory=10 * GB)
    cluster.run()
    cluster.node(1, memory=5 * GB)
    assert why(cluster, memory_short(1, 0), memory=GB) == "needs 1 GB of memory; the largest node has 0 B free"


def test_missing_cores_are_told_with_the_largest_node():
    failed = PlacementFailure(cpu=ResourceShortage(2, 4_000))
    assert why(Cluster(2), failed, cpu=4_500) == "needs 4.5 cores; the largest node has 4 free"


def test_missing_disk_is_told_with_the_largest_node():
    failed = PlacementFailure(disk=ResourceShortage(2, 100 * GB))
    assert why(Cluster(2), failed, disk=200 * GB) == "needs 200 GB of disk; the largest node has 100 GB free"


def test_a_taken_port_is_told_with_the_number_of_nodes():
    cluster = Cluster(3)
    cluster.job(count=3, ports=WEB)
    cluster.run()
    assert why(cluster, port_short(8080, "tcp", 3), ports=WEB) == "port 8080 is taken on 3 of 3 nodes"


def test_a_taken_udp_port_is_told_with_its_protocol():
    cluster = Cluster(1)
    dns = (PortBinding(53, "udp", 53),)
    cluster.job(ports=dns)
    cluster.run()
    assert why(cluster, port_short(53, "udp", 1), ports=dns) == "port 53/udp is taken on 1 of 1 nodes"


def test_labels_that_no_node_has_are_named():
    failed = PlacementFailure(without_labels=2)
    assert why(Cluster(2), failed, constraints=(("disk", "ssd"),)) == "no node has the label disk=ssd"
    both = (("disk", "ssd"), ("zone", "a"))
    assert why(Cluster(2), constraints=both) == "no node has the labels disk=ssd and zone=a"


def test_of_many_labels_the_first_are_named():
    many = tuple((f"label{n:02}", "v" * 100) for n in range(64))
    named = " and ".join(f"label{n:02}={'v' * 100}" for n in range(4))
    cluster = Cluster(3, cpu=1_000)
    assert why(cluster, constraints=many) == f"no node has the labels {named} and 60 more"
    cluster = Cluster(3, cpu=1_000)
    cluster.node(4, cpu=1_000, labels=many)
    assert why(cluster, cpu=2_000, constraints=many) == (
        f"no node fits: 3 lack the labels {named} and 60 more, 1 lacks cores (needs 2, most free 1)"
    )


def test_no_sentence_is_longer_than_a_reason_may_be():
    cluster = Cluster()
    ports = []
    for n in range(100):
        cluster.node(n + 1)
        ports.append(PortBinding(n + 1, "tcp", 10_000 + n))
        cluster.job(f"job{n}", ports=(ports[-1],))
        cluster.run(f"job{n}")
    failed = PlacementFailure(ports=tuple(PortShortage(port.host_port, "tcp", 1) for port in ports))
    text = why(cluster, failed, ports=tuple(ports))
    assert len(text) == MAX_CHARACTERS
    assert text.startswith("no node fits: 1 has port 10000 taken, 1 has port 10001 taken, ")
    assert text.endswith("…")


def test_nodes_that_are_not_ready_are_counted_by_reason():
    cluster = Cluster(4)
    cluster.do(DrainNode(1, "n1", draining=True))
    cluster.do(SetNodeStatus(1, "n2", 2, NodeStatus.DOWN))
    cluster.do(SetNodeStatus(1, "n3", 3, NodeStatus.LEFT))
    cluster.node(4, engine_down="no answer")
    assert why(cluster, PlacementFailure(away=1, down=1, draining=1, without_engine=1)) == (
        "no node is ready: 1 is away, 1 is down, 1 is draining, 1 is without a container engine that answers"
    )


def test_of_several_reasons_the_most_frequent_comes_first():
    cluster = Cluster(2)
    cluster.node(3, memory=GB)
    cluster.job("fill", count=2, memory=14_800_000_000)
    cluster.run()
    cluster.node(4, labels=())
    cluster.job(ports=WEB, memory=5 * GB)
    cluster.run()
    cluster.node(5)
    cluster.do(DrainNode(1, "n5", draining=True))
    short, taken = ResourceShortage(3, 1_200_000_000), PortShortage(8080, "tcp", 1)
    failed = PlacementFailure(draining=1, memory=short, ports=(taken,))
    assert failed.nodes == 5
    assert why(cluster, failed, ports=WEB, memory=4 * GB) == (
        "no node fits: 3 lack memory (needs 4 GB, most free 1.2 GB), 1 has port 8080 taken, 1 is draining"
    )


def test_a_missing_label_is_counted_among_other_reasons():
    cluster = Cluster(3)
    cluster.node(1, labels=(("disk", "ssd"),))
    failed = PlacementFailure(without_labels=2, cpu=ResourceShortage(1, 4_000))
    assert why(cluster, failed, cpu=8_000, constraints=(("disk", "ssd"),)) == (
        "no node fits: 2 lack the label disk=ssd, 1 lacks cores (needs 8, most free 4)"
    )


def test_resources_that_this_very_plan_gives_away_count():
    cluster = Cluster(1)
    cluster.job("first", ports=WEB)
    cluster.job("second", ports=WEB)
    assert cluster.said(cluster.plan("first", "second")) == (("second", "port 8080 is taken on 1 of 1 nodes"),)


def test_former_builds_are_given_the_sentence():
    cluster = Cluster(2)
    cluster.state.level = 1
    assert failure(cluster, cpu=4_500) == "needs 4.5 cores; the largest node has 4 free"
    cluster.run()
    assert cluster.view.task("asked", 0).reason == "needs 4.5 cores; the largest node has 4 free"
    cluster.state.level = 2
    assert failure(cluster, cpu=4_500) == PlacementFailure(cpu=ResourceShortage(2, 4_000))


LACKING = PlacementFailure(down=1, memory=ResourceShortage(3, 5))


@pytest.mark.parametrize(
    ("failed", "same"),
    [
        (PlacementFailure(down=1, memory=ResourceShortage(3, 4)), True),
        (PlacementFailure(down=2, memory=ResourceShortage(3, 5)), False),
        (PlacementFailure(down=1, memory=ResourceShortage(4, 5)), False),
        (PlacementFailure(down=1, disk=ResourceShortage(3, 5)), False),
        (PlacementFailure(down=1, ports=(PortShortage(80, "tcp", 3),)), False),
        ("", False),
        ("1 is down", False),
    ],
)
def test_how_much_is_free_is_no_news(failed, same):
    assert same_news(LACKING, failed) is same
    assert same_news(failed, LACKING) is same


def test_no_failure_is_no_news_where_there_was_none():
    assert same_news("", "")


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (port_short(0, "tcp", 2), "no port from 20000 to 32767 is free on 2 of 2 nodes"),
        (port_short(8080, "tcp", 2, own=True), "port 8080 is Orion's own on 2 of 2 nodes"),
        (
            PlacementFailure(
                down=1_000,
                ports=(
                    PortShortage(80, "tcp", 3, own=True),
                    PortShortage(53, "udp", 2),
                    PortShortage(0, "tcp", 1),
                    PortShortage(81, "tcp", 1, own=True),
                ),
            ),
            (
                "no node fits: 1,000 are down, 3 need port 80 for Orion itself, 2 have port 53/udp taken, "
                "1 has no port from 20000 to 32767 free, 1 needs port 81 for Orion itself"
            ),
        ),
    ],
)
def test_what_is_said_of_ports(failed, words):
    assert placement_text(failed, TaskSpec("app")) == words


def test_free_amounts_are_told_in_the_units_that_were_asked_in():
    assert why(Cluster(3, memory=15_200_000_000), memory=64 * 1024**3) == (
        "needs 64 GiB of memory; the largest node has 14.2 GiB free"
    )
    assert why(Cluster(1, memory=512 * 1024**2), memory=GB) == (
        "needs 1 GB of memory; the largest node has 536.9 MB free"
    )
