from test_schedule import GB, Cluster

from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure, ResourceShortage
from orion.scheduler.retry_rotation import RetryRotation
from orion.state.check import rebuilt
from orion.state.tables.node_changes import RemoveNode
from orion.state.tables.node_status import SetNodeStatus


class Refused:
    """Jobs that fit nowhere, and whose turn it is."""

    def __init__(self, *names):
        self.cluster = Cluster(1)
        self.turns = RetryRotation()
        self.view = self.cluster.view
        self.installs = 0
        self.create(*names)

    def create(self, *names):
        for name in names:
            self.cluster.job(name, memory=100 * GB)
        self.cluster.run(*names)

    def batch(self, limit=2):
        return self.turns.batch(self.view, (self.installs, self.view.capacity_epoch), limit)

    def rounds(self, limit=2, rest=()):
        """All batches until nobody's turn it is, each planned but for `rest` the first time."""
        found = []
        while batch := self.batch(limit):
            found.append(batch)
            self.turns.taken(rest if len(found) == 1 else ())
        return found

    def free(self):
        self.cluster.state.capacity_epoch += 1


def test_each_has_its_turn_once_until_capacity_moves():
    refused = Refused("e", "d", "c", "b", "a")
    assert refused.rounds() == [["e", "d"], ["c", "b"], ["a"]]
    assert refused.batch() == []
    refused.free()
    assert refused.rounds(limit=5) == [["e", "d", "c", "b", "a"]]
    assert refused.batch() == []


def test_a_batch_that_was_not_taken_comes_again():
    refused = Refused("a", "b", "c")
    assert [refused.batch(), refused.batch()] == [["a", "b"], ["a", "b"]]


def test_jobs_for_which_a_plan_had_no_room_come_after_the_others():
    refused = Refused("a", "b", "c", "d", "e")
    assert refused.rounds(rest=("b", "x")) == [["a", "b"], ["c", "d"], ["e", "b"]]
    refused.free()
    assert refused.rounds(rest=("a", "b")) == [["a", "b"], ["c", "d"], ["e", "a"], ["b"]]


def test_a_round_is_finished_before_the_next():
    refused = Refused("a", "b", "c")
    assert refused.batch() == ["a", "b"]
    refused.turns.taken(())
    refused.free()
    assert refused.rounds() == [["c"], ["a", "b"], ["c"]]


def test_a_job_refused_during_a_round_waits_for_the_next():
    refused = Refused("a", "b", "c")
    assert refused.batch() == ["a", "b"]
    refused.turns.taken(())
    refused.create("d")
    assert refused.batch(limit=9) == ["c"]


def test_jobs_that_wait_no_more_are_passed_over():
    refused = Refused("a", "b", "c")
    assert refused.batch(limit=1) == ["a"]
    refused.turns.taken(("a",))
    refused.cluster.node(1, memory=1_000 * GB)
    refused.cluster.run()
    assert refused.rounds() == [["a"]]
    assert refused.batch() == []


def test_in_another_state_all_begins_anew():
    """Its serials are others, and its epoch may be the same."""
    refused = Refused("a", "b", "c", "d")
    assert refused.batch() == ["a", "b"]
    refused.turns.taken(("b",))
    refused.installs += 1
    state = rebuilt(refused.cluster.state)
    state.capacity_epoch = refused.view.capacity_epoch
    refused.view = state.view
    assert refused.rounds() == [["a", "b"], ["c", "d"]]


def test_a_node_that_was_removed_is_counted_no_more():
    refused = Refused()
    refused.cluster.node(2)
    refused.cluster.do(SetNodeStatus(1, "n2", 2, NodeStatus.DOWN))
    refused.create("a")
    refused.rounds()
    assert refused.view.refusal("a").down == 1
    refused.cluster.do(RemoveNode(1, "n2"))
    assert refused.batch() == ["a"]
    refused.cluster.run(*refused.batch())
    assert refused.view.refusal("a") == PlacementFailure(memory=ResourceShortage(1, 16_000_000_000))
