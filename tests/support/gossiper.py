"""A member of the gossip that is no node: it says whatever it is told to. For tests of real processes."""

import contextlib
from collections.abc import Iterator

import kinship
import kinship.blocking

from orion.adapters.gossip import LABEL, TIMINGS

JOIN_S = 10.0


@contextlib.contextmanager
def gossiper(name: str, metadata: dict[str, str], *seeds: str) -> Iterator[kinship.blocking.Cluster]:
    """In gossip with the seeds until the end; then it leaves."""
    config = kinship.Config.lan(
        name=name, bind="127.0.0.1:0", cluster=LABEL, meta=metadata, insecure_plaintext=True, **TIMINGS
    )
    member = kinship.blocking.Cluster(config)
    member.start()
    try:
        member.join(list(seeds), timeout=JOIN_S)
        yield member
    finally:
        member.close()
