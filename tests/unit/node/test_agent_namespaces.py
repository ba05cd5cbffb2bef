"""A container that has the network of another job's: it waits for that one, and follows it."""

from agent_kit import CLUSTER, ME, run

from orion.model.container import SharedNamespaces
from orion.model.job import RestartMode, RestartPolicy
from orion.model.placement_rules import Alongside, PlacementRules
from orion.node.agent.hooks.namespaces import Namespaces
from sim.engine import SimEngineClient

ALWAYS = RestartPolicy(RestartMode.ALWAYS)
BESIDE = PlacementRules(alongside=Alongside("job1", network=True))


class Noting(SimEngineClient):
    """Notes what containers share, by allocation."""

    def __init__(self, *args):
        super().__init__(*args)
        self.shares = {}

    async def create(self, allocation, spec, labels, *, name, share=SharedNamespaces(), **more):  # noqa: B008
        self.shares.setdefault(allocation.id, []).append(share)
        return await super().create(allocation, spec, labels, name=name, share=share, **more)


class Late:
    """The hook, of the bench's engine, which is there once the bench is."""

    name = "namespaces"
    bench = None

    def __init__(self):
        self._made = None

    def __getattr__(self, name):
        if self._made is None:
            self._made = Namespaces(ME, self.bench.client, lambda: CLUSTER)
        return getattr(self._made, name)

    def forget(self):
        """As a program that was started again."""
        self._made = None

    async def prestart(self, start, prepared):
        return await self.__getattr__("prestart")(start, prepared)

    async def poststart(self, start):
        await self.__getattr__("poststart")(start)

    async def stop(self, allocation):
        await self.__getattr__("stop")(allocation)


def follow(main):
    hook = Late()

    async def with_hook(bench):
        hook.bench, bench.forget = bench, hook.forget
        await main(bench)

    run(with_hook, hooks=(hook,), engine_client=Noting)


def test_it_waits_for_the_other_and_shares_its_network():
    async def main(bench):
        beside = bench.assign(2, rules=BESIDE)
        words = "waits until job1 runs on this node: it has the network of its container"
        await bench.until(lambda: words in [status.reason for a, status in bench.reports if a == beside])
        other = bench.assign(1)
        await bench.until(lambda: bench.states(beside)[-1:] == ["running"])
        assert bench.client.shares[beside] == [SharedNamespaces(network=bench.held(other).shown.id)]
        assert bench.client.shares[other] == [SharedNamespaces()]

    follow(main)


def test_it_is_started_again_when_the_other_was():
    async def main(bench):
        other = bench.assign(1, restart=ALWAYS)
        await bench.until(lambda: bench.states(other)[-1:] == ["running"])
        beside = bench.assign(2, rules=BESIDE, restart=ALWAYS)
        await bench.until(lambda: bench.states(beside)[-1:] == ["running"])
        began = bench.held(beside).shown.started_at_ms
        bench.engine.end(bench.held(other), 1, "")
        await bench.until(lambda: bench.running(beside) and bench.held(beside).shown.started_at_ms > began)
        assert bench.held(beside).shown.started_at_ms >= bench.held(other).shown.started_at_ms
        assert len(bench.client.shares[beside]) == 1, "in the same container"

    follow(main)


def test_it_is_made_anew_when_the_other_was():
    async def main(bench):
        other = bench.assign(1, restart=ALWAYS)
        await bench.until(lambda: bench.states(other)[-1:] == ["running"])
        beside = bench.assign(2, rules=BESIDE, restart=ALWAYS)
        await bench.until(lambda: bench.states(beside)[-1:] == ["running"])
        former = bench.held(other).shown.id
        bench.engine.remove(former)
        await bench.until(lambda: len(bench.client.shares[beside]) == 2 and bench.running(beside))
        first, second = (share.network for share in bench.client.shares[beside])
        assert (first, second) == (former, bench.held(other).shown.id)

    follow(main)


def test_it_follows_the_other_also_after_this_program_was_started_again():
    async def main(bench):
        other = bench.assign(1, restart=ALWAYS)
        await bench.until(lambda: bench.states(other)[-1:] == ["running"])
        beside = bench.assign(2, rules=BESIDE, restart=ALWAYS)
        await bench.until(lambda: bench.states(beside)[-1:] == ["running"])
        bench.forget()
        began = bench.held(beside).shown.started_at_ms
        bench.engine.end(bench.held(other), 1, "")
        await bench.until(lambda: bench.running(beside) and bench.held(beside).shown.started_at_ms > began)
        assert bench.held(beside).shown.started_at_ms >= bench.held(other).shown.started_at_ms

    follow(main)
