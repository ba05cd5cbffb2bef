"""What an agent finds out while its engine is away: what is asked over the network."""

import pytest
from agent_kit import run

from orion.model.health import CheckKind, Health, HealthCheck

CHECK = HealthCheck(CheckKind.TCP, port=80, interval_ms=500, timeout_ms=200, retries=2)


def health(bench, task):
    return [status.health for allocation, status in bench.reports if allocation == task][-1:]


@pytest.mark.parametrize("containers_die", [False, True])
def test_what_dies_while_the_engine_is_away_is_called_ill(containers_die):
    async def main(bench):
        web, other = bench.assign(1, health=CHECK), bench.assign(2, health=CHECK)
        for each in (web, other):
            await bench.until(lambda each=each: health(bench, each) == [Health.HEALTHY])
        bench.engine.go_down(containers_die=containers_die)
        if not containers_die:
            bench.engine.ill.add(bench.held(web).shown.id)
        await bench.until(lambda: health(bench, web) == [Health.UNHEALTHY])
        assert bench.agent.engine_down
        if not containers_die:
            assert health(bench, other) == [Health.HEALTHY]
        bench.engine.ill.clear()
        bench.engine.come_up()
        for each in (web, other):
            await bench.until(lambda each=each: health(bench, each) == [Health.HEALTHY], seconds=120)

    run(main)
