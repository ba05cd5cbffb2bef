"""The store: rows by noun, one whole state after the other."""

from orion.client.watch import Current, Rows
from orion.model.api.watch import Noun
from orion.tui.store import Store
from unit.tui.rows import node, task


def test_rows_count_once_their_state_is_whole():
    store = Store()
    assert store.take(Rows(Noun.TASKS, [], begins=True), 1.0) == set()
    assert store.take(Rows(Noun.TASKS, [task("web/0")]), 1.0) == set()
    assert store.tables[Noun.TASKS] == {}
    assert store.heard_s is None
    assert store.take(Current(9, "node1"), 2.0) == {Noun.TASKS}
    assert list(store.tables[Noun.TASKS]) == ["web/0"]
    assert (store.index, store.leader, store.heard_s) == (9, "node1", 2.0)


def test_a_change_leaves_other_rows_as_they_are():
    store = Store()
    first, second = task("web/0"), task("web/1")
    store.take(Rows(Noun.TASKS, [first, second], begins=True), 0.0)
    store.take(Current(1, ""), 0.0)
    store.take(Rows(Noun.TASKS, [task("web/1", state="failed")], ["web/0"]), 0.0)
    assert store.take(Current(2, ""), 0.0) == {Noun.TASKS}
    assert {key: row.state for key, row in store.tables[Noun.TASKS].items()} == {"web/1": "failed"}


def test_versions_grow_with_their_own_table_alone():
    store = Store()
    store.take(Rows(Noun.NODES, [node()], begins=True), 0.0)
    store.take(Current(1, ""), 0.0)
    store.take(Current(2, ""), 0.0)
    assert store.versions[Noun.NODES] == 1
    assert store.versions[Noun.TASKS] == 0


def test_another_stream_begins_anew_and_what_it_does_not_name_is_gone():
    store = Store()
    store.take(Rows(Noun.NODES, [node("node1"), node("node2")], begins=True), 0.0)
    store.take(Current(1, ""), 0.0)
    store.take(Rows(Noun.NODES, [node("node3")], begins=True), 0.0)
    store.forget_begun()
    store.take(Rows(Noun.NODES, [node("node2")], begins=True), 0.0)
    store.take(Current(2, ""), 0.0)
    assert list(store.tables[Noun.NODES]) == ["node2"]
