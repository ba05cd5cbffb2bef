"""A volume of one writer goes from node to node, whoever dies or is cut off: with every row, never two writers."""

import os
import signal
from collections.abc import Iterator

import pytest

from support.storage_lab import HOSTS, StorageLab, storage_lab

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageLab]:
    with storage_lab(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture(autouse=True)
def checked(world: StorageLab, request: pytest.FixtureRequest) -> Iterator[None]:
    """Its parameter is more of the task."""
    world.begin(**getattr(request, "param", {}))
    world.row()
    yield
    world.row()
    world.check_rows()
    world.end()


def test_its_node_s_process_is_killed(world: StorageLab) -> None:
    home = world.its_home()
    world.lab.kill_node(home)
    said = world.lab.wait(
        lambda: (reason := world.task()["reason"]) and "its tasks end there by" in reason and reason,
        "it to say what it waits for, and until when",
    )
    assert f"node{home} is down" in said
    world.elsewhere(home)
    world.lab.start_again(home)
    world.until_clean(home)


def test_its_node_and_the_leader_are_killed(world: StorageLab) -> None:
    home = world.its_home()
    leader = world.leader()
    other = leader if leader != home else next(host for host in HOSTS if host != home)
    for host in (home, other):
        world.lab.kill_node(host)
    world.lab.start_again(other)
    world.elsewhere(home)
    world.lab.start_again(home)
    world.until_clean(home)


def test_its_node_is_cut_off_and_returns(world: StorageLab) -> None:
    """The node lives, and so would its task."""
    home = world.its_home()
    world.lab.vanish(home)
    world.silent.add(home)
    world.elsewhere(home)
    world.row()
    world.lab.come_back(home)
    world.silent.clear()
    world.until_clean(home)


def test_its_node_s_process_stands_still(world: StorageLab) -> None:
    home = world.its_home()
    os.kill(world.lab.pid(home), signal.SIGSTOP)
    world.silent.add(home)
    try:
        world.elsewhere(home)
    finally:
        os.kill(world.lab.pid(home), signal.SIGCONT)
    world.silent.clear()
    world.until_clean(home)


# As nothing is to happen to it, it has time where its node is held up.
@pytest.mark.parametrize("checked", [{"stopAfterDisconnectSeconds": 60}], indirect=True)
def test_its_node_stops_on_purpose_and_returns(world: StorageLab) -> None:
    """Nothing happens to the task: the cluster waits for the node, and the keeper knows it."""
    home, before = world.its_home(), world.task()["allocations"]
    world.lab.stop_node(home)
    world.row()
    assert world.keepers_of(home)
    world.lab.start_again(home)
    world.lab.wait(lambda: world.home() == home, "the task to run on")
    assert [each["id"] for each in world.task()["allocations"]] == [each["id"] for each in before]


def test_its_node_is_drained(world: StorageLab) -> None:
    home = world.its_home()
    world.ask("POST", f"/nodes/node{home}/drain")
    world.elsewhere(home)
    world.until_clean(home)
    world.ask("POST", f"/nodes/node{home}/ready")
