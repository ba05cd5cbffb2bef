"""What must hold at every moment, checked after every event and at every write and message.

The checker keeps a ledger of its own: every entry that was ever written anywhere, the one committed sequence, and a
reference state that applied it. All nodes are held against these, so a check costs what has changed, not what is
there. References are to the Raft paper (figure 3) and to the invariants of ARCHITECTURE.md.
"""

# ruff: noqa: B023 -- the words of a check are made at once, or never

import hashlib
import zlib
from collections.abc import Callable
from functools import partial
from itertools import combinations
from operator import le

import msgspec

from orion.model.allocation import Allocation
from orion.model.container import Labels
from orion.model.errors import OrionError
from orion.raft.interface import Role
from orion.raft.member import Member
from orion.raft.messages import ConfState, Entry, EntryKind
from orion.state.core.command import Command
from orion.state.snapshot import Captured
from sim.builds import PRESENT, Build
from sim.cluster import Cluster, Machine, Run
from sim.deployments import Watched, check_configs, check_surplus
from sim.disk import Disk
from sim.engine import Held
from sim.explained import Explained
from sim.fingerprint import Fingerprint, Print
from sim.followed import MOST, QUEUES, Followed, Look, queues
from sim.guarded import GuardedStarts
from sim.image import SaveSnapshot, Transaction, Write
from sim.kinds import Kinds
from sim.loop import Process
from sim.orchestration import EveryState
from sim.ordered import Ordered
from sim.promises import CheckQuorum, Promises

FULL_CHECK_EVERY = 25  # entries between full checks of the reference state's indexes
CORE_CHECK_EVERY = 10  # looks that found something changed, between the core's own checks of itself
HASH_EVERY = 3  # a node's state is hashed at every third look that finds it moved


class Known(msgspec.Struct, frozen=True):
    """One entry that was written somewhere, and the term of the one before it."""

    entry: Entry
    previous_term: int


