"""A stop-first update on whole simulated nodes: the image comes first, whatever dies meanwhile."""

import asyncio

from cluster_kit import run

from orion.model.api.jobs import JobRequest
from orion.model.api.update_fields import UpdateRequest
from orion.state.tables.deployment_rows import Deployments
from sim.engine import FOREVER, MISSING, SimEngineClient

POLICY = UpdateRequest(order="stop-first", monitor_seconds=0.5)


async def put(machine, image, **more):
    request = JobRequest(image, count=1, update=POLICY, stop_grace_seconds=1, **more)
    return await machine.node.service.jobs.put(
        "web", request, if_version=-1, plan="", idempotency_key="", timeout_s=10.0
    )


def running(nodes):
    return [held for machine in nodes.machines for held in machine.engine.running()]


async def ended(nodes, machine, each_look=lambda: None):
    def look():
        each_look()
        row = machine.node.driver.view.of(Deployments).latest("web")
        return row is not None and not row.running and row

    await nodes.until(look)
    return look()


async def begin(nodes):
    """Returns the container that runs, and the machine that has it, which does not lead."""
    await put(nodes[1], FOREVER)
    assert (await ended(nodes, nodes[1])).state == "done"
    (held,) = running(nodes)
    at = next(machine for machine in nodes.machines if held in machine.engine.running())
    if nodes.leader is at:
        other = next(machine for machine in nodes.machines if machine is not at)
        await at.node.service.transfer_leader(other.name, timeout_s=10.0)
        await nodes.until(lambda: nodes.leader is other)
    return held, at


def test_a_bad_image_never_touches_the_task_that_runs():
    async def main(nodes):
        held, _ = await begin(nodes)
        await put(nodes[1], MISSING, env={"A": "1"})

        def untouched():
            assert running(nodes) == [held]

        end = await ended(nodes, nodes[1], untouched)
        assert end.state == "rolled-back"
        assert "web/0 on node" in end.reason
        assert held.runs == 1

    run(main)


def test_the_image_is_there_when_the_former_task_ends_though_the_leader_dies():
    async def main(nodes):
        held, at = await begin(nodes)
        pull = SimEngineClient.pull
        asked = []

        async def slow(client, image, *args):
            asked.append(image)
            if len(asked) == 1:
                await asyncio.Event().wait()
            await pull(client, image, *args)

        image = f"{FOREVER}@sha256:{'5' * 64}"
        SimEngineClient.pull = slow
        try:
            await put(nodes[1], image)
            await nodes.until(lambda: asked)
            leader = nodes.leader
            assert leader is not at
            leader.kill()
            await nodes.until(lambda: nodes.leader not in (None, leader))
            await nodes.until(lambda: image in at.engine.images)
            assert running(nodes) == [held]
            end = await ended(nodes, nodes.leader)
        finally:
            SimEngineClient.pull = pull
        assert end.state == "done"
        assert [each.image for each in running(nodes)] == [image]

    run(main)
