"""The front door's program: Caddy, and beside it what has it know the cluster."""

import logging
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from orion.client import Client, NotFound, OrionError, Unavailable
from orion.front_door.caddy import Caddy
from orion.front_door.caddy_config import Settings, config
from orion.front_door.followers import Followers
from orion.front_door.names import Addresses, NameServer
from orion.front_door.sites import Site, sites
from orion.model.network import AddressRange
from orion.model.settings import NETWORK, network

log = logging.getLogger("front door")

POLL_S = 20.0
AT_LEAST_S = 1.0  # between two looks at the jobs: each change of the cluster's state ends a poll
AGAIN_S = 1.0
MAX_NOTED = 1_000
CA_FILES = "/etc/front-door/ca.crt", "/etc/front-door/ca.key"


class Door:
    def __init__(self, client: Client, settings: dict[str, Any], program: str) -> None:
        self._client = client
        self._folder = tempfile.TemporaryDirectory(prefix="orion-door-")
        self._caddy = Caddy(program, Path(self._folder.name))
        self._addresses = Addresses()
        self._names = NameServer(self._addresses)
        self._followers = Followers(client, self._addresses, self._note)
        ca = CA_FILES if all(Path(each).exists() for each in CA_FILES) else None
        self._settings = Settings(resolver=self._names.address, admin=self._caddy.admin, ca=ca, **settings)
        self._noted: set[str] = set()
        self._loaded: tuple[Site, ...] = ()

    def run(self) -> None:
        """Until a signal. Raises Unavailable when Caddy ends."""
        signal.signal(signal.SIGTERM, _stop)
        try:
            self._names.start()
            self._caddy.start(config(self._settings, ()))
            log.info("Caddy runs; asking %s which jobs have host names", self._client.address)
            self._follow_jobs()
        except KeyboardInterrupt:
            log.info("ending: requests under way are answered first")
        finally:
            self._caddy.stop()
            self._folder.cleanup()

    def _follow_jobs(self) -> NoReturn:
        index = 0
        while True:
            began_s = time.monotonic()
            if (code := self._caddy.ended) is not None:
                raise Unavailable(f"Caddy has ended with {code}")
            try:
                jobs, index = self._client.poll_jobs(index, wait_s=POLL_S)
                self._followers.network = self._network()
                found, faults = sites(jobs)
            except OrionError as error:
                self._note(f"the cluster: {error}")
                time.sleep(AGAIN_S)
                continue
            for fault in faults:
                self._note(fault)
            self._take(found)
            time.sleep(max(0.0, AT_LEAST_S - (time.monotonic() - began_s)))

    def _take(self, found: tuple[Site, ...]) -> None:
        """Tasks first: a site that Caddy knows has addresses soon."""
        self._followers.follow(found)
        if _hosts(found) == _hosts(self._loaded):
            self._loaded = found
            return
        try:
            self._caddy.load(config(self._settings, found))
        except Unavailable as error:
            self._note(error.detail)
            return
        self._loaded = found
        log.info("host names: %s", ", ".join(host for site in found for host in site.hosts) or "none")

    def _network(self) -> AddressRange | None:
        try:
            return network(self._client.config(NETWORK).value)
        except NotFound:
            return None

    def _note(self, words: str) -> None:
        """Once each, until there are very many."""
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        if words not in self._noted:
            self._noted.add(words)
            log.warning("%s", words)


def _hosts(found: tuple[Site, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(site.job, site.hosts) for site in found]


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def run(client: Client, settings: dict[str, Any], program: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s")
    Door(client, settings, program).run()
