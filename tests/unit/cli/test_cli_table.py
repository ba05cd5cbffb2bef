"""Tables on terminals of all widths, and where no terminal is."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.cli.shared.table import Column, keep_end, lay_out, shorten_image, shorten_task, width_of
from orion.model.api.tasks import AllocationView
from unit.api.fake_service import node_view, task_view

LONG_IMAGE = "registry.example.com:5000/platform/team/storefront-frontend:2026.11.29-rc1"
LONG_REASON = (
    "exit code 1: could not connect to server: Connection refused, is it running on host db.internal? " * 3
)
COLUMNS = (
    Column("ID", 12, shorten_task),
    Column("IMAGE", 12, shorten_image),
    Column("STATE"),
    Column("RESTARTS", spare=True),
    Column("REASON", 24, blank=""),
)
WORDS = st.text(st.sampled_from("ab/:@. \n\t\x1b…é漢ㄱ🙂\u0301"), max_size=60)


def lines(columns, rows, width):
    return ["".join(cells) for cells in lay_out(columns, rows, width)]


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["running", "failed"]), st.just("3"), WORDS), max_size=5))
def test_no_line_is_longer_than_the_terminal_and_a_row_is_one_line(rows):
    for width in (12, 20, 40, 80, 200):
        found = lines(COLUMNS, rows, width)
        assert len(found) == len(rows) + 1
        for line in found:
            assert width_of(line) <= width
            assert line.isprintable()


def test_what_fits_is_not_shortened():
    row = ("web/0", "nginx:1.27", "running", "3", "all is well")
    assert lines(COLUMNS, [row], 200) == lines(COLUMNS, [row], None)
    assert lines(COLUMNS, [row], None)[1] == "web/0   nginx:1.27   running   3          all is well"
    assert "…" not in lines(COLUMNS, [row], 80)[1]


def test_the_longest_give_first():
    head, row = lines(COLUMNS, [("web/0", LONG_IMAGE, "failed", "3", LONG_REASON)], 80)
    assert row.startswith("web/0  …")
    assert ":2026.11.29-rc1  failed" in row, "the end of an image's name says most"
    assert "exit code 1: could not" in row
    assert row.endswith("…")
    assert "RESTARTS" in head


def test_a_column_that_says_nothing_goes_before_anything_is_shortened():
    rows = [("a-long-name-of-a-job/0", "registry.example.com/app:1", "running", "0", "")] * 2
    head, row, _ = lines(COLUMNS, rows, 60)
    assert (head.split(), "…" in row) == (["ID", "IMAGE", "STATE"], False)


def test_words_of_programs_stay_in_their_row():
    (_, row) = lines(
        COLUMNS, [("a/0", "x", "failed", "0", "boom\r\n\x1b[31mred\x1b[0m \x1b]0;title\x07\x07\x1b")], None
    )
    assert row.endswith("boom red ??")


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("nginx@sha256:" + "0" * 64, 20, "nginx@sha256:000000…"),
        ("example.com/team/app@sha256:" + "0" * 64, 12, "…/team/app@…"),
        ("example.com/team/app:1.2", 14, "…/team/app:1.2"),
    ],
)
def test_images(text, width, short):
    assert shorten_image(text, width, "…") == short


def test_ids_and_keys():
    assert shorten_task("a-very-long-name/12", 10, "…") == "a-very…/12"
    assert keep_end("app/database/url", 8, "…") == "…ase/url"
    assert keep_end("app/database/url", 8, "...") == "...e/url"


def on_terminal(api, columns, *args):
    """What `orion` prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "orion", *args]
    environment = {**os.environ, "ORION_ADDR": f"127.0.0.1:{api.port}", "TERM": "xterm", "PYTHONUTF8": "1"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(command, stdout=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:  # its side is closed
            pass
        finally:
            os.close(ours)
        assert process.wait(180) == 0
    return [plain(line) for line in shown.decode().splitlines()]


def plain(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


@pytest.fixture
def busy(api):
    """Tasks with long names, images, ports and reasons."""
    ran = AllocationView("a", "node1", "starting", "", 12, 1, None, None, None)
    tasks = [
        task_view(
            "web", state="running", node_id="node1", ports={"80/tcp": "10.0.0.1:8080", "443/tcp": "10.0.0.1:8443"}
        ),
        task_view("storefront-frontend-production", image=LONG_IMAGE, reason=LONG_REASON, allocations=[ran]),
        task_view("broken", image=f"nginx@sha256:{'0' * 64}", state="failed", reason="exit code 1: a\nb"),
    ]
    api.service.tasks_by_id = {task.id: task for task in tasks}
    api.service.nodes_by_name = {
        name: node_view(name, reason=LONG_REASON, labels={"id": name, "zone": "b" * 80})
        for name in ("node1", "n" * 60)
    }
    api.ask("PUT", f"/configs/app/{'k' * 200}", b"value")
    return api


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (["ps"], 4),
        (["ps", "-o", "wide"], 4),
        (["nodes"], 3),
        (["nodes", "-o", "wide"], 3),
        (["members"], 3),
        (["config", "ls"], 2),
    ],
)
def test_a_row_is_a_row_on_a_terminal(busy, columns, command, rows):
    shown = on_terminal(busy, columns, *command)
    assert len(shown) == rows
    assert all(width_of(line) <= columns for line in shown)


def test_80_columns_say_what_is_where_and_why_not(busy):
    head, broken, front, web = on_terminal(busy, 80, "ps")
    assert head.split()[:4] == ["ID", "IMAGE", "STATE", "NODE"]
    assert head.split()[-1] == "REASON"
    assert "running" in web
    assert "10.0.0.1:80" in web
    assert "/0 " in front
    assert "exit code 1: " in front
    assert "exit code 1: a b" in broken


def test_no_trunc_and_pipes_get_all_of_it(busy, orion):
    piped = orion("ps")[1]
    assert LONG_IMAGE in piped
    assert LONG_REASON.strip() in piped
    assert len(piped.splitlines()) == 4
    shown = "\n".join(on_terminal(busy, 80, "ps", "--no-trunc"))
    assert LONG_IMAGE in shown
    assert LONG_REASON.strip() in shown
