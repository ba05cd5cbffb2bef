"""A row of any table, asked for on any node."""

import asyncio

from cluster_kit import run

from orion.model.configs import Config
from orion.node.rpc.reads import Read
from orion.state.tables.configs import Configs


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def test_a_row_is_the_same_on_every_node_a_worker_too_and_none_where_there_is_none():
    async def main(nodes):
        leader = nodes.leader
        put = leader.node.service.configs.put("app/a", b"one", if_version=None, idempotency_key="", timeout_s=5)
        view, index = await of(leader, put)
        for machine in nodes.machines:
            row, at = await of(machine, machine.node.service.row(Configs, "app/a", Read()))
            assert isinstance(row, Config)
            assert (row.value, row.stat.version) == (b"one", view.version)
            assert at >= index
            assert (await of(machine, machine.node.service.row(Configs, "app/b", Read())))[0] is None

    run(main, count=8, voters=5)
