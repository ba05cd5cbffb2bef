"""Nodes as the API shows them."""

from cluster_kit import run

from orion.model.views import TaskRequest
from orion.node.service import Read
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
            seen.append(view.status)
        assert list(dict.fromkeys(seen)) == ["alive", "draining", "drained"]
        await machine.ask(lambda s: s.drain(home, draining=False, timeout_s=5))
        assert (await shown(home)).status == "alive"

    run(main)
