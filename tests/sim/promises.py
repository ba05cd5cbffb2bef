"""What a member promises in a message must be on its disk before the message leaves, and must stay true: votes and
acknowledgements, across restarts too.
"""

# ruff: noqa: B023 -- the words of a check are made at once, or never

from collections.abc import Callable
from typing import Any

from orion.raft.interface import Role
from orion.raft.member import Member
from orion.raft.messages import (
    NOBODY,
    AnyMessage,
    ConfState,
    MsgAppResp,
    MsgPreVote,
    MsgPreVoteResp,
    MsgVote,
    MsgVoteResp,
)
from sim.cluster import Cluster, Machine, Run
from sim.loop import ProcessState
from sim.peers import SimPeers

Demand = Callable[[bool, str, Callable[[], str]], None]  # the words are for what does not hold
IsQuorum = Callable[[ConfState, set[int]], bool]


class Promises:
    def __init__(self, cluster: Cluster, demand: Demand) -> None:
        self.cluster = cluster
        self._demand = demand
        self._terms: dict[str, int] = {}  # the highest term that a machine ever spoke in, durably
        self._votes: dict[tuple[int, int], int] = {}  # member and term -> whom it voted for
        self._granted: dict[tuple[int, int], set[int]] = {}  # candidate and term -> who voted for it
        # Member, candidate, term -> the term and leader under whose lease it was asked, each time; None: not only.
        self._asked_in_vain: dict[tuple[int, int, int], tuple[int, int] | None] = {}
        cluster.network.on_send = self._on_send
        cluster.network.on_arrival = self._on_arrival

    def forget(self, machine: Machine) -> None:
        """It is a new member from now on: what the former one promised binds it no more."""
        self._terms.pop(machine.name, None)

    # --- messages -----------------------------------------------------------------------------------------

    def _on_send(self, source: SimPeers, message: AnyMessage) -> None:
        check = _SENT.get(type(message))
        if check is not None:
            check(self, source.name, message)

    def _on_append_resp(self, name: str, message: MsgAppResp) -> None:
        if not message.reject:
            self._check_append(name, message)

    def _on_vote_resp(self, name: str, message: MsgVoteResp) -> None:
        if not message.reject:
            self._check_vote(name, message.sender, message.to, message.term)

    def _on_vote(self, name: str, message: MsgVote) -> None:
        self._check_vote(name, message.sender, message.sender, message.term)

    def _on_pre_vote_resp(self, name: str, message: MsgPreVoteResp) -> None:
        if not message.reject:
            self._check_pre_vote(name, message)

    def _check_vote(self, name: str, member: int, candidate: int, term: int) -> None:
        durable = self.cluster.machines[name].disk.durable.hard_state
        self._demand(
            durable.term > term or (durable.term == term and durable.vote == candidate),
            "no vote before its fsync",
            lambda: f"{name} votes in term {term} with {durable} on disk",
        )
        given = self._votes.setdefault((member, term), candidate)
        self._demand(
            given == candidate, "one vote a term", lambda: f"{name} votes for {candidate} in {term} after {given}"
        )
        self._granted.setdefault((candidate, term), set()).add(member)
        self._speaks(name, term)

    def _check_append(self, name: str, message: MsgAppResp) -> None:
        durable = self.cluster.machines[name].disk.durable
        self._demand(
            durable.holds(message.index) and durable.hard_state.term >= message.term,
            "no append acknowledged before its fsync",
            lambda: (
                f"{name} acknowledges {message.index} in term {message.term} with log"
                f" {durable.first}..{durable.last}, snapshot {durable.snapshot.index}, {durable.hard_state} on disk"
            ),
        )
        self._speaks(name, message.term)
        leader = self.cluster.machine_of_raft(message.to)
        if leader is None or leader.node is None:
            return
        core = leader.node.driver.raft._me
        if core.role is Role.LEADER and core.term == message.term:
            here, there = durable.term_at(message.index), core.log.term(message.index)
            self._demand(
                here == there or None in (here, there),
                "an acknowledgement means the same entry",
                lambda: (
                    f"{name} acknowledges {message.index}/{here}, which at the leader {leader.name}"
                    f" is of term {there}"
                ),
            )

    def _speaks(self, name: str, term: int) -> None:
        self._terms[name] = max(self._terms.get(name, 0), term)

    # --- the lease (thesis 4.2.3 and 9.6) -----------------------------------------------------------------

    def _on_arrival(self, target: SimPeers, message: AnyMessage) -> None:
        if not isinstance(message, MsgPreVote):
            return
        machine = self.cluster.machines[target.name]
        key = (message.to, message.sender, message.term)
        core = machine.node.driver.raft._me if machine.node is not None else None
        led = core is not None and core.role is not Role.LEADER and self._is_led(machine, core, message.term)
        by = (core.term, core.leader) if core is not None and led else None
        self._asked_in_vain[key] = by if self._asked_in_vain.get(key, by) == by else None

    def _is_led(self, machine: Machine, core: Member, term: int) -> bool:
        """Beyond doubt, that is with nothing unread that might change it."""
        assert machine.node is not None
        silent_ms = machine.clock.now_ms() - core.contact_ms
        unread = machine.node.driver._inbox
        return core.leader != NOBODY and silent_ms < core.config.election_ms and term > core.term and not unread

    def _check_pre_vote(self, name: str, message: MsgPreVoteResp) -> None:
        machine = self.cluster.machines[name]
        key = (message.sender, message.to, message.term)
        if machine.node is None:
            return
        # Between the question and this answer, which has waited for the disk, it may have been told that its leader
        # is dead: it has none then, or another by now.
        core = machine.node.driver.raft
        led_by = self._asked_in_vain.get(key)
        self._demand(
            led_by is None or core.leader == NOBODY or led_by != (core.term, core.leader),
            "no pre-vote while a leader is heard",
            lambda: f"{name} grants {message}, though it was asked only while it had a leader",
        )

    # --- elections and restarts ---------------------------------------------------------------------------

    def check_elected(self, machine: Machine, core: Member, is_quorum: IsQuorum) -> None:
        voters = self._granted.get((core.id, core.term), set()) | {core.id}
        self._demand(
            is_quorum(core.conf, voters),
            "elected by a quorum",
            lambda: f"{machine.name} leads in term {core.term} by the votes of {sorted(voters)}, of {core.conf}",
        )

    def check_start(self, machine: Machine, run: Run) -> None:
        assert run.node is not None
        status, core = run.node.driver.raft.status(), run.node.driver.raft._me
        spoken = self._terms.get(machine.name, 0)
        self._demand(
            status.term >= spoken,
            "term never goes back across a crash",
            lambda: f"{machine.name} starts at term {status.term} after it spoke in {spoken}",
        )
        durable = machine.disk.durable
        hard = durable.hard_state
        voted = self._votes.get((core.id, core.term), core.vote)
        self._demand(
            voted == core.vote and (core.term > hard.term or (core.term, core.vote) == (hard.term, hard.vote)),
            "a vote is remembered across a crash",
            lambda: (
                f"{machine.name} starts in term {core.term} with a vote for {core.vote}; it had voted for {voted},"
                f" and its disk holds {hard}"
            ),
        )
        self._demand(
            status.commit >= durable.hard_state.commit
            and status.snapshot_index >= durable.snapshot.index
            and status.last_index >= durable.last,
            "nothing durable is forgotten across a crash",
            lambda: (
                f"{machine.name} starts with {status}; its disk holds {durable.hard_state}, log to {durable.last},"
                f" snapshot at {durable.snapshot.index}"
            ),
        )
        # The identity is read first; a slow disk may take seconds until all the rest is.
        damage = [name for name in machine.disk.written.names_of_damage() if name not in run.damaged_since]
        self._demand(not damage, "damage is found at the start", lambda: f"{machine.name} started with {damage}")


