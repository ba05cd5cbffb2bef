"""Follows the endpoints of each site: a thread and a stream each."""

import threading
from collections.abc import Callable

import msgspec

from orion.client import Client, NotFound, OrionError
from orion.front_door.names import Addresses
from orion.front_door.sites import Backend, Site, backends
from orion.model.network import AddressRange

AGAIN_S = 0.5

Note = Callable[[str], None]


class Followers:
    """Keeps `addresses` as the endpoints are. While a node does not answer another one is asked, and the tasks last
    heard of are used. `note` is told what goes wrong, once.
    """

    def __init__(self, client: Client, addresses: Addresses, note: Note) -> None:
        self._client = client
        self._addresses = addresses
        self._note = note
        self._running: dict[Site, threading.Event] = {}
        self.network: AddressRange | None = None

    def follow(self, sites: tuple[Site, ...]) -> None:
        """Follows these, and no others."""
        for site in self._running.keys() - set(sites):
            self._running.pop(site).set()
        kept = {site.job for site in sites}
        for site in sites:
            if site not in self._running:
                over = self._running[site] = threading.Event()
                threading.Thread(target=self._run, args=(site, over), name=site.job, daemon=True).start()
        for job in self._addresses.jobs - kept:
            self._addresses.drop(job)

    def _run(self, site: Site, over: threading.Event) -> None:
        with self._client.again() as own:
            while not over.is_set():
                try:
                    self._follow(own, site, over)
                except NotFound:
                    self._take(site, (), over)
                except (OrionError, msgspec.MsgspecError, OSError, ValueError) as error:
                    self._note(f"the endpoints of job {site.job}: {error}")
                over.wait(AGAIN_S)

    def _follow(self, client: Client, site: Site, over: threading.Event) -> None:
        for found in client.follow_endpoints(site.job):
            if over.is_set():
                return
            usable = backends(site, found, self.network)
            if found and not usable:
                self._note(
                    f"job {site.job} has tasks that can't be reached: publish a port, or name it in orion.port"
                )
            self._take(site, usable, over)

    def _take(self, site: Site, found: tuple[Backend, ...], over: threading.Event) -> None:
        if not over.is_set():
            self._addresses.put(site.job, found)
