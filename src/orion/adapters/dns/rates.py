"""How many queries of a client are answered. The excess is dropped: to refuse it costs as much as to answer."""

from itertools import islice

RATE_PER_S = 2_000.0
BURST = 1_000
SHUN_AFTER = 2_000  # dropped queries within SHUN_S
SHUN_AGAIN_AFTER = 64
SHUN_S = 1.0
MAX_CLIENTS = 4_096  # that are remembered; a node's network has 254
MAX_SHUNNED = 16


class Rates:
    """A leaky bucket for each client, as the time at which it will be empty."""

    def __init__(self) -> None:
        self._empty_at: dict[str, float] = {}
        self._excess: dict[str, int] = {}
        self._excess_until = 0.0

    def admits(self, client: str, now_s: float) -> bool:
        """Returns False for a query that is to be dropped. `now_s` is monotonic."""
        empty_at = self._empty_at.get(client, 0.0)
        if empty_at <= now_s:
            if not empty_at and len(self._empty_at) >= MAX_CLIENTS:
                self._forget(now_s)
            empty_at = now_s
        elif empty_at - now_s > BURST / RATE_PER_S:
            self._count_excess(client, now_s)
            return False
        self._empty_at[client] = empty_at + 1 / RATE_PER_S
        return True

    def charge(self, client: str, queries: int) -> None:
        """One that was admitted has cost as much as so many more."""
        self._empty_at[client] = self._empty_at.get(client, 0.0) + queries / RATE_PER_S

    def take_floods(self, now_s: float) -> list[str]:
        """Returns those whose queries are not worth being read for the next SHUN_S. After that they have no burst,
        and SHUN_AGAIN_AFTER of too many are enough: until a flood is noticed it has the room of others.
        """
        floods = [client for client, count in self._excess.items() if count >= SHUN_AFTER][:MAX_SHUNNED]
        if floods:
            self._excess = dict.fromkeys(floods, SHUN_AFTER - SHUN_AGAIN_AFTER)
            self._excess_until = now_s + 2 * SHUN_S
            self._empty_at.update(dict.fromkeys(floods, now_s + SHUN_S + BURST / RATE_PER_S))
        return floods

    def _count_excess(self, client: str, now_s: float) -> None:
        if now_s >= self._excess_until:
            self._excess.clear()
            self._excess_until = now_s + SHUN_S
        self._excess[client] = self._excess.get(client, 0) + 1

    def _forget(self, now_s: float) -> None:
        """Forgets whom it makes no difference to; where all are busy, the half that came first."""
        self._empty_at = {client: at for client, at in self._empty_at.items() if at > now_s}
        if len(self._empty_at) >= MAX_CLIENTS:
            self._empty_at = dict(islice(self._empty_at.items(), MAX_CLIENTS // 2, None))
