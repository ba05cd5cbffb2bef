"""The keeper with a real engine and real containers: it ends those whose time was not renewed, whoever has died."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orion.adapters.docker.for_keeper import ALLOCATION_LABEL, engine_for_keeper
from orion.adapters.keeper import KeeperProcess
from orion.model.ids import AllocationId, allocation_text
from orion.ports.keeper import KeeperFailed
from support import api, images
from support.csi import wait_until
from support.engine import engine

pytestmark = pytest.mark.engine

# Where SIGTERM says nothing to it, as with many programs that are process 1.
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
HOUR_MS = 3_600_000


class Bench:
    def __init__(self, host: str, directory: Path) -> None:
        self.host = host
        self.directory = directory
        self.containers: list[str] = []
        self.pids: set[int] = set()

    def keeper(self, host: str = "") -> KeeperProcess:
        return KeeperProcess(self.directory, ALLOCATION_LABEL, engine_for_keeper(host or self.host))

    def container(self, *command: str) -> tuple[AllocationId, str]:
        allocation = AllocationId(secrets.randbits(32))
        body = {
            "Image": images.busybox(self.host),
            "Cmd": list(command) or ["sleep", "3600"],
            "Labels": {ALLOCATION_LABEL: allocation_text(allocation)},
            "HostConfig": {"Init": not command},
        }
        made = api.ask_json(self.host, "POST", "/containers/create", body)["Id"]
        self.containers.append(made)
        return allocation, made

    def start(self, container: str) -> None:
        api.ask(self.host, "POST", f"/containers/{container}/start")

    def runs(self, container: str) -> bool:
        return bool(api.ask_json(self.host, "GET", f"/containers/{container}/json")["State"]["Running"])

    @property
    def said(self) -> str:
        return (self.directory / "keeper.log").read_text()

    def process(self) -> int:
        """Of the keeper that listens; found by its arguments, as nobody here is its parent for sure."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink() == self.directory:
                    self.pids.add(int(entry.name))
                    return int(entry.name)
        raise AssertionError("there is no keeper")


@pytest.fixture
def bench(tmp_path):
    with engine() as host:
        bench = Bench(host, tmp_path)
        try:
            yield bench
        finally:
            for pid in bench.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for container in bench.containers:
                api.ask(host, "DELETE", f"/containers/{container}?force=true")


def now_ms() -> int:
    return int(time.monotonic() * 1000)


def soon() -> int:
    return now_ms() + 300


def later() -> int:
    return now_ms() + HOUR_MS


def test_who_is_not_renewed_is_ended_and_who_is_runs_on(bench):
    (lost, one), (kept, two), (over, three) = bench.container(), bench.container(), bench.container()
    for each in (one, two, three):
        bench.start(each)

    async def main():
        keeper = bench.keeper()
        # The keeper is there before a time is short.
        await keeper.renew(dict.fromkeys((lost, kept, over), later()))
        bench.process()
        first = now_ms() + 10_000
        # The last to come is the one that is waited for: once it has, the first time of the others was long ago.
        await keeper.renew({lost: first + 1_000, kept: first, over: first})
        await keeper.renew({kept: later()}, [over])
        await asyncio.to_thread(wait_until, lambda: not bench.runs(one), "the container was not ended")
        await asyncio.to_thread(wait_until, lambda: allocation_text(lost) in bench.said, "it was not said")
        assert bench.runs(two)
        assert bench.runs(three)
        await keeper.renew({}, [kept])
        await keeper.close()

    asyncio.run(main())


