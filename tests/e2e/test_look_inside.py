"""`orion cp`, `stats` and `port-forward`, from another node than the task's."""

import hashlib
import http.client
import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from support import images
from support.command import command, orion
from support.nodes import Cluster, NodeProcess

pytestmark = pytest.mark.engine

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]
SERVE = "mkdir /www; echo hello > /www/index.html; head -c 3000000 /dev/zero > /www/big; httpd -f -h /www"
SERVES = ["sh", "-c", SERVE]


def placed(cluster: Cluster, words: list[str] = FOREVER) -> NodeProcess:
    """A task `web` on the third node. Returns another one, to ask."""
    cluster.grow_to(3)
    home, asked = cluster.nodes[2], cluster.nodes[0]
    cluster.run("web", image=images.BUSYBOX, command=words, nodeSelectors={"id": home.name})
    cluster.wait_task("web", "running")
    return asked


def test_files_go_in_and_come_out_with_their_modes(shared: Cluster, busybox_image: str, tmp_path: Path) -> None:
    asked = placed(shared)
    site = tmp_path / "site"
    (site / "deep" / "er").mkdir(parents=True)
    (site / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (site / "run.sh").chmod(0o750)
    (site / "deep" / "secret").write_bytes(os.urandom(3_000_000))
    (site / "deep" / "secret").chmod(0o600)
    (site / "link").symlink_to("run.sh")
    os.link(site / "run.sh", site / "deep" / "same")

    assert orion(asked, "cp", str(site), "web:/srv") == (0, "", "")  # no folder there: its new name
    assert orion(asked, "cp", str(site), "web:/srv") == (0, "", "")  # now a folder: into it
    assert orion(asked, "exec", "web", "/srv/link") == (0, "ran\n", "")
    assert orion(asked, "exec", "web", "sh", "-c", "cd /srv/site; stat -c '%a %n' run.sh deep/secret deep/er") == (
        0,
        "750 run.sh\n600 deep/secret\n755 deep/er\n",
        "",
    )
    assert orion(asked, "cp", "web:/srv", str(tmp_path / "back")) == (0, "", "")
    assert orion(asked, "cp", "web/0:/srv/run.sh", str(tmp_path)) == (0, "", "")
    back = tmp_path / "back"
    assert (back / "deep" / "secret").read_bytes() == (site / "deep" / "secret").read_bytes()
    assert (back / "link").readlink() == Path("run.sh")
    for path, mode in (("run.sh", 0o750), ("deep/secret", 0o600), ("site/deep/er", 0o755)):
        assert (back / path).stat().st_mode & 0o7777 == mode
    assert (back / "deep" / "same").stat().st_ino == (back / "run.sh").stat().st_ino
    assert (tmp_path / "run.sh").read_text() == "#!/bin/sh\necho ran\n"


def test_tars_go_through_pipes_and_what_is_wrong_is_said(
    shared: Cluster, busybox_image: str, tmp_path: Path
) -> None:
    asked = placed(shared)
    data = os.urandom(1_000_000) * 20
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("large")
        info.size, info.mode = len(data), 0o640
        tar.addfile(info, io.BytesIO(data))
    subprocess.run(command(asked, "cp", "-", "web:/tmp"), input=buffer.getvalue(), check=True, timeout=60)
    said = orion(asked, "exec", "web", "sha256sum", "/tmp/large")[1]
    assert said.split()[0] == hashlib.sha256(data).hexdigest()
    out = subprocess.run(command(asked, "cp", "web:/tmp/large", "-"), capture_output=True, check=True, timeout=60)
    with tarfile.open(fileobj=io.BytesIO(out.stdout)) as tar:
        file = tar.extractfile("large")
        assert file is not None
        assert file.read() == data
    assert orion(asked, "cp", "web:/no/such", str(tmp_path)) == (
        1,
        "",
        "orion: there is no /no/such in the container\n",
    )
    code, _, err = orion(asked, "cp", str(tmp_path), "web:/no/such/folder")
    assert (code, err) == (1, "orion: there is no folder /no/such in the container\n")
    code, _, err = orion(asked, "cp", str(tmp_path), "other:/tmp")
    assert (code, err) == (1, "orion: there is no task other; 'orion ps' lists them\n")
    code, _, err = orion(asked, "cp", "here", "there")
    assert code == 2
    assert "one of the two must be in a task" in err


def test_a_stopped_task_s_files_are_still_to_be_had(shared: Cluster, busybox_image: str, tmp_path: Path) -> None:
    shared.grow_to(3)
    asked = shared.nodes[0]
    writes = ["sh", "-c", "echo result > /result"]
    body = {"name": "web", "image": images.BUSYBOX, "command": writes, "nodeSelectors": {"id": "node3"}}
    asked.ask("POST", "/tasks", body)
    shared.wait_task("web", "completed")
    assert orion(asked, "cp", "web:/result", str(tmp_path)) == (0, "", "")
    assert (tmp_path / "result").read_text() == "result\n"


def test_use_is_shown_once_and_again_and_again(shared: Cluster, busybox_image: str) -> None:
    asked = placed(shared, ["sh", "-c", "while :; do :; done"])
    code, out, err = orion(asked, "stats", "--no-stream", "-o", "json")
    assert (code, err) == (0, "")
    (reading,) = json.loads(out)
    assert reading["task"] == "web/0"
    assert reading["cpu"] > 0.05
    assert reading["memory"] > 0
    assert reading["pids"] == 1
    code, out, _ = orion(asked, "stats", "--no-stream", "web")
    assert code == 0
    head, row = out.splitlines()
    assert head.split()[:4] == ["TASK", "NODE", "CPU", "MEMORY"]
    assert row.split()[:2] == ["web/0", "node3"]
    with subprocess.Popen(
        command(asked, "stats", "-o", "json", "web"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        times = [json.loads(process.stdout.readline())["at"] for _ in range(3)]
        assert times == sorted(set(times))
        asked.ask("DELETE", "/tasks/web")
        assert process.wait(30) == 0
    code, _, err = orion(asked, "stats", "--no-stream", "web")
    assert code == 1
    assert err in {f"orion: there is no task {name}; 'orion ps' lists them\n" for name in ("web", "web/0")}


def test_a_port_is_brought_here(shared: Cluster, busybox_image: str) -> None:
    asked = placed(shared, SERVES)
    with subprocess.Popen(
        command(asked, "port-forward", "web", "0:80", "0:81"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            port, closed = (int(process.stdout.readline().split(" ")[0].rpartition(":")[2]) for _ in range(2))
            assert _get(port, "/index.html") == b"hello\n"
            assert _get(port, "/big") == bytes(3_000_000)
            with pytest.raises((http.client.HTTPException, OSError)):
                _get(closed, "/", within_s=0)
            assert any("port 81 of the container" in line for line in process.stderr)  # after those about port 80
            assert _get(port, "/index.html") == b"hello\n"
        finally:
            process.kill()


def _get(port: int, path: str, within_s: float = 60) -> bytes:
    """The server of a container that has just begun may not listen yet."""
    ends = time.monotonic() + within_s
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        except (http.client.HTTPException, OSError):
            if time.monotonic() >= ends:
                raise
            time.sleep(0.25)
        finally:
            connection.close()
