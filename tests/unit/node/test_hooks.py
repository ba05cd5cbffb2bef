"""Hooks of the agent: called at their moment in a container's life, and what becomes of one that fails."""

import asyncio
from collections import Counter

import msgspec
import pytest
from agent_kit import run

from orion.model.container import File
from orion.model.errors import EngineError, Unavailable
from orion.model.job import RestartMode, RestartPolicy
from orion.node.agent.hooks.hook import NotYet, PoststartHook, PrestartHook, StopHook, UpdateHook


class Noted:
    """A hook of all kinds. `fails` is what each call by that name raises, until it is taken out."""

    def __init__(self, name="noted", calls=None):
        self.name = name
        self.calls = [] if calls is None else calls
        self.fails = {}
        self.under_way = Counter()

    async def _called(self, moment, allocation):
        self.calls.append((self.name, moment, allocation))
        self.under_way[allocation] += 1
        assert self.under_way[allocation] == 1, "one at a time for an allocation"
        await asyncio.sleep(0.001)
        self.under_way[allocation] -= 1
        if moment in self.fails:
            raise self.fails[moment]

    async def prestart(self, start, prepared):
        await self._called("prestart", start.allocation.id)
        env = (*prepared.spec.env, (self.name, str(len(prepared.spec.env))))
        files = (*prepared.files, File(f"/{self.name}", b"here", 0o600))
        return msgspec.structs.replace(prepared, spec=msgspec.structs.replace(prepared.spec, env=env), files=files)

    async def poststart(self, start):
        await self._called("poststart", start.allocation.id)

    async def update(self, allocation, spec):
        await self._called("update", allocation.id)

    async def stop(self, allocation):
        await self._called("stop", allocation)

    def moments(self, allocation):
        return [moment for _, moment, of in self.calls if of == allocation]


class OnlyStop:
    name = "only-stop"

    async def stop(self, allocation):
        pass


def reasons(bench, identity):
    return [status.reason for allocation, status in bench.reports if allocation == identity]


def test_a_hook_is_of_the_kinds_that_it_has_methods_for():
    kinds = PrestartHook, PoststartHook, UpdateHook, StopHook
    assert [isinstance(OnlyStop(), kind) for kind in kinds] == [False, False, False, True]
    assert all(isinstance(Noted(), kind) for kind in kinds)


def test_hooks_are_called_in_order_and_the_other_way_round_at_the_end():
    calls = []

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        held = bench.held(web)
        assert list(bench.engine.files[held.shown.id]) == ["/one", "/two"]
        bench.unwant(web)
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"])

    run(main, hooks=(Noted("one", calls), OnlyStop(), Noted("two", calls)))
    order = [(name, moment) for name, moment, _ in calls]
    assert order == [
        ("one", "prestart"),
        ("two", "prestart"),
        ("one", "poststart"),
        ("two", "poststart"),
        ("one", "update"),
        ("two", "update"),
        ("two", "stop"),
        ("one", "stop"),
    ]


def test_prestart_comes_before_each_start_of_a_container_too():
    hook = Noted()

    async def main(bench):
        web = bench.assign(restart=RestartPolicy(RestartMode.ALWAYS))
        await bench.until(lambda: bench.running(web))
        held = bench.held(web)
        bench.engine.end(held, 1, "")
        await bench.until(lambda: held.runs == 2 and hook.moments(web).count("poststart") == 2)
        assert hook.moments(web) == ["prestart", "poststart"] * 2, "and a restart is no end"

    run(main, hooks=(hook,))


