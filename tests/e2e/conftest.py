from collections.abc import Iterator

import pytest

from support import images
from support.lab_containers import wait_for_bridges
from support.lab_nodes import LabNodes, lab_hosts
from support.nodes import Cluster, cluster


@pytest.fixture
def shared(docker_host: str) -> Iterator[Cluster]:
    """Nodes that share one engine, as the README's own commands on a laptop."""
    with cluster(docker_host) as made:
        yield made


@pytest.fixture
def one(shared: Cluster) -> Cluster:
    """One node."""
    shared.grow_to(1)
    return shared


@pytest.fixture
def lab() -> Iterator[LabNodes]:
    """Three hosts with an engine each, on a network of the cluster's own."""
    with lab_hosts(3, images.busybox, network="10.200.0.0/16") as made:
        wait_for_bridges(made)
        yield made
