"""node/network/published.py: what a worker is told is what the state says."""

from hypothesis import given
from hypothesis import strategies as st

from orion.model.ids import NodeId
from orion.model.published import JobAddresses, PublishedPlace, PublishedPort, Told
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


ALLOWED = st.dictionaries(
    st.sampled_from(["web", "db", "shell"]), st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=12).map(tuple)
).map(lambda jobs: tuple(JobAddresses(*each) for each in jobs.items()))


@given(ports=PORTS, allowed=ALLOWED, most=st.integers(1, 10))
def test_a_set_comes_whole_however_it_is_parted(ports, allowed, most):
    former, published.MAX_PLACES = published.MAX_PLACES, most
    try:
        parts = list(chunks(Told(ports, allowed)))
    finally:
        published.MAX_PLACES = former
    counts = (
        sum(len(port.places) for port in part.ports) + sum(len(job.addresses) for job in part.allowed)
        for part in parts
    )
    assert max(counts) <= most
    receive = _Receiver("a voter")
    *before, last = map(receive, parts)
    assert before == [ALIVE] * len(before)
    assert last == Told(ports, allowed)
