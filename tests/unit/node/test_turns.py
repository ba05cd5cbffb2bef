"""Whose turn it is, by the word of the nodes: whole nodes, one of which is cut off or started again."""

from cluster_kit import run
from msgspec.structs import replace

from orion.model.after import Condition, Gap, JobWait
from orion.model.api.after_fields import AfterRequest
from orion.model.api.health_fields import HealthCheckRequest, HttpCheckRequest
from orion.model.api.jobs import JobRequest
from orion.node.agent.turns import AskTurn
from sim.engine import FOREVER

DB = JobRequest(
    FOREVER,
    restart_policy="always",
    health_check=HealthCheckRequest(http=HttpCheckRequest(80), interval_seconds=0.2),
)
WEB = JobRequest(FOREVER, restart_policy="always", count=2, after=[AfterRequest("db")])
UNSURE = (JobWait("db", Condition.HEALTHY, Gap.UNSURE),)


def runs(nodes, name):
    view = nodes.leader.node.driver.view
    return [each for each in view.allocations_of_job(name) if each.wanted and each.status.state == "running"]


async def put(nodes, name, request):
    await nodes.leader.ask(
        lambda s: s.jobs.put(name, request, if_version=-1, plan="", idempotency_key="", timeout_s=5.0)
    )


async def deployed(nodes):
    """Returns the machine of db, which does not lead; the tasks of web are on the others."""
    home = next(machine for machine in nodes.machines if machine is not nodes.leader)
    others = [machine.name for machine in nodes.machines if machine is not home]
    for name in others:
        await nodes.leader.ask(lambda s, name=name: s.drain(name, draining=True, timeout_s=5))
    await put(nodes, "db", DB)
    await nodes.until(lambda: len(runs(nodes, "db")) == 1)
    for name in others:
        await nodes.leader.ask(lambda s, name=name: s.drain(name, draining=False, timeout_s=5))
    await put(nodes, "web", WEB)
    await nodes.until(lambda: len(runs(nodes, "web")) == 2)
    return home


def turn_of(nodes, allocation):
    return nodes.leader.node.forward.ask(AskTurn(allocation.id))


def test_a_condition_holds_by_the_word_of_the_node():
    async def main(nodes):
        await deployed(nodes)
        one, _ = runs(nodes, "web")
        assert await turn_of(nodes, one) == ()

    run(main)


def test_a_node_that_does_not_answer_confirms_nothing():
    """State says still that db is healthy there. Of a job with another task that runs that is enough."""

    async def main(nodes):
        home = await deployed(nodes)
        await put(nodes, "app", replace(WEB, count=1))
        await nodes.until(lambda: len(runs(nodes, "app")) == 1)
        (app,), (web, other) = runs(nodes, "app"), runs(nodes, "web")
        assert home.name != other.node
        home.kill()
        assert await turn_of(nodes, app) == UNSURE
        assert await turn_of(nodes, web) == ()

    run(main)


def test_what_runs_elsewhere_as_state_has_it_has_to_run_there():
    async def main(nodes):
        home = await deployed(nodes)
        for machine in nodes.machines:
            for held in machine.engine.running():
                if held.shown.labels.job == "web":
                    machine.engine.go_down(containers_die=True)
        home.engine.go_down(containers_die=True)
        one = nodes.leader.node.driver.view.allocations_of_job("web")[0]
        waits = await turn_of(nodes, one)
        assert [wait.gap for wait in waits] == [Gap.UNSURE]

    run(main)


def test_an_allocation_that_nobody_knows_waits_for_nobody():
    async def main(nodes):
        assert await nodes.leader.node.forward.ask(AskTurn(77)) == ()

    run(main)
