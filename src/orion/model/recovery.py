"""A recovery from a lost quorum parts a cluster: who went through it must not be spoken to by who did not.

`recovery` is 0 until there is one; after it, how often there was one, and 32 random bits, so that two recoveries of
the same cluster, made apart from each other, are never taken for one.
"""

_COUNT_SHIFT = 32


def next_recovery(former: int, bits: int) -> int:
    return (former >> _COUNT_SHIFT) + 1 << _COUNT_SHIFT | bits & 0xFFFFFFFF


def is_newer(recovery: int, other: int) -> bool:
    return recovery >> _COUNT_SHIFT > other >> _COUNT_SHIFT


def belong_together(cluster: int, recovery: int, other_cluster: int, other_recovery: int) -> bool:
    """Whether two nodes may speak with each other. One that is in no cluster yet (0) may speak with all."""
    if not cluster or not other_cluster:
        return True
    return (cluster, recovery) == (other_cluster, other_recovery)
