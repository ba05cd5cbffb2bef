"""Malformed job files: each is refused, with the line, the column and the key of everything that is wrong.

faults.txt has what is said of each file in malformed/; `python -m unit.jobfile.test_malformed`, in tests/, writes
it anew.
"""

from pathlib import Path

import pytest

from orion.jobfile.faults import WrongFiles
from orion.jobfile.load import Source, load

HERE = Path(__file__).parent
FILES = sorted((HERE / "malformed").iterdir())
EXPECTED = HERE / "faults.txt"


def told(file: Path) -> list[str]:
    try:
        load([Source(file.name, file.read_bytes())])
    except WrongFiles as wrong:
        return [line if line.startswith(file.name) else f"{file.name}: {line}" for line in wrong.lines()]
    return []


def expected() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in EXPECTED.read_text("utf-8").splitlines():
        found.setdefault(line.partition(":")[0], []).append(line)
    return found


def test_there_are_many():
    assert len(FILES) >= 80
    assert {file.name for file in FILES} == set(expected())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_that_is_wrong_is_told_with_its_place(file):
    assert told(file) == expected()[file.name]


if __name__ == "__main__":
    EXPECTED.write_text("".join(f"{line}\n" for file in FILES for line in told(file)), "utf-8")
