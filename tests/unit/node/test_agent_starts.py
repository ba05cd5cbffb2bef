"""Starts that fail before the program has run."""

import asyncio

import pytest
from agent_kit import run
from msgspec.structs import replace

from orion.model.allocation import AllocationState
from orion.model.errors import EngineError, PortRefused
from orion.model.job import PortBinding, RestartMode, RestartPolicy
from sim.engine import MISSING, SimEngineClient

POLICIES = (
    RestartPolicy(RestartMode.NO),
    RestartPolicy(RestartMode.ON_FAILURE, 1),
    RestartPolicy(RestartMode.ALWAYS),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.mode)
def test_what_the_registry_refuses_for_now_is_pulled_once_it_does_not(policy):
    async def main(bench):
        bench.engine.registry_refuses = "unauthorized: authentication required"
        web = bench.assign(image="web2", restart=policy)
        await asyncio.sleep(300)
        assert set(bench.states(web)) == {"pulling", "starting"}
        bench.engine.registry_refuses = ""
        await bench.until(lambda: bench.running(web), 80)

    run(main)


def test_a_new_pull_is_told_beside_why_the_last_one_failed():
    async def main(bench):
        bench.engine.registry_refuses = "toomanyrequests: slow down"
        web = bench.assign(image="web2")

        def pulls():
            return [s for a, s in bench.reports if a == web and s.state is AllocationState.PULLING]

        await bench.until(lambda: any(status.failed_starts for status in pulls()))
        assert pulls()[0].reason_text("web2") == "pulling web2"
        for status in pulls():
            assert status.pull is not None
            assert ("slow down" in status.reason) is (status.failed_starts > 0)

    run(main)


def test_an_image_that_does_not_exist_ends_a_task_that_never_ran():
    async def main(bench):
        ghost = bench.assign(image=MISSING, restart=RestartPolicy(RestartMode.ALWAYS))
        await bench.until(lambda: bench.states(ghost)[-1:] == ["failed"])
        assert "repository does not exist" in bench.reports[-1][1].reason

    run(main)


def test_an_image_that_is_gone_ends_no_task_that_ran_before():
    async def main(bench):
        ran = bench.assign(1, image=MISSING, restart=RestartPolicy(RestartMode.NO))
        known = bench.assigned[ran]
        bench._put(replace(known.allocation, ran=True), known.spec)
        bench.publish()
        await asyncio.sleep(300)
        assert set(bench.states(ran)) == {"pulling", "starting"}

    run(main)


def test_a_refusal_that_is_not_repeated_confirms_nothing():
    class Moody(SimEngineClient):
        """Every third time the registry has no such image."""

        pulls = 0

        async def pull(self, image, progress, platform=""):
            self.pulls += 1
            raise EngineError("no such image" if self.pulls % 3 else "busy", permanent=self.pulls % 3 != 0)

    async def main(bench):
        web = bench.assign(image="web2")
        await asyncio.sleep(300)
        assert bench.client.pulls > 6
        assert "failed" not in bench.states(web)

    run(main, engine_client=Moody)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_refused_port_is_told_to_who_chose_it(chosen):
    class Refusing(SimEngineClient):
        async def start(self, container):
            raise PortRefused("port 20000 is taken on this machine", port=20_000)

    async def main(bench):
        web = bench.assign(ports=(20_000,))
        if chosen:
            known = bench.assigned[web]
            bench._put(known.allocation, replace(known.spec, ports=(PortBinding(80, "tcp"),)))
            bench.publish()
        await bench.until(lambda: any(s.failed_starts for _, s in bench.reports))
        status = next(s for _, s in bench.reports if s.failed_starts)
        assert status.refused_port == (20_000 if chosen else 0)
        assert ("another is chosen" in status.reason) is chosen

    run(main, engine_client=Refusing)
