"""state/tables/job_links.py: jobs are found by their other names, and by whom they let in."""

import pytest
from rollout_kit import Rollout

from orion.model.errors import Conflict
from orion.model.levels import LEVEL
from orion.model.network import NetworkAlias
from orion.state.check import rebuilt, state_hash
from orion.state.tables.job_faults import creation_fault
from orion.state.tables.job_links import JobLinks

API = (NetworkAlias("api"),)


@pytest.fixture
def world():
    made = Rollout(0)
    for node in ("node1", "node2"):
        made.register(node, level=LEVEL, labels=(("overlay", "vxlan"),))
    return made


def answers(allocation):
    return {"state": "running", "started_at_ms": 1, "ready_since_ms": 1} if allocation.wanted else None


def called(world, alias):
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)
    return world.state.of(JobLinks).called(alias)


def test_several_jobs_are_found_by_one_alias_until_they_are_others_or_gone(world):
    world.deploy(aliases=API)
    world.run(answers)
    world.deploy(name="blue", aliases=(NetworkAlias("api", "default"), NetworkAlias("blue-api")))
    assert called(world, "api") == ["blue", "web"]
    assert called(world, "blue-api") == ["blue"]
    world.deploy(aliases=(NetworkAlias("other"),))
    assert (called(world, "api"), called(world, "other")) == (["blue"], ["web"])
    world.stop("web")
    assert called(world, "other") == ["web"], "it is to be started again"
    running = world.active()
    world.rm("web")
    world.rm("blue")
    for each in running:
        world.report(each, "stopped")
    assert called(world, "other") == called(world, "api") == []
    assert len(world.state.of(JobLinks)) == 0


def test_an_alias_that_is_another_jobs_name_is_refused(world):
    world.deploy()
    refused = world.deploy(name="blue", aliases=(NetworkAlias("web"),)).result
    assert isinstance(refused, Conflict)
    assert "web is a job's name, so blue can't have it as an alias" in refused.detail
    assert not isinstance(world.deploy(aliases=(NetworkAlias("web"),)).result, Conflict), "its own"
    world.deploy(name="blue", aliases=(NetworkAlias("green"),))
    assert not isinstance(world.deploy(name="green").result, Conflict), "the job has its name before the alias"


def test_whom_versions_that_are_kept_let_in_is_known(world):
    world.deploy(allow_from=("db", "app"))
    world.run(answers)
    world.deploy(allow_from=("cron",))
    (row,) = world.state.of(JobLinks).guarded()
    assert (row.job, row.allowed) == ("web", ("app", "cron", "db"))
    world.rm("web")
    for each in world.active():
        world.report(each, "stopped")
    assert list(world.state.of(JobLinks).guarded()) == []


@pytest.mark.parametrize(
    ("aliases", "networks"),
    [
        ((NetworkAlias("Api"),), ()),
        ((NetworkAlias("api", "front"),), ()),
        ((NetworkAlias("api", "default"),), ("front",)),
        ((NetworkAlias("api"), NetworkAlias("api")), ()),
        (tuple(NetworkAlias(f"n{number}") for number in range(17)), ()),
    ],
)
def test_no_honest_node_brings_such_aliases(world, aliases, networks):
    world.deploy()
    job = world.state.jobs["web"].job
    right = job.task.__class__("nginx", networks=networks)
    wrong = job.task.__class__("nginx", networks=networks, aliases=aliases)
    make = job.__class__
    assert creation_fault(make("web", job.kind, 1, right), "key") == ""
    assert creation_fault(make("web", job.kind, 1, wrong), "key")
