"""reconcile/claims.py with state/tables/claims.py: volumes of one writer among nodes that die, are cut off and
return, with a controller that fails, or whose answers are lost, and leaders that come and go.
"""

import random

import pytest
from msgspec.structs import replace
from state_kit import World

from orion.model.claims import SLACK_MS, Claim, ClaimPhase
from orion.model.csi import AccessMode
from orion.model.errors import OrionError
from orion.model.storage import SystemPart
from orion.model.volumes import Volume, VolumeKind
from orion.reconcile.claims import ActKind, Need, Outlook, decide
from orion.state.check import rebuilt, state_hash
from orion.state.tables.claims import BeginClaim, Claims, MoveClaim, NoteClaim
from orion.state.tables.volume_changes import RemoveVolume
from orion.state.tables.volumes import Volumes

STOP_MS = 10_000
NODES = ("node1", "node2", "node3")
PUBLISHING, PUBLISHED, RELEASING, UNPUBLISHING = ClaimPhase


def claim(node="node1", phase=PUBLISHED, stop_after_ms=STOP_MS, **more):
    return Claim("data", node, 1, phase, as_of=5, stop_after_ms=stop_after_ms, **more)


NEED = Need(1, AccessMode.SINGLE_NODE_WRITER, stop_after_ms=STOP_MS)


def acts(*claims, needs=(), down=None, removed=(), rests=0, now_ms=0, need=NEED):
    def outlook(node):
        return Outlook((down or {}).get(node), node in removed)

    found = decide(
        claims,
        {("data", node): need for node in needs},
        outlook=outlook,
        rests_until_ms=lambda key: rests if key[1] == "node1" else 0,
        now_ms=now_ms,
    )
    return [(act.kind, act.node, act.to) if act.at_ms < 0 else (act.kind, act.node, act.at_ms) for act in found]


@pytest.mark.parametrize(
    ("needed", "phase", "kind", "to"),
    [
        (True, PUBLISHING, ActKind.PUBLISH, None),
        (True, RELEASING, ActKind.MOVE, PUBLISHED),
        (True, UNPUBLISHING, ActKind.UNPUBLISH, None),
        (False, PUBLISHING, ActKind.MOVE, UNPUBLISHING),
        (False, PUBLISHED, ActKind.MOVE, RELEASING),
        (False, RELEASING, ActKind.CLEAR, None),
        (False, UNPUBLISHING, ActKind.UNPUBLISH, None),
    ],
)
def test_the_next_step_of_a_claim(needed, phase, kind, to):
    assert acts(claim(phase=phase), needs=["node1"] if needed else []) == [(kind, "node1", to)]


def test_what_is_as_needed_is_left_alone():
    assert acts(claim(), needs=["node1"]) == []
    assert acts() == []


def test_another_node_waits_for_the_one_that_has_it():
    assert acts(needs=["node2"]) == [(ActKind.BEGIN, "node2", None)]
    assert acts(claim(phase=RELEASING), needs=["node2"]) == [
        (ActKind.CLEAR, "node1", None),
        (ActKind.WAIT, "node2", None),
    ]


def test_many_nodes_may_have_what_many_may_write():
    shared = Need(1, AccessMode.MULTI_NODE_MULTI_WRITER)
    assert acts(claim(), needs=["node1", "node2"], need=shared) == [(ActKind.BEGIN, "node2", None)]


def test_of_one_writer_among_many_readers_there_is_one():
    reads = Need(1, AccessMode.MULTI_NODE_SINGLE_WRITER, read_only=True)
    writes = Need(1, AccessMode.MULTI_NODE_SINGLE_WRITER)
    assert acts(claim(), needs=["node2"], need=reads)[-1] == (ActKind.MOVE, "node1", RELEASING)
    assert acts(claim(read_only=True), needs=["node1", "node2"], need=reads) == [(ActKind.BEGIN, "node2", None)]
    assert acts(claim(phase=RELEASING), needs=["node2"], need=writes)[-1] == (ActKind.WAIT, "node2", None)


def test_a_dead_node_keeps_its_volume_until_it_has_ended_its_tasks_by_its_own_clock():
    dead = {"node1": 1_000}
    due_ms = 1_000 + STOP_MS + SLACK_MS
    waits = [(ActKind.WAIT, "node1", due_ms), (ActKind.WAIT, "node2", None)]
    assert acts(claim(phase=RELEASING), needs=["node2"], down=dead, now_ms=due_ms - 1) == waits
    moved = acts(claim(phase=RELEASING), needs=["node2"], down=dead, now_ms=due_ms)
    assert moved[0] == (ActKind.MOVE, "node1", UNPUBLISHING)


