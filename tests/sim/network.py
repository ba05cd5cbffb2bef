"""The network between simulated machines: paths that lose, delay, duplicate, reorder, replay or are cut, in one
direction or both.

Raft messages travel one by one as datagrams would, which is worse than the TCP they really use: Raft has to bear
that.
Calls and streams are connections (peers.py): ordered and whole, or broken.
"""

import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from orion.raft.messages import (
    AnyMessage,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgReadIndexResp,
)
from sim.world import World

if TYPE_CHECKING:
    from sim.peers import SimPeers

FIRST_RETRANSMISSION_MS = 200.0  # TCP's least timeout on Linux; doubles
REPLAY_MEMORY = 64  # messages remembered for each direction of a path
KEPT_OF_A_TERM = 16  # of those, once a newer term has begun


class Quality(msgspec.Struct, frozen=True):
    """What a message meets. Probabilities are for each message."""

    latency_ms: tuple[float, float] = (0.1, 1.5)
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 50.0  # a reordered message comes up to so much later
    replay: float = 0.0  # with each message, an old one comes again


CALM = Quality()

Path = tuple[str, str]  # from host, to host


class Network:
    """Hosts are machines; a listener is one process's peer port."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.quality = CALM
        self.slow_paths: dict[Path, float] = {}  # milliseconds added
        self.no_datagrams = False  # gossip's are dropped on the way between any two hosts; connections work
        self.loses: Callable[[str, str, AnyMessage], bool] = _loses_none  # what is lost from one host to another
        self.dark: set[str] = set()  # hosts without power: nothing there answers, not even a refusal
        self.on_send: Callable[[SimPeers, AnyMessage], None] = lambda *_: None
        self.on_arrival: Callable[[SimPeers, AnyMessage], None] = lambda *_: None
        self.runs = itertools.count(1)
        self._rng = world.rng("network")
        self._cut: set[Path] = set()
        self._listeners: dict[str, SimPeers] = {}
        self._last_arrival: dict[tuple[str, str], float] = {}
        self._remembered: dict[tuple[str, str], deque[AnyMessage]] = {}
        self._of_old_terms: dict[tuple[str, str], deque[AnyMessage]] = {}

    # --- paths --------------------------------------------------------------------------------------------

    def cut(self, paths: set[Path]) -> None:
        self._cut = set(paths)

    def lose_nothing(self) -> None:
        self.loses = _loses_none

    def is_open(self, one: str, other: str) -> bool:
        """Whether packets get from one host to the other."""
        return (one, other) not in self._cut and one not in self.dark and other not in self.dark

    def both_ways(self, one: str, other: str) -> bool:
        """Whether a connection between them works."""
        return self.is_open(one, other) and self.is_open(other, one)

    def arrives(self, one: str, other: str) -> bool:
        """Whether one packet does, and its answer."""
        loss = self.quality.loss
        return self.both_ways(one, other) and (not loss or self._rng.random() >= 1 - (1 - loss) ** 2)

    def latency_ms(self, one: str, other: str) -> float:
        low, high = self.quality.latency_ms
        late_ms = low + (high - low) * self._rng.random()
        return late_ms + self.slow_paths.get((one, other), 0.0) if self.slow_paths else late_ms

    def retransmissions_ms(self) -> float:
        """How much later a segment of a connection comes because packets were lost."""
        wait_ms, timeout_ms = 0.0, FIRST_RETRANSMISSION_MS
        while self.quality.loss and self._rng.random() < self.quality.loss:
            wait_ms += timeout_ms
            timeout_ms *= 2
        if wait_ms:
            self.world.count("call or stream delayed by loss")
        return wait_ms

    # --- listeners ----------------------------------------------------------------------------------------

    def listen(self, peers: "SimPeers") -> None:
        self._listeners[peers.address] = peers

    def unlisten(self, peers: "SimPeers") -> None:
        if self._listeners.get(peers.address) is peers:
            del self._listeners[peers.address]

    def listener(self, address: str) -> "SimPeers | None":
        """Who accepts connections there now; the address's host may be up or not."""
        return self._listeners.get(address)

    # --- datagrams ----------------------------------------------------------------------------------------

    def transmit(self, source: "SimPeers", address: str, message: AnyMessage) -> None:
        self.on_send(source, message)
        target, host = self._listeners.get(address), host_of(address)
        if target is None or not self.is_open(source.host, host):
            if target is not None:
                self.world.count("message lost to a partition")
            return
        if self.loses(source.host, host, message):
            self.world.count("message lost by its kind")
            return
        quality, rng = self.quality, self._rng
        if quality.loss and rng.random() < quality.loss:
            self.world.count("message dropped")
            self.world.trace(source.name, f"x {target.name} {describe(message)}")
            return
        self._put_on_the_way(source, target, message)
        if quality.duplicate and rng.random() < quality.duplicate:
            self.world.count("message duplicated")
            self._put_on_the_way(source, target, message)
        if quality.replay:
            self._replay(source, target, message)

    def _put_on_the_way(self, source: "SimPeers", target: "SimPeers", message: AnyMessage) -> None:
        quality, rng = self.quality, self._rng
        path = (source.address, target.address)
        due = self.world.loop.time() + self.latency_ms(source.host, target.host) / 1000
        if quality.reorder and rng.random() < quality.reorder:
            self.world.count("message reordered")
            due += rng.uniform(0, quality.reorder_ms) / 1000
        else:
            due = max(due, self._last_arrival.get(path, 0.0))
            self._last_arrival[path] = due
        # In the target's own context: if it dies on the way the message dies with its connection, and if it is
        # stalled the message waits in its socket.
        self.world.loop.call_at(due, self._arrive, source, target, message, context=target.process.context)

    def _replay(self, source: "SimPeers", target: "SimPeers", message: AnyMessage) -> None:
        path = (source.address, target.address)
        remembered = self._remembered.setdefault(path, deque(maxlen=REPLAY_MEMORY))
        older = self._of_old_terms.setdefault(path, deque(maxlen=REPLAY_MEMORY))
        if remembered and self._rng.random() < self.quality.replay:
            from_before = older if older and self._rng.random() < 0.5 else remembered
            old = from_before[self._rng.randrange(len(from_before))]
            self.world.count("old message replayed")
            if old.term < message.term:
                self.world.count("message of an old term replayed")
            self._put_on_the_way(source, target, old)
        if remembered and remembered[-1].term < message.term:
            older.extend(list(remembered)[-KEPT_OF_A_TERM:])
            remembered.clear()
        # A read's answer belongs to one run of the asker, as its connection did: its numbers begin anew after a
        # restart. All else has to be safe at any time.
        if not isinstance(message, MsgReadIndexResp):
            remembered.append(message)

    def _arrive(self, source: "SimPeers", target: "SimPeers", message: AnyMessage) -> None:
        if not self.is_open(source.host, target.host):
            self.world.count("message lost to a partition")
            return
        self.world.trace(target.name, f"< {source.name} {describe(message)}")
        self.on_arrival(target, message)
        target.receive(source, message)


