"""Addresses as people write them: where gossip is bound, advertised and joined."""

import asyncio
import ipaddress
import socket

from orion.model.errors import Refused
from orion.model.node import address_parts, address_text, hosts_meant

HINT_TIMEOUT_S = 0.5


async def api_hint(seeds: tuple[str, ...]) -> str:
    """Returns a hint for seeds that speak HTTP, else "". An API address in --join otherwise looks like a dead
    node.
    """
    speaks = [seed for seed in seeds if await _speaks_http(seed)]
    if not speaks:
        return ""
    return f" ({', '.join(speaks)} speaks HTTP: --join wants a node's gossip port, 6000 by default, not its API's)"


async def _speaks_http(address: str) -> bool:
    writer = None
    try:
        async with asyncio.timeout(HINT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*address_parts(address))
            writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
            return (await reader.readexactly(5)) == b"HTTP/"
    except (OSError, EOFError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def ip(host: str) -> str:
    """Returns the host's IP address: a name can be neither bound nor advertised. Raises Refused."""
    host, *_ = hosts_meant(host)
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise Refused(f"the address {host} is not known here: {error.strerror}") from None
    return min((str(info[4][0]) for info in infos), key=lambda ip: ":" in ip)


def addresses_meant(address: str) -> list[str]:
    """Returns the addresses to dial for `host:port`."""
    host, port = address_parts(address)
    return [address_text(each, port) for each in hosts_meant(host)]


def require_address(text: str) -> None:
    try:
        address_parts(text)
    except ValueError as error:
        raise Refused(f"a node to join: {error}") from None


async def ip_address(address: str) -> str:
    """Returns `host:port` with the host looked up."""
    host, port = address_parts(address)
    return address_text(await ip(host), port)


def is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(address_parts(text)[0])
    except ValueError:
        return False
    return True
