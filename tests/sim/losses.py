"""Machines that die for good, in the middle of a change of the configuration: what a cluster is made to survive.

The last thing that goes wrong in a seed. A change is provoked, the leader's word of it is made to reach some and
not others, and then a minority of every configuration in force is gone and never returns.
"""

import asyncio
import random
from collections.abc import Callable

from orion.raft.confchange import ConfRefused, decode_change, members, next_conf
from orion.raft.messages import AnyMessage, ConfChange, ConfState, EntryKind, MsgApp, MsgHeartbeat
from sim.cluster import Machine
from sim.events import LOSSES
from sim.fault_kit import Kit
from sim.invariants import Invariants

PROVOKE_S = 12.0  # for a change to begin
POLL_S = 0.001
MOST_TELLINGS = 4
TELLING_MS = 250  # two heartbeats are within

Loses = Callable[[str, str, AnyMessage], bool]


class Losses:
    """`kit`: of the seed's other faults, which go on meanwhile. `late`: machines that wait for this to join."""

    def __init__(self, kit: Kit, invariants: Invariants, late: list[Machine]) -> None:
        self._kit = kit
        self._cluster = kit.cluster
        self._world = kit.world
        self._invariants = invariants
        self._late = late
        self._rng: random.Random = self._world.rng("losses")

    async def strike(self) -> None:
        self._kit.strike(LOSSES)
        self._provoke()
        if await self._voters_change():
            await self._tell_some()
        changing = _changes_voters(self._cluster.leader())
        lost = self._choose()
        for machine in lost:
            self._kit.did("machine lost for good", machine.name)
            machine.lose_for_good(power=self._rng.random() < 0.5)
        if lost and changing:
            self._kit.did("machines lost while voters change", " ".join(machine.name for machine in lost))

    # --- the change ---------------------------------------------------------------------------------------

    def _provoke(self) -> None:
        """Nodes join, or a voter is away for so long that another takes its place."""
        for machine in self._late:
            self._kit.did("node joins late", machine.name)
            machine.boot()
        voters = self._invariants.latest_conf[1].voters
        away = [m for m in self._cluster.up() if m.raft in voters and m is not self._cluster.leader()]
        if not self._late and len(voters) > 2 and away:
            machine = self._rng.choice(away)
            self._kit.did("down past the grace", machine.name)
            machine.kill()
            grace_ms = self._cluster.tuning.dead_voter_grace_ms
            self._world.after(grace_ms + self._rng.uniform(0, 3_000), machine.boot)

    async def _voters_change(self) -> bool:
        """Returns once the leader's log has other voters than it goes by, False when that takes too long."""
        for _ in range(int(PROVOKE_S / POLL_S)):
            if _changes_voters(self._cluster.leader()):
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def _tell_some(self) -> None:
        """For a moment the leader's messages reach some and not others, and what voters have of its log it hears
        late, so that entries get ahead of what is known to be committed.
        """
        part = self._by_meaning if self._rng.random() < 0.7 else self._by_kind
        for _ in range(self._rng.randint(1, MOST_TELLINGS)):
            leader = self._cluster.leader()
            if leader is None:
                return
            voters = {m.host for m in self._cluster.machines.values() if m.raft in _confs_on(leader)[0].voters}
            for host in sorted(voters - {leader.host}):
                self._cluster.network.slow_paths[host, leader.host] = self._rng.uniform(0, TELLING_MS)
            self._cluster.network.loses = part(leader, voters)
            await asyncio.sleep(self._rng.uniform(0, TELLING_MS) / 1000)

    def _by_kind(self, leader: Machine, voters: set[str]) -> Loses:
        """Entries and heartbeats reach now these and now those."""
        alike = self._rng.random() < 0.7  # all voters hear the same, and all others
        deaf = {
            host in voters if alike else host: {kind for kind in (MsgApp, MsgHeartbeat) if self._rng.random() < 0.5}
            for host in sorted(self._kit.hosts())
        }

        def loses(source: str, target: str, message: AnyMessage) -> bool:
            return source == leader.host and type(message) in deaf[target in voters if alike else target]

        return loses

    def _by_meaning(self, leader: Machine, voters: set[str]) -> Loses:
        """What follows the change reaches only those who do not vote, and that it is committed only those who do.
        So the longest logs are of members that never heard of their promotion.
        """
        change = _change_on(leader)

        def loses(source: str, target: str, message: AnyMessage) -> bool:
            if source != leader.host or not isinstance(message, MsgApp | MsgHeartbeat):
                return False
            if target not in voters:
                return message.commit >= change
            return isinstance(message, MsgApp) and message.index + len(message.entries) > change

        return loses

    # --- the dead -----------------------------------------------------------------------------------------

    def _choose(self) -> list[Machine]:
        """Machines, the leader first mostly, that are no more of any group of voters than it can do without, those
        counted whose disks are gone.
        """
        groups = self._groups()
        order = list(self._cluster.machines.values())
        self._rng.shuffle(order)
        if (leader := self._cluster.leader()) is not None and self._rng.random() < 0.8:
            order.sort(key=lambda machine: machine is not leader)
        gone = self._kit.recovery.lost_members()
        lost: list[Machine] = []
        for machine in order[: self._rng.choice((1, 1, 2, len(order)))]:
            if len(lost) + 1 < len(order) and _can_do_without(groups, gone | {machine.raft}):
                gone = gone | {machine.raft}
                lost.append(machine)
        return lost

    def _groups(self) -> set[frozenset[int]]:
        """The voters of each configuration that is in force on a member, that its log may yet bring in force, or
        that a leader may still decide on: it promotes whom it heard a moment ago, and can't know of a death before
        the next heartbeat is not answered.
        """
        held = [confs for m in self._cluster.machines.values() if (confs := _confs_on(m))]
        known = {member for confs in held for conf in confs[-1:] for member in members(conf)}
        known |= set(members(self._invariants.latest_conf[1]))
        groups = {
            frozenset(group)
            for machine in self._cluster.machines.values()
            if machine.raft in known
            for conf in _confs_on(machine)
            for group in (conf.voters, conf.voters_outgoing, (*conf.voters, *conf.learners))
        }
        return groups - {frozenset()}


def _changes_voters(leader: Machine | None) -> bool:
    """Whether the voters that this leader goes by are about to be others, or are both for now."""
    if leader is None:
        return False
    first, *rest = _confs_on(leader)
    return bool(first.voters_outgoing) or any(conf.voters != first.voters for conf in rest)


def _change_on(leader: Machine) -> int:
    """The index of the last change of the configuration in this leader's log."""
    image = leader.disk.written
    return max((e.index for e in image.entries if e.kind == EntryKind.CONF_CHANGE), default=image.snapshot.index)


def _can_do_without(groups: set[frozenset[int]], gone: set[int]) -> bool:
    return all(2 * len(group & gone) < len(group) for group in groups)


def _confs_on(machine: Machine) -> list[ConfState]:
    """The configuration that this machine goes by, or will once it runs again, and those that its log leads to."""
    image = machine.disk.written
    confs, committed = [image.snapshot.conf], image.hard_state.commit
    for entry in image.entries:
        if entry.kind != EntryKind.CONF_CHANGE or entry.index <= image.snapshot.index:
            continue
        conf = _after(confs[-1], decode_change(entry.data))
        confs = [conf] if entry.index <= committed else [*confs, conf]
    run = machine.run
    if run is None or run.node is None or not run.started:
        return confs
    return [run.node.driver.raft.conf, *confs[1:]]


def _after(conf: ConfState, change: ConfChange) -> ConfState:
    try:
        return next_conf(conf, change)
    except ConfRefused:
        return conf
