"""What is read of the machine: a /proc and /sys written for the purpose, and the real ones."""

import asyncio
import os

import pytest

from orion.adapters.clock import SystemClock
from orion.adapters.machine import LinuxMachine, whole_hundredths
from orion.model.resources import MIB

GIB = 1024 * MIB


class FakeRoot:
    def __init__(self, path):
        self.path = path
        self.cpu(busy=0, idle=0)
        self.write(
            "proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 12582912 kB\nHugePages_Total: 0\n"
        )
        self.write("proc/self/cgroup", "0::/a/b\n")

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def cpu(self, *, busy, idle, guest=0):
        # user nice system idle iowait irq softirq steal guest guest_nice
        self.write("proc/stat", f"cpu  {busy} 0 0 {idle} 0 0 0 0 {guest} 0\ncpu0 1 2 3 4\n")


@pytest.fixture
def root(tmp_path):
    return FakeRoot(tmp_path)


def test_use_is_since_the_last_call(root):
    machine, cores = LinuxMachine(root.path), os.cpu_count()
    root.cpu(busy=30, idle=70, guest=30)
    assert machine.usage().cpu_cores == pytest.approx(0.3 * cores)
    root.cpu(busy=130, idle=70)
    assert machine.usage().cpu_cores == pytest.approx(cores)
    assert machine.usage().cpu_cores == 0  # no time has passed
    root.cpu(busy=120, idle=90)  # counters of iowait may go back
    assert machine.usage().cpu_cores == 0


def test_interfaces_are_those_of_this_host():
    assert "lo" in LinuxMachine().interfaces()


def test_memory_in_use_is_what_cannot_be_given_away(root):
    assert LinuxMachine(root.path).usage().memory_bytes == 4 * GIB


def test_use_stands_where_it_can_not_be_read_and_that_is_said_once(root, caplog):
    machine, cores = LinuxMachine(root.path), os.cpu_count()
    assert machine.usage().memory_bytes == 4 * GIB
    root.cpu(busy=30, idle=70)
    last = machine.usage()
    (root.path / "proc/stat").unlink()
    assert machine.usage() == machine.usage() == last
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "can't read what this machine has in use, so the last of it stands"
    ]
    root.cpu(busy=130, idle=70)
    assert machine.usage().cpu_cores == pytest.approx(cores)
    (root.path / "proc/meminfo").unlink()
    machine.usage()
    assert len(caplog.records) == 2


def test_use_stands_when_all_files_are_taken():
    """With the kernel's own words: no file can be opened."""
    import resource

    machine = LinuxMachine()
    last = machine.usage()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert machine.usage() == last
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_groups_no_limits(root):
    machine = LinuxMachine(root.path)
    assert machine.memory_bytes() == 16 * GIB
    assert machine.cpu_millis() == len(os.sched_getaffinity(0)) * 1000


@pytest.mark.parametrize("group", ["", "a", "a/b"])
def test_limits_of_all_groups_above_count(root, group):
    root.write(f"sys/fs/cgroup/{group}/cpu.max", "50000 100000\n")
    root.write(f"sys/fs/cgroup/{group}/memory.max", f"{GIB}\n")
    machine = LinuxMachine(root.path)
    assert (machine.cpu_millis(), machine.memory_bytes()) == (500, GIB)


def test_limits_of_other_groups_do_not(root):
    root.write("sys/fs/cgroup/a/c/memory.max", f"{GIB}\n")
    root.write("sys/fs/cgroup/a/b/c/memory.max", f"{GIB}\n")
    assert LinuxMachine(root.path).memory_bytes() == 16 * GIB


def test_no_limit_is_said_in_two_ways(root):
    root.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    root.write("sys/fs/cgroup/a/b/memory.max", "max\n")
    root.write("sys/fs/cgroup/a/memory.limit_in_bytes", "9223372036854771712\n")
    machine = LinuxMachine(root.path)
    assert machine.memory_bytes() == 16 * GIB
    assert machine.cpu_millis() == len(os.sched_getaffinity(0)) * 1000


def test_groups_of_the_first_version(root):
    root.write("proc/self/cgroup", "5:cpuacct,cpu:/x\n4:memory:/y/z\n1:name=systemd:/w\n0::/\n")
    root.write("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "25000\n")
    root.write("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n")
    root.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    root.write("sys/fs/cgroup/memory/y/memory.limit_in_bytes", f"{2 * GIB}\n")
    machine = LinuxMachine(root.path)
    assert (machine.cpu_millis(), machine.memory_bytes()) == (250, 2 * GIB)


@pytest.mark.parametrize(
    ("has", "gives"), [(16 * GIB, 15 * GIB), (4 * GIB, 4 * GIB - 4 * GIB // 10), (256 * MIB, 128 * MIB)]
)
def test_a_share_of_memory_is_kept_back(root, has, gives):
    root.write("sys/fs/cgroup/a/memory.max", f"{has}\n")
    capacity = LinuxMachine(root.path).capacity(root.path)
    assert capacity.memory_bytes == pytest.approx(gives, abs=1)


def test_a_little_more_or_less_free_disk_is_the_same_capacity():
    assert whole_hundredths(54_321, 100_000) == whole_hundredths(54_999, 100_000) == 54_000
    assert whole_hundredths(7, 50) == 7


def test_the_real_machine(tmp_path):
    machine = LinuxMachine()
    capacity = machine.capacity(tmp_path)
    assert 0 < capacity.cpu_millis <= os.cpu_count() * 1000
    assert 0 < capacity.memory_bytes < machine.memory_bytes()
    assert capacity.disk_bytes > 0
    usage = machine.usage()
    assert 0 <= usage.cpu_cores <= os.cpu_count()
    assert usage.memory_bytes > 0
    assert len({machine.random_bits(64) for _ in range(100)}) == 100
    assert all(0 <= machine.random_bits(5) < 32 for _ in range(100))


def test_the_clock_is_the_loops():
    async def main():
        clock, loop = SystemClock(), asyncio.get_running_loop()
        before = loop.time()
        assert int(before * 1000) <= clock.now_ms() <= loop.time() * 1000
        assert clock.wall_ms() > 1_600_000_000_000

    asyncio.run(main())
