"""Unhealthy tasks that are to be replaced go to another node, and stay off those on which they were unhealthy."""

from msgspec.structs import replace
from rollout_kit import Rollout

from orion.model.health import CheckKind, Health, HealthCheck, UnhealthyAction
from orion.model.update import UpdateOrder, UpdatePolicy

STOP_FIRST = UpdatePolicy(order=UpdateOrder.STOP_FIRST)
CHECK = HealthCheck(CheckKind.TCP, 80, action=UnhealthyAction.REPLACE)
WHY = "health check failed: status 503"


class Ill(Rollout):
    def __init__(self, nodes=3, check=CHECK, count=1, **more):
        super().__init__(nodes)
        self.deploy(count=count, health=check, **more)
        self.rest()

    def works(self, each):
        scheduled = each.wanted and each.status.state == "scheduled"
        return {"state": "running", "started_at_ms": 1} if scheduled else None

    def rest(self):
        """All that is placed becomes healthy, and the deployment ends."""
        for _ in range(20):
            self.tick(self.works)
            for each in self.active():
                if each.wanted and each.status.health is Health.NONE and each.status.state == "running":
                    healthy = {"health": Health.HEALTHY, "ready_since_ms": 1}
                    self.report(each, "running", started_at_ms=1, **healthy)

    def fall_ill(self, index=0):
        (each,) = [each for each in self.active() if each.wanted and each.index == index]
        self.report(each, "running", started_at_ms=1, health=Health.UNHEALTHY, reason=WHY)
        return each.node

    def where(self, index=0):
        return [each.node for each in self.active() if each.wanted and each.index == index]

    def end(self):
        """What is told to end does, as its node says it."""
        for each in self.active():
            if not each.wanted:
                self.report(each, "stopped", reason=each.status.reason, health=each.status.health)


def test_another_node_takes_over():
    world = Ill()
    assert world.deployment().state == "done"
    ill = world.fall_ill()
    assert world.plan()
    (node,) = world.where()
    assert node != ill
    assert world.view.stuck() == []
    assert not world.plan()


def test_each_node_has_it_once_and_then_it_stays():
    world = Ill(3)
    ill = [world.fall_ill()]
    for _ in range(2):
        world.plan()
        world.end()
        (each,) = [each for each in world.active() if each.wanted]
        world.report(each, "running", started_at_ms=1)
        ill.append(world.fall_ill())
    assert sorted(ill) == ["node1", "node2", "node3"]
    assert not world.plan()
    assert world.where() == [ill[-1]]


def test_once_it_is_healthy_elsewhere_the_past_is_forgiven():
    world = Ill(2)
    first = world.fall_ill()
    world.plan()
    world.end()
    world.rest()
    assert world.fall_ill() != first
    world.plan()
    assert world.where() == [first]


def test_one_that_waits_for_the_end_of_the_former_is_not_placed_there_again():
    world = Ill(2, update=STOP_FIRST)
    ill = world.fall_ill()
    world.plan()
    assert world.where() == []
    world.end()
    world.plan()
    (node,) = world.where()
    assert node != ill


def test_it_is_not_replaced_while_its_job_is_changed():
    world = Ill()
    world.deploy(image="nginx:2", count=1, health=CHECK)
    world.fall_ill()
    before = world.where()
    world.plan()
    assert set(before) <= set(world.where())


def test_with_another_action_it_stays():
    for action in (UnhealthyAction.RESTART, UnhealthyAction.NONE):
        world = Ill(check=replace(CHECK, action=action))
        world.fall_ill()
        assert world.view.stuck() == []
        assert not world.plan()
