"""What stands behind the machines: a supervisor that starts what ended, and an operator who reads what a node says
when it refuses to go on, and does what it says.
"""

import random
from collections.abc import Callable

from orion.model.errors import Conflict, Corrupt, Refused
from orion.ports.log import LogFailed
from orion.raft.log import LogBroken
from orion.raft.messages import ConfState
from sim.cluster import Cluster, Machine, Run
from sim.image import CHUNK
from sim.loop import ProcessState

END_WITHIN_MS = 1_000  # from a disk's error to the end of the process
LOOK_AGAIN_MS = 500


class Recovery:
    """`latest_conf` and `changing`: the configuration last in force anywhere with its index, and whether one that
    would follow it is known to any disk.
    """

    def __init__(
        self, cluster: Cluster, latest_conf: Callable[[], tuple[int, ConfState]], changing: Callable[[], bool]
    ) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.removed: dict[str, None] = {}  # nodes that an operator took out
        self.rolled_back: dict[str, None] = {}  # nodes whose file somebody replaced by an older copy
        self.latest_conf = latest_conf
        self._changing = changing
        self._lost: dict[int, None] = {}  # Raft ids whose disks are gone
        self._to_wipe: dict[str, None] = {}
        cluster.has_reason = self._has_reason
        cluster.on_log_failed = self._log_failed

    # --- disks that fail ----------------------------------------------------------------------------------

    def _log_failed(self, machine: Machine) -> None:
        self.world.count("log failed")
        if machine.run is not None:
            self.world.after(END_WITHIN_MS, self._must_be_gone, machine, machine.run)

    def _must_be_gone(self, machine: Machine, run: Run) -> None:
        if machine.run is not run:
            return
        if run.process.state is ProcessState.STALLED:
            self.world.after(END_WITHIN_MS, self._must_be_gone, machine, run)
            return
        self.world.fail("a disk error ends the process", f"{machine.name} lives on, {END_WITHIN_MS} ms after it")

    # --- nodes that end -----------------------------------------------------------------------------------

    def _has_reason(self, machine: Machine, error: BaseException) -> bool:
        match error:
            case LogFailed():
                self.world.count("ended: the disk failed")
            case Refused() if machine.disk.fsync_error:
                self.world.count("ended: the log can't be opened")
            case Corrupt() if self._names_damage(machine, error):
                self.world.count("ended: damage found and named")
                self._will_wipe(machine)
                return True
            case LogBroken() if machine.name in self.rolled_back:
                self.world.count("ended: acknowledged entries are lost")
                self._will_wipe(machine)
                return True
            case Conflict() if machine.name in self.removed:
                self.world.count("ended: removed while it was away")
                self._will_wipe(machine)
                return True
            case _:
                return False
        self.world.after(self._rng(machine).uniform(300, 2_000), machine.boot)
        return True

    def _names_damage(self, machine: Machine, error: Corrupt) -> bool:
        """The right record is named, and what to do."""
        image = machine.disk.written
        names = image.names_of_damage()
        names += [f"chunk {number} of the snapshot" for what, number in image.damage if what == CHUNK]
        told = any(name in error.detail for name in names)
        return told and ("--join" in error.detail or CHUNK in error.detail)

    def _will_wipe(self, machine: Machine) -> None:
        if machine.name not in self._to_wipe:
            self._to_wipe[machine.name] = None
            self.world.after(self._rng(machine).uniform(100, 2_500), self._wipe, machine)

    def _wipe(self, machine: Machine) -> None:
        """Move the directory away and start with --join. Not while it runs, nor while it may be needed."""
        member = machine.raft in _members(self.latest_conf()[1])
        needed = member and not machine.disk.written.damage and not self.can_lose(machine)
        if machine.run is not None or needed:
            self.world.after(LOOK_AGAIN_MS, self._wipe, machine)
            return
        del self._to_wipe[machine.name]
        self.removed.pop(machine.name, None)
        self.rolled_back.pop(machine.name, None)
        self.world.count("rejoined with an empty disk")
        self.wipe(machine)
        machine.boot()

    def wipe(self, machine: Machine) -> None:
        self._lost[machine.raft] = None
        machine.wipe()

    def lost_members(self) -> set[int]:
        """Raft ids of the disks that are gone, or will be because they are damaged."""
        to_be = {m.raft for m in self.cluster.machines.values() if m.name in self._to_wipe or m.disk.written.damage}
        return to_be | set(self._lost)

    def _rng(self, machine: Machine) -> random.Random:
        return self.world.rng("recovery", machine.name, machine.runs)

    # --- how much may be lost -----------------------------------------------------------------------------

    def can_lose(self, machine: Machine) -> bool:
        """Whether this machine's disk may go without anything acknowledged being at risk, whatever a cluster does.

        A committed entry is on a quorum of the voters in force. Of three voters or more a quorum less one still
        meets every quorum that can elect without the lost one. So one, until it is out of the configuration; and
        none while another configuration may be about to come into force.
        """
        index, conf = self.latest_conf()
        if conf.voters_outgoing or self._changing():
            return False
        if any(m.disk.written.damage for m in self.cluster.machines.values() if m is not machine):
            return False  # it may become a voter before it finds out
        members = _members(conf)
        if machine.raft not in members:
            return True
        return len(conf.voters) >= 3 and members.isdisjoint(self._lost) and self._know_it(index, conf, machine)

    def _know_it(self, index: int, conf: ConfState, lost: Machine) -> bool:
        """Whether enough others would still go by this configuration after a loss of power. Else they might need
        the votes of those of the one before.
        """
        sure = [
            m
            for m in self.cluster.machines.values()
            if m is not lost
            and m.raft in conf.voters
            and max(m.disk.durable.hard_state.commit, m.disk.durable.snapshot.index) >= index
        ]
        return len(sure) > len(conf.voters) // 2


def _members(conf: ConfState) -> set[int]:
    return {*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}
