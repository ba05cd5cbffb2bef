"""Tasks that come after other jobs, as their agent starts them."""

import asyncio

from agent_kit import run

from orion.model.after import After, Condition, Gap, JobWait
from orion.model.allocation import AllocationState
from orion.model.errors import Unavailable
from orion.model.health import CheckKind, HealthCheck
from orion.node.agent.turns import Runs
from sim.engine import FOREVER

AFTER = (After("db", Condition.HEALTHY),)
WAITS = (JobWait("db", Condition.HEALTHY, Gap.NOT_YET),)


def reasons(bench, id_):
    return [s.reason for a, s in bench.reports if a == id_ and s.state is AllocationState.STARTING]


def test_a_task_starts_in_its_turn_and_says_once_what_it_waits_for():
    async def main(bench):
        bench.waits = WAITS
        web = bench.assign(after=AFTER)
        await asyncio.sleep(20)
        assert bench.held(web) is None
        (told,) = reasons(bench, web)
        assert told.startswith("waits for db to be healthy, since ")
        assert len(bench.turns) > 10
        bench.waits = ()
        await bench.until(lambda: bench.running(web), 3)

    run(main)


def test_another_reason_is_told_with_the_time_since_which_it_waits():
    async def main(bench):
        bench.waits = WAITS
        web = bench.assign(after=AFTER)
        await bench.until(lambda: reasons(bench, web))
        await asyncio.sleep(100)
        bench.waits = (JobWait("db", Condition.HEALTHY, Gap.UNSURE),)
        await bench.until(lambda: len(reasons(bench, web)) == 2)
        first, second = reasons(bench, web)
        assert "do not confirm it" in second
        assert first.partition(", since")[2] == second.partition(", since")[2]

    run(main)


def test_without_an_answer_nothing_starts():
    async def main(bench):
        bench.refuse = Unavailable("no quorum answers")
        web = bench.assign(after=AFTER)
        await asyncio.sleep(20)
        assert bench.held(web) is None
        bench.refuse = None
        await bench.until(lambda: bench.running(web), 3)

    run(main)


def test_a_program_that_crashes_is_started_again_whatever_has_become_of_what_it_came_after():
    async def main(bench):
        web = bench.assign(after=AFTER)
        await bench.until(lambda: bench.running(web))
        bench.waits, asked = WAITS, len(bench.turns)
        bench.engine.end(bench.held(web), 1, "")
        await bench.until(lambda: "restarting" in (reasons(bench, web) or [""])[-1])
        await bench.until(lambda: bench.running(web))
        assert len(bench.turns) == asked

    run(main)


def test_a_task_that_comes_after_none_asks_nobody():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.running(web))
        assert not bench.turns

    run(main)


def test_what_runs_and_is_ready_is_told_as_the_node_sees_it():
    async def main(bench):
        check = HealthCheck(CheckKind.TCP, 80, interval_ms=200)
        db, plain = bench.assign(1, health=check), bench.assign(2)
        assert bench.agent.runs((db, plain)) == Runs()
        await bench.until(lambda: bench.agent.runs((db, plain, 77)) == Runs((db, plain), (db, plain)))
        bench.engine.ill.add(bench.held(db).shown.id)
        await bench.until(lambda: bench.agent.runs((db, plain)).ready == (plain,))
        bench.engine.end(bench.held(plain), 1, "")
        await bench.until(lambda: plain not in bench.agent.runs((plain,)).running, 1)

    run(main)


def test_nothing_is_told_of_an_engine_that_does_not_answer():
    async def main(bench):
        web = bench.assign(image=FOREVER)
        await bench.until(lambda: bench.agent.runs((web,)).ready)
        bench.engine.go_down(containers_die=True)
        await bench.until(lambda: bench.agent.runs((web,)) == Runs(), 2)

    run(main)
