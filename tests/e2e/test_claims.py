"""Claims go on where they were: a leader that dies in each of their phases, plugins that are away, an engine and a
machine that start anew.
"""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from support.csi import unmount_all
from support.storage_lab import DIR, HOSTS, StorageLab, storage_lab

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageLab]:
    with storage_lab(tmp_path_factory.mktemp("shared")) as made:
        yield made


def stopped(world: StorageLab) -> None:
    for host in HOSTS:
        world.plugins[host].signal(signal.SIGSTOP)


def going_on(world: StorageLab) -> None:
    for host in HOSTS:
        world.plugins[host].signal(signal.SIGCONT)


def in_phase(world: StorageLab, phase: str) -> Callable[[], bool]:
    return lambda: phase in world.claims().values()


def leader_dies(world: StorageLab) -> int:
    leader = world.leader()
    world.lab.kill_node(leader)
    return leader


def test_the_leader_dies_in_each_phase_of_the_way_in_and_out(world: StorageLab) -> None:
    world.ask("POST", "/volumes", {"name": "data", "driver": DIR})
    world.lab.wait(lambda: world.ask("GET", "/volumes/data")["state"] == "ready", "the volume")
    stopped(world)
    try:
        world.ask("POST", "/tasks", world.task_of())
        world.lab.wait(in_phase(world, "publishing"), "the controller to be asked")
        dead = leader_dies(world)
    finally:
        going_on(world)
    world.lab.start_again(dead)
    world.lab.wait(world.home, "the task to run")
    world.row()
    stopped(world)
    try:
        world.ask("POST", "/jobs/db/stop")
        world.lab.wait(in_phase(world, "releasing"), "the node to let go of it")
        dead = leader_dies(world)
    finally:
        going_on(world)
    world.lab.start_again(dead)
    world.lab.wait(lambda: world.claims() == {}, "the claim to be over")
    assert world.everything_mounted() == []
    world.ask("POST", "/jobs/db/start")
    world.lab.wait(world.home, "the task to run again")
    world.row()
    world.check_rows()
    world.end()


def test_plugins_are_away_while_a_node_dies(world: StorageLab) -> None:
    world.begin()
    world.row()
    home = world.its_home()
    for host in HOSTS:
        world.plugins[host].end(signal.SIGKILL)
    world.lab.kill_node(home)
    world.lab.wait(
        lambda: "plugin" in world.task()["reason"] or "controller" in str(world.ask("GET", "/volumes/data")),
        "it to say what is missing",
    )
    for host in HOSTS:
        world.plugins[host].start()
    world.elsewhere(home)
    world.row()
    world.lab.start_again(home)
    world.until_clean(home)
    world.check_rows()
    world.end()


def test_a_plugin_is_replaced_below_a_task_that_runs(world: StorageLab) -> None:
    world.begin(stopAfterDisconnectSeconds=60)  # as nothing is to happen to it, though its node is held up
    world.row()
    home, before = world.its_home(), world.task()["allocations"]
    world.plugins[home].end(signal.SIGTERM)
    world.row()
    world.plugins[home].start()
    world.row()
    assert len(world.task()["allocations"]) == len(before)
    world.check_rows()
    world.end()


def test_an_engine_and_a_machine_start_anew(world: StorageLab) -> None:
    world.begin()
    world.row()
    home = world.its_home()
    world.lab.daemons[home - 1].kill_daemon()
    world.lab.daemons[home - 1].start()
    world.lab.wait(world.home, "the task to run after its engine was away")
    world.row()
    home = world.its_home()
    world.lab.kill_node(home)
    for pid in world.keepers_of(home):
        os.kill(pid, signal.SIGKILL)
    world.plugins[home].end(signal.SIGKILL)
    world.lab.daemons[home - 1].remove_containers()
    unmount_all(world.folder / "nodes" / str(home))
    world.plugins[home].start()
    world.lab.start_again(home)
    world.lab.wait(world.home, "the task to run after its machine was away")
    world.row()
    world.check_rows()
    world.end()


def test_many_write_to_one_volume(world: StorageLab) -> None:
    asked = {"name": "data", "driver": DIR, "access": "multi-node-multi-writer"}
    world.ask("POST", "/volumes", asked)
    world.lab.wait(lambda: world.ask("GET", "/volumes/data")["state"] == "ready", "the volume")
    task = world.task_of(portBindings={"9000": ""})
    world.ask("PUT", "/jobs/web", {**{key: task[key] for key in task if key != "name"}, "count": 3})
    world.lab.wait(lambda: list(world.claims().values()) == ["published"] * 3, "three claims")
    world.lab.wait(lambda: states(world) == ["running"] * 3, "all to run")
    assert len({each["allocations"][-1]["nodeId"] for each in world.ask("GET", "/tasks")}) == 3
    world.ask("DELETE", "/jobs/web")
    world.lab.wait(lambda: world.claims() == {}, "all claims to be over")
    assert world.everything_mounted() == []
    world.ask("DELETE", "/volumes/data")


def states(world: StorageLab) -> list[str]:
    return [each["state"] for each in world.ask("GET", "/tasks")]
