"""Moves between nodes, as a method of the client."""

import msgspec

from orion.client.session import Session
from orion.model.api.rebalance import MAX_MOVES, RebalanceRequest, RebalanceView


class Rebalance(Session):
    def rebalance(self, *, dry_run: bool = False, max_moves: int = MAX_MOVES) -> RebalanceView:
        """Moves tasks from the fullest nodes to the emptiest; with `dry_run` only says which would move."""
        body = msgspec.json.encode(RebalanceRequest(dry_run, max_moves))
        return self._decoded(self._ask("POST", "/rebalance", body=body), RebalanceView)
