"""The last words of a planned stop: which containers run on without their node, and what becomes of them when."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

MAX_NAMED = 5


class LastWords(msgspec.Struct, frozen=True):
    """`tasks`: whose containers the node leaves running. `others`: some of the cluster's nodes run on, which start
    those tasks past `until_ms` (wall clock), or, where they could not be told (`untold` says why), as soon as they
    miss the node. `shares_engine`: with one of them, which then ends the containers here.
    """

    node: str
    tasks: Sequence[str]
    others: bool
    shares_engine: bool
    untold: str
    until_ms: int
    grace_ms: int

    @property
    def text(self) -> str:
        node, tasks = self.node, self.tasks
        if not tasks:
            return f"stopped; {node} runs no task"
        one = len(tasks) == 1
        what = (
            f"stopped. {_names(tasks)} {'runs on in its container' if one else 'run on in their containers'},"
            f" and nobody looks after {'it' if one else 'them'}"
        )
        if not self.others:
            return f"{what} until {node} is back"
        them = "it is" if one else "they are"
        if self.shares_engine:
            then = f"{them} moved to another node"
        else:
            then = f"{them} started on another node too and {'runs' if one else 'run'} twice until it is back"
        advice = f"'orion drain {node} --stop' moves tasks before it stops a node"
        return f"{what}. {self._unless_back}, {then}; {advice}"

    @property
    def _unless_back(self) -> str:
        if self.untold:
            return f"The cluster could not be told ({self.untold}): unless {self.node} is back within a second"
        at = datetime.fromtimestamp(self.until_ms / 1000).astimezone()
        return f"Unless {self.node} is back by {at:%H:%M:%S} (in {self.grace_ms / 1000:g} s)"


def _names(tasks: Sequence[str]) -> str:
    more = len(tasks) - MAX_NAMED
    if more > 0:
        return f"{', '.join(tasks[:MAX_NAMED])} and {more} more"
    return " and ".join(filter(None, (", ".join(tasks[:-1]), tasks[-1])))
