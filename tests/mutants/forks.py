"""A program that has pytest loaded and runs it in a fork for each line that it is given. It loads nothing of the
source that is mutated, nor of the tests.

    {"words": [pytest's arguments], "told": a file for what it says, "within_s": the longest that it takes,
     "environment": what it has beside this program's}

The answer is a line with its exit code, negative for a signal.
"""

import json
import os
import select
import signal
import sys

import hypothesis  # noqa: F401 -- for the forks
import msgspec  # noqa: F401
import pytest


def fork(words: list[str], told: str, within_s: float, environment: dict[str, str]) -> int:
    child = os.fork()
    if not child:
        code = 70
        try:
            os.setpgid(0, 0)
            os.environ.update(environment)
            out = os.open(told, os.O_WRONLY | os.O_APPEND)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (out, 1), (out, 2)):
                os.dup2(source, target)
            code = int(pytest.main(words))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    ended = os.pidfd_open(child)
    try:
        if not select.select([ended], [], [], within_s)[0]:
            os.killpg(child, signal.SIGKILL)
    finally:
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    for line in sys.stdin:
        print(fork(**json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
