"""The cluster's own settings, at the door of configs."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.api.tasks import TaskRequest
from orion.model.errors import Refused
from orion.node.rpc.reads import Read
from orion.state.tables.configs import Configs
from sim.engine import FOREVER


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def put(nodes, key, value):
    return nodes.leader.node.service.configs.put(key, value, if_version=None, idempotency_key="", timeout_s=5)


@pytest.mark.parametrize("value", [b"pack", b"spread\n"])
def test_a_setting_is_a_config_that_all_see(value):
    async def main(nodes):
        _, index = await put(nodes, "orion/placement", value)
        for machine in nodes.machines:
            driver = machine.node.driver
            await nodes.until(lambda driver=driver: driver.applied_index >= index)
            assert driver.view.of(Configs).placement == value.decode().strip()

    run(main)


@pytest.mark.parametrize(("kept", "most"), [(0, 0), (1, 2), (2, 4)])
def test_a_node_keeps_the_containers_of_as_many_replaced_runs_as_the_setting_says(kept, most):
    """It moves between two nodes, six times."""

    async def main(nodes):
        service = nodes.leader.node.service

        async def now():
            return (await of(nodes.leader, service.task("web", Read())))[0]

        await of(nodes.leader, put(nodes, "orion/kept-logs", b"%d" % kept))
        request = TaskRequest(FOREVER, name="web")
        work = service.create_task(request, idempotency_key="", timeout_s=5, wait_running_s=30)
        view = await of(nodes.leader, work)
        for _ in range(6):
            home = view.node_id
            await of(nodes.leader, service.drain(home, draining=True, timeout_s=5))
            async with asyncio.timeout(60):
                while view.node_id == home or view.state != "running":
                    await asyncio.sleep(0.05)
                    view = await now()
            await of(nodes.leader, service.drain(home, draining=False, timeout_s=5))
        await nodes.until(lambda: held(nodes) == most, 60)
        await asyncio.sleep(15)  # longer than an agent takes to look at everything again
        assert held(nodes) == most

    run(main, count=2)


def held(nodes):
    """Containers that have ended."""
    engines = {m.engine.id: m.engine for m in nodes.machines}.values()
    return sum(c.shown.state != "running" for engine in engines for c in engine.containers.values())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("orion/placement", b"upwards", "orion/placement can be spread or pack, not 'upwards'"),
        ("orion/placement", b"\xff" * 1_000, "orion/placement can be spread or pack, not '"),
        ("orion/kept-logs", b"6", "orion/kept-logs can be 0 or 1 or 2 or 3 or 4 or 5, not '6'"),
        ("orion/colour", b"red", "orion/colour is no setting of the cluster, for which keys under orion/ are kept"),
    ],
)
def test_what_is_no_setting_is_refused_under_the_clusters_keys(key, value, words):
    async def main(nodes):
        with pytest.raises(Refused) as refused:
            await put(nodes, key, value)
        assert refused.value.detail.startswith(words)
        assert len(refused.value.detail) < 300
        await put(nodes, "orionx/placement", value)

    run(main, count=1)
