"""What a DNS answer costs, and how many of them a server gives.

    script/bench names [--seconds 5] [--clients 50]

First in one process without sockets: a question read, answered for a job of five tasks and written. Then a server
as a process of its own, asked by clients at 127.0.1.x that each have one question under way, on the same machine:
what it answers in a second, and what of a processor's time that is for each. A server never takes more than about a
third of its loop's time (adapters/dns/datagrams.py), so that the first figure is not the inverse of the second. The
last lines are of names that a second server has to be asked for, and of one client beside another that floods.
"""

import argparse
import contextlib
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path

from orion.model.name_answers import answer
from orion.wire.dns.answer import write_answer
from orion.wire.dns.query import limit_bytes, read_query
from support import dns
from support.name_server import Jobs

WEB = "web.orion.internal"
JOBS = {"web": {"slots": 5, "ready": {str(n): [f"10.200.1.{n}"] for n in range(5)}, "ports": [[80, "tcp", "http"]]}}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
FLOOD = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.2.1", 0))
sock.connect(("127.0.0.1", int(sys.argv[1])))
data = bytes.fromhex(sys.argv[2])
while True:
    sock.send(data)
"""


def bare_us(jobs: Jobs, *words) -> float:
    data = dns.query(*words, more=[dns.edns()])

    def once():
        query = read_query(data)
        return write_answer(query, answer(query.question, jobs, 0x9E3779B97F4A7C15), limit_bytes(query, tcp=False))

    return min(timeit.repeat(once, number=10_000, repeat=5)) / 10_000 * 1e6


@contextlib.contextmanager
def serving(folder: Path, *options):
    command = sys.executable, "-m", "support.name_server", str(folder / "jobs.json"), "--uvloop", *options
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)


def cpu_s(process) -> float:
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS_PER_S


def resident_kb(process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def load(process, port: int, name: str, clients: int, seconds: float) -> tuple[float, float]:
    """Answers a second, and microseconds of the server's processor for each."""
    query, answers = dns.query(name), 0
    with contextlib.ExitStack() as stack:
        poll, sockets = stack.enter_context(contextlib.closing(select.epoll())), {}
        for number in range(clients):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((f"127.0.1.{number + 1}", 0))
            sock.connect(("127.0.0.1", port))
            sockets[sock.fileno()] = sock
            poll.register(sock.fileno(), select.EPOLLIN)
            sock.send(query)
        used, began = cpu_s(process), time.monotonic()
        while time.monotonic() < began + seconds:
            for descriptor, _ in poll.poll(1):
                sockets[descriptor].recv(2_000)
                sockets[descriptor].send(query)
                answers += 1
        took = time.monotonic() - began
    return answers / took, (cpu_s(process) - used) / max(answers, 1) * 1e6


def asked_beside_a_flood(process, port: int, seconds: float) -> tuple[list[float], float]:
    """Milliseconds of one client's answers, and the share of a processor that the server takes."""
    query, took = dns.query(WEB), []
    flood = subprocess.Popen([sys.executable, "-c", FLOOD, str(port), query.hex()])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.connect(("127.0.0.1", port))
            used, began = cpu_s(process), time.monotonic()
            while time.monotonic() < began + seconds:
                sent = time.monotonic()
                sock.send(query)
                with contextlib.suppress(TimeoutError):
                    sock.recv(2_000)
                took.append((time.monotonic() - sent) * 1e3)
                time.sleep(0.01)
        return took, (cpu_s(process) - used) / (time.monotonic() - began)
    finally:
        flood.kill()
        flood.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args()
    jobs = Jobs(JOBS)
    for words in ((WEB, dns.A), (WEB, dns.AAAA), ("_http._tcp." + WEB, dns.SRV), ("nobody.orion.internal", dns.A)):
        print(f"without sockets   {bare_us(jobs, *words):6.1f} us   {words[0]} (type {words[1]})")
    with tempfile.TemporaryDirectory(prefix="orion-names-") as folder, contextlib.ExitStack() as stack:
        path = Path(folder)
        (path / "jobs.json").write_text(json.dumps({**JOBS, "nas": JOBS["web"]}))
        _, behind_port = stack.enter_context(serving(path, "--host", "127.0.0.2"))
        (path / "resolv.conf").write_text("nameserver 127.0.0.2\n")
        (path / "jobs.json").write_text(json.dumps(JOBS))
        conf = "--resolv-conf", str(path / "resolv.conf"), "--upstream-port", str(behind_port)
        process, port = stack.enter_context(serving(path, *conf))
        rate, each_us = load(process, port, WEB, options.clients, options.seconds)
        print(f"by UDP            {rate:6.0f} answers/s, {each_us:.0f} us of a processor each")
        # The second server takes the first for one client, and gives it what it gives one.
        _, each_us = load(process, port, "nas", options.clients, options.seconds)
        print(f"of others         {each_us:6.0f} us of a processor each")
        took, share = asked_beside_a_flood(process, port, options.seconds)
        print(
            f"beside a flood    median {statistics.median(took):.1f} ms, "
            f"{sum(ms > 900 for ms in took)} of {len(took)} lost, {share:.0%} of a processor"
        )
        print(f"resident          {resident_kb(process) / 1024:.1f} MB, with Python, uvloop and the test's program")


if __name__ == "__main__":
    main()
