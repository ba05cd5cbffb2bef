"""`SocketReach`: probes by this host's kernel."""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from orion.adapters.reach import probe
from orion.adapters.reach.capture import Capture
from orion.adapters.reach.echo import EchoServer, Heard
from orion.model.reach import CHECK_PORT, TCP_BYTES, Arrivals, Echo, Way

MAX_LIES = 16  # datagrams that are no answer to the probe
_SETTINGS = Path("/proc/sys/net/ipv4/conf")
_COUNTERS = Path("/proc/net/snmp")
_RIGHTS = (errno.EPERM, errno.EACCES)


class SocketReach:
    """`vxlan_port` is the port of the network's device."""

    def __init__(self, vxlan_port: int) -> None:
        self._vxlan_port = vxlan_port
        self._heard = Heard()

    async def serve(self, addresses: Sequence[str], peers: Callable[[], Collection[str]]) -> None:
        await EchoServer(self._heard, peers).run(addresses)

    async def echo(self, source: str, target: str, size_bytes: int, *, tries: int, within_s: float) -> Echo:
        try:
            with probe.datagram_socket(source) as sock:
                sock.connect((target, CHECK_PORT))
                for _ in range(tries):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(within_s / tries):
                            return Echo(us=await _answered(sock, size_bytes))
        except ConnectionRefusedError:
            return Echo(refused=True)
        except OSError:
            pass  # too large for the device, no route, no such address: no answer
        return Echo()

    async def transfer(self, source: str, target: str, *, within_s: float) -> bool:
        loop = asyncio.get_running_loop()
        family = probe.family_of(target)
        try:
            with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
                sock.bind((source, 0))
                async with asyncio.timeout(within_s):
                    await loop.sock_connect(sock, (target, CHECK_PORT))
                    async with asyncio.TaskGroup() as group:
                        group.create_task(loop.sock_sendall(sock, bytes(TCP_BYTES)))
                        back = group.create_task(_counted(sock))
                return back.result() == TCP_BYTES
        except (OSError, ExceptionGroup):  # a timeout is an OSError
            return False

    async def send(self, way: Way, sizes: Sequence[int], underlay_sizes: Sequence[int]) -> None:
        _send(way.source, way.target, sizes)
        _send(way.underlay_source, way.underlay_target, underlay_sizes)

    async def listen(self, way: Way, device: str, *, within_s: float) -> tuple[Arrivals, str]:
        before = await asyncio.to_thread(_bad_checksums)
        capture, deaf = Capture(), ""
        with contextlib.ExitStack() as stack:
            largest = stack.enter_context(self._heard.listening(way.source))
            try:
                stack.enter_context(capture.listening(way.underlay_source, self._vxlan_port, way.source, device))
            except OSError as error:
                deaf = "it needs CAP_NET_RAW" if error.errno in _RIGHTS else (error.strerror or str(error))
            await asyncio.sleep(within_s)
            heard = largest.size_bytes
        bad = max(0, await asyncio.to_thread(_bad_checksums) - before)
        if deaf:
            return Arrivals(heard_bytes=heard, bad_checksums=bad), deaf
        return Arrivals(bool(capture.vxlan), capture.plain, capture.inner, heard, bad), ""

    async def strict(self, device: str) -> bool:
        return await asyncio.to_thread(_strict, device)


async def _answered(sock: socket.socket, size_bytes: int) -> int:
    """Returns the microseconds to the answer. Raises OSError."""
    loop = asyncio.get_running_loop()
    sent = probe.made(sock.family, size_bytes)
    began_ns = time.monotonic_ns()
    sock.send(sent)
    for _ in range(MAX_LIES):
        if await loop.sock_recv(sock, probe.MAX_BYTES) == sent:
            return max(1, (time.monotonic_ns() - began_ns) // 1_000)
    raise OSError(f"{MAX_LIES} answers to something else")


async def _counted(sock: socket.socket) -> int:
    loop, found = asyncio.get_running_loop(), 0
    while found < TCP_BYTES and (data := await loop.sock_recv(sock, TCP_BYTES)):
        found += len(data)
    return found


def _send(source: str, target: str, sizes: Sequence[int]) -> None:
    # What can't be sent does not arrive, which is what is looked for.
    with contextlib.suppress(OSError), probe.datagram_socket(source) as sock:
        for size in sizes:
            with contextlib.suppress(OSError):
                sock.sendto(probe.made(sock.family, size), (target, CHECK_PORT))


# --- in a thread -------------------------------------------------------------------------------------------


def _strict(device: str) -> bool:
    """The kernel takes the greater of both (ip-sysctl.rst); 1 is strict, 2 is loose."""
    try:
        found = [int((_SETTINGS / each / "rp_filter").read_text()) for each in ("all", device)]
    except (OSError, ValueError):
        return False
    return max(found) == 1


def _bad_checksums() -> int:
    """Since the host began, of TCP and UDP; 0 where the kernel does not say."""
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return 0
    found = 0
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        if names.startswith(("Tcp:", "Udp:")):
            counted = dict(zip(names.split(), values.split(), strict=False))
            found += int(counted.get("InCsumErrors", 0))
    return found