_SENT: dict[type, Callable[[Promises, str, Any], None]] = {
    MsgAppResp: Promises._on_append_resp,
    MsgVoteResp: Promises._on_vote_resp,
    MsgVote: Promises._on_vote,
    MsgPreVoteResp: Promises._on_pre_vote_resp,
}


class CheckQuorum:
    """A leader that no quorum answers steps down (thesis 6.2), within two election timeouts and two looks."""

    LOOK_MS = 500

    def __init__(self, cluster: Cluster, demand: Demand, is_quorum: IsQuorum) -> None:
        self.cluster = cluster
        self._demand = demand
        self._is_quorum = is_quorum
        self._cut_off: dict[str, tuple[Run, int]] = {}  # machine -> which leader was seen cut off at the last look
        self._look_ms = max(self.LOOK_MS, cluster.tuning.election_ms)
        cluster.world.after(self._look_ms, self._look)

    def _look(self) -> None:
        self.cluster.world.after(self._look_ms, self._look)
        for machine in self.cluster.machines.values():
            seen = self._leads_alone(machine)
            self._demand(
                seen is None or seen != self._cut_off.get(machine.name),
                "a leader that is cut off steps down",
                lambda: f"{machine.name} leads on, though no quorum has answered it for long",
            )
            if seen is None:
                self._cut_off.pop(machine.name, None)
            else:
                self._cut_off[machine.name] = seen

    def _leads_alone(self, machine: Machine) -> tuple[Run, int] | None:
        run = machine.run
        if run is None or run.node is None or not run.started or run.process.state is not ProcessState.RUNNING:
            return None
        driver = run.node.driver
        core = driver.raft._me
        if core.role is not Role.LEADER or len(driver._writer._waiting) > 1:
            return None  # behind a slow disk it does nothing at all
        now_ms = machine.clock.now_ms()
        longest_ms = 2 * core.config.election_ms + 2 * core.config.heartbeat_ms
        heard = {m for m, progress in core.progress.items() if now_ms - progress.heard_ms <= longest_ms} | {core.id}
        return None if self._is_quorum(core.conf, heard) else (run, core.term)