TELLER = """
import asyncio, os, signal, sys, time
from pathlib import Path
from orion.adapters.docker.for_keeper import ALLOCATION_LABEL, engine_for_keeper
from orion.adapters.keeper import KeeperProcess

async def main():
    keeper = KeeperProcess(Path(sys.argv[1]), ALLOCATION_LABEL, engine_for_keeper(sys.argv[2]))
    await keeper.renew({int(sys.argv[3]): int(time.monotonic() * 1000) + 500})
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_it_outlives_who_began_it_and_ends_what_ignores_sigterm(bench):
    lost, container = bench.container(*STUBBORN)
    bench.start(container)
    told = subprocess.run(
        [sys.executable, "-c", TELLER, str(bench.directory), bench.host, str(lost)], timeout=60, check=False
    )
    assert told.returncode == -signal.SIGKILL
    bench.process()
    wait_until(lambda: not bench.runs(container), "the container was not ended")


def test_a_container_that_starts_after_its_time_is_ended_too(bench):
    lost, container = bench.container()

    async def main():
        keeper = bench.keeper()
        await keeper.renew({lost: soon()})
        bench.process()
        await asyncio.to_thread(wait_until, lambda: allocation_text(lost) in bench.said, "its time did not come")
        bench.start(container)
        await asyncio.to_thread(wait_until, lambda: not bench.runs(container), "the container was not ended")
        await keeper.close()

    asyncio.run(main())


def test_an_engine_that_is_away_is_asked_until_it_answers(bench, tmp_path_factory):
    lost, container = bench.container()
    bench.start(container)
    place = tmp_path_factory.mktemp("engine") / "docker.sock"

    async def main():
        keeper = bench.keeper(f"unix://{place}")
        await keeper.renew({lost: soon()})
        bench.process()
        await asyncio.to_thread(wait_until, lambda: "can't end" in bench.said, "it did not say so")
        place.symlink_to(bench.host.removeprefix("unix://"))
        await asyncio.to_thread(wait_until, lambda: not bench.runs(container), "the container was not ended")
        await keeper.close()

    asyncio.run(main())


def test_there_is_one_at_a_time_and_another_once_it_was_killed(bench):
    allocation, _ = bench.container()

    async def main():
        keeper, other = bench.keeper(), bench.keeper()
        await keeper.renew({allocation: later()})
        first = bench.process()
        await other.renew({allocation: later()})
        assert bench.process() == first
        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: _gone(first), "it was not killed")
        await keeper.renew({allocation: later()})
        second = bench.process()
        assert second != first
        await other.renew({}, [allocation])
        assert bench.process() == second
        await keeper.close()
        await other.close()

    asyncio.run(main())


def test_nonsense_is_hung_up_on_and_changes_nothing(bench):
    allocation, container = bench.container()
    bench.start(container)

    async def main():
        keeper = bench.keeper()
        await keeper.renew({allocation: later()})
        pid = bench.process()
        for nonsense in (b"\xff\xfe\n", b'{"until": 5}\n', b'{"until": {"x": "y"}}\n', b"[]\n", b'{"ended": 7}\n'):
            directory = os.open(bench.directory, os.O_PATH)
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/keeper.sock")
            os.close(directory)
            writer.write(nonsense)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        await keeper.renew({allocation: later()})
        assert bench.process() == pid
        assert bench.runs(container)
        await keeper.renew({}, [allocation])
        await keeper.close()

    asyncio.run(main())


def test_where_it_can_not_be_begun_it_says_so(tmp_path):
    async def main():
        keeper = KeeperProcess(tmp_path / "gone", ALLOCATION_LABEL, {"socket": "/run/none.sock"})
        with pytest.raises(KeeperFailed, match=r"the keeper in .* could not be told what to watch: "):
            await keeper.renew({AllocationId(7): later()})

    asyncio.run(main())


def test_a_directory_of_any_length_will_do(bench):
    bench.directory = bench.directory / ("d" * 120)
    bench.directory.mkdir()

    async def main():
        keeper = bench.keeper()
        await keeper.renew({AllocationId(7): later()})
        bench.process()
        await keeper.renew({}, [AllocationId(7)])
        await keeper.close()

    asyncio.run(main())


def _gone(pid: int) -> bool:
    """Dead, or a zombie that somebody is still to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
