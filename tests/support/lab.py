"""A network for one test run: a namespace for each host, joined by a bridge in a namespace of its own, so that none
of it shows in this machine's own network and nothing there (Docker's FORWARD policy) is in its way.

Names carry the run's id. Links can be cut, made to lose packets and made slow. Needs root, iproute2 and nftables.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

NETWORK = "10.77.0"
_CLONE_NEWNET = 0x40000000
_NETEM = ("netem", "delay", "80ms", "40ms")
# Where the kernel has no netem: a link so slow that packets wait for each other, up to half a second.
_SLOW = ("tbf", "rate", "256kbit", "burst", "3200", "latency", "500ms")


class LabProblem(RuntimeError):
    pass


class Lab:
    """Hosts 1 to `count`; host i is `10.77.0.i`. `up` and `down` may each be called when half of it is there."""

    def __init__(self, run: str, count: int) -> None:
        self.hosts = range(1, count + 1)
        self._run = run
        self._hub = f"oc{run}-hub"
        self._rules: dict[int, list[str]] = {host: [] for host in self.hosts}
        self._lock = threading.Lock()
        self.delays_with = ""  # "netem" or "tbf", once something was made slow

    def name(self, host: int) -> str:
        return f"oc{self._run}-{host}"

    @staticmethod
    def address(host: int) -> str:
        return f"{NETWORK}.{host}"

    def up(self) -> None:
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "set", "lo", "up")
        _ip("-n", self._hub, "link", "add", "hub", "type", "bridge")
        _ip("-n", self._hub, "addr", "add", f"{NETWORK}.254/24", "dev", "hub")
        _ip("-n", self._hub, "link", "set", "hub", "up")
        for host in self.hosts:
            name, port = self.name(host), f"host{host}"
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", self._hub, "link", "set", port, "master", "hub", "up")
            _ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")

    def down(self) -> None:
        """Whatever still runs in the namespaces is killed: nobody but this run was given their names."""
        for name in [*map(self.name, self.hosts), self._hub]:
            if not Path(f"/var/run/netns/{name}").exists():
                continue
            _end_all(name)
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=30)

    # --- faults -------------------------------------------------------------------------------------------

    def add_rules(self, host: int, rules: list[str]) -> None:
        """nftables expressions on what comes in at the host, as in `ip saddr 10.77.0.2 drop`."""
        with self._lock:
            self._rules[host] += rules
            self._load(host)

    def remove_rules(self, host: int, rules: list[str]) -> None:
        with self._lock:
            for rule in rules:
                self._rules[host].remove(rule)
            self._load(host)

    def _load(self, host: int) -> None:
        lines = ["add table inet chaos", "delete table inet chaos"]
        if self._rules[host]:
            lines.append("add table inet chaos")
            lines.append("add chain inet chaos input { type filter hook input priority 0; }")
            lines += [f"add rule inet chaos input {rule}" for rule in self._rules[host]]
        _run(*_inside(self.name(host)), "nft", "-f", "-", given="\n".join(lines) + "\n")

    def slow(self, host: int) -> None:
        """What leaves the host arrives late."""
        for discipline in (_NETEM, _SLOW):
            command = ["tc", "-n", self.name(host), "qdisc", "replace", "dev", "eth0", "root", *discipline]
            if subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0:
                self.delays_with = discipline[0]
                return
        raise LabProblem("this kernel has neither netem nor tbf, so no link can be made slow")

    def fast(self, host: int) -> None:
        _run("tc", "-n", self.name(host), "qdisc", "delete", "dev", "eth0", "root")

    # --- this process -------------------------------------------------------------------------------------

    def enter(self) -> int:
        """This thread, and those it starts, talk from the bridge from now on. Give the answer to `leave`."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/var/run/netns/{self._hub}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            set_namespace(there)
        finally:
            os.close(there)
        return before

    @staticmethod
    def leave(before: int) -> None:
        set_namespace(before)
        os.close(before)


def set_namespace(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _end_all(namespace: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        shown = subprocess.run(
            ["ip", "netns", "pids", namespace], check=False, capture_output=True, text=True, timeout=30
        )
        pids = [int(word) for word in shown.stdout.split() if int(word) != os.getpid()]
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _inside(name: str) -> tuple[str, ...]:
    # Not `ip netns exec`: it mounts /sys anew, which hides the cgroups.
    return ("nsenter", f"--net=/var/run/netns/{name}")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=given, timeout=30)
    if done.returncode != 0:
        raise LabProblem(f"{' '.join(command)}: {done.stderr.strip()}\n{given}".strip())
