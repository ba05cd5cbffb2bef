"""Answers to questions of this node's containers, from what names mean to who asks."""

import random

from orion.model.dns import Answer, Code, Forward, Question
from orion.node.network.local_parts import Asker
from orion.node.network.names import Names, NotKnownYet


class NameAnswers:
    def __init__(self, names: Names, rng: random.Random) -> None:
        self._names = names
        self._rng = rng

    def resolve(self, question: Question, asker: Asker) -> Answer | Forward:
        from orion.model.name_answers import answer
        from orion.node.network.as_seen_by import AsSeenBy

        try:
            return answer(question, AsSeenBy(self._names, asker), self._rng.getrandbits(64))
        except NotKnownYet:
            return Answer(Code.SERVFAIL)
