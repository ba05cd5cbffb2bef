"""Right values of each option of a container, for hypothesis. They go together in any choice."""

from hypothesis import strategies as st

from orion.model.api.container.isolation import DeviceRequestFields

_NAME = st.from_regex(r"[a-z][a-z0-9-]{0,5}[a-z0-9]", fullmatch=True)
_TEXT = st.text(st.characters(exclude_characters="\0{", codec="utf-8"), max_size=8)
_CPUS = st.sampled_from(["", "0", "0-3", "1,3-5"])
_RATES = st.dictionaries(st.sampled_from(["/dev/sda", "/dev/vdb"]), st.integers(1, 1 << 40), max_size=2)
_HOST_OR_NOT = st.sampled_from(["", "host"])

VALUES = {
    "entrypoint": st.just([""]) | st.lists(_TEXT, max_size=3).filter(lambda words: words[:1] != [""]),
    "working_dir": st.sampled_from(["", "/", "/srv/app", "/a b/ü"]),
    "labels": st.dictionaries(_NAME, _TEXT, max_size=3),
    "init": st.booleans(),
    "tty": st.booleans(),
    "stdin_open": st.booleans(),
    "read_only": st.just(False),  # not with config files
    "stop_signal": st.sampled_from(["", "SIGINT", "HUP", "9", "SIGRTMIN+3"]),
    "group_add": st.lists(st.sampled_from(["audio", "44", "2147483647"]), max_size=2),
    "domainname": st.sampled_from(["", "example.org"]),
    "pull_policy": st.sampled_from(["", "always", "missing", "never"]),
    "platform": st.sampled_from(["", "linux/amd64", "linux/arm64/v8"]),
    "runtime": st.sampled_from(["", "runc", "runsc"]),
    "log_driver": st.sampled_from(["", "json-file"]),
    "log_options": st.sampled_from([{}, {"max-size": "1m", "max-file": "2"}]),
    "memory_limit": st.just(0),  # not below what is reserved
    "memory_swap": st.just(0),
    "memory_swappiness": st.none() | st.integers(0, 100),
    "cpu_limit": st.just(0.0) | st.just(1_000_000.0),
    "cpu_shares": st.just(0) | st.integers(2, 262_144),
    "cpu_quota": st.just(0),
    "cpu_period": st.just(0),
    "cpuset_cpus": _CPUS,
    "cpuset_mems": _CPUS,
    "pids_limit": st.integers(-1, 100_000),
    "shm_size": st.just(0) | st.integers(4_096, 1 << 40),
    "oom_score_adj": st.integers(-1_000, 1_000),
    "oom_kill_disable": st.booleans(),
    "blkio_weight": st.just(0) | st.integers(10, 1_000),
    "blkio_device_weights": st.dictionaries(st.just("/dev/sda"), st.integers(10, 1_000), max_size=1),
    "device_read_bps": _RATES,
    "device_write_bps": _RATES,
    "device_read_iops": _RATES,
    "device_write_iops": _RATES,
    "ulimits": st.dictionaries(
        st.sampled_from(["nofile", "nproc", "core"]), st.sampled_from(["0", "64", "64:128"]), max_size=3
    ),
    "sysctls": st.just({}) | st.just({"net.ipv4.ip_forward": "1"}),
    "storage_opt": st.just({}) | st.just({"size": "10G"}),
    "cgroup_parent": st.sampled_from(["", "tasks.slice", "/tasks/web"]),
    "cap_add": st.lists(st.sampled_from(["NET_ADMIN", "CAP_SYS_TIME", "ALL"]), max_size=2),
    "cap_drop": st.lists(st.sampled_from(["CHOWN", "ALL"]), max_size=2),
    "security_opt": st.lists(
        st.sampled_from(["no-new-privileges", "seccomp=unconfined", 'seccomp={"a": 1}', "label=type:app"]),
        max_size=2,
    ),
    "privileged": st.booleans(),
    "userns_mode": _HOST_OR_NOT,
    "ipc_mode": st.sampled_from(["", "private", "shareable", "none", "host"]),
    "pid_mode": _HOST_OR_NOT,
    "uts_mode": st.just(""),
    "cgroupns_mode": st.sampled_from(["", "host", "private"]),
    "devices": st.lists(
        st.sampled_from(["/dev/fuse", "/dev/sda:/dev/disk", "/dev/sda:r", "/dev/sda:/dev/disk:rw"]), max_size=2
    ),
    "device_cgroup_rules": st.lists(st.sampled_from(["c 188:* rmw", "a *:* r"]), max_size=2),
    "device_requests": st.lists(
        st.sampled_from(
            [
                DeviceRequestFields(count=-1, capabilities=["gpu"]),
                DeviceRequestFields(driver="nvidia", device_ids=["0", "GPU-3a23c669"]),
            ]
        ),
        max_size=2,
    ),
    "tmpfs": st.dictionaries(st.sampled_from(["/run", "/tmp/a"]), st.sampled_from(["", "size=64m,ro"]), max_size=2),
    "network_mode": st.sampled_from(["", "bridge"]),  # host: not with any port
    "dns": st.lists(st.sampled_from(["10.0.0.1", "fd00::1"]), max_size=2),
    "dns_search": st.lists(st.sampled_from([".", "example.org", "_tcp.a"]), max_size=2),
    "dns_options": st.lists(st.sampled_from(["ndots:2", "rotate"]), max_size=2),
    "extra_hosts": st.dictionaries(
        st.sampled_from(["db", "db.lan"]), st.sampled_from(["10.0.0.1", "fd00::1", "host-gateway"]), max_size=2
    ),
    "mac_address": st.sampled_from(["", "02:42:ac:11:00:02"]),
}
