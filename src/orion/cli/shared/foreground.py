"""`orion run --rm`: a program in the cluster as if it ran here, with its output and exit code, and removed at its
end.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from orion.cli.app import INTERRUPTED

if TYPE_CHECKING:
    from types import FrameType

    from orion.cli.shared.waiting import Follower
    from orion.client import Client, TaskRequest, TaskView

_LEAVE = (signal.SIGTERM, signal.SIGHUP)
_REMOVE_S = 300.0  # more than most stop graces


class _Told(KeyboardInterrupt):
    """Raised when a signal other than Ctrl-C ends this command."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_in_foreground(client: "Client", request: "TaskRequest", start_timeout_s: float) -> int:
    """Runs a task and returns its program's exit code. Returns 1 when it has none, 4 when it has not begun in time,
    and 128 plus the number of a signal that ends this command before.
    """
    from orion.cli.app import say

    with _heeding():
        try:
            task = client.create_task(request)
        except KeyboardInterrupt:
            say("left before it was known whether it was created: 'orion ps' shows it if it was")
            raise
        try:
            code = _follow(client, task, start_timeout_s)
        except KeyboardInterrupt as left:
            say(f"{task.id} is being removed")
            code = 128 + left.number if isinstance(left, _Told) else INTERRUPTED
        except BaseException:  # its output can't be written, or nobody answers
            _remove(client, task)
            raise
        _remove(client, task)
        return code


@contextmanager
def _heeding() -> Iterator[None]:
    def tell(number: int, frame: "FrameType | None") -> NoReturn:
        del frame
        raise _Told(number)

    # A signal that is ignored stays ignored, as with nohup.
    heeded = [number for number in _LEAVE if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, tell) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(client: "Client", task: "TaskView", start_timeout_s: float) -> int:
    from orion.cli.app import TIMED_OUT, say
    from orion.cli.shared.waiting import AGAIN_S, ENDED, POLL_S, Follower

    follower = Follower(client, task.id, task.created_index)
    now, late = _wait_for_start(task, follower, start_timeout_s)
    if now is not None and late:
        say(f"{task.id} does not run after {start_timeout_s:g} s: it is {now.state}; {now.reason}")
        return TIMED_OUT
    if unread := _show_output(client, task):
        say(f"{unread}; trying again")
    # What has ended already changes no more: another look would last as long as it may.
    while now is not None and now.state not in ENDED:
        now = follower.look(AGAIN_S if unread else POLL_S)
        if now is not None and now.state not in ENDED:
            unread = unread and _show_output(client, task)
    if now is None:
        say(f"{task.id} was removed by somebody else")
        return 1
    if unread and (unread := _show_output(client, task)):
        say(f"what {task.id} has written can't be shown: {unread}")
    return verdict(now)


def _wait_for_start(task: "TaskView", follower: "Follower", timeout_s: float) -> "tuple[TaskView | None, bool]":
    """Returns the task as it is once it has run or has ended, None when it is gone, and whether the time was over
    before. Shows its progress on a terminal.
    """
    from contextlib import nullcontext

    from orion.cli.shared.progress import progress
    from orion.cli.shared.waiting import ENDED, Deadline

    deadline = Deadline(timeout_s)
    with progress() if sys.stderr.isatty() else nullcontext(lambda _: None) as show:
        show(task)
        while (now := follower.look(deadline.left_s)) is not None:
            if now.state == "running" or now.state in ENDED or any(run.started_at for run in now.allocations):
                return now, False
            if deadline.passed:
                return now, True
            show(now)
    return None, False


def _show_output(client: "Client", task: "TaskView") -> str:
    """Shows the task's output until it has ended. Returns "", or why the output can't be shown."""
    from orion.cli.shared.output import note
    from orion.model.errors import NotFound, OrionError

    try:
        for line in client.logs(task.id, follow=True, on_notice=note, on_end=lambda _: None):
            out = sys.stderr.buffer if line.stream == "stderr" else sys.stdout.buffer
            out.write(line.text)
            out.flush()
    except NotFound:
        return ""  # it never ran, or is gone: there is nothing to be shown
    except OrionError as error:
        return error.detail
    return ""


def verdict(task: "TaskView") -> int:
    """Returns the exit code of a task that has ended: its program's. Prints the reason when the code does not tell
    it.
    """
    from orion.cli.app import say
    from orion.cli.shared.waiting import exit_code

    code = exit_code(task)
    why = f": {task.reason}" if task.reason else ""
    if task.state == "stopped":
        say(f"{task.id} was stopped{why}")
    elif code is None:
        say(f"{task.id} {task.state}{why}")
    elif "out of memory" in task.reason:
        say(f"{task.id}{why}")
    return (0 if task.state == "completed" else 1) if code is None else code


def _remove(client: "Client", task: "TaskView") -> None:
    """Removes the task and waits until it is gone."""
    from orion.cli.app import say
    from orion.cli.shared.waiting import Deadline, Follower
    from orion.model.errors import NotFound, OrionError

    deadline = Deadline(_REMOVE_S)
    follower = Follower(client, task.id, task.created_index)
    try:
        client.delete_task(task.id, created_index=task.created_index)
        while follower.look(deadline.left_s) is not None and not deadline.passed:
            pass
    except NotFound:
        return
    except OrionError as error:
        say(f"{task.id} could not be removed: {error.detail}; 'orion rm {task.id}' does it")
    except KeyboardInterrupt:
        say(f"{task.id} goes on ending; 'orion ps' shows whether it is gone")
