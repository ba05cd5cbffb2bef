"""A duty: something that only the leader does, for as long as it leads."""

from typing import Protocol


class Duty(Protocol):
    name: str

    async def run(self, term: int, /) -> None:
        """Does it until cancelled, when this node no longer leads in `term`. Begins anew at each call: what it
        remembers of an earlier term, or of a run that a bug ended, counts no more. May return when nothing is left
        to do in this term.
        """
