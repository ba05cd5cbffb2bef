"""A DNS server as a process of its own, which answers for the jobs in a file: `python -m support.name_server`.

Its standard output is one line with its port, once it listens, and one with its counts at the end.
"""

import argparse
import asyncio
import json
import secrets
import signal
import socket
from pathlib import Path

import msgspec

from orion.adapters.dns import DnsServer, Resolvers
from orion.model import name_answers
from orion.model.dns import Answer, Code
from orion.model.name_answers import Place, Port, Tasks

HIDDEN = "hidden"  # a job that clients with an odd address may see


class Jobs:
    """From `{"web": {"slots": 2, "ready": {"0": ["10.0.0.1"]}, "ports": [[80, "tcp", "http"]]}}`."""

    def __init__(self, jobs: dict) -> None:
        self._tasks = {name: _tasks(job) for name, job in jobs.items()}
        self._owners = {
            address: (name, place.slot)
            for name, tasks in self._tasks.items()
            for place in tasks.ready
            for address in place.addresses
        }

    def tasks(self, job):
        return self._tasks.get(job)

    def owner(self, address):
        return self._owners.get(address)

    def is_ours(self, address):
        return address[:2] == bytes((10, 200))

    def resolve(self, question, client):
        if question.name == "broken.orion.internal":
            raise KeyError("a bug")
        if question.name == f"{HIDDEN}.orion.internal" and int(client[-1], 16) % 2 == 0:
            return Answer(Code.REFUSED)
        return name_answers.answer(question, self, secrets.randbits(64))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _tasks(job: dict) -> Tasks:
    ports = tuple(Port(*port) for port in job.get("ports", ()))
    ready = tuple(Place(int(slot), tuple(map(_packed, found)), ports) for slot, found in job["ready"].items())
    return Tasks(job["slots"], ready, ports)


async def _serve(options, jobs: Jobs) -> None:
    resolvers = Resolvers(Path(options.resolv_conf), options.upstream_port)
    server = DnsServer(jobs.resolve, resolvers, options.port)
    server.open(options.host)
    running = asyncio.ensure_future(server.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    print(server.port, flush=True)
    try:
        await running
    except asyncio.CancelledError:
        print(json.dumps(msgspec.to_builtins(server.counts)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--resolv-conf", default="/etc/resolv.conf")
    parser.add_argument("--upstream-port", type=int, default=53)
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    jobs = Jobs(json.loads(Path(options.jobs).read_text()))
    if options.uvloop:
        import uvloop

        uvloop.run(_serve(options, jobs))
    else:
        asyncio.run(_serve(options, jobs))


if __name__ == "__main__":
    main()