def _loses_none(source: str, target: str, message: AnyMessage) -> bool:
    return False


def host_of(address: str) -> str:
    return address.rpartition(":")[0]


def describe(message: AnyMessage) -> str:
    """One short line for the trace."""
    return _WORDS.get(type(message), _all_fields)(message)


def _append(message: MsgApp) -> str:
    entries = message.entries
    count, last = len(entries), entries[-1].term if entries else 0
    return f"MsgApp t{message.term} {message.index}/{message.log_term}+{count}/{last} c{message.commit}"


def _append_resp(message: MsgAppResp) -> str:
    verdict = f"rejects, hint {message.hint_index}/{message.hint_term}" if message.reject else "has"
    return f"MsgAppResp t{message.term} {verdict} {message.index}"


def _all_fields(message: AnyMessage) -> str:
    fields = [str(getattr(message, field)) for field in message.__struct_fields__[3:]]
    return " ".join([type(message).__name__, f"t{message.term}", *fields])


_WORDS: dict[type, Callable[[Any], str]] = {
    MsgApp: _append,
    MsgAppResp: _append_resp,
    MsgHeartbeat: lambda message: f"MsgHeartbeat t{message.term} {message.commit} {message.context}",
    MsgHeartbeatResp: lambda message: f"MsgHeartbeatResp t{message.term} {message.context}",
}
