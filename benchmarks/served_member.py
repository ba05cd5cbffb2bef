"""A Raft member that serves /watch, /events and /raft. For benchmarks of `orion top` in front of many nodes, which
exist in the state alone.
"""

import asyncio
import os
import random
from collections.abc import AsyncGenerator

from member import Member, main
from orion.adapters.peers.tcp import TcpPeers
from orion.api import Server, create_app, listen
from orion.model.api.cluster import RaftView
from orion.model.api.watch import Noun
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.figures import Figure
from orion.model.ids import NodeId
from orion.node.membership.directory import Directory
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.routing.forward import Forward
from orion.node.rpc.lists import Lists
from orion.node.rpc.registry import Registry
from orion.node.services.events import Events, WatchEvents
from orion.node.services.freshness import Freshness
from orion.node.services.service import Health
from orion.node.services.watch import Watch, WatchItem
from orion.node.views import render

API_PORT = "BENCH_API_PORT"  # in the environment


class ServedMember(Member):
    """As service.Service, as far as is asked for."""

    def begin(self, group: asyncio.TaskGroup, peers: TcpPeers, registry: Registry) -> None:
        driver = self.driver
        me = NodeId("node0001")
        self._directory = directory = Directory(lambda: driver.view)
        quorum = QuorumWatch(me=me, driver=driver, directory=directory, election_ms=500)
        lists = Lists()
        forward = Forward(
            me=me,
            driver=driver,
            directory=directory,
            peers=peers,
            quorum=quorum,
            registry=registry,
            lists=lists,
            rng=random.Random(),
        )
        freshness = Freshness(driver=driver, quorum=quorum, lists=lists)
        self._watch = Watch(
            driver=driver, directory=directory, forward=forward, registry=registry, freshness=freshness
        )
        self._events = Events(me=me, driver=driver, forward=forward, registry=registry)
        server = Server(create_app(self), listen("127.0.0.1", int(os.environ[API_PORT])))  # type: ignore[arg-type]
        group.create_task(server.serve())

    def watch(self, nouns: tuple[Noun, ...]) -> AsyncGenerator[WatchItem, None]:
        return self._watch.rows(nouns)

    def events(
        self, after: tuple[int, int] | None, *, follow: bool, chosen: EventChoice = ALL_EVENTS
    ) -> AsyncGenerator[Event | None, None]:
        return self._events.stream(WatchEvents(after, follow, chosen))

    async def raft(self) -> RaftView:
        return render.raft(self.driver, self._directory)

    def health(self) -> Health:
        return Health(ready=True, detail="")

    def metrics(self) -> list[Figure]:
        return []


if __name__ == "__main__":
    main(ServedMember)
