"""Options of a task's container, asked for over HTTP and the command line, and looked at from inside and with the
engine's own eyes: real processes, a real engine.
"""

import contextlib
import json
import shlex
from typing import Any

import pytest

from support import api, cleanup, images
from support.command import orion
from support.nodes import Cluster, Problem

pytestmark = pytest.mark.engine

MIB = 1 << 20

# Each line is a name and what the container sees of it.
LOOK = """
say() { echo "$1=$(eval "$2" 2>&1 | tr '\\n' ' ' | sed 's/ *$//')"; }
say pwd pwd
echo "args=$0 $*"
say groups 'id -G'
say domain 'cat /proc/sys/kernel/domainname'
say root 'touch /x && echo written'
say shm 'df -m /dev/shm | tail -1 | awk "{print \\$2}"'
say run 'mount | grep " /scratch " | head -1'
say nofile 'ulimit -Sn; ulimit -Hn'
say core 'ulimit -c'
say forward 'cat /proc/sys/net/ipv4/ip_forward'
say msgmax 'cat /proc/sys/kernel/msgmax'
say caps 'grep CapEff /proc/self/status'
say privs 'grep NoNewPrivs /proc/self/status'
say seccomp 'grep ^Seccomp: /proc/self/status'
say oom 'cat /proc/1/oom_score_adj'
say tty 'test -t 0 && echo yes'
say fuse 'ls -l /dev/zero2'
say hosts 'grep db.lan /etc/hosts'
say dns 'grep -v "^#" /etc/resolv.conf'
say mac 'cat /sys/class/net/eth0/address'
say init 'cat /proc/1/comm'
say cpus 'grep Cpus_allowed_list /proc/self/status'
exec sleep 1000000
"""

OPTIONS: dict[str, Any] = {
    "entrypoint": ["sh", "-c", LOOK],
    "command": ["zero", "one"],
    "workingDir": "/srv/app",
    "labels": {"team": "web", "empty": ""},
    "init": True,
    "tty": True,
    "stdinOpen": True,
    "readOnly": True,
    "stopSignal": "SIGINT",
    "groupAdd": ["44", "nogroup"],
    "domainname": "nis.example",
    "logDriver": "local",
    "logOptions": {"max-size": "5m"},
    "memory": 32 * MIB,
    "memoryLimit": 64 * MIB,
    "memorySwap": 96 * MIB,
    "cpuLimit": 0.5,
    "cpuShares": 77,
    "cpusetCpus": "0",
    "pidsLimit": 55,
    "shmSize": 8 * MIB,
    "oomScoreAdj": 123,
    "ulimits": {"nofile": "100:200", "core": "0"},
    "sysctls": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"},
    "capAdd": ["NET_ADMIN"],
    "capDrop": ["ALL"],
    "securityOpt": ["no-new-privileges", "seccomp=unconfined", "systempaths=unconfined"],
    "ipcMode": "private",
    "cgroupnsMode": "host",
    "devices": ["/dev/zero:/dev/zero2:r"],
    "deviceCgroupRules": ["c 10:229 rw"],
    "tmpfs": {"/scratch": "size=1m,noexec"},
    "dns": ["10.9.8.7"],
    "dnsSearch": ["example.org"],
    "dnsOptions": ["ndots:3"],
    "extraHosts": {"db.lan": "10.1.2.3"},
    "macAddress": "02:42:ac:11:77:02",
}


def inside(one: Cluster, task: str, last: str) -> dict[str, str]:
    """What it says of itself, once it has said the `last`."""

    def said() -> dict[str, str]:
        text = one.any().ask("GET", f"/tasks/{task}/logs")
        return dict(line.rstrip("\r").split("=", 1) for line in text.splitlines() if "=" in line)

    return one.wait(lambda: (found := said()) and last in found and found, "its words")


def inspected(one: Cluster, docker_host: str, task: str) -> dict[str, Any]:
    def made() -> str | None:
        return next((run["containerId"] for run in one.task(task)["allocations"]), None)

    container = one.wait(made, "its container")
    return api.ask_json(docker_host, "GET", f"/containers/{container}/json")


