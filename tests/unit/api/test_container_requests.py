"""model/api/container: what a request may say of a task's container, and how every wrong value is named."""

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.api.codec import job_from_request
from orion.model.api.config_refs import ConfigRefRequest
from orion.model.api.container.isolation import DeviceRequestFields
from orion.model.api.container.network import ContainerFields
from orion.model.api.fields import fields_of
from orion.model.api.tasks import TaskRequest
from orion.model.container_options import ContainerOptions, DeviceMapping, DeviceRequest, Ulimit
from orion.model.errors import Invalid
from orion.model.resources import MIB

GIB = 1024 * MIB


def options(**fields):
    return job_from_request(TaskRequest(**{"image": "nginx", **fields}), "web", 5).task.options


def wrong(**fields):
    with pytest.raises(Invalid) as caught:
        job_from_request(TaskRequest(**{"image": "nginx", **fields}), "web", 5)
    return {error.pointer: error.message for error in caught.value.errors}


def test_a_request_of_many_options():
    assert options(
        entrypoint=["/init", "-v"],
        working_dir="/srv",
        labels={"b": "2", "a": ""},
        tty=True,
        stop_signal="SIGINT",
        memory=64 * MIB,
        memory_limit=GIB,
        memory_swap=-1,
        cpu_limit=1.5,
        ulimits={"nofile": "1024:2048", "core": "-1"},
        devices=["/dev/fuse", "/dev/sda:/dev/disk:r"],
        device_requests=[DeviceRequestFields(count=-1, capabilities=["gpu"])],
        network_mode="host",
    ) == ContainerOptions(
        entrypoint=("/init", "-v"),
        working_dir="/srv",
        labels=(("a", ""), ("b", "2")),
        tty=True,
        stop_signal="SIGINT",
        memory_limit_bytes=GIB,
        memory_swap_bytes=-1,
        cpu_limit_millis=1_500,
        ulimits=(Ulimit("core", -1, -1), Ulimit("nofile", 1_024, 2_048)),
        devices=(DeviceMapping("/dev/fuse", "/dev/fuse"), DeviceMapping("/dev/sda", "/dev/disk", "r")),
        device_requests=(DeviceRequest(count=-1, capabilities=("gpu",)),),
        network_mode="host",
    )


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"entrypoint": ["", "a"]}, "/entrypoint/0", "name a program first"),
        ({"entrypoint": ["a\0"]}, "/entrypoint/0", "zero byte"),
        ({"working_dir": "srv"}, "/workingDir", "write it from the root"),
        ({"working_dir": "/a/../b"}, "/workingDir", "write it from the root"),
        ({"working_dir": "/" + "a" * 256}, "/workingDir", "write it from the root"),
        ({"labels": {"dev.orion.job": "x"}}, "/labels/dev.orion.job", "Orion's and Docker's own"),
        ({"labels": {"com.docker.swarm.x": "x"}}, "/labels/com.docker.swarm.x", "Orion's and Docker's own"),
        ({"labels": {"a b": "x"}}, "/labels/a b", "without a blank"),
        ({"labels": {"": "x"}}, "/labels/", "can't be a container's label"),
        ({"labels": {f"a{n}": "" for n in range(257)}}, "/labels", "a task can have 256"),
        ({"stop_signal": "SIGNAL"}, "/stopSignal", "as in SIGINT"),
        ({"stop_signal": "65"}, "/stopSignal", "as in SIGINT"),
        ({"group_add": ["a b"]}, "/groupAdd/0", "write a name or a number"),
        ({"group_add": ["2147483648"]}, "/groupAdd/0", "write a name or a number"),
        ({"domainname": "a" * 65}, "/domainname", "64 in all"),
        ({"pull_policy": "daily"}, "/pullPolicy", "always or never or missing"),
        ({"platform": "windows/amd64"}, "/platform", "linux/amd64"),
        ({"runtime": "-x"}, "/runtime", "as in runsc"),
        ({"log_driver": "a b"}, "/logDriver", "journald"),
        ({"log_options": {"max_size": "1m"}}, "/logOptions/max_size", "compress, env"),
        ({"log_driver": "none", "log_options": {"tag": "1"}}, "/logOptions/tag", "it takes none"),
        ({"memory": 64 * MIB, "memory_limit": 32 * MIB}, "/memoryLimit", "less than the 67108864"),
        ({"memory_limit": 5}, "/memoryLimit", "6 MiB"),
        ({"memory_swap": GIB}, "/memorySwap", "give memory or memoryLimit too"),
        ({"memory_limit": GIB, "memory_swap": MIB}, "/memorySwap", "memory and swap together"),
        ({"memory_swap": -2}, "/memorySwap", "-1 for no limit"),
        ({"memory_swappiness": 101}, "/memorySwappiness", "give 0 to 100"),
        ({"cpu": 2.0, "cpu_limit": 1.0}, "/cpuLimit", "less than the 2 of cpu"),
        ({"cpu_limit": 1.0, "cpu_quota": 1_000}, "/cpuLimit", "say the same don't go together"),
        ({"cpu_shares": 1}, "/cpuShares", "give 2 to 262144, or 0"),
        ({"cpu_quota": 999}, "/cpuQuota", "give 1000"),
        ({"cpu_period": 1_000_001}, "/cpuPeriod", "to 1000000"),
        ({"cpuset_cpus": "0-"}, "/cpusetCpus", "as in 0-3,6"),
        ({"cpuset_cpus": "3-1"}, "/cpusetCpus", "backwards"),
        ({"pids_limit": -2}, "/pidsLimit", "give -1"),
        ({"shm_size": 1}, "/shmSize", "or 0 for 64 MiB"),
        ({"oom_score_adj": 1_001}, "/oomScoreAdj", "-1000 to 1000"),
        ({"blkio_weight": 9}, "/blkioWeight", "10 to 1000"),
        ({"device_read_bps": {"sda": 1}}, "/deviceReadBps/sda", "as in /dev/sda"),
        ({"device_read_bps": {"/dev/sda": 0}}, "/deviceReadBps/~1dev~1sda", "give 1"),
        ({"ulimits": {"files": "1"}}, "/ulimits/files", "nofile"),
        ({"ulimits": {"nofile": "a"}}, "/ulimits/nofile", "soft:hard"),
        ({"ulimits": {"nofile": "2:1"}}, "/ulimits/nofile", "past the hard one"),
        ({"ulimits": {"nofile": "-1"}}, "/ulimits/nofile", "what Linux allows"),
        ({"ulimits": {"nproc": "-1:5"}}, "/ulimits/nproc", "past the hard one"),
        ({"sysctls": {"vm.swappiness": "1"}}, "/sysctls/vm.swappiness", "net.*"),
        ({"sysctls": {"net.a": "1"}, "network_mode": "host"}, "/sysctls/net.a", "don't go together"),
        ({"sysctls": {"kernel.sem": "1"}, "ipc_mode": "host"}, "/sysctls/kernel.sem", "don't go together"),
        ({"storage_opt": {"size": "big"}}, "/storageOpt/size", "as in 10G"),
        ({"storage_opt": {"a": "1"}}, "/storageOpt/a", "the only one is size"),
        ({"cgroup_parent": "../x"}, "/cgroupParent", "as in tasks.slice"),
        ({"cap_add": ["NET_ADMN"]}, "/capAdd/0", "as in NET_ADMIN"),
        ({"security_opt": ["seccomp=/profile.json"]}, "/securityOpt/0", "the text of a profile"),
        ({"security_opt": ["seccomp={"]}, "/securityOpt/0", "no JSON"),
        ({"userns_mode": "private"}, "/usernsMode", "use host"),
        ({"ipc_mode": "container:a"}, "/ipcMode", "containers come and go"),
        ({"pid_mode": "container:a"}, "/pidMode", "containers come and go"),
        ({"uts_mode": "host", "hostname": "a"}, "/utsMode", "don't go together"),
        ({"devices": ["sda"]}, "/devices/0", "as in /dev/ttyUSB0"),
        ({"devices": ["/dev/sda:rr"]}, "/devices/0", "as in /dev/ttyUSB0"),
        ({"device_cgroup_rules": ["x 1:1 r"]}, "/deviceCgroupRules/0", "as in c 188:* rmw"),
        ({"device_requests": [DeviceRequestFields(capabilities=["gpu"])]}, "/deviceRequests/0", "give one of them"),
        ({"device_requests": [DeviceRequestFields(count=1)]}, "/deviceRequests/0", "capabilities [gpu]"),
        ({"tmpfs": {"/": ""}}, "/tmpfs/~1", "as in /run"),
        ({"tmpfs": {"/proc/a": ""}}, "/tmpfs/~1proc~1a", "as in /run"),
        ({"tmpfs": {"/run": "size"}}, "/tmpfs/~1run", "size=64m"),
        ({"network_mode": "container:a"}, "/networkMode", "containers come and go"),
        ({"network_mode": "mine"}, "/networkMode", "are named by networks (orion run --networks)"),
        (
            {"network_mode": "none", "port_bindings": {"80": ""}},
            "/networkMode",
            "published ports don't go together",
        ),
        ({"network_mode": "host", "port_bindings": {"80": "81"}}, "/networkMode", '"80/tcp": "80"'),
        ({"dns": ["a"]}, "/dns/0", "write an IP"),
        ({"dns_search": ["a b"]}, "/dnsSearch/0", "as in example.org"),
        ({"dns_options": ["A"]}, "/dnsOptions/0", "as in ndots:2"),
        ({"extra_hosts": {"a b": "1.2.3.4"}}, "/extraHosts/a b", "as in db"),
        ({"extra_hosts": {"a": "b"}}, "/extraHosts/a", "host-gateway"),
        ({"mac_address": "01:00:00:00:00:00"}, "/macAddress", "as in 02:42"),
        ({"mac_address": "02:42:ac:11:00:02", "network_mode": "host"}, "/macAddress", "don't go together"),
    ],
)
def test_what_is_wrong_is_named(fields, where, words):
    errors = wrong(**fields)
    assert list(errors) == [where]
    assert words in errors[where]


