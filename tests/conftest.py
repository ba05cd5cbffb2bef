"""Options of the whole suite (pytest reads options only from the conftest of a test path), and a real Docker Engine
with images. Where no engine can be had the test fails and says what to install: a skipped test proves nothing.
"""

import secrets
from collections.abc import Iterator

import hypothesis
import pytest

from support import images, lanes
from support.dockerd import Dockerd
from support.engine import engine, engine_in_namespace, network_namespace


def pytest_addoption(parser):
    group = parser.getgroup("simulator")
    group.addoption("--sim-seconds", type=float, default=20.0, help="real seconds of simulated seeds (default 20)")
    group.addoption("--sim-seed", type=int, default=20_000, help="the first seed")
    group.addoption("--sim-jobs", type=int, default=2, help="seeds at a time")


# No test asserts how long something takes, and hypothesis does by default: of an example, and of making up some.
hypothesis.settings.register_profile(
    "orion", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("orion")

# What takes longest begins first, so that no worker has it left for the end.
LONGEST_FIRST = (
    "test_sim_teeth.py",
    "test_sim_seeds.py",
    "test_mutants.py",
    "test_chaos.py",
    "test_openapi.py",
    "test_hand_over.py",
    "test_claims.py",
    "test_storage.py",
    "test_ingress.py",
    "test_command_line.py",
    "test_cron.py",
    "test_health.py",
    "test_rolling_update.py",
    "test_nine_nodes.py",
    "test_deployments.py",
    "test_readme.py",
    "test_front_door.py",
    "test_network_check.py",
)


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        lanes.enter()


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """An engine that answers, perhaps used by others too: touch only what the test made."""
    with engine() as host:
        yield host


@pytest.fixture(scope="session")
def busybox_image(docker_host: str) -> str:
    return images.busybox(docker_host)


@pytest.fixture(scope="session")
def web_image(docker_host: str) -> str:
    return images.web(docker_host)


@pytest.fixture(scope="module")
def own_engine() -> Iterator[Dockerd]:
    """An engine in a network namespace of its own, with `images.BUSYBOX`, that may be stopped and killed."""
    with (
        network_namespace(f"orion-{secrets.token_hex(3)}") as namespace,
        engine_in_namespace(namespace) as dockerd,
    ):
        images.busybox(dockerd.host)
        yield dockerd
