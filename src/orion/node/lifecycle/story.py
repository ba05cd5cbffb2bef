"""Tells the changes of configuration in plain lines."""

import logging
from collections.abc import Callable

from orion.model.ids import RaftId

log = logging.getLogger(__name__)


class Story:
    """Tells the changes of configuration in plain lines."""

    def __init__(self, name_of: Callable[[RaftId], str]) -> None:
        self._name_of = name_of
        self._voters: set[int] = set()
        self._learners: set[int] = set()

    def tell(self, voters: set[int], learners: set[int]) -> None:
        for raft in sorted(learners - self._learners - self._voters):
            log.info("%s added to Raft as learner", self._name_of(RaftId(raft)))
        for raft in sorted(voters - self._voters):
            word = "caught up, promoted to voter" if raft in self._learners else "is a voter"
            log.info("%s %s", self._name_of(RaftId(raft)), word)
        for raft in sorted((self._voters | self._learners) - voters - learners):
            log.info("%s removed from Raft", self._name_of(RaftId(raft)))
        for raft in sorted((self._voters & learners) - voters):
            log.info("%s demoted to learner", self._name_of(RaftId(raft)))
        self._voters, self._learners = voters, learners
