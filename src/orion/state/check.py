"""Checks that a state is sound, for tests and the simulator."""

import hashlib

from orion.state.core.table import same
from orion.state.restore import Restorer
from orion.state.snapshot import Captured, capture, encode
from orion.state.tables import State


def state_hash(state: State) -> bytes:
    """Equal for equal states, whatever way they came about."""
    return hash_of(capture(state))


def hash_of(captured: Captured) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for chunk in encode(captured):
        digest.update(chunk)
    return digest.digest()


def rebuilt(state: State) -> State:
    """The same tables with indexes made anew."""
    restorer = Restorer()
    for chunk in encode(capture(state)):
        restorer.feed(chunk)
    return restorer.finish()


def check(state: State) -> None:
    """Every index is what the tables say. Raises AssertionError that names the first that is not."""
    again = rebuilt(state)
    for name in ("index", "cluster", "salt", "recovery", "level"):
        same(name, getattr(state, name), getattr(again, name))
    for kind, table in state.tables.items():
        table.check(again.of(kind))