class Invariants:
    """`build` applies the log for the reference: the newest that a node may run."""

    def __init__(self, cluster: Cluster, build: Build = PRESENT) -> None:
        self.build = build
        self.cluster = cluster
        self.world = cluster.world
        self.checks = 0
        self.state = build.State()  # the reference: all that is committed, applied in order
        self.committed: list[int] = [0, 1]  # term of each committed index; a cluster begins at (1, 1)
        self._every_state = EveryState(self.world, self.state, cluster)
        self._print = Fingerprint(build, self.state)
        self._prints: dict[int, Print] = {}  # index -> the fingerprint of the state there
        self._captured: dict[int, Captured] = {}  # index -> the same, as a snapshot needs it
        self._hashes: dict[int, bytes] = {}  # index -> the digest of its snapshot, where somebody has asked
        self._prints_of: dict[str, Fingerprint] = {}  # of the nodes
        self._entries: dict[tuple[int, int], Known] = {}
        self._leaders: dict[int, str] = {}
        self._followed: dict[Process | None, Followed] = {}
        self.confs: dict[int, ConfState] = {}  # index -> the configuration in force from there
        self._last_conf_written = 0
        self._answers: dict[str, object] = {}  # idempotency key -> the first answer, a job's name
        self._wiped: set[int] = set()
        self._moves = 0
        self.promises = Promises(cluster, self._demand)
        self.explained = Explained(cluster, self._demand, build)
        self.kinds = Kinds(self._demand)
        self.ordered = Ordered(self._demand, self.world)
        self.guarded = GuardedStarts(self.world, self._demand, self.state)
        cluster.on_outage = self.ordered.on_outage
        self.check_quorum = CheckQuorum(cluster, self._demand, is_quorum)
        self.on_leader: Callable[[Machine], None] = lambda _: None
        self.on_commit: Callable[[Machine, object], None] = lambda *_: None
        cluster.on_start = self._on_start
        cluster.on_wipe = self._on_wipe
        cluster.world.loop.on_event = self._on_event

    @property
    def latest_conf(self) -> tuple[int, ConfState]:
        """The configuration last in force anywhere, and the index from which it is."""
        return max(self.confs.items(), default=(0, ConfState()))

    @property
    def conf_is_changing(self) -> bool:
        """Whether some disk has a change that may come into force after that."""
        return self._last_conf_written > max(self.confs, default=0)

    def watch(self, machine: Machine) -> None:
        machine.disk.on_write = self._on_write
        self.explained.watch(machine)
        machine.engine.on_start = partial(self._on_engine_start, machine)
        explain = machine.engine.on_create

        def on_create(process: Process, allocation: Allocation, labels: Labels) -> None:
            explain(process, allocation, labels)
            self.ordered.on_create(process, allocation)

        machine.engine.on_create = on_create

    def _on_engine_start(self, machine: Machine, process: Process, held: Held) -> None:
        self.ordered.on_engine_start(process, held)
        self.guarded.on_engine_start(machine, process, held)

    def _on_wipe(self, machine: Machine) -> None:
        self.promises.forget(machine)
        self._wiped.add(machine.raft)
        self.watch(machine)

    def _demand(self, holds: bool, rule: str, detail: Callable[[], str]) -> None:
        self.checks += 1
        if not holds:
            self.world.fail(rule, detail())

    # --- the disk -----------------------------------------------------------------------------------------

    def _on_write(self, disk: Disk, transaction: Transaction) -> None:
        if isinstance(transaction, Write):
            self._on_entries(disk, transaction.entries)
        elif isinstance(transaction, SaveSnapshot):
            self._on_snapshot(disk, transaction)
        hard, before = disk.written.hard_state, disk.durable.hard_state
        self._demand(
            (hard.term, hard.commit) >= (before.term, 0)
            and hard.commit >= before.commit
            and (hard.term > before.term or before.vote in (0, hard.vote)),
            "term, vote and commit never go back",
            lambda: f"{disk.name} wrote {hard} over {before}",
        )

    def _on_entries(self, disk: Disk, entries: tuple[Entry, ...]) -> None:
        image = disk.written
        for entry in entries:
            previous = image.term_at(entry.index - 1)
            key = (entry.index, entry.term)
            known = self._entries.get(key)
            if known is None:
                self._entries[key] = Known(entry, -1 if previous is None else previous)
                if entry.kind == EntryKind.CONF_CHANGE:
                    self._last_conf_written = max(self._last_conf_written, entry.index)
                continue
            # Section 5.3: an index and a term name one entry and, by induction, all before it.
            self._demand(
                known.entry == entry and (previous is None or known.previous_term in (-1, previous)),
                "log matching",
                lambda: (
                    f"{disk.name} wrote {_short(entry)} after term {previous}, but {_short(known.entry)} after term"
                    f" {known.previous_term} was written elsewhere"
                ),
            )
        if entries:
            at = disk.durable.hard_state.commit
            kept = image.term_at(at)
            if at < len(self.committed) and kept is not None and at > image.snapshot.index:
                self._demand(
                    kept == self.committed[at],
                    "committed entries stay",
                    lambda: f"{disk.name} overwrote index {at}, which it knew to be committed",
                )

    def _on_snapshot(self, disk: Disk, saved: SaveSnapshot) -> None:
        meta = saved.meta
        if meta.index == 1:
            return  # the bootstrap
        self._demand(
            meta.index < len(self.committed) and self.committed[meta.index] == meta.term,
            "snapshot is of what is committed",
            lambda: (
                f"{disk.name} stored a snapshot at {meta.index}/{meta.term};"
                f" {len(self.committed) - 1} are committed"
            ),
        )
        digest = hashlib.blake2b(saved.data, digest_size=16).digest()
        self._demand(
            self._hash_at(meta.index) in (None, digest),
            "snapshot equals the log prefix",
            lambda: f"{disk.name}'s snapshot at {meta.index} is not the state after the log up to there",
        )
        self._learn_conf(disk.name, meta.index, meta.conf)

    def _hash_at(self, index: int) -> bytes | None:
        """Digest of the snapshot that the log up to there makes; None where nobody has applied that."""
        if index in self._captured:
            self._hashes[index] = self.build.hash_of(self._captured.pop(index))
        return self._hashes.get(index)

    # --- nodes --------------------------------------------------------------------------------------------

    def _on_start(self, machine: Machine, run: Run) -> None:
        self.promises.check_start(machine, run)
        self.explained.on_start(run)
        self._followed[run.process] = Followed(machine, run)

    def _on_event(self, process: Process | None) -> None:
        known = self._followed.get(process)
        if known is None or known.machine.run is not known.run:
            return
        before, raft, log, applied = known.look, known.raft, known.log, known.applier.index
        if (
            before is None
            or before.commit != log.commit
            or before.applied != applied
            or before.last != log.last
            or before.term != raft.term
            or before.role is not raft.role
            or before.conf is not raft.conf
        ):
            now = Look(raft.role, raft.term, log.commit, applied, log.last, log.last_term, raft.conf)
            known.look = now
            self._look_at(known.machine, known.run, raft, before, now)

    def _look_at(self, machine: Machine, run: Run, raft: Member, before: Look | None, now: Look) -> None:
        if before is not None:
            self._check_step(machine, raft, before, now)
        if now.role is Role.LEADER and (
            before is None or before.role is not Role.LEADER or before.term != now.term
        ):
            self._check_new_leader(machine, raft)
            self.on_leader(machine)
        if before is None or now.commit > before.commit:
            self._check_commit(machine, raft, before, now)
        if before is None or now.applied != before.applied:
            self._check_applied(machine, run, now)
        if before is None or now.conf != before.conf:
            self._demand(
                raft.conf_index <= now.commit,
                "a configuration is in force once it is committed",
                lambda: f"{machine.name} has {now.conf} of {raft.conf_index}, commit {now.commit}",
            )
            self._learn_conf(machine.name, raft.conf_index, now.conf)
        if self.checks % CORE_CHECK_EVERY == 0:
            self._check_core(machine, run)
        held = queues(run)
        self._demand(
            all(map(le, held, MOST)),
            "queues are bounded",
            lambda: f"{machine.name} holds {held} of {QUEUES}, and {MOST} at most",
        )

    def _check_core(self, machine: Machine, run: Run) -> None:
        assert run.node is not None
        try:
            run.node.driver.raft.check()
        except AssertionError as error:
            self.world.fail("the core's own checks", f"{machine.name}: {error}")

    def _check_step(self, machine: Machine, raft: Member, before: Look, now: Look) -> None:
        self._demand(
            len(raft.log.confs) <= 1 or sum(index > now.commit for index in raft.log.confs) <= 1,
            "one change of the configuration at a time",
            lambda: f"{machine.name} has {raft.log.confs} after {now.commit}, its commit index",
        )
        self._demand(
            now.term >= before.term and now.commit >= before.commit and now.applied >= before.applied,
            "term, commit and applied never go back",
            lambda: f"{machine.name} went from {before} to {now}",
        )
        if now.role is Role.LEADER and before.role is Role.LEADER and now.term == before.term:
            self._demand(
                now.last >= before.last and raft.log.term(before.last) in (before.last_term, None),
                "leader append-only",
                lambda: f"{machine.name} leads in term {now.term} and changed its own log: {before} to {now}",
            )

    def _check_new_leader(self, machine: Machine, raft: Member) -> None:
        other = self._leaders.setdefault(raft.term, machine.name)
        self._demand(
            other == machine.name,
            "one leader per term",
            lambda: f"{machine.name} leads in term {raft.term}, as {other} did",
        )
        durable = machine.disk.durable.hard_state
        self._demand(
            durable.term == raft.term and durable.vote == machine.raft,
            "no leader without its own durable vote",
            lambda: f"{machine.name} leads in term {raft.term} with {durable} on disk",
        )
        self.promises.check_elected(machine, raft, is_quorum)
        # Section 5.4: whatever was committed in earlier terms is in a new leader's log.
        index = len(self.committed) - 1
        while index > 0 and self.committed[index] >= raft.term:
            index -= 1
        held = raft.log.term(index)
        self._demand(
            held == self.committed[index] or index <= raft.snapshot.index,
            "leader completeness",
            lambda: (
                f"{machine.name} leads in term {raft.term} without committed entry {index}/{self.committed[index]}:"
                f" it has {held} there"
            ),
        )

    def _check_commit(self, machine: Machine, raft: Member, before: Look | None, now: Look) -> None:
        begin = before.commit if before is not None else raft.snapshot.index
        # What was committed elsewhere may also come with a late vote: then nobody has counted.
        counted = now.commit >= len(self.committed)
        for index in range(begin + 1, now.commit + 1):
            term = raft.log.term(index)
            if index < len(self.committed):
                self._demand(
                    term in (self.committed[index], None),
                    "state machine safety",
                    lambda: (
                        f"{machine.name} committed {index}/{term};"
                        f" {self.committed[index]} was committed there before"
                    ),
                )
            else:
                self._demand(
                    index == len(self.committed) and term is not None,
                    "commits are in order",
                    lambda: f"{machine.name} committed {index} when {len(self.committed) - 1} were",
                )
                self._commit(machine, index, term or 0)
        leads_on = before is not None and before.role is now.role is Role.LEADER and before.term == now.term
        if leads_on and counted and now.commit > begin:
            # An entry that changes the configuration is committed by the one before it, and may be applied at once.
            confs = (before.conf,) if before.conf == now.conf else (before.conf, now.conf)
            self._check_quorum(machine, now, raft.log.term(now.commit) or 0, confs)

    def _check_quorum(self, machine: Machine, now: Look, term: int, confs: tuple[ConfState, ...]) -> None:
        """Section 5.4.2: a leader counts replicas only for an entry of its own term. Each must be durable, on a
        quorum of one of `confs`.
        """
        self._demand(
            term == now.term,
            "only entries of the current term are committed by counting",
            lambda: f"{machine.name} committed {now.commit}/{term} in term {now.term}",
        )
        holders = {
            other.raft
            for other in self.cluster.machines.values()
            if (held := other.disk.durable.term_at(now.commit)) == term
            or (held is None and other.disk.durable.snapshot.index >= now.commit)
        } | self._wiped  # what they said before they lost their disks was true then
        self._demand(
            any(is_quorum(conf, holders) for conf in confs),
            "committed means durable on a quorum",
            lambda: f"{machine.name} committed {now.commit}/{term}, which no quorum of {confs} holds on disk",
        )

    def _commit(self, machine: Machine, index: int, term: int) -> None:
        known = self._entries.get((index, term))
        self._demand(
            known is not None,
            "committed means written",
            lambda: f"{machine.name} committed {index}/{term}, which nobody has written",
        )
        assert known is not None
        self.committed.append(term)
        entry = known.entry
        words, command = "configuration", None
        if entry.kind == EntryKind.NORMAL:
            command = self.build.decode_command(entry.data) if entry.data else None
            if command is not None:
                self._check_bytes(index, entry.data)
            words = f"{type(command).__name__} {zlib.crc32(entry.data):08x}"
            if command is not None:
                watched = Watched(self.world, self.state, command)
                self._check_once(index, command, self.build.apply(self.state, index, command).result)
                watched.check()
            check_surplus(self.world, self.state)
            check_configs(self.world, self.state)
            self._every_state.check()
            self.kinds.look(self.state)
            self.ordered.look(self.state)
            self.explained.after_commit(self.state, command)
        # A command in words costs more than to apply it.
        said = f"{index}/{term} committed by {machine.name}: {words}"
        self.world.trace("log", said, lambda: f" {str(command)[:400]}" if command is not None else "")
        if command is not None:
            self.on_commit(machine, command)
        self._prints[index] = self._print.take()
        self._captured[index] = self.build.capture(self.state)
        if index % FULL_CHECK_EVERY == 0:
            self._check_state()

    def _check_bytes(self, index: int, data: bytes) -> None:
        """Below its level nothing of the newer build is in the log: a former build writes the same bytes."""
        if self.build is not PRESENT and self.state.level < self.build.level:
            self._demand(
                _written_by(PRESENT, data) == data,
                "former builds understand the log",
                lambda: f"entry {index} is of level {self.state.level} and not as a build of that level writes it",
            )

    def _check_state(self) -> None:
        try:
            self.build.check(self.state)
        except AssertionError as error:
            self.world.fail("the state's own checks", str(error))

    def _check_once(self, index: int, command: Command, result: object) -> None:
        """A command that is committed again under its key changes nothing and gets the first answer."""
        key = command.idempotency_key if isinstance(command, self.build.command("CreateJob")) else ""
        if not key or isinstance(result, OrionError):
            return
        if key in self._answers:
            self.world.count("create repeated under its key")
        first = self._answers.setdefault(key, result)
        self._demand(
            first == result,
            "exactly once under one key",
            lambda: f"{key} was answered {first}, and at {index} {result}",
        )

    def _check_applied(self, machine: Machine, run: Run, now: Look) -> None:
        assert run.node is not None
        self._demand(
            now.applied <= now.commit,
            "nothing is applied before it is committed",
            lambda: f"{machine.name} applied {now.applied} of {now.commit} committed",
        )
        self._moves += 1
        if self._moves % HASH_EVERY == 0:
            self.check_state(machine, run)

    def check_state(self, machine: Machine, run: Run, *, whole: bool = False) -> None:
        """`whole`: all its bytes, not those alone of which the node's state says that they are new."""
        assert run.node is not None
        driver = run.node.driver
        state, index = driver.state, driver.applied_index
        if whole:
            meant, held = self._hash_at(index), run.build.state_hash(state)
        else:
            known = self._prints_of.get(machine.name)
            if known is None or known.state is not state:
                known = self._prints_of[machine.name] = Fingerprint(run.build, state)
            meant, held = self._prints.get(index), known.take()
        self._demand(
            meant in (None, held),
            "one state per index",
            lambda: f"{machine.name}'s state at {index} is not what the log makes of it",
        )

    # --- configurations -----------------------------------------------------------------------------------

    def _learn_conf(self, name: str, index: int, conf: ConfState) -> None:
        """Section 6: every node has the same configuration at an index, and a quorum of each configuration shares a
        voter with every quorum of the one before."""
        if not conf.voters:
            return
        at = max((i for i in self.confs if i <= index), default=0)
        if at and self.confs[at] == conf:
            return
        if index not in self.confs:
            self.world.count("configuration changed" if not conf.voters_outgoing else "joint configuration")
        known = self.confs.setdefault(index, conf)
        self._demand(
            known == conf,
            "one configuration per index",
            lambda: f"{name} has {conf} at {index}, others had {known}",
        )
        if at and at != index:
            self._demand(
                quorums_overlap(self.confs[at], conf),
                "quorums overlap",
                lambda: f"{name} went from {self.confs[at]} to {conf} at {index}",
            )


def _written_by(build: Build, data: bytes) -> bytes:
    """The same command as that build writes it; nothing when it does not understand it."""
    try:
        return build.encode_command(build.decode_command(data))
    except msgspec.MsgspecError:
        return b""


def quorums_overlap(one: ConfState, other: ConfState) -> bool:
    """Whether every quorum of one configuration has a voter in common with every quorum of the other."""
    everybody = sorted({*one.voters, *one.voters_outgoing, *other.voters, *other.voters_outgoing})
    for size in range(len(everybody) + 1):
        for some in combinations(everybody, size):
            rest = set(everybody).difference(some)
            if is_quorum(one, set(some)) and is_quorum(other, rest):
                return False
    return True


def is_quorum(conf: ConfState, members: set[int]) -> bool:
    return all(
        2 * len(members.intersection(voters)) > len(voters)
        for voters in (conf.voters, conf.voters_outgoing)
        if voters
    )


def _short(entry: Entry) -> str:
    digest = hashlib.blake2b(entry.data, digest_size=4).hexdigest()
    return f"{entry.index}/{entry.term} (kind {entry.kind}, {len(entry.data)} bytes, {digest})"
