"""Three members of Orion's Raft beside three of etcd: same machine, same run, real fsync, 200-byte values.

    script/bench raft_vs_etcd [--seconds 10] [--profile]

Orion's members are asked through their peer ports, etcd's through gRPC, both by one Python process that keeps one
or 64 requests in flight at the leader; the two take turns.
"""

import argparse
import asyncio
import itertools
import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import grpc.aio

from member import PROFILE, READ, Members
from orion.process.config import Tuning
from orion.state.commands import encode_command
from orion.state.tables.configs import PutConfig
from support.nodes import free_ports

VALUE = b"x" * 200
KEYS = 1_000
ROUNDS = 3
FLIGHTS = (1, 64)

Request = Callable[[int], Awaitable[object]]


# --- the two systems ---------------------------------------------------------------------------------------


class Etcd:
    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="orion-etcd-"))
        self._processes: list[subprocess.Popen[bytes]] = []

    async def __aenter__(self) -> Self:
        ports = [free_ports()[:2] for _ in range(3)]
        members = ",".join(f"m{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(ports))
        for n, (client, peer) in enumerate(ports):
            urls = {
                "listen-client-urls": client,
                "advertise-client-urls": client,
                "listen-peer-urls": peer,
                "initial-advertise-peer-urls": peer,
            }
            flags = [f"--{name}=http://127.0.0.1:{port}" for name, port in urls.items()]
            flags += [f"--name=m{n}", f"--data-dir={self._root}/{n}", f"--initial-cluster={members}"]
            self._processes.append(subprocess.Popen(["etcd", *flags], stderr=subprocess.DEVNULL))
        channels = [grpc.aio.insecure_channel(f"127.0.0.1:{client}") for client, _ in ports]
        self._channel = channels[await self._leader(channels)]
        self._put = self._channel.unary_unary("/etcdserverpb.KV/Put")
        self._range = self._channel.unary_unary("/etcdserverpb.KV/Range")
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        shutil.rmtree(self._root)

    async def _leader(self, channels: list[grpc.aio.Channel]) -> int:
        async with asyncio.timeout(30):
            while True:
                for n, channel in enumerate(channels):
                    status = channel.unary_unary("/etcdserverpb.Maintenance/Status")
                    try:
                        fields = _fields(await status(b"", timeout=1))
                    except grpc.aio.AioRpcError:
                        continue
                    header = _fields(fields[1])
                    if fields.get(4) and fields[4] == header.get(2):  # the leader is the one that answers
                        return n
                await asyncio.sleep(0.1)

    async def write(self, number: int) -> None:
        await self._put(_bytes(1, b"key%d" % (number % KEYS)) + _bytes(2, VALUE))

    async def read(self, number: int) -> None:
        assert VALUE in await self._range(_bytes(1, b"key%d" % (number % KEYS)))


class Orion:
    def __init__(self, members: Members, leader: int) -> None:
        self._members = members
        self._leader = leader
        self._index = 0
        self._keys = random.Random(1)

    async def write(self, number: int) -> None:
        once = f"{self._keys.getrandbits(64):016x}"
        command = PutConfig(1, f"key{number % KEYS}", VALUE, None, once, self._index)
        reply = await self._members.call(self._leader, encode_command(command))
        self._index = max(self._index, int.from_bytes(reply, "big"))

    async def read(self, number: int) -> None:
        assert VALUE in await self._members.call(self._leader, READ + b"key%d" % (number % KEYS))


# --- protobuf, as much of it as four messages need -----------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _fields(data: bytes) -> dict[int, "int | bytes"]:
    found: dict[int, int | bytes] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            found[tag >> 3] = data[at : at + length]
            at += length
        else:
            found[tag >> 3] = varint()
    return found


# --- measuring ---------------------------------------------------------------------------------------------


async def drive(request: Request, seconds: float, flight: int) -> tuple[float, list[float]]:
    """Requests a second, and the milliseconds each took."""
    took: list[float] = []
    numbers = itertools.count()
    began = time.perf_counter()

    async def worker() -> None:
        while (sent := time.perf_counter()) < began + seconds:
            await request(next(numbers))
            took.append((time.perf_counter() - sent) * 1000)

    await asyncio.gather(*(worker() for _ in range(flight)))
    return len(took) / (time.perf_counter() - began), sorted(took)


async def compare(what: str, etcd: Request, orion: Request, seconds: float) -> None:
    for flight in FLIGHTS:
        rates: dict[str, list[float]] = {"etcd": [], "orion": []}
        took: dict[str, list[float]] = {"etcd": [], "orion": []}
        for _ in range(ROUNDS):
            for name, request in (("etcd", etcd), ("orion", orion)):
                rate, ms = await drive(request, seconds / ROUNDS, flight)
                rates[name].append(rate)
                took[name] += ms
        for name, each in rates.items():
            ms = sorted(took[name])
            rate, base = statistics.median(each), statistics.median(rates["etcd"])
            median, base_ms = statistics.median(ms), statistics.median(took["etcd"])
            p99 = ms[int(len(ms) * 0.99)]
            ratio = f"{rate / base:6.2f} {median / base_ms:6.2f}"
            print(f"{what:6} {flight:3} {name:6} {rate:8.0f} {median:8.2f} {p99:8.2f} {ms[-1]:8.2f} {ratio}")


async def bench(seconds: float, *, profile: bool) -> None:
    async with Etcd() as etcd, Members(3, Tuning()) as members:
        leader = await members.leader()
        orion = Orion(members, leader)
        for warm in (etcd, orion):
            await drive(warm.write, 1, 64)
        head = f"{'median':>8} {'p99':>8} {'worst':>8} x etcd's rate, median"
        print(f"{'':6} {'':3} {'':6} {'a second':>8} {head}")
        await compare("write", etcd.write, orion.write, seconds)
        await compare("read", etcd.read, orion.read, seconds)
        if profile:
            await members.call(leader, PROFILE)
            await drive(orion.write, seconds / 2, 64)
            shares = json.loads(await members.call(leader, PROFILE))
            print("the leader's time at 64 in flight, profiled, by layer:")
            for layer, share in shares:
                print(f"  {layer:12} {share:6.1%}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--profile", action="store_true")
    given = options.parse_args()
    import uvloop

    uvloop.run(bench(given.seconds, profile=given.profile))


if __name__ == "__main__":
    main()
