"""One Orion process in its own network namespace, with a small disk and a clock of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from support import faketime
from support.dockerd import Dockerd
from support.lab import Lab

PORT, GOSSIP_PORT, RAFT_PORT = 8000, 6000, 7000
DISK_BYTES = 96 * 1024 * 1024
MEMORY_BYTES = 96 * 1024 * 1024  # for tasks; small, so that capacity is a limit that is met
CPUS = 4
SOURCE = "source"  # below the run's home: the program that the nodes run
BURIAL_S = 20.0
AFTER_FULL_S = 3.0  # a node that met the full disk may end a moment after there is room again
LONG_AFTER_FULL_S = 20.0  # on a slow machine; then its own words must say why
_FULL = ("No space left on device", "Input/output error", "Its disk is full")  # LMDB may say the second


class Ended(NamedTuple):
    """A process that ended though nobody had asked it to."""

    node: str
    code: int
    excused: str
    words: str


class ChaosNode:
    """`start` to `jump` are faults and their cures; `keep` is what a supervisor would do. Thread-safe."""

    def __init__(self, index: int, lab: Lab, home: Path, engine: Dockerd, count: int) -> None:
        self.index, self.engine = index, engine
        self.name, self.address = f"n{index}", lab.address(index)
        self.data_dir = home / f"data{index}"
        self.log_file = home / f"{self.name}.log"
        self._lab, self._count = lab, count
        self._clock_file = home / f"clock{index}"
        self._source = home / SOURCE
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._wanted = False
        self._full = False
        self._room_at = float("-inf")  # since when its disk has had room again, or ever; in the future while full
        self.pids: list[int] = []

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    # --- life ---------------------------------------------------------------------------------------------

    def make_disk(self) -> None:
        self.data_dir.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "orion-chaos", str(self.data_dir)]
        subprocess.run(command, check=True, timeout=30)
        self._set_clock("+0")

    def remove_disk(self) -> None:
        subprocess.run(["umount", "--lazy", self.data_dir], check=False, stderr=subprocess.DEVNULL, timeout=30)

    def start(self) -> None:
        with self._lock:
            self._wanted = True
            if self.alive:
                return
            others = [self._lab.address(i) for i in range(1, self._count + 1) if i != self.index]
            joins = [word for other in others for word in ("--join", f"{other}:{GOSSIP_PORT}")]
            first = self.index == 1 and not any(self.data_dir.iterdir())
            command = [
                "nsenter", f"--net=/var/run/netns/{self._lab.name(self.index)}",
                "env", *self._faked(),
                sys.executable, "-m", "orion", "--id", self.name, "--insecure",
                "--bind", self.address, "--advertise", self.address, "--port", str(PORT),
                "--gossip-port", str(GOSSIP_PORT), "--raft-port", str(RAFT_PORT),
                "--data-dir", str(self.data_dir), "--docker-host", self.engine.host,
                "--memory", str(MEMORY_BYTES), "--cpus", str(CPUS),
                *(["--bootstrap", "--network", "off"] if first else joins),
            ]  # fmt: skip
            with self.log_file.open("ab") as output:
                output.write(f"--- started {time.strftime('%H:%M:%S')}\n".encode())
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self._environment(),
                    start_new_session=True,  # Ctrl-C is for the run, which then ends its nodes in its own way
                )
            self.pids.append(self._process.pid)

    def kill(self) -> None:
        """kill -9, and wait until the kernel has buried it."""
        with self._lock:
            self._wanted = False
            if self._process is not None:
                self._process.kill()
                self._process.wait(BURIAL_S)

    def keep(self) -> Ended | None:
        """Start it again if it ended by itself; says so."""
        with self._lock:
            if self._process is None or self.alive or not self._wanted or self._full:
                return None
            code = self._process.returncode
            words = "\n".join(self.log_file.read_text(errors="replace").splitlines()[-25:])
            excused = "its disk was full" if self._met_the_full_disk(words) else ""
            self.start()
            return Ended(self.name, code, excused, words)

    def _met_the_full_disk(self, words: str) -> bool:
        since_s = time.monotonic() - self._room_at
        told = any(each in words.rpartition("--- started")[2] for each in _FULL)
        return since_s < (LONG_AFTER_FULL_S if told else AFTER_FULL_S)

    # --- faults -------------------------------------------------------------------------------------------

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def fill_disk(self) -> None:
        with self._lock:
            self._full, self._room_at = True, float("inf")
            filler = os.open(self.data_dir / "filler", os.O_WRONLY | os.O_CREAT)
            try:
                for size in (1024 * 1024, 4096):
                    block = bytes(size)
                    try:
                        while True:
                            os.write(filler, block)
                    except OSError:
                        continue
            finally:
                os.close(filler)

    def free_disk(self) -> None:
        with self._lock:
            (self.data_dir / "filler").unlink(missing_ok=True)
            self._full, self._room_at = False, time.monotonic()

    def jump(self, seconds: int) -> None:
        """Its wall clock is so far from the true one from now on. Its monotonic clock stays true."""
        self._set_clock(f"{seconds:+d}")

    def _set_clock(self, offset: str) -> None:
        draft = self._clock_file.with_suffix(".new")
        draft.write_text(f"{offset}\n")
        draft.rename(self._clock_file)

    def _environment(self) -> dict[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE" and not k.startswith("ORION_")
        }
        return kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(self._source)}

    def _faked(self) -> list[str]:
        """The environment of libfaketime, for the wall clock alone."""
        return [
            f"LD_PRELOAD={faketime.library()}",
            f"FAKETIME_TIMESTAMP_FILE={self._clock_file}",
            "FAKETIME_CACHE_DURATION=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            # It would take waits until a monotonic time for waits until a wall time: Python's threads would spin.
            "FAKETIME_FORCE_MONOTONIC_FIX=0",
            "NO_FAKE_STAT=1",
        ]

    def _signal(self, number: int) -> None:
        with self._lock:
            if self._process is not None and self.alive:
                self._process.send_signal(number)

    def forget_clock(self) -> None:
        faketime.forget(self.pids)