def test_a_start_that_has_to_wait_is_tried_again_and_no_failure():
    hook = Noted()
    hook.fails["prestart"] = NotYet("volume data is on another node: the task starts once it is free")

    async def main(bench):
        web = bench.assign(restart=RestartPolicy(RestartMode.NO))
        await bench.until(lambda: hook.moments(web).count("prestart") == 6, seconds=120)
        assert set(bench.states(web)) == {"starting"}
        assert str(hook.fails["prestart"]) in reasons(bench, web)
        assert bench.held(web) is None
        assert all(status.failed_starts == 0 for _, status in bench.reports)
        hook.fails.clear()
        await bench.until(lambda: bench.running(web))

    run(main, hooks=(hook,))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (EngineError("no such volume"), "no such volume; trying again"),
        (KeyError("data"), "a bug in Orion (KeyError"),
    ],
)
def test_what_fails_in_prestart_fails_the_start_as_if_the_engine_had_refused_it(error, says):
    hook = Noted()
    hook.fails["prestart"] = error

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: any(says in reason for reason in reasons(bench, web)))
        other = bench.assign(2)
        await bench.until(lambda: hook.moments(other))
        hook.fails.clear()
        await bench.until(lambda: bench.running(web) and bench.running(other))

    run(main, hooks=(hook,))


def test_a_cluster_that_does_not_answer_a_hook_is_asked_again():
    hook = Noted()
    hook.fails["prestart"] = Unavailable("no leader")

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: hook.moments(web).count("prestart") == 3)
        assert bench.held(web) is None
        assert not any("no leader" in reason for reason in reasons(bench, web))
        hook.fails.clear()
        await bench.until(lambda: bench.running(web))

    run(main, hooks=(hook,))


@pytest.mark.parametrize("error", [EngineError("no such check"), KeyError("check"), Unavailable("no leader")])
def test_what_fails_after_a_start_is_told_and_the_container_runs_on(error, caplog):
    hook = Noted()
    hook.fails["poststart"] = error

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        assert bench.held(web).runs == 1

    run(main, hooks=(hook,))
    assert "hook noted failed after the start of job1/0 (00000001)" in caplog.text


def test_an_update_is_told_once_and_neither_statuses_nor_the_first_sight_are_any(caplog):
    hook = Noted()
    hook.fails["update"] = KeyError("check")

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        assert "update" not in hook.moments(web)
        known = bench.assigned[web]
        bench._put(known.allocation, msgspec.structs.replace(known.spec, env=(("NEW", "1"),)))
        bench.publish()
        await bench.until(lambda: "update" in hook.moments(web))
        await asyncio.sleep(1)
        assert hook.moments(web).count("update") == 1
        assert bench.running(web)

    run(main, hooks=(hook,))
    assert "hook noted failed at an update of job1/0 (00000001)" in caplog.text


@pytest.mark.parametrize("ends", ["by itself", "stopped", "before it was made"])
def test_an_end_is_not_told_before_its_hooks_have_released_what_it_held(ends, caplog):
    hook = Noted()
    hook.fails["stop"] = EngineError("the volume is busy")
    if ends == "before it was made":
        hook.fails["prestart"] = NotYet("for ever")

    async def main(bench):
        web = bench.assign(restart=RestartPolicy(RestartMode.NO))
        await bench.until(lambda: "prestart" in hook.moments(web))
        if ends == "by itself":
            await bench.until(lambda: bench.running(web))
            bench.engine.end(bench.held(web), 0, "")
        else:
            bench.unwant(web)
        await bench.until(lambda: hook.moments(web).count("stop") == 2, 20)
        assert not {"completed", "stopped"} & set(bench.states(web))
        del hook.fails["stop"]
        await bench.until(lambda: {"completed", "stopped"} & set(bench.states(web)))

    run(main, hooks=(hook,))
    assert "hook noted can't release what 00000001 held, trying again: the volume is busy" in caplog.text


def test_hooks_release_what_a_container_held_that_nothing_explains_any_more():
    hook = Noted()

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.drop(web)
        await bench.until(lambda: bench.held(web) is None and "stop" in hook.moments(web))

    run(main, hooks=(hook,))


def test_what_was_told_of_an_allocation_is_forgotten_with_it():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        wishes = bench.agent._reconciler._hooks
        assert set(wishes._wishes) == {web}
        bench.drop(web)
        await bench.until(lambda: not wishes._wishes)

    run(main, hooks=(Noted(),))
