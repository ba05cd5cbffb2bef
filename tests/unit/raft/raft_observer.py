"""What must always hold, whatever happens: the observer of the random schedules sees every step of every core."""

from raft_host import Host

from orion.raft.interface import (
    Ready,
    Role,
)
from orion.raft.messages import (
    AnyMessage,
    ConfState,
    MsgAppResp,
    MsgVote,
    MsgVoteResp,
)


class Observer:
    """Knows everything that was ever said, and what was said to be committed."""

    def __init__(self) -> None:
        self.hosts: dict[int, Host] = {}
        self.leaders: dict[int, int] = {}
        self.complete: set[int] = set()  # terms whose leader's log was looked at
        self.entries: dict[tuple[int, int], tuple[int, int, bytes]] = {}  # (index, term): previous term, kind, data
        self.committed: dict[int, int] = {}  # index: term
        self.committed_in: dict[int, int] = {}  # index: the term of the leader that committed it
        self.max_committed = 1
        self.states: dict[int, int] = {}
        self.confs: dict[int, ConfState] = {}
        self.reads = 0

    def observe(self, host: Host) -> None:
        """After every step of a core."""
        raft, log = host.raft, host.raft._me.log
        raft.check()
        if raft.role is Role.LEADER and self.leaders.setdefault(raft.term, host.id) != host.id:
            raise AssertionError(f"term {raft.term} has two leaders: {self.leaders[raft.term]} and {host.id}")
        if raft.role is Role.LEADER and raft.term not in self.complete:
            self.complete.add(raft.term)
            self._observe_completeness(host)
        if raft.commit > host.seen_commit:
            self._observe_commit(host, max(host.seen_commit, log.offset))
            host.seen_commit = raft.commit

    def _observe_completeness(self, host: Host) -> None:
        log = host.raft._me.log
        for index, term in self.committed.items():
            if index >= log.offset and self.committed_in[index] < host.raft.term:
                assert log.term(index) in (term, None if index == log.offset else term), (
                    f"leader {host.id} of term {host.raft.term} lacks entry {index} of term {term}"
                )

    def _observe_commit(self, host: Host, after: int) -> None:
        raft, log = host.raft, host.raft._me.log
        for index in range(after + 1, raft.commit + 1):
            term = log.term(index)
            assert self.committed.setdefault(index, term) == term, f"committed entry {index} changed"
            self.committed_in.setdefault(index, raft.term)
        if raft.role is Role.LEADER and raft.commit > self.max_committed:
            assert log.term(raft.commit) == raft.term, "an older term's entry was committed by counting"
            conf = raft.status().conf
            for voters in filter(None, (conf.voters, conf.voters_outgoing)):
                held = [v for v in voters if self.hosts[v].disk.holds(raft.commit, raft.term)]
                assert len(held) > len(voters) // 2, (
                    f"{host.id} commits {raft.commit}, which is on the disks of {held} of {voters} only"
                )
        self.max_committed = max(self.max_committed, raft.commit)

    def observe_ready(self, host: Host, ready: Ready) -> None:
        log = host.raft._me.log
        for entry in ready.entries:
            if entry.index > log.offset:
                known = (log.term(entry.index - 1) or 0, entry.kind, entry.data)
                key = (entry.index, entry.term)
                assert self.entries.setdefault(key, known) == known, f"logs do not match at {key}"
        for entry in ready.committed:
            assert self.committed.get(entry.index) == entry.term, f"{entry.index} is handed out, not committed"

    def observe_promise(self, host: Host, message: AnyMessage) -> None:
        """Votes and acknowledgements leave only when they are on disk."""
        disk = host.disk
        if isinstance(message, MsgVote):
            assert disk.hard_state.term >= message.term
            assert disk.hard_state.term > message.term or disk.hard_state.vote == host.id
        elif isinstance(message, MsgVoteResp) and not message.reject:
            assert disk.hard_state.term >= message.term
            assert disk.hard_state.term > message.term or disk.hard_state.vote == message.to
        elif isinstance(message, MsgAppResp) and not message.reject and disk.hard_state.term == message.term:
            last = max(disk.snapshot.index, disk.first + len(disk.entries) - 1)
            assert last >= message.index, f"{host.id} acknowledges {message.index}, its disk ends at {last}"

    def observe_state(self, host: Host) -> None:
        known = self.states.setdefault(host.applied, host.state)
        assert known == host.state, f"{host.id} has another state at {host.applied}"

    def observe_conf(self, host: Host, index: int) -> None:
        conf = host.raft.status().conf
        assert self.confs.setdefault(index, conf) == conf, f"{host.id} has another configuration at {index}"

    def observe_read(self, host: Host, read) -> None:
        floor = host.contexts.pop(read.context)
        if read.index:
            self.reads += 1
            assert read.index >= floor, f"{host.id} read at {read.index}, but {floor} was committed before"
