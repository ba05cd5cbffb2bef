"""The agent's question for a task's configs: asked in parts, since all of them need not fit into one answer."""

import asyncio
from types import SimpleNamespace

import pytest

from orion.model.configs import MAX_TASK_BYTES, MAX_VALUE_BYTES
from orion.model.errors import TooLarge
from orion.model.levels import LEVEL
from orion.node.rpc.request import NotUnderstood, encode_reply
from orion.node.services.configs import PART_BYTES, AskConfigs, Configs
from orion.state.apply import apply
from orion.state.commands import encode_command
from orion.state.tables import State
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import PutConfig
from orion.wire.frames import MAX_FRAME_BYTES


class Cluster:
    """A state behind the service's own handler; the requests that came, and what was answered."""

    def __init__(self, **values):
        self.state = State()
        apply(self.state, 1, encode_command(InitCluster(0, 7)))
        self.state.level = LEVEL
        for index, (key, value) in enumerate(values.items(), 2):
            apply(self.state, index, encode_command(PutConfig(1, key, value, None, key, index)))
        self.asked, self.answers = [], []
        driver = SimpleNamespace(view=self.state.view, applied_index=9)
        self.service = Configs(driver=driver, forward=self, registry=self, changes=None, freshness=self)

    def answer_call(self, _, handler):
        self.handler = handler

    def answer_list(self, *_):
        pass

    async def reached(self, read):
        assert not read.stale

    async def ask(self, request: AskConfigs):
        self.asked.append(request.keys)
        answer = await self.handler(request, None)
        self.answers.append(answer)
        return answer


def read(cluster, *keys):
    return asyncio.run(cluster.service.read(keys))


def test_small_ones_come_at_once():
    cluster = Cluster(a=b"1", b=b"2")
    a, none, b = read(cluster, "a", "none", "b")
    assert (a.value, none, b.value) == (b"1", None, b"2")
    assert len(cluster.asked) == 1


def test_large_ones_come_in_parts_that_fit_into_frames():
    large = {f"k{n}": bytes([n]) * MAX_VALUE_BYTES for n in range(8)}
    cluster = Cluster(**large)
    found = read(cluster, "none", *large)
    assert [config and config.value for config in found] == [None, *large.values()]
    assert [len(keys) for keys in cluster.asked] == [9, 4]
    for configs, index in cluster.answers:
        assert PART_BYTES <= len(encode_reply((configs, index))) < MAX_FRAME_BYTES


def test_all_that_a_task_gets_has_a_bound():
    cluster = Cluster(**{f"k{n}": bytes(MAX_VALUE_BYTES) for n in range(9)})
    with pytest.raises(TooLarge, match=f"9,437,184 bytes together; a task gets at most {MAX_TASK_BYTES:,}"):
        read(cluster, *(f"k{n}" for n in range(9)))


@pytest.mark.parametrize("answer", [(), (None, None)])
def test_an_answer_of_another_length_is_not_believed(answer):
    cluster = Cluster()

    async def lie(_request, _principal):
        return answer, 9

    cluster.handler = lie
    with pytest.raises(NotUnderstood):
        read(cluster, "a")
