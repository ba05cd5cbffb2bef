"""`orion run`: options of a container, as `docker run` names them."""

import pytest

from orion.model.api.container.isolation import DeviceRequestFields


def asked(orion, api, *words):
    code, _, err = orion("run", *words, "nginx")
    assert (code, err) == (0, "")
    return api.service.creates[-1]["request"]


def test_run_asks_for_options_of_its_container(orion, api, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}\n')
    request = asked(
        *(orion, api, "-it", "-w", "/srv", "-l", "a=b=c", "--label", "b", "--entrypoint", "/init", "--init"),
        *(
            "--read-only",
            "--stop-signal",
            "SIGINT",
            "--group-add",
            "44",
            "--group-add",
            "audio",
            "--pull",
            "always",
        ),
        *("--platform", "linux/arm64", "--runtime", "runsc", "--log-driver", "local", "--log-opt", "max-size=1m"),
        *("-m", "64m", "--memory-limit", "1g", "--memory-swap", "-1", "--memory-swappiness", "0"),
        *("--cpu-limit", "1.5", "--cpu-shares", "10", "--cpuset-cpus", "0-1", "--pids-limit", "-1"),
        *("--shm-size", "128m", "--oom-score-adj", "-5", "--ulimit", "nofile=1:2", "--sysctl", "net.a=1"),
        *("--device-read-bps", "/dev/sda:1m", "--device-write-iops", "/dev/sda:100", "--blkio-weight", "10"),
        *("--cap-add", "NET_ADMIN", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--security-opt", f"seccomp={profile}", "--privileged", "--ipc", "host", "--pid", "host"),
        *("--device", "/dev/fuse", "--gpus", "all", "--tmpfs", "/run:size=1m", "--tmpfs", "/var/run"),
        *("--network", "none", "--dns", "10.0.0.1", "--add-host", "db:[fd00::1]", "--add-host", "gw=host-gateway"),
    )
    assert (request.tty, request.stdin_open, request.init, request.read_only) == (True,) * 4
    assert request.labels == {"a": "b=c", "b": ""}
    assert request.entrypoint == ["/init"]
    assert (request.working_dir, request.stop_signal, request.group_add) == ("/srv", "SIGINT", ["44", "audio"])
    assert (request.pull_policy, request.platform, request.runtime) == ("always", "linux/arm64", "runsc")
    assert (request.log_driver, request.log_options) == ("local", {"max-size": "1m"})
    assert (request.memory, request.memory_limit, request.memory_swap) == (64 << 20, 1 << 30, -1)
    assert (request.memory_swappiness, request.cpu_limit, request.cpu_shares) == (0, 1.5, 10)
    assert (request.cpuset_cpus, request.pids_limit, request.shm_size) == ("0-1", -1, 128 << 20)
    assert (request.oom_score_adj, request.ulimits, request.sysctls) == (-5, {"nofile": "1:2"}, {"net.a": "1"})
    assert (request.device_read_bps, request.device_write_iops) == ({"/dev/sda": 1 << 20}, {"/dev/sda": 100})
    assert (request.cap_add, request.cap_drop) == (["NET_ADMIN"], ["ALL"])
    assert request.security_opt == ["no-new-privileges", 'seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']
    assert (request.privileged, request.ipc_mode, request.pid_mode) == (True, "host", "host")
    assert request.devices == ["/dev/fuse"]
    assert request.device_requests == [DeviceRequestFields(count=-1, capabilities=["gpu"])]
    assert request.tmpfs == {"/run": "size=1m", "/var/run": ""}
    assert (request.network_mode, request.dns) == ("none", ["10.0.0.1"])
    assert request.extra_hosts == {"db": "fd00::1", "gw": "host-gateway"}


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("2", DeviceRequestFields(count=2, capabilities=["gpu"])),
        ("device=0,GPU-1", DeviceRequestFields(device_ids=["0", "GPU-1"], capabilities=["gpu"])),
        (
            'driver=nvidia,"capabilities=gpu,utility"',
            DeviceRequestFields("nvidia", -1, capabilities=["gpu", "utility"]),
        ),
    ],
)
def test_gpus_are_written_as_for_docker(orion, api, text, request_):
    assert asked(orion, api, "--gpus", text).device_requests == [request_]


def test_an_entrypoint_can_be_taken_away(orion, api):
    assert asked(orion, api, "--entrypoint", "").entrypoint == [""]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cap-add", "ADMIN"], "--cap-add 'ADMIN' is no capability"),
        (["--network", "container:x"], "'container:x' is not one of 'bridge', 'host', 'none'"),
        (["--gpus", "some"], "write all, a number, or device=ID,ID"),
        (["--add-host", "db"], "write it as in db:10.0.0.1"),
        (["--memory-swap", "lots"], "or -1"),
        (["--device-read-bps", "/dev/sda"], "write it as in /dev/sda:1000"),
        (["--security-opt", "seccomp=/nowhere/x.json"], "the profile /nowhere/x.json can't be read"),
        (["--label", "com.docker.a=b"], "--label com.docker.a can't be"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(orion, api, words, said):
    code, out, err = orion("run", *words, "nginx")
    assert (code, out) == (2, "")
    assert said in err or said.replace("'", "") in err.replace("'", "")
