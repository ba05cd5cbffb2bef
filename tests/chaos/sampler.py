"""Looks at all tasks again and again, by linearizable reads of one node or another."""

import random
import threading
from collections.abc import Sequence

from chaos.asking import NotSent, Unknown, ask
from chaos.counts import Counts
from chaos.floors import Gap
from chaos.node import CPUS, MEMORY_BYTES
from chaos.placements import wrong_placements

PAUSE_S = 0.25
PATIENCE_S = 2.0


class Sampler:
    def __init__(self, seed: str, addresses: Sequence[str], counts: Counts) -> None:
        self._rng = random.Random(f"{seed} sampler")
        self._addresses = addresses
        self._counts = counts
        self._highest = 0  # index of any answer so far; only one read is under way at a time
        self.reads = Gap()

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(PAUSE_S):
            self._sample()

    def _sample(self) -> None:
        address = self._rng.choice(list(self._addresses))
        try:
            answer = ask(address, "GET", "/tasks", patience_s=PATIENCE_S)
        except (NotSent, Unknown):
            self._counts.operation("read all tasks", "failed")
            return
        if answer.status != 200:
            self._counts.operation("read all tasks", "failed")
            return
        self._counts.operation("read all tasks", "done")
        self.reads.came()
        for wrong in wrong_placements(answer.json(), MEMORY_BYTES, CPUS):
            self._counts.violation("placements", f"at index {answer.index} {wrong}")
        self._counts.check("sampled placements")
        if answer.index < self._highest:
            words = f"{address} showed index {answer.index} after another node had shown {self._highest}"
            self._counts.violation("linearizable reads", words)
        self._highest = max(self._highest, answer.index)
