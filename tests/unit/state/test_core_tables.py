"""What a noun gets from declaring its rows and commands, on one that is made up."""

import msgspec
import pytest

from orion.model.errors import AnswerForgotten, Conflict
from orion.state.core import dedup
from orion.state.core.command import Command, Once, command
from orion.state.core.dedup import Answer, DedupTable
from orion.state.core.faults import longer
from orion.state.core.frames import ROWS, End, Rows, encode_into, end_of
from orion.state.core.indexes import SortedKeys, Total
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.tables.answers import AnswersFrame
from orion.state.tables.nodes import NodesFrame


class Book(msgspec.Struct, frozen=True, array_like=True):
    title: str
    pages: int


class BooksFrame(Rows, frozen=True, array_like=True, tag=90):
    rows: list[Book]


class Books(KeyedTable):
    rows_frame = BooksFrame

    def __init__(self, state):
        self.titles = SortedKeys()
        self.pages = Total(lambda book: book.pages)
        super().__init__(state, self.titles, self.pages)

    @staticmethod
    def key(row):
        return row.title

    @staticmethod
    def can_be(row):
        return row.pages >= 0


class BookAnswer(Answer, frozen=True, array_like=True, gc=False):
    row: Book | None = None


class BookAnswersFrame(Rows, frozen=True, array_like=True, tag=91):
    rows: list[tuple[str, BookAnswer]]


class BookAnswers(DedupTable):
    rows_frame = BookAnswersFrame
    answer = BookAnswer
    header_field = "forgotten"


class AddBook(Command, frozen=True, array_like=True, tag=90):
    title: str
    pages: int
    idempotency_key: str
    since: int


@command(
    AddBook,
    fault=lambda command: longer("title", len(command.title), 9),
    once=Once(BookAnswers, mark=lambda c: c.idempotency_key, subject=lambda c: c.title),
)
def add_book(state, step, command):
    books = state.of(Books)
    if books.get(command.title):
        return Conflict("it is there")
    books.put(Book(command.title, command.pages))
    step.tell("BookAdded", command.title, "there is another book")
    return books.get(command.title)


@pytest.fixture
def state():
    return library()


def library():
    state = TableSet()
    state.declare((BookAnswers, Books))
    return state


def filled(*books):
    state = library()
    for title, pages in books:
        state.of(Books).put(Book(title, pages))
    return state.of(Books)


def restored(table, kind=Books):
    again = library().of(kind)
    for frame in table.capture():
        again.restore(frame)
    return again


def add(state, title, key="", since=100, index=100):
    return add_book.apply(state, Step(index, 0), AddBook(0, title, 7, key, since))


def test_indexes_follow_every_change_of_a_row():
    books = filled(("b", 2), ("a", 1), ("c", 3))
    books.put(Book("b", 20))
    books.drop("a")
    assert (books.titles.keys, books.pages.total, len(books)) == (["b", "c"], 23, 2)
    books.check(restored(books))


def test_keys_are_found_by_prefix_past_another():
    books = filled(("a", 1), ("a/1", 1), ("a/2", 1), ("a/3", 1), ("b", 1))
    assert list(books.titles.prefixed("a/", "")) == ["a/1", "a/2", "a/3"]
    assert list(books.titles.prefixed("a/", "a/1")) == ["a/2", "a/3"]
    assert list(books.titles.prefixed("c", "")) == []


def test_rows_come_back_in_frames_of_a_few_in_the_order_in_which_they_came():
    books = filled(*((f"{number:03}", number) for number in range(200, 0, -1)))
    assert [len(frame.rows) for frame in books.capture()] == [ROWS, ROWS, ROWS, 200 - 3 * ROWS]
    again = restored(books)
    assert list(again.rows) == list(books.rows)
    books.check(again)


def test_a_capture_is_not_touched_by_what_comes_after():
    books = filled(("a", 1))
    frames = books.capture()
    books.put(Book("b", 2))
    assert list(frames) == [BooksFrame([Book("a", 1)])]


@pytest.mark.parametrize("rows", [[Book("a", 1), Book("a", 2)], [Book("a", -1)]], ids=["twice", "not a book"])
def test_rows_that_can_not_be_are_refused(state, rows):
    with pytest.raises(LookupError):
        state.of(Books).restore(BooksFrame(rows))


def test_an_index_that_is_not_what_the_rows_say_is_found():
    books = filled(("a", 1))
    books.pages.total = 5
    with pytest.raises(AssertionError, match="Total of Books"):
        books.check(restored(books))


def test_it_is_emptied_with_its_indexes():
    books = filled(("a", 1))
    assert len(list(books.free())) == 3
    assert (len(books), books.titles.keys, books.pages.total) == (0, [], 0)


def test_copies_of_a_command_are_answered_with_the_row_or_the_error_of_the_first(state):
    made = add(state, "a", "k1")
    assert made == Book("a", 7) == add(state, "a", "k1")
    refused = add(state, "a", "k2")
    state.of(Books).drop("a")
    assert str(add(state, "a", "k2")) == str(refused) == "it is there"
    again = restored(state.of(BookAnswers), BookAnswers)
    state.of(BookAnswers).check(again)
    assert again.answers["k1"].row == made


def test_a_command_without_a_mark_is_carried_out_every_time(state):
    add(state, "a")
    assert isinstance(add(state, "a"), Conflict)
    assert not state.of(BookAnswers).answers


def test_one_that_may_have_been_answered_and_forgotten_is_left_out(state, monkeypatch):
    monkeypatch.setattr(dedup, "MAX_ANSWERS", 1)
    add(state, "a", "k1", index=101)
    add(state, "b", "k2", index=102)
    assert state.of(BookAnswers).header() == {"forgotten": 101}
    late = add(state, "c", "k3", since=100)
    assert isinstance(late, AnswerForgotten)
    assert "the change of c was left out" in late.detail
    assert add(state, "c", "k3", since=101) == Book("c", 7)


def test_what_is_wrong_with_a_command_is_declared_with_it():
    assert add_book.fault(AddBook(0, "x" * 10, 1, "", 0)) == "title is 10 characters long; at most 9 are taken"
    assert not add_book.fault(AddBook(0, "x", 1, "", 0))


def test_rows_of_later_tables_are_counted_by_the_tag_of_their_frame():
    end = end_of({BooksFrame: 2, BookAnswersFrame: 1, NodesFrame: 3, AnswersFrame: 9})
    assert end == End(3, 0, 0, more={90: 2, 91: 1})


def test_the_end_of_a_snapshot_is_as_long_as_its_level_has_it():
    for level, fields in ((1, 6), (2, 7)):
        buffer = bytearray()
        encode_into(End(1, 0, 0), buffer, level)
        assert len(msgspec.msgpack.decode(buffer[4:])) == fields
