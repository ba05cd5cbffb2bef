"""`orion top` gives its terminal away, over a real node: to an editor, and to a shell in a task."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import pytest

from support.nodes import DEADLINE_S, _environment

pytestmark = pytest.mark.engine

_CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[()])?\Z")


class Terminal:
    """A program in a terminal of 100 columns and 30 rows. `shown`: all that it has drawn so far."""

    def __init__(self, words, environment):
        self._fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            words, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
        )
        os.close(inner)
        self.shown = b""
        self._cut = b""  # a control sequence whose end has not been read yet

    def press(self, keys):
        os.write(self._fd, keys.encode())

    def until(self, text):
        """Waits until the text is drawn, and forgets what came before its end."""
        deadline = time.monotonic() + DEADLINE_S
        while (at := self.shown.find(text.encode())) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} never came: {self.shown[-2000:].decode(errors='replace')}"
            if select.select([self._fd], [], [], left)[0]:
                self._take(os.read(self._fd, 65536))
        self.shown = self.shown[at + len(text.encode()) :]

    def _take(self, drawn):
        """A read may end in the middle of a control sequence."""
        drawn = self._cut + drawn
        unfinished = _UNFINISHED.search(drawn)
        self._cut = unfinished[0] if unfinished else b""
        self.shown += _CONTROL.sub(b"", drawn[: len(drawn) - len(self._cut)])

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


@contextlib.contextmanager
def top(node, **environment):
    words = [sys.executable, "-m", "orion", "top", "--addr", f"127.0.0.1:{node.port}"]
    made = Terminal(words, {**_environment(), "TERM": "xterm", **environment})
    try:
        made.until("jobs [1]")
        yield made
    finally:
        made.close()


def test_a_job_is_edited_planned_and_another_version_of_it_runs(one, busybox_image):
    node = one.any()
    job = {"image": busybox_image, "command": ["sleep", "10000"], "env": {"GREETING": "hello"}}
    node.ask("PUT", "/jobs/web", job)
    one.wait_task("web/0", "running")
    with top(node, EDITOR="sed -i s/hello/goodbye/") as terminal:
        terminal.press("e")
        terminal.until("Update web?")
        terminal.until('"hello" -> "goodbye"')
        terminal.press("y")
        terminal.until("web is on its way to version")
    assert node.ask("GET", "/jobs/web")["env"] == {"GREETING": "goodbye"}


def test_a_shell_is_opened_and_left_and_the_dashboard_goes_on(one, busybox_image):
    node = one.any()
    node.ask("PUT", "/jobs/web", {"image": busybox_image, "command": ["sleep", "10000"]})
    one.wait_task("web/0", "running")
    with top(node) as terminal:
        terminal.press("\r")
        terminal.until("tasks of job web")
        terminal.press("s")
        terminal.until("# ")
        terminal.press("echo in-$((40+2))\n")
        terminal.until("in-42")
        terminal.press("exit\n")
        terminal.until("tasks of job web")
        terminal.press("\x03")
        assert terminal.process.wait(DEADLINE_S) == 0


def test_an_editor_that_is_not_there_is_said_and_the_dashboard_goes_on(one, busybox_image):
    node = one.any()
    node.ask("PUT", "/jobs/web", {"image": busybox_image, "command": ["sleep", "10000"]})
    one.wait_task("web/0", "running")
    with top(node, EDITOR="nope", VISUAL="") as terminal:
        terminal.press("e")
        terminal.until("nope can't be started: No such file or directory; $EDITOR names it")
        terminal.press("\r")
        terminal.until("tasks of job web")
        terminal.press("\x03")
        assert terminal.process.wait(DEADLINE_S) == 0


def test_a_change_that_is_rolled_back_is_told_and_stays_the_reason_of_its_job(one, busybox_image):
    node = one.any()
    job = {"image": busybox_image, "command": ["sleep", "10000"], "restartPolicy": "no"}
    node.ask("PUT", "/jobs/web", {**job, "update": {"monitorSeconds": 1}})
    one.wait(lambda: node.ask("GET", "/jobs/web")["deployment"]["state"] == "done", "a version to go back to")
    # Watched for longer than the first one: its end is told in time, though the engine or the node stands still.
    with top(node, EDITOR="sed -i 's/10000/never/; s/monitorSeconds: 1/&2/'") as terminal:
        terminal.press("e")
        terminal.until("Update web?")
        terminal.press("y")
        terminal.until("web: update to version 1 was rolled back: ")
    now = node.ask("GET", "/jobs/web")
    assert now["reason"].startswith("update to version 1 was rolled back: web/0 ")
    assert now["update"]["monitorSeconds"] == 12, "the edit"
