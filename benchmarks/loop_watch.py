"""`orion` with a watch on its event loop: python loop_watch.py FILE FLAGS...

Into FILE go the longest turns since the last SIGUSR1, in milliseconds: by the wall clock, waiting for a core
included, and by the loop's own CPU time.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

TICK_S = 0.001


class LoopWatch:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._longest = [0.0, 0.0]

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._reset)
        while True:
            began, began_cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_S)
            wall_ms = (time.perf_counter() - began - TICK_S) * 1000
            cpu_ms = (time.thread_time() - began_cpu) * 1000
            longest = [max(self._longest[0], wall_ms), max(self._longest[1], cpu_ms)]
            if longest != self._longest:
                self._longest = longest
                self._write()

    def _reset(self) -> None:
        self._longest = [0.0, 0.0]
        self._write()

    def _write(self) -> None:
        self._file.write_text("{:.1f} {:.1f}".format(*self._longest))


def main() -> None:
    from orion.cli import main as orion
    from orion.process import daemon

    watch = LoopWatch(Path(sys.argv[1]))
    serve = daemon.serve

    async def watched(config: object) -> None:
        runner = asyncio.create_task(watch.run())
        try:
            await serve(config)
        finally:
            runner.cancel()

    daemon.serve = watched
    sys.argv = ["orion", *sys.argv[2:]]
    orion()


if __name__ == "__main__":
    main()
