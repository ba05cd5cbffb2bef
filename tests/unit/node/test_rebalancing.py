"""`rebalance` of the service: whichever node is asked, the leader finds the moves."""

from cluster_kit import run
from test_positions import of, worker_of

from orion.model.api.tasks import TaskRequest
from orion.model.resources import MIB
from sim.engine import FOREVER


def test_a_worker_and_a_voter_may_be_asked():
    async def main(nodes):
        follower = next(machine for machine in nodes.machines if machine is not nodes.leader)
        for machine in (nodes.leader, follower, worker_of(nodes)):
            service = machine.node.service
            found = await of(machine, service.rebalance(dry_run=True, max_moves=5, timeout_s=5))
            assert (found.moves, found.made) == ([], False)

    run(main, count=8, voters=5)


def test_moves_are_made_when_they_are_not_only_asked_for():
    async def main(nodes):
        worker = worker_of(nodes)
        service = worker.node.service
        names = [machine.name for machine in nodes.machines]
        for name in names[1:]:
            await of(worker, service.drain(name, draining=True, timeout_s=5))
        for _ in range(3):
            request = TaskRequest(image=FOREVER, memory=64 * MIB)
            await of(worker, service.create_task(request, idempotency_key="", timeout_s=5, wait_running_s=20))
        for name in names[1:]:
            await of(worker, service.drain(name, draining=False, timeout_s=5))
        shown = await of(worker, service.rebalance(dry_run=True, max_moves=5, timeout_s=5))
        made = await of(worker, service.rebalance(dry_run=False, max_moves=5, timeout_s=5))
        assert len(made.moves) == 2
        assert (shown.moves, shown.made, made.made) == (made.moves, False, True)
        assert {move.source for move in made.moves} == {names[0]}

    run(main, count=8, voters=5)
