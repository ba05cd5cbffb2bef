"""What all fakes share: the loop, randomness by purpose, the trace, and the counts of what happened."""

import hashlib
import random
from collections import Counter, deque
from collections.abc import Callable
from contextvars import Context
from typing import NoReturn

from sim.events import Event
from sim.loop import SimFailure, VirtualLoop, current_process

NS_PER_MS = 1_000_000
WALL_EPOCH_MS = 1_700_000_000_000  # any fixed date: so that times in views are plausible
REMEMBERED_LINES = 400
DIGESTED_AT_ONCE = 1_000  # lines

Line = tuple[int, str, str, Callable[[], str] | None]  # when in ns, who, what, and more of it


class World:
    """`sink` gets every line of the trace as it is written (script/sim --verbose)."""

    def __init__(self, seed: int, sink: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.loop = VirtualLoop()
        self.counts: Counter[str] = Counter()
        self._recent: deque[Line] = deque(maxlen=REMEMBERED_LINES)
        self.events: list[Event] = []  # what was done to the cluster: faults and operations
        self._sink = sink
        self._digest = hashlib.blake2b(digest_size=16)
        self._undigested: list[str] = []
        self._context = Context()

    # --- randomness -----------------------------------------------------------------------------------------

    def rng(self, *purpose: object) -> random.Random:
        """A generator of its own for each purpose: one more draw in one place shifts nothing in another."""
        return random.Random("/".join(str(part) for part in (self.seed, *purpose)))

    # --- time -----------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.loop.now_ns // NS_PER_MS

    @property
    def wall_ms(self) -> int:
        return WALL_EPOCH_MS + self.now_ms

    def after(self, delay_ms: float, callback: Callable[..., object], *args: object):
        """Run a callback as the world: it happens whatever becomes of the process that called this."""
        return self.loop.call_at(self.loop.time() + delay_ms / 1000, callback, *args, context=self._context)

    def soon(self, callback: Callable[..., object], *args: object):
        return self.loop.call_soon(callback, *args, context=self._context)

    def spawn(self, coro, *, name: str):
        """A runner of the world itself."""
        return self.loop.create_task(coro, name=name, context=self._context.copy())

    # --- what happened --------------------------------------------------------------------------------------

    def trace(self, who: str, what: str, more: Callable[[], str] | None = None) -> None:
        """`what` must be the same text in every run of the seed: no addresses, no order of sets. `more`: further
        words for whoever reads the line, made only then.
        """
        now_ns = self.loop.now_ns
        self._recent.append((now_ns, who, what, more))
        lines = self._undigested
        lines.append(f"{now_ns} {who} {what}")
        if len(lines) >= DIGESTED_AT_ONCE:
            self._digest_lines()
        if self._sink is not None:
            self._sink(_text((now_ns, who, what, more)))

    def recent(self) -> list[str]:
        """The last lines of the trace."""
        return [_text(line) for line in self._recent]

    def _digest_lines(self) -> None:
        self._digest.update("\n".join([*self._undigested, ""]).encode())
        self._undigested.clear()

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def happened(self, key: str, what: str) -> None:
        """One event of the seed's list, which a replay may leave out by its key (events.py)."""
        self.events.append(Event(key, self.loop.time(), what))

    def trace_digest(self) -> str:
        self._digest_lines()
        return self._digest.hexdigest()

    def fail(self, rule: str, detail: str) -> NoReturn:
        """End the simulation, from wherever this is called. Raising alone would not do inside a process: it may
        catch exceptions, and after a failure nothing of it should run."""
        failure = SimFailure(rule, detail)
        self.loop.abort(failure)
        raise failure

    def install(self) -> None:
        """Errors that asyncio would only log are failures: a runner of a living process died unheard."""
        self.loop.set_exception_handler(self._unheard)

    def _unheard(self, loop: VirtualLoop, context: dict) -> None:
        owner = current_process()
        if owner is not None and not owner.alive:
            return
        error = context.get("exception")
        self.loop.abort(SimFailure("no unheard errors", f"{context['message']}: {type(error).__name__}: {error}"))


def _text(line: Line) -> str:
    now_ns, who, what, more = line
    return f"{now_ns / NS_PER_MS:.6f} {who} {what}{more() if more else ''}"


class SimClock:
    """One machine's clocks. They run a little fast or slow; the wall clock is set at times, the monotonic one only
    ever goes on.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rate = 1.0
        self._since_ns = 0  # of true time, at the last change of rate
        self._shown_ns = 0.0  # at that moment
        self._set_ahead_ms = 0

    def drift(self, rate: float) -> None:
        """From now on `rate` seconds pass here in each second."""
        self._shown_ns = self._now_ns()
        self._since_ns = self._world.loop.now_ns
        self._rate = rate

    def set_wall(self, ahead_ms: int) -> None:
        """The wall clock shows so much more than the true time, drift aside; negative: less."""
        self._set_ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return int(self._now_ns()) // NS_PER_MS

    def wall_ms(self) -> int:
        return WALL_EPOCH_MS + self._set_ahead_ms + self.now_ms()

    def _now_ns(self) -> float:
        if self._rate == 1.0 and not self._shown_ns:
            return self._world.loop.now_ns
        return self._shown_ns + (self._world.loop.now_ns - self._since_ns) * self._rate
