"""Job files from the disk and from standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orion.jobfile.faults import WrongFiles
    from orion.jobfile.load import LoadedJob
    from orion.model.api.jobs import JobRequest
    from orion.model.errors import Refused

WRONG = 2  # the exit code, as of any bad usage
_STDIN = "<stdin>"  # as compilers call it


def load_files(files: Sequence[str]) -> "list[LoadedJob]":
    """Returns the jobs of these files; - is standard input. Leaves with WRONG once all that is wrong is told."""
    from orion.jobfile.faults import WrongFiles
    from orion.jobfile.load import Source, load

    try:
        return load([Source(_STDIN if file == "-" else file, _bytes(file)) for file in files])
    except WrongFiles as wrong:
        tell(wrong)
        raise click.exceptions.Exit(WRONG) from None


def tell(wrong: "WrongFiles") -> None:
    """Writes a line for each fault to standard error, in the form that editors know: file:line:column."""
    for line in wrong.lines():
        click.echo(line, err=True)


def request_of(job: "LoadedJob") -> "JobRequest":
    import msgspec

    from orion.model.api.jobs import JobRequest

    return msgspec.convert(job.request, JobRequest)


def in_turn(jobs: "Sequence[LoadedJob]") -> list[int]:
    """Returns the numbers of the jobs, each behind those that it comes after. Of a circle it keeps the order."""
    numbers = {job.name: number for number, job in enumerate(jobs)}
    found: dict[int, None] = {}
    entered: set[int] = set()
    left = [(number, False) for number in reversed(range(len(jobs)))]
    while left:
        number, is_over = left.pop()
        if is_over:
            found[number] = None
        elif number not in entered:
            entered.add(number)
            names = [each.job for each in request_of(jobs[number]).after]
            left.append((number, True))
            left += [(numbers[name], False) for name in reversed(names) if name in numbers]
    return list(found)


def refused(job: "LoadedJob", error: "Refused") -> int:
    """Tells why the cluster refuses a job, with the places in its file. Returns the exit code."""
    from orion.model.errors import Invalid

    tell(job.refused(error))
    return WRONG if isinstance(error, Invalid) else 1


def _bytes(file: str) -> bytes:
    """Reads at most one byte more than a job file may have, because a file may have no end."""
    from orion.jobfile.load import MAX_FILE_BYTES

    if file == "-":
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{file} can't be read: {error.strerror}") from None
