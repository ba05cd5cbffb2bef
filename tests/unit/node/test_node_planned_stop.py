"""The last line of a planned stop."""

from datetime import datetime

import pytest
from cluster_kit import run
from msgspec.structs import replace

from orion.model.errors import Conflict, NotFound
from orion.node.lifecycle.last_words import LastWords

UNTIL = datetime(2026, 1, 2, 14, 3, 12).astimezone()
STOP = LastWords(
    node="node1",
    tasks=("web/0",),
    others=True,
    shares_engine=False,
    untold="",
    until_ms=int(UNTIL.timestamp() * 1000),
    grace_ms=60_000,
)
ADVICE = "'orion drain node1 --stop' moves tasks before it stops a node"


def test_one_task():
    assert STOP.text == (
        "stopped. web/0 runs on in its container, and nobody looks after it. Unless node1 is back by 14:03:12"
        f" (in 60 s), it is started on another node too and runs twice until it is back; {ADVICE}"
    )


def test_several_tasks_are_named():
    few = replace(STOP, tasks=("a/0", "b/0", "c/0")).text
    assert few.startswith(
        "stopped. a/0, b/0 and c/0 run on in their containers, and nobody looks after them. Unless"
    )
    assert "they are started on another node too and run twice until it is back" in few
    assert (
        "a0/0, a1/0, a2/0, a3/0, a4/0 and 3 more run on" in replace(STOP, tasks=[f"a{i}/0" for i in range(8)]).text
    )


def test_where_another_node_ends_the_containers_nothing_runs_twice():
    words = replace(STOP, shares_engine=True).text
    assert "Unless node1 is back by 14:03:12 (in 60 s), it is moved to another node; " in words
    assert "twice" not in words


def test_where_nobody_could_be_told():
    words = replace(STOP, untold="no majority").text
    assert (
        "The cluster could not be told (no majority): unless node1 is back within a second, it is started" in words
    )


def test_alone():
    assert replace(STOP, others=False).text == (
        "stopped. web/0 runs on in its container, and nobody looks after it until node1 is back"
    )


def test_nothing_runs():
    assert replace(STOP, tasks=()).text == "stopped; node1 runs no task"


def test_a_node_stops_when_it_is_asked_through_another():
    async def main(nodes):
        asked = []
        for machine in nodes.machines:
            machine.node.service._nodes._on_stop_asked = lambda name=machine.name: asked.append(name)
        first, second = nodes[1], nodes[2]

        async def stop(machine, node):
            return await machine.run.process.spawn(machine.node.service.stop_node(node, timeout_s=5))

        for machine in (first, second):
            assert (await stop(machine, second.name)).name == second.name
        assert asked == [second.name] * 2
        with pytest.raises(NotFound):
            await stop(first, "nobody")
        assert asked == [second.name] * 2

    run(main)


@pytest.mark.parametrize("word", ["left", "dead"])
def test_what_does_not_run_is_not_stopped(word, monkeypatch):
    async def main(nodes):
        service = nodes[1].node.service
        view, index = await nodes[1].run.process.spawn(service.node(nodes[2].name, _stale()))

        async def gone(*_):
            return replace(view, status=word), index

        monkeypatch.setattr(service._nodes, "get", gone)
        with pytest.raises(Conflict, match=f"does not run: it is {word}"):
            await nodes[1].run.process.spawn(service.stop_node(nodes[2].name, timeout_s=5))

    run(main)


def _stale():
    from orion.node.rpc.reads import Read

    return Read(stale=True)
