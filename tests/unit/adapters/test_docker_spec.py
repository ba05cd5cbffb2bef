"""A task spec as Docker's configuration; labels there and back."""

import pytest

from orion.adapters.docker.spec import (
    container_config,
    cpu_shares,
    grace_seconds,
    image_name,
    label_texts,
    labels_from,
)
from orion.model.allocation import Allocation
from orion.model.container import Labels, Mount, SharedNamespaces
from orion.model.container_options import ContainerOptions, DeviceMapping
from orion.model.errors import EngineError
from orion.model.health import CheckKind, HealthCheck
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import PortBinding, TaskSpec

NODE = NodeId("node1")
LABELS = Labels(0xC0FFEE, NODE, "web", 3, 0xBEEF)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/a/b@sha256:00ff", "ghcr.io/a/b@sha256:00ff"),
    ],
)
def test_image_names(given, full):
    assert image_name(given) == full


@pytest.mark.parametrize(
    "given", ["", "a b", "../x", "a/../b", "x?y=1", "x#y", "http://x/y", "-x", "x:", "a\n", "é"]
)
def test_what_is_no_image_name(given):
    with pytest.raises(EngineError) as raised:
        image_name(given)
    assert raised.value.permanent


def test_labels_there_and_back():
    texts = label_texts(LABELS)
    assert texts["dev.orion.cluster"] == "0000000000c0ffee"
    assert labels_from(texts | {"somebody": "else's"}) == LABELS


@pytest.mark.parametrize(
    "change",
    [
        {"dev.orion.cluster": "x"},
        {"dev.orion.task": "web"},
        {"dev.orion.task": "web/x"},
        {"dev.orion.job": "other"},
        {"dev.orion.allocation": ""},
    ],
)
def test_labels_that_somebody_wrote_by_hand(change):
    assert labels_from(label_texts(LABELS) | change) is None
    assert labels_from({}) is None


def test_a_bare_task():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    config = container_config(allocation, TaskSpec("nginx"), LABELS)
    assert config["Image"] == "nginx:latest"
    assert not {"Cmd", "User", "Hostname"} & set(config)  # the image's own
    assert config["HostConfig"]["CpuShares"] == 2
    assert not {"Memory", "MemorySwap"} & set(config["HostConfig"])


def test_a_task_runs_as_its_user():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    assert container_config(allocation, TaskSpec("nginx", user="1000:staff"), LABELS)["User"] == "1000:staff"


def test_a_container_has_its_host_name():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    assert container_config(allocation, TaskSpec("nginx", hostname="db.lan"), LABELS)["Hostname"] == "db.lan"


def test_a_container_has_a_limit_of_processes():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    spec = TaskSpec("nginx")
    assert container_config(allocation, spec, LABELS)["HostConfig"]["PidsLimit"] == 4_096
    assert container_config(allocation, spec, LABELS, 100)["HostConfig"]["PidsLimit"] == 100
    assert "PidsLimit" not in container_config(allocation, spec, LABELS, 0)["HostConfig"]


def test_ports_of_a_task():
    ports = (PortBinding(53, "tcp"), PortBinding(53, "udp", 53), PortBinding(80, "tcp", 8080))
    allocation = Allocation(AllocationId(1), JobName("dns"), 0, 0, NODE, ports=(20_001, 53, 8080))
    config = container_config(allocation, TaskSpec("dns", ports=ports), LABELS)
    assert config["HostConfig"]["PortBindings"] == {
        "53/tcp": [{"HostPort": "20001"}],
        "53/udp": [{"HostPort": "53"}],
        "80/tcp": [{"HostPort": "8080"}],
    }
    assert list(config["ExposedPorts"]) == ["53/tcp", "53/udp", "80/tcp"]


def test_a_port_of_one_address():
    ports = (PortBinding(80, "tcp", 8080, "127.0.0.1"),)
    allocation = Allocation(AllocationId(1), JobName("web"), 0, 0, NODE, ports=(8080,))
    config = container_config(allocation, TaskSpec("web", ports=ports), LABELS)
    assert config["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostPort": "8080", "HostIp": "127.0.0.1"}]}


def test_shares_and_seconds():
    assert [cpu_shares(m) for m in (0, 1, 250, 1_000, 64_000)] == [2, 2, 256, 1_024, 65_536]
    assert [grace_seconds(ms) for ms in (0, 1, 1_000, 1_001, 10_000)] == [0, 1, 1, 2, 10]


def test_a_healthcheck_of_the_engines_own_has_its_times_only_with_a_command():
    allocation = Allocation(AllocationId(1), JobName("web"), 0, 0, NODE)
    check = HealthCheck(
        CheckKind.DOCKER, command=("up", "?"), interval_ms=1_500, timeout_ms=500, start_period_ms=10
    )
    config = container_config(allocation, TaskSpec("web", health=check), LABELS)
    assert config["Healthcheck"] == {
        "Test": ["CMD", "up", "?"],
        "Interval": 1_500_000_000,
        "Timeout": 500_000_000,
        "StartPeriod": 10_000_000,
        "Retries": 3,
    }
    for other in (HealthCheck(CheckKind.DOCKER), HealthCheck(CheckKind.EXEC, command=("up",)), None):
        assert "Healthcheck" not in container_config(allocation, TaskSpec("web", health=other), LABELS)


def test_a_container_shares_what_it_is_told_to_share():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    share = SharedNamespaces(network="abc", pid="def")
    host = container_config(allocation, TaskSpec("app"), LABELS, share=share)["HostConfig"]
    assert (host["NetworkMode"], host["PidMode"]) == ("container:abc", "container:def")
    bare = container_config(allocation, TaskSpec("app"), LABELS)["HostConfig"]
    assert not {"NetworkMode", "PidMode"} & set(bare)


def test_a_container_has_block_devices_beside_those_that_it_asks_for():
    mounts = [Mount("/dev/data", "/csi/t/1", device=True), Mount("/dev/old", "/csi/t/2", True, device=True)]
    allocation = Allocation(AllocationId(1), JobName("web"), 0, 3, NODE)
    options = ContainerOptions(devices=(DeviceMapping("/dev/fuse", "/dev/fuse", "rwm"),))
    host = container_config(allocation, TaskSpec("nginx", options=options), LABELS, mounts=mounts)["HostConfig"]
    assert [(each["PathInContainer"], each["CgroupPermissions"]) for each in host["Devices"]] == [
        ("/dev/fuse", "rwm"),
        ("/dev/data", "rwm"),
        ("/dev/old", "r"),
    ]
    assert not host.get("Mounts")


def test_a_container_has_paths_of_its_machine():
    mounts = [Mount("/x", "/srv/x", True), Mount("/data", "/v/data.4/data", copies=True)]
    mounts += [Mount("/s", "/s", shared=True)]
    allocation = Allocation(AllocationId(1), JobName("web"), 0, 3, NODE)
    config = container_config(allocation, TaskSpec("nginx"), LABELS, mounts=mounts)
    device = {"type": "none", "o": "bind", "device": "/v/data.4/data"}
    assert config["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": "/srv/x", "Target": "/x", "ReadOnly": True},
        {
            "Type": "volume",
            "Target": "/data",
            "ReadOnly": False,
            "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": device}},
        },
        {
            "Type": "bind",
            "Source": "/s",
            "Target": "/s",
            "ReadOnly": False,
            "BindOptions": {"Propagation": "rshared"},
        },
    ]
    assert "Mounts" not in container_config(allocation, TaskSpec("nginx"), LABELS)["HostConfig"]
