"""orion-csi-dir as a process of its own, and the mounts that tests leave."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from orion.adapters.csi import GrpcPlugins
from orion.ports.csi import CsiFailed, CsiPlugin
from orion.wire.mountinfo import below, parse

_MNT_DETACH = 2


def mounts_below(folder: Path) -> list[str]:
    table = parse(Path("/proc/self/mountinfo").read_bytes())
    return [mount.point for mount in below(table, os.path.realpath(folder))]


@contextlib.contextmanager
def no_mounts_left(folder: Path) -> Iterator[None]:
    """Fails where the test leaves a mount below the folder, and takes it away."""
    try:
        yield
        assert mounts_below(folder) == []
    finally:
        unmount_all(folder)


def unmount_all(folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for point in reversed(mounts_below(folder)):
        libc.umount2(os.fsencode(point), _MNT_DETACH)


class PluginProcess:
    """`through`: a command that starts it."""

    def __init__(self, folder: Path, *options: str, node: str = "node1", through: Sequence[str] = ()) -> None:
        self.socket = folder / f"{node}.sock"
        self.root = folder / "root"
        self.log = folder / f"{node}.log"
        self._command = [*through, sys.executable, "-m", "orion.csi_dir.main", "--socket", str(self.socket)]
        self._command += ["--root", str(self.root), "--node-id", node, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until(self._listens, "the plugin listens")

    def _listens(self) -> bool:
        """Its socket is there a moment before it can be connected to."""
        with socket.socket(socket.AF_UNIX) as caller:
            try:
                caller.connect(str(self.socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def end(self, number: int = signal.SIGTERM) -> int:
        """Returns its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=30)

    def signal(self, number: int) -> None:
        assert self._process is not None, "it runs"
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)


def wait_until(holds: Callable[[], bool], words: str, within_s: float = 30.0) -> None:
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, f"not within {within_s} s: {words}"
        time.sleep(0.01)


@contextlib.asynccontextmanager
async def asked(socket: Path, **deadlines_s: float) -> AsyncIterator[CsiPlugin]:
    """The plugin at a socket, once it answers."""
    plugin = await GrpcPlugins(deadlines_s).open(str(socket))
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    await plugin.info()
                    break
                except CsiFailed:
                    await asyncio.sleep(0.02)
        yield plugin
    finally:
        await plugin.close()
