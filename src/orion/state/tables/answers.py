"""Answers to clients who changed jobs and nodes."""

from orion.state.core.dedup import Answer, DedupTable
from orion.state.core.frames import Rows


class NameAnswer(Answer, frozen=True, array_like=True, gc=False):
    row: None = None


class AnswersFrame(Rows, frozen=True, array_like=True, tag=4):
    """About jobs and nodes, oldest first."""

    rows: list[tuple[str, NameAnswer]]


class Answers(DedupTable):
    rows_frame = AnswersFrame
    answer = NameAnswer
    header_field = "answers_from"


TABLES = (Answers,)
COMMANDS = ()
