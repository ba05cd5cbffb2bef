"""No text, and no bytes, make anything of the loader but jobs or faults."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from orion.jobfile.faults import WrongFiles
from orion.jobfile.load import Source, load

CORPUS = [file.read_bytes() for file in sorted((Path(__file__).parent / "malformed").iterdir())]
FORMATS = st.sampled_from(["toml", "yaml", "json", ""])
SIGNS = "{}[]:,-?#&*!|>\"'%@`=.~<\t\r \n\\"
WORDS = "a 1 0 e9 - -- --- name image jobs env memory << true null".split()  # noqa: SIM905 -- it fits a line
PIECES = st.sampled_from([*SIGNS, *WORDS, "\\u", "é", "[[", "]]", "'''", '"""', "\n  ", "\u2028", "\x85"])
LINE_ENDS = re.compile(r"[\n\x85\u2028\u2029]")  # YAML's


def check(data, form):
    try:
        assert load([Source("a", data, form)])
    except WrongFiles as error:
        wrong = error
    else:
        return
    lines = len(LINE_ENDS.findall(data.decode(errors="replace"))) + 2
    for fault in wrong.faults:
        assert 1 <= fault.mark.line <= lines
        assert fault.mark.column >= 1
        assert fault.message
    assert wrong.faults == tuple(sorted(wrong.faults))
    assert "\n" not in "".join(wrong.lines())


@given(st.binary(max_size=200), FORMATS)
@settings(deadline=None, max_examples=300)
def test_bytes(data, form):
    check(data, form)


@given(st.lists(PIECES, max_size=40).map("".join), FORMATS)
@settings(deadline=None, max_examples=500)
def test_texts_of_what_the_formats_are_made_of(text, form):
    check(text.encode(), form)


@st.composite
def spliced(draw):
    """A file with a piece cut out, doubled or put in elsewhere."""
    data = draw(st.sampled_from(CORPUS))[:2_000]
    start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    other = draw(st.sampled_from(CORPUS))[:300] if draw(st.booleans()) else draw(PIECES).encode()
    return data[:start] + other + data[end:]


@given(spliced(), FORMATS)
@settings(deadline=None, max_examples=300)
def test_damaged_files(data, form):
    check(data, form)
