"""Nodes as the API shows them."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.api.tasks import TaskRequest
from orion.model.errors import Invalid, NotFound
from orion.model.node import NodeStatus
from orion.node.rpc.reads import Read
from sim.engine import FOREVER


def test_a_node_is_draining_until_its_last_task_has_moved_and_drained_from_then_on():
    async def main(nodes):
        machine = nodes.leader

        async def shown(name):
            view, _ = await machine.ask(lambda s: s.node(name, Read()))
            return view

        task = await machine.ask(
            lambda s: s.create_task(
                TaskRequest(FOREVER, name="web"), idempotency_key="", timeout_s=5, wait_running_s=20
            )
        )
        home = task.node_id
        seen = [(await shown(home)).status]
        await machine.ask(lambda s: s.drain(home, draining=True, timeout_s=5))
        while seen[-1] != "drained":
            view = await shown(home)
            assert view.status == ("draining" if view.tasks else "drained")
            left = f"{view.tasks} task yet to leave; " if view.tasks else ""
            assert view.reason == f"{left}gets no work until 'orion ready {home}'"
            seen.append(view.status)
        assert list(dict.fromkeys(seen)) == ["alive", "draining", "drained"]
        await machine.ask(lambda s: s.drain(home, draining=False, timeout_s=5))
        assert (await shown(home)).status == "alive"

    run(main)


def test_labels_are_changed_while_a_node_runs_and_survive_its_restarts():
    async def main(nodes):
        machine = next(m for m in nodes.machines if m is not nodes.leader)
        own = dict(machine.config.labels)
        view = await machine.ask(lambda s: s.label_node(machine.name, {"zone": None, "disk": "ssd"}, timeout_s=5))
        wanted = {"disk": "ssd"} | {key: value for key, value in own.items() if key != "zone"}
        assert (view.labels, view.label_changes) == (wanted, {"disk": "ssd", "zone": None})
        with pytest.raises(Invalid):
            await machine.ask(lambda s: s.label_node(machine.name, {"id": "other"}, timeout_s=5))
        with pytest.raises(NotFound):
            await machine.ask(lambda s: s.label_node("nobody", {"a": "b"}, timeout_s=5))

        machine.kill()
        down, ready = NodeStatus.DOWN, NodeStatus.READY
        await nodes.until(lambda: nodes.leader and nodes.leader.node.driver.view.node(machine.name).status is down)
        view, _ = await nodes.leader.ask(lambda s: s.node(machine.name, Read()))
        assert view.status == "dead"
        assert view.reason.startswith("down since 20")
        machine.boot()
        await nodes.until(lambda: nodes.leader.node.driver.view.node(machine.name).status is ready)
        await asyncio.sleep(10)
        view, index = await nodes.leader.ask(lambda s: s.node(machine.name, Read()))
        assert view.labels == wanted
        await asyncio.sleep(10)
        _, later = await nodes.leader.ask(lambda s: s.node(machine.name, Read()))
        assert later == index, "it does not go on saying who it is because of labels that are not its own"

    run(main)
