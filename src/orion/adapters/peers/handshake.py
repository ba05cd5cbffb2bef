"""Hellos: this node's own, the check of a peer's, and the difference of the clocks that it shows."""

import logging
from collections.abc import Callable

from orion.model.ids import NodeId, RaftId
from orion.model.recovery import belong_together, is_newer
from orion.wire.envelopes import Hello, Refusal
from orion.wire.frames import FrameError

log = logging.getLogger(__name__)

SKEW_WARNING_MS = 5_000
QUIET_S = 10.0  # between two lines about the same peer
MAX_REMEMBERED = 1_024


class ThrottledLog:
    """Warnings about peers, which a peer that misbehaves can't flood."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._said: dict[str, int] = {}

    def warning(self, about: str, text: str, *arguments: object) -> None:
        """Logs at most one line in QUIET_S for the same `about`."""
        now = self._now_ms()
        if now - self._said.get(about, -1_000_000) < QUIET_S * 1000:
            return
        self._said.pop(about, None)
        self._said[about] = now
        if len(self._said) > MAX_REMEMBERED:
            del self._said[next(iter(self._said))]
        log.warning(text, *arguments)


class Greeter:
    def __init__(
        self,
        node: NodeId,
        raft: RaftId,
        cluster: int,
        wall_ms: Callable[[], int],
        throttled: ThrottledLog,
        *,
        run: int,
        address: str,
    ) -> None:
        self.node = node
        self.raft = raft
        self.cluster = cluster
        self.recovery = 0
        self.run = run
        self.address = address
        self.on_stranger: Callable[[NodeId, int, int], None] = lambda _node, _cluster, _recovery: None
        self.on_refused: Callable[[str], None] = lambda _address: None
        self._wall_ms = wall_ms
        self._log = throttled

    def hello(self, lane: str) -> Hello:
        return Hello(
            lane, self.cluster, self.node, self.raft, self._wall_ms(), self.recovery, self.run, self.address
        )

    def belongs(self, hello: Hello) -> bool:
        return belong_together(self.cluster, self.recovery, hello.cluster, hello.recovery)

    def meet(self, hello: Hello, asked_ms: int | None) -> None:
        """Raises FrameError when the peer is of another cluster, or of this one before or after a recovery.
        `asked_ms`: this node's clock at its own hello, where this is the answer to one.
        """
        if not self.belongs(hello):
            self.on_stranger(hello.node, hello.cluster, hello.recovery)
            raise FrameError(self._why_strange(hello))
        if asked_ms is not None:
            self._note_skew(hello, asked_ms)

    def turned_away(self, refusal: Refusal) -> None:
        """Raises FrameError: the peer takes this node for a copy of another one."""
        self.on_refused(refusal.address)
        raise FrameError(f"it takes this node for a copy of the one that answers at {refusal.address}")

    def _why_strange(self, hello: Hello) -> str:
        if hello.cluster != self.cluster:
            return f"{hello.node} is of another cluster ({hello.cluster:016x}, ours is {self.cluster:016x})"
        if is_newer(hello.recovery, self.recovery):
            return f"{hello.node} has gone through a recovery of the cluster without us"
        return (
            f"{hello.node} is of this cluster as it was before a recovery: it has to come back with an empty data"
            " directory"
        )

    def _note_skew(self, hello: Hello, asked_ms: int) -> None:
        """An answer was written between our hello and now. How long it was on its way, or one of us stopped, is no
        difference of clocks (RFC 5905, section 8: the round trip bounds what can be told).
        """
        skew = max(0, hello.wall_ms - self._wall_ms()) or min(0, hello.wall_ms - asked_ms)
        if abs(skew) > SKEW_WARNING_MS:
            self._log.warning(
                f"clock of {hello.node}",
                "%s's clock is %d s %s ours: times shown will be off; nothing decides by them",
                hello.node,
                round(abs(skew) / 1000),
                "ahead of" if skew > 0 else "behind",
            )
