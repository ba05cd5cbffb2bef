"""`orion top` in a pseudo terminal, for benchmarks of what is on the screen when."""

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

COLUMNS, ROWS = 200, 50
DEADLINE_S = 60
DOWN = b"\x1b[B"
_STYLES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """`orion top` in a pseudo terminal, whose output is searched by a thread as it comes."""

    def __init__(self, address: str, *words: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "ORION_ADDR": address}
        command = [sys.executable, "-m", "orion", "top", *words]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._looked_for: dict[bytes, threading.Event] = {}
        self._found: dict[bytes, float] = {}
        self._tail = b""
        self.bytes = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            select.select([self._master], [], [])
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            now = time.monotonic()
            self.bytes += len(data)
            text = _STYLES.sub(b"", self._tail + data)
            self._tail = (self._tail + data)[-400:]
            for word, event in list(self._looked_for.items()):
                if word in text:
                    self._found[word] = now
                    del self._looked_for[word]
                    event.set()

    def look_for(self, word: str) -> None:
        self._tail = b""
        self._looked_for[word.encode()] = threading.Event()

    async def seen_s(self, word: str) -> float:
        """When it was. Raises TimeoutError."""
        event = self._looked_for.get(word.encode())
        if event is not None and not await asyncio.to_thread(event.wait, DEADLINE_S):
            raise TimeoutError(f"{word} was not seen within {DEADLINE_S} s")
        return self._found.pop(word.encode())

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)
