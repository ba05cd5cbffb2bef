"""The names port: a DNS server that others, mostly containers, ask. What a name means comes from the node."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from orion.model.dns import Answer, Forward, Question

# Given the question and the address of the client, in its written form. It is called on the event loop for each
# query: it answers from what is in memory, and waits for nothing. An answer with the code REFUSED is one that the
# client may not have.
Resolve = Callable[[Question, str], Answer | Forward]


class NameCounts(msgspec.Struct):
    """Queries since the start. Each is counted once; `failed` are those that were passed on without a reply."""

    answered: int = 0
    refused: int = 0
    forwarded: int = 0
    failed: int = 0
    dropped: int = 0


class NameServer(Protocol):
    counts: NameCounts

    def open(self, host: str) -> None:
        """Takes the port of one address of this machine: queries wait there for `run`. Raises Unavailable: the
        address may come later.
        """

    async def run(self) -> None:
        """Answers until it is cancelled; then the port is free. Raises nothing for what clients or other resolvers
        do. A server runs once.
        """