def test_a_container_is_as_it_was_asked_for(one: Cluster, docker_host: str, busybox_image: str) -> None:
    one.run("all", image=images.BUSYBOX, **OPTIONS)
    seen = inside(one, "all", "cpus")
    assert seen["pwd"] == "/srv/app"
    assert seen["args"] == "zero one"
    assert seen["groups"] == "0 44 65534"
    assert seen["domain"] == "nis.example"
    assert "Read-only file system" in seen["root"]
    assert seen["shm"] == "8"
    assert "noexec" in seen["run"]
    assert "size=1024k" in seen["run"]
    assert (seen["nofile"], seen["core"]) == ("100 200", "0")
    assert (seen["forward"], seen["msgmax"]) == ("1", "4096")
    assert int(seen["caps"].split()[-1], 16) == 1 << 12  # CAP_NET_ADMIN, and nothing else
    assert seen["privs"].split()[-1] == "1"
    assert seen["seccomp"].split()[-1] == "0"
    assert (seen["oom"], seen["tty"]) == ("123", "yes")
    assert seen["fuse"].startswith("c")
    assert seen["hosts"].split() == ["10.1.2.3", "db.lan"]
    assert {"nameserver 10.9.8.7", "search example.org", "options ndots:3"} <= {
        " ".join(pair) for pair in zip(seen["dns"].split()[::2], seen["dns"].split()[1::2], strict=True)
    }
    assert seen["mac"] == "02:42:ac:11:77:02"
    assert seen["init"] in {"docker-init", "tini"}
    assert seen["cpus"].split()[-1] == "0"

    shown = inspected(one, docker_host, "all")
    host, config = shown["HostConfig"], shown["Config"]
    assert (host["Memory"], host["MemoryReservation"], host["MemorySwap"]) == (64 * MIB, 32 * MIB, 96 * MIB)
    assert (host["CpuQuota"], host["CpuPeriod"], host["CpuShares"]) == (50_000, 100_000, 77)
    assert host["PidsLimit"] == 55
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "5m"}}
    assert (host["IpcMode"], host["CgroupnsMode"]) == ("private", "host")
    assert host["DeviceCgroupRules"] == ["c 10:229 rw"]
    assert (host["MaskedPaths"], host["ReadonlyPaths"]) == ([], [])
    assert (config["StopSignal"], config["StopTimeout"], config["OpenStdin"]) == ("SIGINT", 10, True)
    assert config["Labels"]["team"] == "web"
    assert config["Labels"]["dev.orion.job"] == "all"

    task = one.task("all")
    assert {key: task[key] for key in OPTIONS} == OPTIONS
    assert "privileged" not in task


