"""`orion exec`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from orion.cli.shared.options import asks, command, complete_task

if TYPE_CHECKING:
    from orion.client import Client, ContainerSession

READ_BYTES = 32 * 1024
MOST_TASKS = 100  # at a time: each is a connection and a thread
WAITING_LINES = 1_000


_EXAMPLES = """\b
Examples:
  orion exec -it web sh
  orion exec web/1 cat /etc/hosts
  orion exec --all web nginx -s reload
"""


@command("exec", epilog=_EXAMPLES, settings={"allow_interspersed_args": False})
@click.option("-i", "--stdin", is_flag=True, help="Give it what comes on standard input.")
@click.option("-t", "--tty", is_flag=True, help="Give it this terminal: keys, colours, its window's size.")
@click.option("-u", "--user", default="", metavar="USER", help="The user that it runs as.  [default: the task's]")
@click.option("-w", "--workdir", default="", metavar="DIR", help="The folder that it starts in.")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="A variable for it. Repeatable.")
@click.option("--all", "every", is_flag=True, help="Run it in all tasks of the job at once.")
@click.argument("task", shell_complete=complete_task)
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@asks
def exec(  # noqa: A001 -- found by the name of the command
    client: "Client",
    task: str,
    words: tuple[str, ...],
    stdin: bool,
    tty: bool,
    user: str,
    workdir: str,
    env: tuple[str, ...],
    every: bool,
) -> int:
    """Run a program in a task's container, wherever that is.

    The exit code is the program's. Options end at TASK: all that follows it is the program's.
    """
    if words[0] == "--" and len(words) > 1:  # as kubectl has it; no program is called so
        words = words[1:]
    values: dict[str, Any] = {"user": user, "workdir": workdir, "env": _variables(env)}
    if every:
        if stdin or tty:
            raise click.UsageError("--all runs it in several tasks: none of them can have -i or -t")
        return _in_all(client, task, words, values)
    if not tty:
        with client.exec(task, words, stdin=stdin, **values) as session:
            return _piped(session, stdin=stdin)
    from orion.cli.shared.terminal import is_terminal, raw, window, window_changes

    keys = sys.stdin.fileno() if stdin else -1
    if stdin and not is_terminal(keys):
        raise click.UsageError("with -t standard input must be a terminal: leave -t out, or give no -i")
    columns, rows = window()
    opened = client.exec(task, words, tty=True, stdin=stdin, columns=columns, rows=rows, **values)
    with opened as session, window_changes() as changed, raw(keys) if stdin else contextlib.nullcontext():
        return _piped(session, stdin=stdin, changed=changed)


def _variables(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise click.UsageError(f"{text!r} is no variable: write NAME=VALUE")
        found[name] = value if equals else os.environ.get(name, "")
    return found


def _piped(session: "ContainerSession", *, stdin: bool, changed: int = -1) -> int:
    """Carries both ways, until the program ends. `changed` can be read when the window's size has changed."""
    from orion.cli.shared.terminal import window

    source = sys.stdin.fileno() if stdin else -1
    outputs = {1: sys.stdout.buffer, 2: sys.stderr.buffer}
    while session.exit_code is None:
        inputs = (*([source] if source >= 0 and not session.full else []), *([changed] if changed >= 0 else []))
        ready = session.wait(inputs)
        if changed in ready:
            os.read(changed, 4096)
            session.resize(*window())
        if source in ready:
            data = _read(source)
            if data:
                session.write(data)
            else:
                session.end_input()
                source = -1
        if session.fileno() in ready:
            for output in session.outputs():
                out = outputs.get(output.stream, sys.stdout.buffer)
                out.write(output.data)
                out.flush()
    return session.exit_code


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, READ_BYTES)
    except OSError:  # a terminal that is gone, or standard input that is closed
        return b""


# --- all tasks of a job -------------------------------------------------------------------------------------


def _in_all(client: "Client", job: str, words: tuple[str, ...], values: dict[str, Any]) -> int:
    """Prints lines as they come, each behind its task's name. Returns the greatest exit code."""
    import queue
    import threading

    from orion.cli.app import say
    from orion.cli.shared.jobs import running_of
    from orion.model.errors import OrionError

    tasks = running_of(client, job)
    if len(tasks) > MOST_TASKS:
        raise click.UsageError(f"{job} has {len(tasks)} tasks that run: at most {MOST_TASKS} are taken at a time")
    came: queue.Queue[tuple[str, int, bytes | int | OrionError]] = queue.Queue(WAITING_LINES)

    def run(task: str) -> None:
        end: int | OrionError = 1
        try:
            with client.again() as own, own.exec(task, words, **values) as session:
                for stream, line in _lines(session):
                    came.put((task, stream, line))
                end = session.exit_code or 0
        except OrionError as error:
            end = error
        finally:
            came.put((task, 0, end))

    for each in tasks:
        threading.Thread(target=run, args=(each.id,), daemon=True).start()
    width, left, worst = max(len(task.id) for task in tasks), len(tasks), 0
    while left:
        task, stream, item = came.get()
        if isinstance(item, bytes):
            out = sys.stderr.buffer if stream == 2 else sys.stdout.buffer
            out.write(f"{task:<{width}} | ".encode() + item)
            out.flush()
            continue
        left -= 1
        code = 1 if isinstance(item, OrionError) else item
        worst = max(worst, code)
        if code:
            say(f"{task}: {item.detail if isinstance(item, OrionError) else f'exit code {item}'}")
    return worst


def _lines(session: "ContainerSession") -> Iterator[tuple[int, bytes]]:
    """Yields the lines of both streams, each whole, or in pieces where it is long."""
    begun = {1: b"", 2: b""}
    for output in session:
        *whole, rest = (begun.get(output.stream, b"") + output.data).split(b"\n")
        yield from ((output.stream, line + b"\n") for line in whole)
        if len(rest) > READ_BYTES:
            yield output.stream, rest + b"\n"
            rest = b""
        begun[output.stream] = rest
    yield from ((stream, rest + b"\n") for stream, rest in begun.items() if rest)
