"""Server-Sent Events, cut anywhere."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from orion.client.sse import Message, messages

STREAM = (
    b"retry: 1000\n\n: a comment\n\nid: 1.0\ndata: {\xc3\xa9}\n\nevent: reset\ndata: {}\n\n"
    b"event: nothing\n\ndata:a\r\ndata: b\r\nunknown: x\r\n\r\ndata: never ended"
)
EXPECTED = [Message("message", "{é}", "1.0"), Message("reset", "{}"), Message("message", "a\nb")]


@given(st.lists(st.integers(0, len(STREAM))))
def test_however_the_stream_is_cut(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert list(messages(chunks)) == EXPECTED
