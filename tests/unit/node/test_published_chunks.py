"""node/network/published.py: what a worker is told is what the state says."""

from hypothesis import given
from hypothesis import strategies as st

from orion.model.ids import NodeId
from orion.model.published import PublishedPlace, PublishedPort
from orion.node.network import published
from orion.node.network.published import _Receiver, chunks
from orion.node.rpc.request import ALIVE

PLACES = st.builds(
    PublishedPlace, st.integers(1, 2**32 - 1), st.integers(1, 65_535), st.just(NodeId("a")), st.booleans()
)
PORTS = st.lists(
    st.builds(
        PublishedPort,
        st.integers(1, 65_535),
        st.sampled_from(["tcp", "udp"]),
        st.booleans(),
        st.lists(PLACES, max_size=12).map(tuple),
    ),
    max_size=8,
    unique_by=lambda port: (port.port, port.protocol),
).map(tuple)


@given(ports=PORTS, most=st.integers(1, 10))
def test_a_set_comes_whole_however_it_is_parted(ports, most):
    former, published.MAX_PLACES = published.MAX_PLACES, most
    try:
        parts = list(chunks(ports))
    finally:
        published.MAX_PLACES = former
    assert all(sum(len(port.places) for port in part.ports) <= most for part in parts)
    receive = _Receiver("a voter")
    *before, last = map(receive, parts)
    assert before == [ALIVE] * len(before)
    assert last == ports
