"""A recovery from a lost quorum. It parts a cluster: nodes that went through it and nodes that did not must not
speak with each other.

`recovery` is 0 until there is one. After that it holds the number of recoveries and 32 random bits, so that two
recoveries of one cluster, made apart from each other, are never taken for one.
"""

_COUNT_SHIFT = 32


def next_recovery(former: int, bits: int) -> int:
    return (former >> _COUNT_SHIFT) + 1 << _COUNT_SHIFT | bits & 0xFFFFFFFF


def is_newer(recovery: int, other: int) -> bool:
    return recovery >> _COUNT_SHIFT > other >> _COUNT_SHIFT


def belong_together(cluster: int, recovery: int, other_cluster: int, other_recovery: int) -> bool:
    """Returns True when two nodes may speak with each other. A node in no cluster yet (0) may speak with all."""
    if not cluster or not other_cluster:
        return True
    return (cluster, recovery) == (other_cluster, other_recovery)
