"""A page of tasks, and that it is as state was when it was asked for."""

import random

import msgspec
from state_kit import ANY, World

from orion.node.rpc.reads import ALL, Page
from orion.node.views import render


def shown(world, page=ALL):
    views, following = render.tasks(world.view, page)
    return [msgspec.to_builtins(view) for view in views], following


def some_jobs():
    world = World(nodes=2)
    for name, count in (("web", 3), ("a", 1), ("db", 1), ("many", 12), ("z", 1)):
        world.create(name, count=count, ports=(ANY,))
    world.place("many", (3, "node1"), (11, "node2"), ports=[(20_000,), (20_001,)])
    world.place("db", (0, "node1"), ports=[(20_002,)])
    world.update("running", "db")
    world.refuse("a")
    return world


def test_pages_of_any_size_make_the_list():
    world = some_jobs()
    whole, following = shown(world)
    assert following == ""
    assert [view["id"] for view in whole][:4] == ["a/0", "db/0", "many/0", "many/1"]
    assert len(whole) == 18
    assert whole == [msgspec.to_builtins(render.task(world.view, view["id"])) for view in whole]
    for limit in range(1, 20):
        found, after = [], ""
        while True:
            views, after = shown(world, Page(after, limit))
            assert len(views) <= limit
            found += views
            if not after:
                break
            assert len(views) == limit
            assert after == views[-1]["id"]
        assert found == whole


def test_a_page_begins_past_what_is_gone_too():
    world = some_jobs()

    def past(task):
        return [view["id"] for view in shown(world, Page(task))[0]]

    assert past("many/10") == ["many/11", "web/0", "web/1", "web/2", "z/0"]
    assert past("many/99") == ["web/0", "web/1", "web/2", "z/0"]
    assert past("c/7")[0] == "db/0"
    assert past("web") == ["web/1", "web/2", "z/0"]
    assert shown(world, Page("zz/0")) == ([], "")
    assert shown(world, Page("z/0", 1)) == ([], "")


def test_a_list_that_is_being_made_does_not_see_what_happens_meanwhile():
    world = some_jobs()
    whole, _ = shown(world)
    views, _ = render.tasks(world.view, ALL)
    found = [msgspec.to_builtins(next(views))]
    world.update("failed", "db", reason="exit code 1")
    world.stop("web")
    world.refuse("many")
    world.place("a", (0, "node2"), ports=[(20_005,)])
    found += [msgspec.to_builtins(view) for view in views]
    assert found == whole


def test_names_of_jobs_stay_sorted_as_they_come_and_go():
    world, rng = World(nodes=1), random.Random(7)
    for _ in range(300):
        name = f"job{rng.randrange(40)}"
        if world.view.job(name) is None:
            world.create(name)
        else:
            world.stop(name)
        if rng.random() < 0.3:
            assert world.view.job_names() == sorted(world.state.jobs)
    assert world.view.task_count() == world.view.job_count() == len(world.view.job_names())
