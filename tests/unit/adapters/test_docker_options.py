"""adapters/docker/options.py: what Docker is told of a container's options, and that it is told nothing more."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.adapters.docker import decode, errors
from orion.adapters.docker.spec import container_config
from orion.model.allocation import Allocation
from orion.model.api.codec import job_from_request
from orion.model.api.tasks import TaskRequest
from orion.model.container import Labels
from orion.model.container_options import (
    ContainerOptions,
    DeviceMapping,
    DeviceRate,
    DeviceRequest,
    Ulimit,
)
from orion.model.errors import ContainerGone
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import TaskSpec
from orion.model.resources import MIB, Resources
from support import container_values

GIB = 1024 * MIB
NODE = NodeId("node1")
LABELS = Labels(0xC0FFEE, NODE, "web", 3, 0xBEEF)
ALLOCATION = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)


def told(options=None, **spec):
    """The body, and its HostConfig."""
    body = container_config(ALLOCATION, TaskSpec("nginx", options=options, **spec), LABELS)
    return body, body["HostConfig"]


def news(options, **spec):
    """What the options add to the body or change of it, HostConfig apart, and of that."""
    bare, body = told(**spec), told(options, **spec)
    changed = [{k: v for k, v in now.items() if old.get(k) != v} for old, now in zip(bare, body, strict=True)]
    changed[0].pop("HostConfig", None)
    return tuple(changed)


def test_options_that_are_all_as_by_default_say_nothing():
    assert told(ContainerOptions()) == told()


@pytest.mark.parametrize(
    ("options", "config", "host"),
    [
        ({"entrypoint": ("",)}, {"Entrypoint": [""]}, {}),
        ({"working_dir": "/srv"}, {"WorkingDir": "/srv"}, {}),
        ({"tty": True, "stdin_open": True}, {"Tty": True, "OpenStdin": True}, {}),
        ({"stop_signal": "SIGINT"}, {"StopSignal": "SIGINT"}, {}),
        ({"domainname": "a.b"}, {"Domainname": "a.b"}, {}),
        ({"mac_address": "02:42:ac:11:00:02"}, {"MacAddress": "02:42:ac:11:00:02"}, {}),
        ({"init": True, "read_only": True}, {}, {"Init": True, "ReadonlyRootfs": True}),
        ({"group_add": ("audio",)}, {}, {"GroupAdd": ["audio"]}),
        ({"runtime": "runsc"}, {}, {"Runtime": "runsc"}),
        ({"memory_limit_bytes": GIB}, {}, {"Memory": GIB, "MemorySwap": GIB}),
        ({"memory_swappiness": 0}, {}, {"MemorySwappiness": 0}),
        ({"cpu_limit_millis": 1_500}, {}, {"CpuPeriod": 100_000, "CpuQuota": 150_000}),
        ({"cpu_shares": 100}, {}, {"CpuShares": 100}),
        ({"cpu_quota_us": 5_000, "cpu_period_us": 9_000}, {}, {"CpuQuota": 5_000, "CpuPeriod": 9_000}),
        ({"cpuset_cpus": "0-1", "cpuset_mems": "0"}, {}, {"CpusetCpus": "0-1", "CpusetMems": "0"}),
        ({"pids_limit": 50}, {}, {"PidsLimit": 50}),
        ({"pids_limit": -1}, {}, {"PidsLimit": -1}),
        ({"shm_bytes": MIB}, {}, {"ShmSize": MIB}),
        ({"oom_score_adj": -5, "oom_kill_disable": True}, {}, {"OomScoreAdj": -5, "OomKillDisable": True}),
        ({"blkio_weight": 10}, {}, {"BlkioWeight": 10}),
        (
            {"blkio_device_weights": (DeviceRate("/dev/sda", 10),)},
            {},
            {"BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 10}]},
        ),
        (
            {"device_write_iops": (DeviceRate("/dev/sda", 10),)},
            {},
            {"BlkioDeviceWriteIOps": [{"Path": "/dev/sda", "Rate": 10}]},
        ),
        ({"ulimits": (Ulimit("core", 0, -1),)}, {}, {"Ulimits": [{"Name": "core", "Soft": 0, "Hard": -1}]}),
        ({"sysctls": (("net.a", "1"),)}, {}, {"Sysctls": {"net.a": "1"}}),
        ({"storage_opt": (("size", "1G"),)}, {}, {"StorageOpt": {"size": "1G"}}),
        ({"cgroup_parent": "a.slice"}, {}, {"CgroupParent": "a.slice"}),
        ({"cap_add": ("ALL",), "cap_drop": ("CHOWN",)}, {}, {"CapAdd": ["ALL"], "CapDrop": ["CHOWN"]}),
        (
            {"security_opt": ("no-new-privileges", "systempaths=unconfined")},
            {},
            {"SecurityOpt": ["no-new-privileges"], "MaskedPaths": [], "ReadonlyPaths": []},
        ),
        ({"privileged": True}, {}, {"Privileged": True}),
        (
            {"userns_mode": "host", "ipc_mode": "host", "pid_mode": "host", "uts_mode": "host"},
            {},
            {"UsernsMode": "host", "IpcMode": "host", "PidMode": "host", "UTSMode": "host"},
        ),
        ({"cgroupns_mode": "private"}, {}, {"CgroupnsMode": "private"}),
        (
            {"devices": (DeviceMapping("/dev/a", "/dev/b", "r"),)},
            {},
            {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]},
        ),
        ({"device_cgroup_rules": ("c 1:* r",)}, {}, {"DeviceCgroupRules": ["c 1:* r"]}),
        (
            {"device_requests": (DeviceRequest("nvidia", 0, ("0",), ("gpu", "utility")),)},
            {},
            {
                "DeviceRequests": [
                    {"Driver": "nvidia", "Count": 0, "DeviceIDs": ["0"], "Capabilities": [["gpu", "utility"]]}
                ]
            },
        ),
        ({"tmpfs": (("/run", "size=1m"),)}, {}, {"Tmpfs": {"/run": "size=1m"}}),
        ({"network_mode": "none"}, {}, {"NetworkMode": "none"}),
        (
            {"dns": ("10.0.0.1",), "dns_search": (".",), "dns_options": ("ndots:2",)},
            {},
            {"Dns": ["10.0.0.1"], "DnsSearch": ["."], "DnsOptions": ["ndots:2"]},
        ),
        ({"extra_hosts": (("db", "fd00::1"),)}, {}, {"ExtraHosts": ["db:fd00::1"]}),
        ({"log_driver": "none"}, {}, {"LogConfig": {"Type": "none", "Config": {}}}),
        (
            {"log_options": (("max-size", "1m"),)},
            {},
            {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}}},
        ),
        # What the agent and the scheduler do with it, not Docker:
        ({"pull_policy": "never", "platform": "linux/amd64", "templates": True}, {}, {}),
    ],
)
def test_what_docker_is_told(options, config, host):
    assert news(ContainerOptions(**options)) == (config, host)


def test_what_is_reserved_is_the_limit_unless_there_is_another():
    reserved = Resources(0, 64 * MIB, 0)
    _, bare = told(resources=reserved)
    assert (bare["Memory"], bare["MemorySwap"]) == (64 * MIB, 64 * MIB)
    _, host = told(ContainerOptions(memory_limit_bytes=GIB, memory_swap_bytes=2 * GIB), resources=reserved)
    assert (host["Memory"], host["MemorySwap"], host["MemoryReservation"]) == (GIB, 2 * GIB, 64 * MIB)
    _, host = told(ContainerOptions(memory_swap_bytes=-1), resources=reserved)
    assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, -1)


def test_labels_are_the_user_s_and_orion_s_stay():
    body, _ = told(ContainerOptions(labels=(("a", "b"), ("dev.orion.job", "another"))))
    assert body["Labels"] == {**told()[0]["Labels"], "a": "b"}


def test_every_option_says_something_to_docker():
    """So that none that is added is forgotten."""
    elsewhere = {"pull_policy", "platform", "templates"}
    values = {
        "entrypoint": ("a",), "labels": (("a", ""),), "memory_swappiness": 1, "memory_swap_bytes": -1,
        "ulimits": (Ulimit("core", 0, 0),), "devices": (DeviceMapping("/dev/a", "/dev/a"),),
        "device_requests": (DeviceRequest(count=1),),
    }  # fmt: skip
    for info in msgspec.structs.fields(ContainerOptions):
        if info.name in elsewhere:
            continue
        value = values.get(info.name) or _other(info)
        found = news(ContainerOptions(**{info.name: value}), resources=Resources(0, 64 * MIB, 0))
        assert found != ({}, {}), info.name


def _other(info):
    if info.type is bool:
        return True
    if info.type is int:
        return 1_000_000_000
    if info.type is str:
        return "a"
    return (DeviceRate("/dev/a", 1),) if "device_" in info.name and "rules" not in info.name else _texts(info)


def _texts(info):
    return (("a", "b"),) if "tuple[tuple" in str(info.type) else ("a",)


@given(st.builds(TaskRequest, image=st.just("a"), **container_values.VALUES))
def test_any_right_options_are_json(request):
    spec = job_from_request(request, "web", 0).task
    assert msgspec.json.encode(container_config(ALLOCATION, spec, LABELS))


@pytest.mark.parametrize(
    ("image", "platform", "same"),
    [
        ({"Os": "linux", "Architecture": "amd64"}, "linux/amd64", True),
        ({"Os": "linux", "Architecture": "amd64"}, "linux/arm64", False),
        ({"Os": "linux", "Architecture": "arm64", "Variant": "v8"}, "linux/arm64", True),
        ({"Os": "linux", "Architecture": "arm64"}, "linux/arm64/v8", True),
        ({"Os": "linux", "Architecture": "arm", "Variant": "v6"}, "linux/arm/v7", False),
    ],
)
def test_an_image_is_of_a_platform(image, platform, same):
    assert decode.is_of_platform(image, platform) == same


def test_an_engine_says_its_runtimes():
    shown = {"ID": "a", "NCPU": 1, "MemTotal": 1, "Runtimes": {"runc": {}, "nvidia": {}}}
    assert decode.engine_info(shown, {"Version": "1"}, disk_bytes=1, run="").runtimes == ("nvidia", "runc")


@pytest.mark.parametrize(
    "message",
    [
        "Requested CPUs are not available - requested 0-7, available: 0-1",
        "unknown or invalid runtime name: runsc",
        "logger: no log driver named 'fluent' is registered",
    ],
)
def test_what_another_node_may_have_is_not_refused_for_good(message):
    assert not errors.refusal(400, message).permanent


def test_a_driver_that_keeps_no_output_is_said():
    words = "configured logging driver does not support reading"
    assert "its log driver keeps no output that could be read" in errors.logs_refusal(501, words).detail
    assert errors.logs_refusal(404, "No such container: a").detail == "No such container: a"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "No such container: a"),
        (409, "can not get logs from container which is dead or marked for removal"),
    ],
)
def test_a_container_that_is_being_removed_is_gone_as_one_that_was(status, message):
    assert isinstance(errors.logs_refusal(status, message), ContainerGone)