def test_a_read_only_container_gets_no_files():
    configs = [ConfigRefRequest("app/conf", path="/etc/app.conf")]
    assert "give it as a variable" in wrong(read_only=True, configs=configs)["/readOnly"]
    assert options(read_only=True, configs=[ConfigRefRequest("app/conf", env="A")]).read_only


def test_a_config_is_not_hidden_by_a_folder_in_memory():
    configs = [ConfigRefRequest("app/conf", path="/etc/app.conf")]
    assert "which it hides" in wrong(tmpfs={"/etc": ""}, configs=configs)["/tmpfs"]
    assert options(tmpfs={"/run": ""}, configs=configs).tmpfs == (("/run", ""),)


def test_with_the_node_s_network_a_port_is_the_program_s_own():
    assert options(network_mode="host", port_bindings={"80": 80, "53/udp": "53"}).network_mode == "host"


def test_a_platform_and_a_runtime_need_nodes_that_have_them():
    task = job_from_request(
        TaskRequest("a", platform="linux/arm64", runtime="runsc", node_selectors={"zone": "b"}), "web", 5
    ).task
    assert task.constraints == (("zone", "b"),)
    assert task.node_labels == (("arch", "aarch64"), ("os", "linux"), ("runtime.runsc", "true"), ("zone", "b"))
    assert job_from_request(TaskRequest("a", runtime="runc"), "web", 5).task.node_labels == ()


def _any_of(kind):
    """Values of a field's type, right and wrong ones."""
    if kind is DeviceRequestFields:
        names = st.lists(st.text(), max_size=2)
        return st.builds(kind, driver=st.text(), count=st.integers(), device_ids=names, capabilities=names)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _any_of(args[0])
    if origin is list:
        return st.lists(_any_of(args[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(_any_of(args[0]), _any_of(args[1]), max_size=2)
    return st.from_type(kind)


@given(st.builds(TaskRequest, image=st.just("a"), **{f.name: _any_of(f.kind) for f in fields_of(ContainerFields)}))
def test_any_request_is_a_job_or_invalid_and_a_job_fits_the_log(request):
    errors = ()
    try:
        made = job_from_request(request, "web", 0)
    except Invalid as error:
        errors = error.errors
    else:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=type(made)) == made
    assert all(e.pointer.startswith("/") and e.message and len(e.message) < 400 for e in errors)
