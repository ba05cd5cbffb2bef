"""Lines before they are on a screen: cut, wrapped, filtered, and forgotten when they are too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.tui.lines import Part, cut, marked, table, text_of, width_of, wrapped
from orion.tui.pages import Pages, finder

texts = st.text(st.sampled_from("ab 漢é"), max_size=30)
lines = st.lists(st.builds(Part, texts, st.sampled_from(["", "dim"])), max_size=4).map(tuple)


@given(lines, st.integers(2, 20))
def test_a_line_in_rows_is_whole_and_no_row_is_too_wide(line, width):
    rows = list(wrapped(line, width))
    assert "".join(map(text_of, rows)) == text_of(line)
    assert all(width_of(row) <= width for row in rows)


@given(lines, st.integers(0, 20))
def test_a_line_that_is_cut_fits(line, width):
    shown = cut(line, width)
    assert width_of(shown) <= width
    assert shown == line or not width or text_of(shown).endswith("…")


@given(lines, st.integers(0, 20), st.integers(0, 20))
def test_what_is_found_is_marked_and_nothing_is_lost(line, begin, length):
    found = marked(line, begin, begin + length)
    assert text_of(found) == text_of(line)
    assert "".join(part.text for part in found if part.look == "found") == text_of(line)[begin : begin + length]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("", ["ok GET /", "error: no", "Error two"]),
        ("error", ["error: no", "Error two"]),
        ("Error", ["Error two"]),
        ("!error", ["ok GET /"]),
        ("^e.*o$", ["error: no", "Error two"]),
        ("(", []),
    ],
)
def test_lines_are_found(words, shown):
    pages = Pages(10)
    pages.add([(Part(text),) for text in ("ok GET /", "error: no", "Error two")])
    pages.look_for(finder(words))
    assert pages.shown == shown
    assert len(pages) == len(shown)


@given(st.lists(st.integers(0, 5)), st.integers(1, 8), st.sampled_from([0, 3]), st.booleans())
def test_the_last_lines_are_kept_and_the_others_are_counted(sizes, most, wrap, find):
    pages = Pages(most)
    pages.wrap_at(wrap)
    if find:
        pages.look_for(finder("!x{4}"))
    went = 0
    for number, size in enumerate(sizes):
        went += pages.add([(Part(f"{number}" + "x" * size),)])
    kept = [f"{number}" + "x" * size for number, size in enumerate(sizes)][-most:]
    assert pages.shown == [text for text in kept if not find or "xxxx" not in text]
    assert pages.dropped == len(sizes) - len(kept)
    shown = "".join(text_of(pages.row(at)) for at in range(len(pages)))
    assert shown == "".join(pages.shown)
    pages.clear()
    assert len(pages) == pages.dropped == 0


def test_memory_is_bounded_by_the_lines_that_are_kept():
    pages = Pages(100)
    for number in range(20_000):
        pages.add([(Part(str(number)),)])
    assert len(pages) == 100
    assert len(pages._rows) <= 2_000


def test_a_table_is_aligned_also_with_wide_letters():
    shown = [text_of(line) for line in table(("a", "b"), (("漢字", "1"), ("x", "2")))]
    assert shown == ["  a     b", "  漢字  1", "  x     2"]
    assert list(table(("a",), ())) == []
