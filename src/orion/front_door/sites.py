"""Which host name leads to which job: from labels of jobs, pure."""

import re
from collections.abc import Sequence

import msgspec

from orion.model.api.endpoints import EndpointView
from orion.model.api.jobs import JobView
from orion.model.network import AddressRange

HOST_LABEL, PORT_LABEL = "orion.host", "orion.port"
MAX_SITES = 256  # jobs: each has a stream and a thread
MAX_HOSTS = 16  # of one job
DEFAULT_PORT = 80
_HOST = re.compile(r"(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")


class Site(msgspec.Struct, frozen=True):
    """A job with host names, each in lower case. `port`: the container's, 0 for its first TCP port."""

    job: str
    hosts: tuple[str, ...]
    port: int = 0


class Backend(msgspec.Struct, frozen=True, order=True):
    """Where a task answers: an address of 4 bytes or 16, and a port."""

    address: bytes
    port: int


def sites(jobs: Sequence[JobView]) -> tuple[tuple[Site, ...], tuple[str, ...]]:
    """Returns the sites, by job, and in words what can't be. Of jobs with one host name the oldest has it."""
    found, faults = list[Site](), list[str]()
    taken: dict[str, str] = {}
    for job in sorted(jobs, key=lambda each: each.created_index):
        if HOST_LABEL not in job.labels or job.removing:
            continue
        if len(found) == MAX_SITES:
            faults.append(f"job {job.name} has no place: {MAX_SITES} jobs have host names already")
            continue
        hosts = []
        for host in _hosts(job.labels[HOST_LABEL])[:MAX_HOSTS]:
            if not _HOST.fullmatch(host):
                faults.append(f"job {job.name}: {host[:80]!r} in the label {HOST_LABEL} is no host name")
            elif host in taken:
                faults.append(f"job {job.name}: {host} leads to job {taken[host]} already")
            else:
                taken[host] = job.name
                hosts.append(host)
        port = _port(job.labels.get(PORT_LABEL, ""))
        if port is None:
            faults.append(f"job {job.name}: {job.labels[PORT_LABEL][:20]!r} in the label {PORT_LABEL} is no port")
        elif hosts:
            found.append(Site(job.name, tuple(hosts), port))
    return tuple(sorted(found, key=lambda site: site.job)), tuple(faults)


def backends(site: Site, endpoints: Sequence[EndpointView], network: AddressRange | None) -> tuple[Backend, ...]:
    """Returns where a site's ready tasks answer: at their published ports, else at their own addresses in the
    cluster's network.
    """
    return tuple(sorted({one for each in endpoints if (one := _backend(site, each, network)) is not None}))


def _backend(site: Site, endpoint: EndpointView, network: AddressRange | None) -> Backend | None:
    if not endpoint.ready:
        return None
    published = endpoint.ports.get(f"{site.port}/tcp") if site.port else _first_tcp(endpoint)
    if published:
        host, _, port = published.rpartition(":")
        address = _packed(host.strip("[]"))
        return Backend(address, int(port)) if address and _port(port) else None
    address = _packed(endpoint.address)
    if network is not None and len(address) == 4 and int.from_bytes(address) in network:
        return Backend(address, site.port or DEFAULT_PORT)
    return None


def _first_tcp(endpoint: EndpointView) -> str | None:
    return next((at for port, at in endpoint.ports.items() if port.endswith("/tcp")), None)


def _hosts(label: str) -> list[str]:
    return [host.lower() for host in re.split(r"[,\s]+", label.strip()) if host]


def _port(text: str) -> int | None:
    """Returns 0 for none, None for what is no port."""
    if not text:
        return 0
    return int(text) if _PORT.fullmatch(text) and 0 < int(text) <= 65_535 else None


def _packed(host: str) -> bytes:
    """Returns the bytes of an address, none for a name."""
    from ipaddress import ip_address

    try:
        return ip_address(host).packed
    except ValueError:
        return b""