def test_a_node_whose_tasks_go_on_alone_has_to_say_itself_that_they_ended():
    goes_on = claim(phase=RELEASING, stop_after_ms=0)
    assert acts(goes_on, down={"node1": 0}, now_ms=10**9) == [(ActKind.WAIT, "node1", None)]
    removed = acts(goes_on, down={"node1": 0}, removed=["node1"], now_ms=10**9)
    assert removed == [(ActKind.MOVE, "node1", UNPUBLISHING)], "somebody said that it never returns"


def test_a_claim_whose_call_failed_rests_and_keeps_nobody_from_his_turn():
    shared = Need(1, AccessMode.MULTI_NODE_MULTI_WRITER)
    found = acts(claim(phase=PUBLISHING), needs=["node1", "node2"], need=shared, rests=700, now_ms=600)
    assert found == [(ActKind.WAIT, "node1", 700), (ActKind.BEGIN, "node2", None)]


def test_a_volume_that_is_on_a_node_is_not_gone_before_that_has_let_go_of_it():
    storage = Storage(1)
    storage.do(BeginClaim(1, "data", 1, "node1", False, STOP_MS, "n1"))
    assert storage.world.do(RemoveVolume(1, "data", 1, "", 0)).result == "data"
    assert storage.world.state.of(Volumes).get("data").system.removing


def test_a_node_that_is_removed_while_it_is_waited_for_has_its_grace_and_then_the_time_of_its_tasks():
    storage = Storage(1)
    storage.do(BeginClaim(1, "data", 1, "node1", False, STOP_MS, "n1"))
    storage.world.left("node1", 60_000)
    storage.world.remove("node1")
    (left,) = storage.claims
    released = replace(left, phase=RELEASING)
    due_ms = 60_000 + STOP_MS + SLACK_MS
    (waits,) = acts(released, down={"node1": 0}, removed=["node1"], now_ms=due_ms - 1)
    assert waits == (ActKind.WAIT, "node1", due_ms)


def test_a_node_that_is_removed_once_it_is_dead_has_the_time_of_its_tasks_alone():
    storage = Storage(1)
    storage.do(BeginClaim(1, "data", 1, "node1", False, STOP_MS, "n1"))
    storage.world.left("node1", 60_000)
    storage.world.down("node1")
    storage.world.remove("node1")
    assert [each.stop_after_ms for each in storage.claims] == [STOP_MS]


def test_two_claims_that_exclude_each_other_do_not_begin():
    storage = Storage(1)
    assert storage.do(BeginClaim(1, "data", 1, "node1", False, STOP_MS, "n1")) is None
    assert storage.do(BeginClaim(1, "data", 1, "node1", False, STOP_MS, "n1")) is None
    refused = storage.do(BeginClaim(1, "data", 1, "node2", True, STOP_MS, "n1"))
    assert "volume data is node1's still (publishing)" in refused.detail
    assert "no volume data" in storage.do(BeginClaim(1, "data", 2, "node2", True, STOP_MS, "n1")).detail
    skips = storage.do(MoveClaim(1, "data", "node1", storage.mine("node1").as_of, None))
    assert "is publishing" in skips.detail


# --- all of it together ------------------------------------------------------------------------------------


class Node:
    """It hears of the cluster while it is connected. `writes`: its task runs. `mounted`: something is left here."""

    def __init__(self):
        self.up = self.connected = True
        self.heard_ms = 0
        self.mounted = False
        self.writes = False

    @property
    def reachable(self):
        return self.up and self.connected


