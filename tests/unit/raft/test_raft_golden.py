"""Interaction traces of the core, pinned word by word: what a Ready sends before its fsync, what after it, what it
hands out to be applied. raft_trace.py tells the language; ORION_UPDATE_GOLDEN=1 writes the files anew.
"""

import os
from pathlib import Path

import pytest
from raft_trace import Trace

TRACES = sorted(Path(__file__).parent.joinpath("golden").glob("*.txt"))


def test_no_golden_trace_is_missing() -> None:
    assert len(TRACES) >= 12


@pytest.mark.parametrize("path", TRACES, ids=[p.stem for p in TRACES])
def test_a_trace_is_as_the_golden_file_has_it(path: Path) -> None:
    expected = path.read_text()
    actual = Trace().run(expected)
    if os.environ.get("ORION_UPDATE_GOLDEN") == "1":
        path.write_text(actual)
    else:
        assert actual == expected, f"{path.name} differs; look at it with ORION_UPDATE_GOLDEN=1 and git diff"
