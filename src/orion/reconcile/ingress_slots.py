"""Which backend stands behind which number that the kernel draws for a connection to a published port.

A port that is not sticky has as many numbers as backends. A sticky one has a fixed count of slots, which a client's
address leads to. Each slot has an order of all backends by a hash of its own (rendezvous hashing, Thaler and
Ravishankar 1998), so that a backend that comes or goes takes the clients of few slots with it; none has more than a
tenth above its share (consistent hashing with bounded loads, Mirrokni et al. 2017). Of very many backends each has
some points on a ring of slots, and what is before them (Karger et al. 1997): less even, and as fast as for few.
"""

import hashlib
import struct
from functools import lru_cache

from orion.model.ingress import Backend, IngressPort

MANY = 128
SLOTS = {16: 128, MANY: 1_024, 1 << 16: 4_096}  # of a sticky port with at most so many backends
_EXCESS = 1.1
_POINTS = 16


SPREAD = "spread_"  # before the count of backends


def spread_chain(count: int) -> str:
    return f"{SPREAD}{count}"


def sticky_chain(slots: int) -> str:
    return f"sticky_{slots}"


def chain_of(port: IngressPort) -> str:
    """Returns the chain that draws a number for it; "" where there is no backend to draw."""
    if not port.backends:
        return ""
    return sticky_chain(_size(port)) if port.sticky else spread_chain(len(port.backends))


def slots_of(port: IngressPort) -> tuple[Backend, ...]:
    """Returns the backend of each number."""
    backends = tuple(sorted(port.backends))
    if not port.sticky or not backends:
        return backends
    return (_ring if len(backends) > MANY else _filled)(backends, _size(port))


def _size(port: IngressPort) -> int:
    return next(size for most, size in SLOTS.items() if len(port.backends) <= most)


@lru_cache(maxsize=64)  # a change needs those of before and after it
def _filled(backends: tuple[Backend, ...], size: int) -> tuple[Backend, ...]:
    most = -(-size * _EXCESS // len(backends))
    counts = [0] * len(backends)
    found = []
    for scores in zip(*(_scores(backend, size) for backend in backends), strict=True):
        at = scores.index(max(scores))
        if counts[at] >= most:
            at = max((each for each in range(len(backends)) if counts[each] < most), key=scores.__getitem__)
        counts[at] += 1
        found.append(backends[at])
    return tuple(found)


@lru_cache(maxsize=64)
def _ring(backends: tuple[Backend, ...], size: int) -> tuple[Backend, ...]:
    points: dict[int, tuple[int, int]] = {}  # by slot, of which the highest counts
    for at, backend in enumerate(backends):
        for score in _scores(backend, _POINTS):
            point = (score, at)
            points[score % size] = max(point, points.get(score % size, point))
    owner = backends[points[min(points)][1]]  # of the slots behind the last point
    found = []
    for slot in range(size - 1, -1, -1):
        if slot in points:
            owner = backends[points[slot][1]]
        found.append(owner)
    return tuple(reversed(found))


def _scores(backend: Backend, size: int) -> tuple[int, ...]:
    """Returns a number for each slot."""
    digest = hashlib.shake_128(struct.pack(">IH", backend.ip, backend.port)).digest(4 * size)
    return struct.unpack(f">{size}I", digest)