def test_a_container_of_its_node(one: Cluster, docker_host: str, busybox_image: str) -> None:
    """The node's own namespaces."""
    look = (
        "echo pids=$(ls /proc | grep -c '^[0-9]'); echo eth=$(ls /sys/class/net | grep -c lo); exec sleep 1000000"
    )
    words = (
        "--network",
        "host",
        "--pid",
        "host",
        "--ipc",
        "host",
        "--uts",
        "host",
        "--userns",
        "host",
    )
    code, out, err = orion(
        one.nodes[0], "run", "--name", "host", "--wait", *words, images.BUSYBOX, "sh", "-c", look, timeout_s=120
    )
    assert (code, out) == (0, "host/0\n"), err
    assert int(inside(one, "host", "eth")["pids"]) > 2
    host = inspected(one, docker_host, "host")["HostConfig"]
    modes = [host[key] for key in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")]
    assert modes == ["host"] * 5


def test_a_privileged_container_is_asked_for(one: Cluster, docker_host: str, busybox_image: str) -> None:
    """Where this machine's engine may not give all capabilities away itself, that is why it waits."""
    command = ["sh", "-c", "exec sleep 1000000"]
    one.any().ask(
        "POST", "/tasks", {"name": "root", "image": images.BUSYBOX, "privileged": True, "command": command}
    )

    def told() -> bool:
        made = cleanup.containers(docker_host, "dev.orion.job=root")
        for each in made:
            with contextlib.suppress(api.Refused):  # one that can't start is made anew
                if api.ask_json(docker_host, "GET", f"/containers/{each['Id']}/json")["HostConfig"]["Privileged"]:
                    return True
        return False

    def settled() -> bool:
        task = one.task("root")
        return task["state"] == "running" or "unable to apply caps" in task["reason"]

    one.wait(told, "a privileged container")
    one.wait(settled, "what comes of it")


def test_a_published_port_on_the_node_s_network_is_the_program_s_own(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    """It is given away once, and answers."""
    from support.nodes import free_ports

    port = free_ports()[0]
    server = ["sh", "-c", f"mkdir /w; echo hello >/w/a; exec httpd -f -p {port} -h /w"]
    ports = {f"{port}/tcp": str(port)}
    task = one.run("web", image=images.BUSYBOX, networkMode="host", portBindings=ports, command=server)
    assert list(task["ports"]) == [f"{port}/tcp"]
    one.any().ask(
        "POST",
        "/tasks",
        {"name": "again", "image": images.BUSYBOX, "networkMode": "host", "portBindings": ports, "command": server},
    )
    one.wait(lambda: str(port) in one.task("again")["reason"], "why it waits")
    one.any().ask("DELETE", "/tasks/web")
    one.wait_task("again", "running")


def test_no_network_and_no_entrypoint(one: Cluster, busybox_image: str) -> None:
    command = ["sh", "-c", "echo nets=$(ls /sys/class/net | tr '\\n' ' '); exec sleep 1000000"]
    one.run("alone", image=images.BUSYBOX, entrypoint=[""], networkMode="none", command=command)
    assert "eth0" not in inside(one, "alone", "nets")["nets"]


def test_a_terminal_s_output_is_read(one: Cluster, busybox_image: str) -> None:
    """Docker sends it without frames, and lines over 16 KB in parts."""
    script = "seq 1 5; head -c 40000 /dev/zero | tr '\\0' a; echo; echo end"
    words = ("run", "--rm", "-t", images.BUSYBOX, "sh", "-c", script)
    code, out, _ = orion(one.nodes[0], *words, timeout_s=120)
    assert code == 0
    assert out.replace("\r", "").split("\n") == [*"12345", "a" * 40_000, "end", ""]


def test_a_driver_that_keeps_nothing_has_no_logs_and_that_is_said(one: Cluster, busybox_image: str) -> None:
    command = ["sh", "-c", "echo lost; exec sleep 1000000"]
    one.run("mute", image=images.BUSYBOX, logDriver="none", command=command)
    code, out, err = orion(one.nodes[0], "logs", "mute")
    assert (code, out) == (1, "")
    assert "its log driver keeps no output that could be read" in err


def test_a_failure_with_such_a_driver_is_told_all_the_same(one: Cluster, busybox_image: str) -> None:
    one.any().ask(
        "POST",
        "/tasks",
        {"name": "mute", "image": images.BUSYBOX, "logDriver": "none", "restartPolicy": "no", "command": ["false"]},
    )
    assert one.wait_task("mute", "failed")["reason"] == "exit code 1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"devices": ["/dev/not-here"]}, "/dev/not-here"),
        ({"cpusetCpus": "4095"}, "4095"),
        ({"logDriver": "nosuch"}, "nosuch"),
        ({"deviceRequests": [{"count": -1, "capabilities": ["gpu"]}]}, "gpu"),
        ({"sysctls": {"net.ipv4.not_there": "1"}}, "not_there"),
        ({"runtime": "nosuch"}, "runtime.nosuch"),
        ({"platform": "linux/s390x"}, "arch"),
    ],
)
def test_what_its_node_does_not_have_is_why_it_waits(
    one: Cluster, busybox_image: str, options: dict[str, Any], words: str
) -> None:
    """Another node may have it, so it is never given up."""
    one.any().ask("POST", "/tasks", {"name": "lacks", "image": images.BUSYBOX, "command": ["true"], **options})
    found = one.wait(lambda: words in (t := one.task("lacks"))["reason"] and t, "why")
    assert found["state"] in {"pending", "starting", "pulling"}


def test_what_can_t_be_is_refused_before_anything_is_made(one: Cluster, busybox_image: str) -> None:
    wrong = {
        "labels": {"com.docker.compose.project": "x"},
        "capAdd": ["ADMIN"],
        "networkMode": "container:x",
        "ulimits": {"nofile": "2:1"},
        "stopSignal": "NOW",
    }
    with pytest.raises(Problem) as refused:
        one.any().ask("POST", "/tasks", {"image": images.BUSYBOX, **wrong})
    named = {error["pointer"].split("/")[1] for error in refused.value.body["errors"]}
    assert named == set(wrong)
    assert one.any().ask("GET", "/tasks") == []


def test_what_was_asked_for_can_be_asked_for_again(one: Cluster, busybox_image: str) -> None:
    """From what `orion inspect` shows."""
    words = shlex.split(
        "-it --init --tmpfs /run -l a=b --cap-add NET_RAW --ulimit nofile=10:20 --add-host a:1.2.3.4"
    )
    assert orion(one.nodes[0], "run", "--name", "a", *words, images.BUSYBOX, "sleep", "1000000")[0] == 0
    shown = json.loads(orion(one.nodes[0], "inspect", "a")[1])
    keys = ("tty", "stdinOpen", "init", "tmpfs", "labels", "capAdd", "ulimits", "extraHosts", "image", "command")
    one.run("b", **{key: shown[key] for key in keys})
    assert {key: one.task("b")[key] for key in keys} == {key: shown[key] for key in keys}
