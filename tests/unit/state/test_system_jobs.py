"""System jobs: one task on each node that matches, in a slot that is the node's."""

import random

from rollout_kit import Rollout

from orion.model.errors import Conflict
from orion.model.job import JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.resources import Resources
from orion.scheduler.schedule import schedule
from orion.state.system_slots import homes_for
from orion.state.tables.system import FitSystemJob


class SystemWorld(Rollout):
    """The job `agent`, on nodes with the label disk=ssd if `constraints` say so."""

    def __init__(self, nodes=3, **task):
        super().__init__(nodes)
        self.task = task
        self.deploy("agent", count=1, kind=JobKind.SYSTEM, **task)

    def fit(self):
        """As the leader's duty does it."""
        job = self.view.job("agent")
        if homes_for(job, self.view.job_record("agent"), self.view.nodes()) != job.homes:
            self.do(FitSystemJob(100, "agent", job.created_index))
            assert homes_for(self.view.job("agent"), self.view.job_record("agent"), self.view.nodes()) == (
                self.view.job("agent").homes
            )

    def active(self, name="agent"):
        return super().active(name)

    def rest(self, looks=8):
        """Until nothing more happens."""
        for _ in range(looks):
            self.fit()
            self.tick(ms=6_000)

    @property
    def homes(self):
        return self.view.job("agent").homes

    def where(self):
        return {each.index: each.node for each in self.active() if each.wanted}


def test_it_has_a_task_on_each_node_and_counts_by_itself():
    world = SystemWorld()
    world.rest()
    assert world.where() == {0: "node1", 1: "node2", 2: "node3"}
    assert world.view.job("agent").count == 3
    assert isinstance(world.scale(5, "agent").result, Conflict)
    assert world.deployment("agent").state == "done"


def test_it_follows_a_node_that_joins():
    world = SystemWorld(2)
    world.rest()
    world.register("node3", level=LEVEL)
    world.rest()
    assert world.where() == {0: "node1", 1: "node2", 2: "node3"}


def test_a_slot_is_its_nodes_while_others_come_and_go():
    world = SystemWorld()
    world.rest()
    world.down("node1")
    world.rest()
    assert world.where() == {1: "node2", 2: "node3"}
    assert not world.view.job_record("agent").open_count  # nothing waits for a node that is dead
    world.register("node4", level=LEVEL)
    world.rest()
    assert world.where() == {1: "node2", 2: "node3", 3: "node4"}
    world.register("node1", level=LEVEL)
    world.rest()
    assert world.where() == {0: "node1", 1: "node2", 2: "node3", 3: "node4"}


def test_the_slot_of_a_node_that_is_forgotten_goes_to_a_new_one():
    world = SystemWorld()
    world.rest()
    world.down("node2")
    world.remove("node2")
    world.rest()
    assert world.homes == ("node1", "", "node3")
    world.register("node4", level=LEVEL)
    world.rest()
    assert world.where() == {0: "node1", 1: "node4", 2: "node3"}
    world.down("node3")
    world.remove("node3")
    world.rest()
    assert world.homes == ("node1", "node4")


def test_a_drain_ends_its_task_and_moves_it_nowhere():
    world = SystemWorld()
    world.rest()
    world.drain("node2")
    world.rest()
    assert world.where() == {0: "node1", 2: "node3"}
    assert not world.view.job_record("agent").open_count
    world.drain("node2", draining=False)
    world.rest()
    assert world.where() == {0: "node1", 1: "node2", 2: "node3"}


def test_a_node_that_stops_for_a_moment_keeps_its_task():
    world = SystemWorld()
    world.rest()
    world.left("node2")
    world.rest()
    assert world.where() == {0: "node1", 1: "node2", 2: "node3"}


def test_labels_choose_the_nodes():
    world = SystemWorld(constraints=(("disk", "ssd"),))
    world.rest()
    assert world.where() == {}
    world.label("node3", disk="ssd")
    world.rest()
    assert world.where() == {0: "node3"}
    world.label("node1", disk="ssd")
    world.label("node3", disk=None)
    world.rest()
    assert world.where() == {1: "node1"}


def test_a_node_without_room_has_its_task_wait_and_no_other_takes_it():
    world = SystemWorld(resources=Resources(3_000))
    world.rest()
    assert len(world.where()) == 3
    world = Rollout(2)
    world.create("big", 1, resources=Resources(3_000))
    world.place("big", (0, "node2"))
    world.deploy("agent", kind=JobKind.SYSTEM, resources=Resources(3_000))
    world.plan()
    assert [each.node for each in world.active("agent")] == ["node1"]
    assert world.view.job_record("agent").open_indexes(9) == [1]
    assert world.view.job_record("agent").refusal.cpu.nodes == 1


