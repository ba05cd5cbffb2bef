"""Bytes that earlier builds have written are understood, and written again the same.

`golden/commands.bin` is a log with every kind of command, each behind its length. `golden/snapshot.bin` is the
state that it leads to, with something in every table. Both were made when the snapshot's code named each table.
They are never made anew: what is new gets files of its own.
"""

from pathlib import Path

import pytest

from orion.state.apply import apply
from orion.state.check import check
from orion.state.commands import decode_command, encode_command
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.tables.answers import Answers
from orion.state.tables.configs import ConfigAnswers

GOLDEN = Path(__file__).parent / "golden"
SNAPSHOT = (GOLDEN / "snapshot.bin").read_bytes()


def commands():
    data = (GOLDEN / "commands.bin").read_bytes()
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def test_a_snapshot_of_an_earlier_build_is_restored_and_written_again_the_same():
    restorer = Restorer()
    restorer.feed(SNAPSHOT)
    state = restorer.finish()
    check(state)
    assert b"".join(encode(capture(state))) == SNAPSHOT


@pytest.mark.parametrize("data", list(commands()), ids=lambda data: f"tag {data[1]}")
def test_a_command_of_an_earlier_build_is_understood_and_written_again_the_same(data):
    assert encode_command(decode_command(data)) == data


def test_a_log_of_an_earlier_build_leads_to_the_same_state():
    state = State()
    for index, data in enumerate(commands(), 1):
        apply(state, index, data)
    restorer = Restorer()
    restorer.feed(SNAPSHOT)
    golden = restorer.finish()
    # Set by hand in the golden one: 10,000 answers to forget one of, and a recovery, would be a long log.
    state.of(Answers).forgotten, state.of(ConfigAnswers).forgotten = 3, 4
    state.recovery = golden.recovery
    assert b"".join(encode(capture(state))) == SNAPSHOT
