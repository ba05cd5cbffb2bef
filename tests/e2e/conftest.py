from collections.abc import Iterator

import pytest

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