class Storage:
    """Nodes and a controller around a state; `leader` remembers nothing that is not in it but its clock."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.world = World(0)
        for name in NODES:
            self.world.register(name)
        self.world.state.level = 2
        self.world.state.of(Volumes).put(
            Volume("data", VolumeKind.CSI, created_index=1, data="d1", driver="x", system=SystemPart())
        )
        self.nodes = {name: Node() for name in NODES}
        self.published = set()
        self.home = self.rng.choice(NODES)  # where the scheduler wants the task
        self.now_ms = 0
        self.down = {}
        self.rests = {}
        self.late = []
        self.faults = True
        self.handed_over = 0

    @property
    def claims(self):
        return list(self.world.state.of(Claims).rows.values())

    def mine(self, name):
        return self.world.state.of(Claims).get(("data", name))

    def do(self, command):
        self.late.append(command)
        return self.world.do(command).result

    # --- what happens --------------------------------------------------------------------------------------

    def tick(self):
        self.now_ms += self.rng.choice((100, 500, 2_000))
        for name, node in self.nodes.items():
            self.look(name, node)
        self.lead()
        self.check()

    def look(self, name, node):
        """A node as it hears the cluster; while it can't, by its own clock."""
        if not node.up:
            return
        if not node.connected:
            if self.now_ms >= node.heard_ms + STOP_MS:
                node.writes = False
            return
        node.heard_ms = self.now_ms
        mine = self.mine(name)
        if mine is not None and mine.phase is PUBLISHED and self.home == name:
            node.mounted = node.writes = True
        elif node.writes:
            node.writes = False
        elif self.rng.random() < 0.5:
            node.mounted = False

    def lead(self):
        for name, node in self.nodes.items():
            if node.reachable:
                self.down.pop(name, None)
            elif name not in self.down and (not self.faults or self.rng.random() < 0.7):
                self.down[name] = self.now_ms
                if self.home == name:
                    self.home = self.rng.choice([each for each in NODES if each != name])
        needs = {("data", self.home): NEED} if self.home not in self.down else {}
        for act in list(
            decide(
                self.claims,
                needs,
                outlook=lambda node: Outlook(self.down.get(node)),
                rests_until_ms=lambda key: self.rests.get(key, 0),
                now_ms=self.now_ms,
            )
        ):
            self.carry_out(act)

    def carry_out(self, act):
        mine = self.mine(act.node)
        match act.kind:
            case ActKind.BEGIN:
                assert self.do(BeginClaim(1, "data", 1, act.node, False, STOP_MS, "n1")) is None
            case ActKind.MOVE:
                self.handed_over += act.to is UNPUBLISHING and act.node in self.down
                assert self.do(MoveClaim(1, "data", act.node, mine.as_of, act.to)) is None
            case ActKind.CLEAR:
                if self.nodes[act.node].reachable and not self.nodes[act.node].mounted:
                    self.do(MoveClaim(1, "data", act.node, mine.as_of, UNPUBLISHING))
            case ActKind.PUBLISH if self.call(act, lambda: self.published.add(act.node)):
                self.do(MoveClaim(1, "data", act.node, mine.as_of, PUBLISHED, (("disk", "a"),)))
            case ActKind.UNPUBLISH if self.call(act, lambda: self.published.discard(act.node)):
                self.do(MoveClaim(1, "data", act.node, mine.as_of, None))

    def call(self, act, work):
        """Returns whether the controller's answer came."""
        luck = self.rng.random() if self.faults else 0.0
        if luck < 0.85:
            work()
        if luck < 0.6:
            return True
        mine = self.mine(act.node)
        self.do(NoteClaim(1, "data", act.node, mine.as_of, "it does not answer"))
        self.rests["data", act.node] = self.now_ms + 1_000
        return False

    def fault(self):
        node = self.nodes[self.rng.choice(NODES)]
        match self.rng.randrange(7):
            case 0:
                node.up = node.mounted = node.writes = False
            case 1:
                node.connected = False
            case 2 | 3:
                if not node.up:
                    node.up = True
                    node.heard_ms = -STOP_MS  # it has heard nothing in this run
                node.connected = True
            case 4:
                self.home = self.rng.choice(NODES)
            case 5:  # another leader: it has its own clock for who is down
                self.down = dict.fromkeys(self.down, self.now_ms)
                self.rests.clear()
            case 6:
                command = self.rng.choice(self.late) if self.late else None
                if command is not None and not isinstance(command, BeginClaim):
                    before = {each.key: (each.as_of, each.phase) for each in self.claims}
                    result = self.world.do(command).result
                    after = {each.key: (each.as_of, each.phase) for each in self.claims}
                    assert isinstance(result, OrionError) or before == after, "a late copy changes nothing"

    def check(self):
        writers = [name for name, node in self.nodes.items() if node.writes]
        assert len(writers) <= 1, f"{writers} write"
        assert len(self.published) <= 1, f"published to {self.published}"
        assert len(self.claims) <= 1
        for name in writers:
            other = self.published - {name}
            assert not other, f"{name} writes to what is {other}'s"


def live(seed):
    storage = Storage(seed)
    for _ in range(250):
        if storage.rng.random() < 0.3:
            storage.fault()
        storage.tick()
    storage.faults = False
    for node in storage.nodes.values():
        node.up = node.connected = True
    for _ in range(60):
        storage.tick()
    [left] = storage.claims
    assert (left.node, left.phase) == (storage.home, PUBLISHED)
    assert storage.published == {storage.home}
    assert [name for name, node in storage.nodes.items() if node.mounted] == [storage.home]
    assert state_hash(rebuilt(storage.world.state)) == state_hash(storage.world.state)
    return storage.handed_over


def test_a_volume_has_one_writer_whatever_fails_and_comes_to_who_needs_it():
    assert sum(map(live, range(40))) > 13, "dead nodes' claims were handed over"


def test_a_leader_that_does_not_wait_is_found_out(monkeypatch):
    """The check bites."""
    monkeypatch.setattr("orion.reconcile.claims.SLACK_MS", -STOP_MS)
    with pytest.raises(AssertionError, match="write"):
        sum(map(live, range(200)))
