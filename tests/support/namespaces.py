"""Network namespaces for a test: made with names of their own, entered by this thread, and removed in the end."""

import contextlib
import ctypes
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # sched.h


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[dict[str, str]]:
    """Namespaces with their loopback up: name -> how the machine calls it."""
    run = secrets.token_hex(3)
    with contextlib.ExitStack() as stack:
        made = {}
        for name in names:
            made[name] = f"orion-{run}-{name}"
            command("ip", "netns", "add", made[name])
            stack.callback(command, "ip", "netns", "delete", made[name])
            command("ip", "-n", made[name], "link", "set", "lo", "up")
        yield made


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and the processes that it starts, are in the namespace until the block is left."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(before)
    finally:
        os.close(before)


def socket_in(namespace: str, kind: int, protocol: int = 0) -> socket.socket:
    """A socket of that namespace, wherever it is used, that does not block."""
    with inside(namespace):
        made = socket.socket(socket.AF_INET, kind, protocol)
    made.setblocking(False)
    return made


def set_kernel(namespace: str, settings: dict[str, int]) -> None:
    """Settings below /proc/sys/net, as ipv4/ip_forward."""
    with inside(namespace):
        for name, value in settings.items():
            Path("/proc/sys/net", name).write_text(str(value))


def run_ip(namespace: str, *lines: str) -> None:
    """All the lines in one process."""
    command("ip", "-n", namespace, "-batch", "-", given="\n".join(lines) + "\n")


def run_in(namespace: str, *words: str, given: str = "") -> str:
    # Not `ip netns exec`: it mounts /sys anew, which hides the cgroups.
    return command("nsenter", f"--net=/var/run/netns/{namespace}", *words, given=given)


def command(*words: str, given: str = "") -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, input=given, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}\n{given}".strip()
    return done.stdout


def _enter(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
