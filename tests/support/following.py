"""`orion logs -f` as a user has it: a process of its own, and what it has printed so far."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

# A number each tenth of a second, from where the container began.
COUNTS = ["sh", "-c", 'i=0; while :; do echo "$HOSTNAME $i"; i=$((i+1)); sleep 0.1; done']


class Following:
    """`orion logs -f` in a process of its own, and what it has printed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self.notices: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((process.stdout, self.lines), (process.stderr, self.notices))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Iterator[str], lines: list[str]) -> None:
        lines += (line.rstrip("\n") for line in stream)

    def runs(self) -> dict[str, list[int]]:
        """The numbers of each container, by its name, in the order in which they came."""
        found: dict[str, list[int]] = {}
        for line in list(self.lines):
            name, _, number = line.partition(" ")
            found.setdefault(name, []).append(int(number))
        return found

    def join(self) -> None:
        for reader in self._readers:
            reader.join(30)


@contextmanager
def following(addresses: Sequence[str], *args: str, enter: Sequence[str] = ()) -> Iterator[Following]:
    """`enter`: the words of a command that runs it elsewhere."""
    command = [*enter, sys.executable, "-m", "orion", "logs", "-f", "--addr", ",".join(addresses), *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        follower = Following(process)
        try:
            yield follower
        finally:
            process.kill()
            follower.join()


def told(follower: Following, *words: str) -> Callable[[], bool]:
    return lambda: any(all(word in notice for word in words) for notice in list(follower.notices))


def goes_on(follower: Following, runs: int) -> Callable[[], bool]:
    """As many containers were read, and the last has said something for a while."""
    return lambda: len(found := follower.runs()) == runs and len(list(found.values())[-1]) > 5


def whole(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
