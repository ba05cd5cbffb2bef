"""The terminal, given to another program for a while."""

import contextlib
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from textual.app import App, SuspendNotSupported

from orion.model.errors import Refused

# The first of these that the image has.
_SHELL = "command -v bash >/dev/null 2>&1 && exec bash; exec sh"


def give_terminal(app: App[Any], words: Sequence[str], *, errors: bool = False) -> tuple[int, str]:
    """Runs a program in the app's terminal, and waits for its end. Returns its exit code and, with `errors`, what
    it has written to standard error. Raises Refused where it can't be run.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the program's
    try:
        with _given(app):
            done = subprocess.run(words, check=False, stderr=subprocess.PIPE if errors else None)  # noqa: S603
    except SuspendNotSupported:
        raise Refused("this terminal can't be given to another program") from None
    except OSError as error:
        raise Refused(f"{words[0]} can't be started: {error.strerror or error}") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return done.returncode, (done.stderr or b"").decode(errors="replace").strip()


@contextlib.contextmanager
def _given(app: App[Any]) -> Iterator[None]:
    """The terminal is another's inside. What is raised there is raised once the app has it back.

    Textual's `suspend` lets it through before that, and leaves the terminal to nobody.
    """
    raised: BaseException | None = None
    with app.suspend():
        try:
            yield
        except BaseException as error:  # noqa: BLE001 -- raised below
            raised = error
    if raised is not None:
        raise raised


def shell_words(address: str, task: str) -> list[str]:
    """Returns the command that opens a shell in a task's container, which says first where that is."""
    script = f"echo {shlex.quote(f'This is a shell in {task}: exit or Ctrl-D leaves it.')}; {_SHELL}"
    return [sys.executable, "-m", "orion", "exec", "-it", "--addr", address, task, "sh", "-c", script]
