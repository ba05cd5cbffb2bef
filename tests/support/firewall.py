"""What a Docker Engine changes in this machine's network and leaves behind when it ends, and how to undo it."""

import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_BRIDGE = "docker0"
_CHAINS = "DOCKER"


@dataclass(frozen=True)
class Network:
    """How things were before. What was there already is somebody else's and stays."""

    forwards: str
    policy: str  # of the FORWARD chain
    bridge: bool
    chains: bool

    @classmethod
    def now(cls) -> "Network":
        rules = _rules("filter")
        return cls(
            forwards=_FORWARD.read_text().strip(),
            policy=next((r.split()[2] for r in rules if r.startswith("-P FORWARD")), "ACCEPT"),
            bridge=_BRIDGE in [name for _, name in socket.if_nameindex()],
            chains=any(r.startswith(f"-N {_CHAINS}") for r in rules),
        )

    def as_dict(self) -> dict[str, str | bool]:
        return asdict(self)

    def restore(self) -> None:
        if not self.chains:
            for table in ("filter", "nat"):
                _forget_docker(table)
            _iptables("filter", "-P", "FORWARD", self.policy)
        if not self.bridge:
            subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, stderr=subprocess.DEVNULL, timeout=10)
        if _FORWARD.read_text().strip() != self.forwards:
            _FORWARD.write_text(self.forwards)


def _forget_docker(table: str) -> None:
    rules = _rules(table)
    for rule in rules:
        kind, chain, *rest = rule.split()
        if kind == "-A" and not chain.startswith(_CHAINS) and (_CHAINS in rule or _BRIDGE in rule):
            _iptables(table, "-D", chain, *rest)
    chains = [rule.split()[1] for rule in rules if rule.startswith(f"-N {_CHAINS}")]
    for flag in ("-F", "-X"):
        for chain in chains:
            _iptables(table, flag, chain)


def _rules(table: str) -> list[str]:
    found = subprocess.run(["iptables", "-t", table, "-S"], check=False, capture_output=True, text=True, timeout=10)
    return found.stdout.splitlines()


def _iptables(table: str, *words: str) -> None:
    subprocess.run(["iptables", "-t", table, *words], check=False, stderr=subprocess.DEVNULL, timeout=10)