def test_an_update_ends_the_former_task_of_a_node_first():
    world = SystemWorld()
    world.rest()
    world.deploy("agent", kind=JobKind.SYSTEM, image="nginx:2", **world.task)
    for _ in range(60):
        world.fit()
        world.tick(ms=3_000)
        nodes = [each.node for each in world.active()]
        assert len(nodes) == len(set(nodes))
        assert len(nodes) >= 2
    assert world.versions("agent") == [1, 1, 1]
    assert world.deployment("agent").state == "done"


def test_an_update_pulls_on_the_node_of_each_slot_before():
    world = SystemWorld()
    world.rest()
    asked = []
    world.pull = lambda node, image: asked.append((node, image)) or ""
    world.deploy("agent", kind=JobKind.SYSTEM, image="nginx:2", **world.task)
    world.rest(30)
    assert sorted(asked) == [("node1", "nginx:2"), ("node2", "nginx:2"), ("node3", "nginx:2")]


def test_an_update_goes_on_without_a_node_that_is_gone():
    world = SystemWorld()
    world.rest()
    world.drain("node1")
    world.rest()
    world.deploy("agent", kind=JobKind.SYSTEM, image="nginx:2", **world.task)
    world.rest(30)
    assert world.deployment("agent").state == "done"
    assert world.versions("agent") == [1, 1]
    world.drain("node1", draining=False)
    world.rest()
    assert world.versions("agent") == [1, 1, 1]


def test_at_rest_there_is_one_on_each_node_that_matches_whatever_happened():
    rng = random.Random(11)
    for _ in range(12):
        world = SystemWorld(3, constraints=(("disk", "ssd"),))
        for step in range(25):
            node = f"node{rng.randint(1, 5)}"
            known = node in world.state.nodes
            match rng.choice(["register", "down", "drain", "undrain", "label", "unlabel", "remove", "tick"]):
                case "register":
                    world.register(node, level=LEVEL)
                case "down" if known:
                    world.down(node)
                case "drain" | "undrain" as verb if known:
                    world.drain(node, draining=verb == "drain")
                case "label" | "unlabel" as verb if known:
                    world.label(node, disk="ssd" if verb == "label" else None)
                case "remove" if known:
                    world.remove(node)
                case "tick":
                    world.fit()
                    world.tick()
            on = [each.node for each in world.active() if each.wanted]
            assert len(on) == len(set(on)), step
        world.rest()
        matching = {node.id for node in world.view.nodes() if node.schedulable and ("disk", "ssd") in node.labels}
        assert sorted(world.where().values()) == sorted(matching)
        assert all(world.homes[index] == node for index, node in world.where().items())


def test_a_task_spec_without_constraints_matches_all():
    assert TaskSpec("x").constraints == ()


def test_what_waits_for_a_node_that_went_down_is_refused_until_the_job_follows():
    world = SystemWorld()
    world.rest()
    world.down("node1")
    assert world.view.jobs_to_place() == ["agent"]
    assert world.plan()
    assert world.view.jobs_to_place() == []  # else the leader would plan again and again
    world.rest()
    assert world.where() == {1: "node2", 2: "node3"}


def test_a_job_that_is_refused_with_two_versions_is_not_planned_again_at_once():
    world = SystemWorld(2, resources=Resources(5_000))
    world.rest()
    world.deploy("agent", kind=JobKind.SYSTEM, image="nginx:2", resources=Resources(5_000))
    world.lead()
    record = world.view.job_record("agent")
    assert [record.version(index) for index in record.open_indexes(9)] == [1, 0]
    plan = schedule(world.view, ["agent"])
    assert not plan.placements
    assert plan.rest == ()


def test_what_one_plan_has_no_room_for_is_for_the_next_one():
    world = SystemWorld(3)
    world.fit()
    plan = schedule(world.view, ["agent"], max_placements=2)
    assert plan.rest == ("agent",)
    world.do(plan.command(1))
    assert schedule(world.view, ["agent"], max_placements=2).rest == ()


def test_a_deployment_ends_without_a_node_that_was_looked_at_before_it_was_gone():
    world = SystemWorld(2)
    world.plan()
    world.down("node2")
    world.lead()  # its slot is known now, and waits
    world.rest()
    assert world.homes == ("node1", "")
    assert world.deployment("agent").state == "done"
