"""Questions to a name server at a steady rate, whatever it answers, from a process of its own (`command`). Its
output is a line of JSON when it begins, and one at its end: how many were sent and answered, in how many seconds.

Names that are there and that are not, of others, of addresses and services, and pieces of questions, in turn.
"""

import json
import socket
import sys
import time
from pathlib import Path

from support import dns

PORT = 53
STEP_S = 0.001


def questions(domain: str = "orion.internal") -> list[bytes]:
    whole = [
        dns.query(f"web.{domain}", more=[dns.edns()]),
        dns.query(f"web.{domain}", dns.AAAA),
        dns.query(f"0.web.{domain}"),
        dns.query(f"_80._tcp.web.{domain}", dns.SRV),
        dns.query("5.0.200.10.in-addr.arpa", dns.PTR),
        dns.query(f"nobody.{domain}"),
        dns.query(f"{'a' * 63}.{domain}", dns.ANY),
        dns.query("example.com"),
    ]
    return [*whole, whole[0][:-9], b"\0" * 12]


def command(address: str, rate_per_s: float, seconds: float) -> list[str]:
    """The words that run it, on whichever network."""
    path = f"PYTHONPATH={Path(__file__).parents[1]}"
    return ["env", path, sys.executable, "-m", "support.dns_flood", address, str(rate_per_s), str(seconds)]


def flood(address: str, rate_per_s: float, seconds: float) -> dict[str, float]:
    asked, sent, answered = questions(), 0, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, PORT))
        sock.setblocking(False)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * rate_per_s:
                try:
                    sock.send(asked[sent % len(asked)])
                except BlockingIOError:
                    break
                except ConnectionRefusedError:  # it says so of an earlier one
                    continue
                sent += 1
            try:
                while sock.recv(2_000):
                    answered += 1
            except (BlockingIOError, ConnectionRefusedError):
                pass
            time.sleep(STEP_S)
        return {"sent": sent, "answered": answered, "seconds": time.monotonic() - began}


def main() -> None:
    print("{}", flush=True)
    print(json.dumps(flood(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))), flush=True)


if __name__ == "__main__":
    main()
