"""An asyncio event loop in virtual time. It owns no file, socket, thread or signal; when nothing is ready its clock
jumps to the next timer, so an hour of cluster life costs only the callbacks in it.

Every callback belongs to a simulated process (the OWNER in its context) or to the world outside (None). The loop
runs those of a running process, sets aside those of a stopped one, and drops those of a dead one: after `kill -9`
not even a `finally` runs.
"""

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from heapq import heapify, heappop, heappush

NS_PER_S = 1_000_000_000


class SimFailure(Exception):
    """The simulation has shown a fault. `rule` names the invariant or bound that does not hold."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


class ProcessState(enum.Enum):
    RUNNING = "running"
    STALLED = "stalled"  # as after SIGSTOP: sockets fill, timers fall due, nothing runs
    DEAD = "dead"


class Process:
    """One run of a program. `context` is where its callbacks run; see `spawn` and `post`."""

    def __init__(self, loop: "VirtualLoop", name: str) -> None:
        self.loop = loop
        self.name = name
        self.state = ProcessState.RUNNING
        self.context = Context()
        self.context.run(OWNER.set, self)
        self.backlog: deque[asyncio.Handle] = deque()
        # Holds on to all runners: one that is collected would run its `finally` after death.
        self.runners: list[asyncio.Task] = []

    @property
    def alive(self) -> bool:
        return self.state is not ProcessState.DEAD

    def spawn(self, coro, *, name: str = "main") -> asyncio.Task:
        return self.loop.create_task(coro, name=f"{self.name}/{name}", context=self.context.copy())

    def post(self, callback, *args) -> asyncio.Handle:
        """Have the process run a callback, once it can."""
        return self.loop.call_soon(callback, *args, context=self.context)

    def stall(self) -> None:
        if self.state is ProcessState.RUNNING:
            self.state = ProcessState.STALLED

    def resume(self) -> None:
        if self.state is ProcessState.STALLED:
            self.state = ProcessState.RUNNING
            self.loop.requeue(self.backlog)

    def kill(self) -> None:
        """From this instant nothing of it runs. May be called from inside it: the callback that is running ends
        at its next wait."""
        self.state = ProcessState.DEAD
        self.backlog.clear()


OWNER: ContextVar[Process | None] = ContextVar("OWNER", default=None)


def current_process() -> Process | None:
    return OWNER.get()


class _Ordered:
    """Objects that asyncio keeps in sets (a TaskGroup's runners, `asyncio.wait`) hash by birth order instead of by
    address, so that those sets have the same order in every run."""

    _birth: int

    def __hash__(self) -> int:
        return self._birth


class SimTask(_Ordered, asyncio.Task):
    def __init__(self, coro, *, loop: "VirtualLoop", **kwargs) -> None:
        self._birth = loop.next_birth()
        super().__init__(coro, loop=loop, **kwargs)
        self._log_destroy_pending = False  # those of dead processes stay pending for ever
        context = kwargs.get("context")
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.runners.append(self)


class SimFuture(_Ordered, asyncio.Future):
    """Made by `VirtualLoop.create_future` alone, which says when it was born."""


class _Handle(asyncio.Handle):
    """As asyncio's, without its debug mode: millions of them are made."""

    __slots__ = ()

    def __init__(self, callback, args, loop, context) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None


class _TimerHandle(asyncio.TimerHandle):
    """As asyncio's, without its debug mode."""

    __slots__ = ()

    def __init__(self, when, callback, args, loop, context) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None
            if self._scheduled:
                self._loop._timer_handle_cancelled(self)


class VirtualLoop(asyncio.BaseEventLoop):
    """`on_event` is called after every callback with the process that ran it (None: the world).

    `max_events` bounds the whole run and `max_events_at_once` those at one instant, so that a livelock is a failure
    and not a hang.
    """

    def __init__(self, *, max_events: int = 50_000_000, max_events_at_once: int = 200_000) -> None:
        super().__init__()
        self.now_ns = 0
        self.events = 0
        self.on_event: Callable[[Process | None], None] = lambda _: None
        self._max_events = max_events
        self._max_events_at_once = max_events_at_once
        self._events_at_once = 0
        self._births = 0
        self._sequence = 0
        self._failure: SimFailure | None = None
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._cancelled_timers = 0
        self.set_task_factory(_make_task)
        self.get_debug = bool  # False, and asked at each future: no Python is run for it

    # --- time ---------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now_ns / NS_PER_S

    def call_later(self, delay, callback, *args, context=None):
        return self._set_timer(self.now_ns / NS_PER_S + delay, callback, args, context)

    def call_at(self, when, callback, *args, context=None):
        return self._set_timer(when, callback, args, context)

    def _set_timer(self, when, callback, args, context) -> asyncio.TimerHandle:
        self._check_closed()
        timer = _TimerHandle(when, callback, args, self, context)
        self._sequence = sequence = self._sequence + 1
        due_ns = round(when * NS_PER_S)
        heappush(self._timers, (max(self.now_ns, due_ns), sequence, timer))
        return timer

    def _timer_handle_cancelled(self, handle) -> None:
        self._cancelled_timers += 1
        if self._cancelled_timers > 1_000 and self._cancelled_timers * 2 > len(self._timers):
            self._timers = [t for t in self._timers if not t[2]._cancelled]
            heapify(self._timers)
            self._cancelled_timers = 0

    # --- running ------------------------------------------------------------------------------------------

    def next_birth(self) -> int:
        self._births += 1
        return self._births

    def create_future(self) -> SimFuture:
        future = SimFuture(loop=self)
        self._births = future._birth = self._births + 1
        return future

    def call_soon(self, callback, *args, context=None):
        self._check_closed()
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def requeue(self, backlog: deque[asyncio.Handle]) -> None:
        self._ready.extend(backlog)
        backlog.clear()

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:
            self._advance()
        running, on_event = ProcessState.RUNNING, self.on_event
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            context = handle._context
            owner = context.get(OWNER)
            if owner is not None and owner.state is not running:
                if owner.state is ProcessState.STALLED:
                    owner.backlog.append(handle)
                continue
            self.events += 1
            self._events_at_once += 1
            if self._events_at_once > self._max_events_at_once or self.events > self._max_events:
                self._too_many_events(handle)
            try:
                context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 -- as asyncio's own loop does
                self._callback_failed(handle, error)
            if self._failure is None:
                on_event(owner)
            if self._failure is not None:
                raise self._failure

    def _callback_failed(self, handle: asyncio.Handle, error: BaseException) -> None:
        """Tells who asked to know, as asyncio does."""
        what = {"message": f"Exception in callback {handle!r}", "exception": error, "handle": handle}
        self.call_exception_handler(what)

    def abort(self, failure: SimFailure) -> None:
        """End the run after the callback that is running; the first failure counts."""
        self._failure = self._failure or failure

    def _advance(self) -> None:
        """Jump to the next timer and make ready all that are due then, in the order they were set."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
            self._cancelled_timers -= 1
        if not timers:
            raise SimFailure("progress", "nothing is ready and no timer is set: nothing will ever happen again")
        if timers[0][0] > self.now_ns:
            self.now_ns = timers[0][0]
            self._events_at_once = 0
        now_ns = self.now_ns
        while timers and timers[0][0] <= now_ns:
            timer = heappop(timers)[2]
            timer._scheduled = False
            if timer._cancelled:
                self._cancelled_timers -= 1
            else:
                self._ready.append(timer)

    def _too_many_events(self, handle: asyncio.Handle) -> None:
        if self._events_at_once > self._max_events_at_once:
            raise SimFailure("progress", f"livelock: time stands still at {self.time():.6f} s in {handle!r}")
        raise SimFailure("progress", f"more than {self._max_events} events")

    # --- what a simulated process must not do ---------------------------------------------------------------

    def run_in_executor(self, executor, func, *args):
        raise SimFailure("no threads", f"run_in_executor({func!r}) inside the simulator")

    def call_soon_threadsafe(self, callback, *args, context=None):
        # asyncio itself calls this for asynchronous generators; there is only one thread here.
        return self.call_soon(callback, *args, context=context)

    def _asyncgen_finalizer_hook(self, agen) -> None:
        owner = OWNER.get()
        if owner is None or owner.alive:
            super()._asyncgen_finalizer_hook(agen)

    def _process_events(self, event_list) -> None:
        raise NotImplementedError

    def _write_to_self(self) -> None:
        pass


def _make_task(loop, coro, **kwargs) -> SimTask:
    return SimTask(coro, loop=loop, **kwargs)
