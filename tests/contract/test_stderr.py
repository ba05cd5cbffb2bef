"""Standard error on real pipes and files, in a process of its own: who writes never waits, and loses nothing that
somebody reads.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Else a slow machine would end with lines that are still to be written.
PATIENT = "orion.process.stderr.LAST_WORDS_S = 60\n"
BEGIN = f"""
import atexit, logging, os, sys, time
import orion.process.stderr

def until_the_thread_has_it_all():
    while sys.stderr._waiting_chars:
        time.sleep(0.001)

{PATIENT}orion.process.stderr.never_wait()
"""
MISSING = re.compile(rb"orion: (\d+) lines are missing here: .*")
DEADLINE_S = 60
LINE_BYTES = 100


def lines(begin, end):
    """A program that writes these, numbered."""
    return f"for n in range({begin}, {end}): print(f'{{n:0{LINE_BYTES}}}', file=sys.stderr)\n"


@contextlib.contextmanager
def program(text, begin=BEGIN):
    """Runs it with a full pipe as standard error; yields it and the reader's end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
    os.set_blocking(writer, False)
    filled = os.write(writer, b"\n" * 4_096)
    os.set_blocking(writer, True)
    command = [sys.executable, "-c", begin + text]
    pipes = {"stderr": writer, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with os.fdopen(reader, "rb") as unread, subprocess.Popen(command, **pipes) as process:
        os.close(writer)
        try:
            yield process, unread, filled
        finally:
            process.kill()


def run(text, stderr=subprocess.PIPE, begin=""):
    return subprocess.run(
        [sys.executable, "-c", begin + BEGIN + text],
        stderr=stderr,
        stdout=subprocess.PIPE,
        timeout=DEADLINE_S,
        check=False,
    )


def test_all_lines_are_written_in_order_before_the_process_ends():
    done = run(lines(0, 5_000) + "logging.basicConfig(stream=sys.stderr)\nlogging.error('last words')")
    assert done.stderr.splitlines() == [b"%0100d" % n for n in range(5_000)] + [b"ERROR:root:last words"]


def test_no_thread_is_left_when_the_interpreter_is_taken_down_and_words_after_that_are_written():
    begin = (
        "import atexit, sys, threading\natexit.register(lambda: print(threading.active_count(), file=sys.stderr))\n"
    )
    done = run("print('before', file=sys.stderr)", begin=begin)
    assert (done.returncode, done.stderr) == (0, b"before\n1\n")


def test_the_traceback_of_the_end_is_written():
    done = run("print('before', file=sys.stderr)\nraise ValueError('a mistake')")
    assert done.returncode == 1
    assert done.stderr.startswith(b"before\nTraceback (most recent call last):\n")
    assert done.stderr.endswith(b"ValueError: a mistake\n")


def test_text_that_can_not_be_encoded_is_escaped():
    assert run("print('\\udcff \\u00fc', file=sys.stderr)").stderr == "\\udcff \u00fc\n".encode()


def test_no_writer_waits_for_a_reader_and_the_gap_is_told_once_there_is_one():
    total = 40_000  # four times of what may wait
    ask = "print('goes on', flush=True)\nsys.stdin.readline()\n"
    end = "print('waits', flush=True)\nsys.stdin.readline()\n"
    # The thread has the first, and waits for the reader with it: so what may wait is all of those behind it.
    first = "print('first', file=sys.stderr)\nuntil_the_thread_has_it_all()\n"
    text = first + lines(0, total) + ask + lines(total, total + 10) + end
    with program(text) as (process, unread, filled):
        assert process.stdout.readline() == b"goes on\n"
        assert len(unread.read(filled)) == filled
        assert unread.readline() == b"first\n"
        got = [unread.readline()]
        while not MISSING.match(got[-1]):
            got.append(unread.readline())
        missing = int(MISSING.match(got.pop())[1])
        kept = [int(line) for line in got]
        assert kept == list(range(len(kept))), "without a gap, in order"
        assert len(kept) + missing == total
        assert len(kept) > 1024 * 1024 // (LINE_BYTES + 1) - 1
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"waits\n"
        assert [int(unread.readline()) for _ in range(10)] == list(range(total, total + 10))


def test_the_end_does_not_wait_for_ever():
    text = "print('never read', file=sys.stderr)\nraise SystemExit(3)"
    with program(text, BEGIN.replace(PATIENT, "")) as (process, _, _):
        assert process.wait(DEADLINE_S) == 3


def test_the_end_waits_for_a_late_reader():
    text = "atexit.register(sys.stderr.drain, 600)\n" + lines(0, 1_000)
    with program(text + "print('ends', flush=True)") as (process, unread, filled):
        assert process.stdout.readline() == b"ends\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert [int(line) for line in unread.read()[filled:].splitlines()] == list(range(1_000))
        assert process.wait(DEADLINE_S) == 0


def test_nothing_is_taken_behind_a_gap_until_all_before_it_is():
    """However small; a text of several lines counts as so many."""
    text = (
        "print('first', file=sys.stderr)\nuntil_the_thread_has_it_all()\n"
        "for letter in 'ab': sys.stderr.write(f'{letter * 300_000}\\n' * 2)\n"
        "print('small', file=sys.stderr)\nprint('goes on', flush=True)\n"
    )
    with program(text) as (process, unread, filled):
        assert process.stdout.readline() == b"goes on\n"
        first, *letters, told = unread.read()[filled:].splitlines()
    assert first == b"first"
    assert letters == [b"a" * 300_000] * 2
    assert MISSING.match(told)[1] == b"3"


def test_one_line_may_be_as_long_as_it_likes():
    assert run("print('x' * 3_000_000, file=sys.stderr)").stderr == b"x" * 3_000_000 + b"\n"


def test_a_last_line_without_an_end_is_written():
    assert run("sys.stderr.write('a\\nb'); sys.stderr.write('c')").stderr == b"a\nbc"


def test_a_pipe_that_another_process_made_non_blocking_loses_no_line():
    text = f"os.set_blocking(2, False)\n{lines(0, 1_000)}print('goes on', flush=True)\n"
    with program(text) as (process, unread, filled):
        assert process.stdout.readline() == b"goes on\n"
        assert [int(line) for line in unread.read()[filled:].splitlines()] == list(range(1_000))
        assert process.wait(DEADLINE_S) == 0


def test_lines_lost_to_a_full_disk_are_counted_once_there_is_room(tmp_path):
    """What could not be written is told at the head of what can: here the file is put in place of /dev/full."""
    file = tmp_path / "log"
    text = (
        "patient = sys.stderr\n"
        "for n in range(3):\n"
        "    print('lost', file=patient)\n"
        "    patient.drain(10)\n"
        f"os.dup2(os.open({str(file)!r}, os.O_WRONLY | os.O_CREAT), 2)\n"
        "for _ in range(2):\n"
        "    print('written', file=patient)\n"
        "    patient.drain(10)\n"
    )
    with Path("/dev/full").open("wb") as full:
        assert run(text, stderr=full).returncode == 0
    told, *written = file.read_bytes().splitlines()
    assert MISSING.match(told)[1] == b"3"
    assert written == [b"written"] * 2


# A trace function stands for a finalizer: those are run wherever something is allocated, so here at every line.
TRACE = """
import itertools, queue, threading

def trace(frame, event, _):
    if frame.f_code.co_filename == orion.process.stderr.__file__:
        finalizer()
        return trace

"""


def test_a_finalizer_that_logs_locks_nobody():
    """It wants the handler's lock in the thread that writes, while who has that lock writes."""
    text = f"""{TRACE}
def finalizer():
    if not asked.empty() and next(lines) == asked_line:
        asked.get()
        wanted.put(None)
        logging.error("finalizer")
        done.put(None)

asked, wanted, done = queue.SimpleQueue(), queue.SimpleQueue(), queue.SimpleQueue()
sys.stderr = sys.__stderr__
threading.settrace(trace)
orion.process.stderr.never_wait()
logging.basicConfig(stream=sys.stderr)
for n in range(100):
    lines, asked_line = itertools.count(), n % 10
    asked.put(None)
    with logging.root.handlers[0].lock:
        print("before", n, file=sys.stderr)
        wanted.get()
        print("behind", n, file=sys.stderr)
    done.get()
print("goes on")
"""
    done = run(text)
    assert done.stdout == b"goes on\n"
    told = [line for line in done.stderr.splitlines() if line != b"ERROR:root:finalizer"]
    assert told == [b"%s %d" % (word, n) for n in range(100) for word in (b"before", b"behind")]


def test_a_finalizer_that_writes_in_the_midst_of_a_write_loses_nothing():
    """At the first line, at the second, and so on. Each text is written whole and once."""
    text = f"""{TRACE}
def finalizer():
    if next(lines) == n:
        sys.stderr.write(f"f{{n}}\\n")

for n in range(50):
    lines = itertools.count()
    sys.settrace(trace)
    sys.stderr.write(f"{{n}}:\\n{{n}},")
    sys.settrace(None)
"""
    told = run(text).stderr.decode()
    finalizers = re.findall(r"f\d+\n", told)
    assert len(finalizers) > 10
    assert finalizers == [f"f{n}\n" for n in range(len(finalizers))]
    assert re.sub(r"f\d+\n", "", told) == "".join(f"{n}:\n{n}," for n in range(50))


def test_many_write_and_none_is_lost():
    text = """
import threading

def write(letter):
    for n in range(1_000): sys.stderr.write(f"{letter}{n}\\n")

sys.setswitchinterval(1e-6)
writers = [threading.Thread(target=write, args=letter) for letter in "abcd"]
for writer in writers: writer.start()
for writer in writers: writer.join()
"""
    told = run(text).stderr.decode().splitlines()
    for letter in "abcd":
        assert [line for line in told if line[0] == letter] == [f"{letter}{n}" for n in range(1_000)]
    assert len(told) == 4_000


@pytest.mark.parametrize("reader", ["closed", "gone"])
def test_a_program_goes_on_when_its_reader_is_gone(reader):
    text = "logging.basicConfig(stream=sys.stderr)\nfor _ in range(1_000): logging.error('x')\nprint('goes on')\n"
    command = [sys.executable, "-c", BEGIN + text]
    if reader == "closed":
        command = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stderr.close()
        assert process.stdout.read() == b"goes on\n"
        assert process.wait(DEADLINE_S) == 0
