"""A queue in the kernel for each client that asks much: it fills its own, and nobody else's question is lost.

All sockets are bound to one address, and the kernel chooses by the source. Until somebody asks much there is one.
"""

import asyncio
import logging
import socket
from collections import Counter

from orion.adapters.dns.datagrams import TURN, Datagrams, Spawn, Turn
from orion.adapters.dns.desk import Desk
from orion.adapters.dns.rates import RATE_PER_S
from orion.adapters.dns.shunning import Shunning
from orion.adapters.dns.sockets import another
from orion.adapters.dns.source_filter import steer
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

MAX_LANES = 16
LULL_S = 1.0  # a lane that was never full for so long may be another client's
PAUSE = 2.0  # after a whole turn, as a multiple of its time: a third of the loop's time is the most
QUIET_S = 3_600.0
MAX_TOLD = 8


class Lane:
    """The queue of one client that asks much. It is read at RATE_PER_S at most."""

    def __init__(self, sock: socket.socket, lanes: "Lanes", client: str, desk: Desk, spawn: Spawn) -> None:
        self.client = client
        self.full_s = asyncio.get_running_loop().time()
        self.datagrams = Datagrams(sock, desk, spawn, self._after)
        self._lanes = lanes

    def _after(self, turn: Turn) -> float:
        if not turn.full:
            return 0.0
        self.full_s = asyncio.get_running_loop().time()
        if turn.lost:
            self._lanes.tell_of_loss(self.client)
        return max(TURN / RATE_PER_S, turn.spent_s * self._lanes.pause)


class Lanes:
    def __init__(self, sock: socket.socket, desk: Desk, shunning: Shunning, spawn: Spawn) -> None:
        """`sock` is everybody's."""
        self._desk = desk
        self._shunning = shunning
        self._spawn = spawn
        self._common = Datagrams(sock, desk, spawn, self._after)
        self._lanes: list[Lane] = []
        self._max = MAX_LANES
        self._told = LogThrottle(QUIET_S, MAX_TOLD)

    @property
    def pause(self) -> float:
        """So that all lanes have a third of the loop's time together, and everybody's queue another one."""
        return (PAUSE + 1) * len(self._lanes)

    def start(self) -> None:
        if not self._steer():
            self._max = 0  # what is too much is read and dropped, or not heard for a while
        self._common.start()

    def stop(self) -> None:
        self._common.stop()
        for lane in self._lanes:
            lane.datagrams.stop()
            lane.datagrams.sock.close()

    def tell_of_loss(self, client: str) -> None:
        if self._told.is_due(client, asyncio.get_running_loop().time()):
            log.warning(
                "%s asks for more names than it is given answers: the rest of its questions is dropped", client
            )

    def _after(self, turn: Turn) -> float:
        if turn.over:
            self._shunning.look()
        loud = set(turn.over)
        if turn.full:
            client, count = Counter(turn.clients).most_common(1)[0]
            if count > TURN // 2:
                loud.add(client)
        for client in loud.difference(lane.client for lane in self._lanes):
            self._give(client)
        return PAUSE * turn.spent_s

    def _give(self, client: str) -> None:
        """Gives the client a lane of its own, where one can be had."""
        now_s = asyncio.get_running_loop().time()
        if len(self._lanes) < self._max:
            try:
                sock = another(self._common.sock)
            except OSError:  # no more files: the next one may try
                return
            self._lanes.append(Lane(sock, self, client, self._desk, self._spawn))
            self._lanes[-1].datagrams.start()
        else:
            lane = min(self._lanes, key=lambda each: each.full_s, default=None)
            if lane is None or now_s - lane.full_s < LULL_S:
                return
            lane.client, lane.full_s = client, now_s
        self._steer()

    def _steer(self) -> bool:
        """Returns False where the kernel can't."""
        family = self._common.sock.family
        numbers = {
            socket.inet_pton(family, lane.client.partition("%")[0]): number
            for number, lane in enumerate(self._lanes, 1)
        }
        try:
            steer(self._common.sock, numbers)
        except OSError:
            return False
        return True
