"""The front door before real jobs: Caddy on each of three hosts, requests under load, by host name and with TLS."""

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from support import images
from support.deployments import done
from support.lab_nodes import LabNodes, lab_hosts

pytestmark = [pytest.mark.engine, pytest.mark.root]

HOSTS = (1, 2, 3)
DRAIN_S = 5  # of each task after the other; a door that is held up learns of its end before it ends
SHOP, BLOG = "shop.example.org", "blog.example.org"
SERVE = "mkdir /www; echo $ORION_TASK v$V > /www/index.html; exec httpd -f -p 80 -h /www"
CLIENTS = 6
IN_A_ROW = 100
SHOWN = "%{http_code} %{redirect_url}"


def job(version: int, **more: object) -> dict:
    return {
        "image": images.BUSYBOX,
        "command": ["sh", "-c", SERVE],
        "env": {"V": str(version)},
        "count": 3,
        "drainSeconds": DRAIN_S,
        "stopGraceSeconds": 0,
        "update": {"monitorSeconds": 0.5},
        **more,
    }


def shop(version: int) -> dict:
    """Reached by the ports that it publishes."""
    return job(version, labels={"orion.host": SHOP}, portBindings={"80/tcp": ""})


def blog(version: int) -> dict:
    """Reached by its addresses in the cluster's network."""
    check = {"tcp": {"port": 80}, "intervalSeconds": 0.5, "startPeriodSeconds": 30}
    labels = {"orion.host": f"{BLOG}, www.{BLOG}", "orion.port": "80"}
    return job(version, labels=labels, healthCheck=check)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.crt and ca.key."""
    folder = tmp_path_factory.mktemp("ca")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "30", "-subj", "/CN=Test CA", "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt"),
         "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def lab(authority: Path) -> Iterator[LabNodes]:
    def prepare(engine: str) -> None:
        images.busybox(engine)
        images.front_door(engine)

    with lab_hosts(len(HOSTS), prepare) as made:
        made.ask(1, "PUT", "/configs/orion%2Fnetwork", b"10.200.0.0/16")
        for host in HOSTS:
            made.wait(lambda host=host: "orion0" in made.run(host, "ip", "-o", "link"), f"the network of {host}")
        for suffix in ("crt", "key"):
            made.ask(1, "PUT", f"/configs/front-door%2Fca.{suffix}", (authority / f"ca.{suffix}").read_bytes())
        printed = orion(made, "front-door", "--image", images.FRONT_DOOR, "--ca")
        orion(made, "deploy", "-", given=printed)
        yield made


def orion(lab: LabNodes, *words: str, given: str = "") -> str:
    command = [sys.executable, "-m", "orion", *words, "--addr", lab.address(1)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, input=given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def put(lab: LabNodes, name: str, body: dict) -> None:
    lab.ask(1, "PUT", f"/jobs/{name}", body)


def deployed(lab: LabNodes, name: str, body: dict) -> None:
    done(lab, lab.ask(1, "PUT", f"/jobs/{name}", body))


class Visitor:
    """Asks one door for a host name, over a connection that is kept while it can be."""

    def __init__(self, lab: LabNodes, door: int, host: str, authority: Path) -> None:
        self._address = lab.lab.address(door)
        self._host = host
        self._trust = ssl.create_default_context(cafile=str(authority / "ca.crt"))
        self._connection: http.client.HTTPSConnection | None = None

    def get(self) -> str:
        """Raises OSError where there is no page."""
        if self._connection is None:
            self._connection = _Connection(self._address, self._host, self._trust)
        try:
            self._connection.request("GET", "/")
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OSError(f"{type(error).__name__}: {error}") from error
        if answer.status != 200:
            raise OSError(f"{answer.status} {text.strip()}")
        return text.strip()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection(http.client.HTTPSConnection):
    def __init__(self, address: str, host: str, trust: ssl.SSLContext) -> None:
        super().__init__(host, timeout=15, context=trust)
        self._address, self._trust = address, trust

    def connect(self) -> None:
        plain = socket.create_connection((self._address, 443), timeout=15)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)


class Load:
    """Visitors that ask without a pause, each its door, and count."""

    def __init__(self, lab: LabNodes, doors: tuple[int, ...], host: str, authority: Path) -> None:
        self._visitors = [Visitor(lab, doors[n % len(doors)], host, authority) for n in range(CLIENTS)]
        self._over = threading.Event()
        self.pages: Counter[str] = Counter()
        self.failures: list[str] = []
        self.last_failure_s = 0.0
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in self._visitors]

    def _run(self, visitor: Visitor) -> None:
        while not self._over.is_set():
            try:
                self.pages[visitor.get()] += 1
            except OSError as error:
                self.failures.append(str(error))
                self.last_failure_s = time.monotonic()
            time.sleep(0.005)
        visitor.close()

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join(30)


def answers(lab: LabNodes, authority: Path, host: str, doors: tuple[int, ...] = HOSTS) -> bool:
    """Whether all doors do, many times in a row."""
    for door in doors:
        visitor = Visitor(lab, door, host, authority)
        with contextlib.closing(visitor):
            for _ in range(IN_A_ROW):
                visitor.get()
    return True


def test_two_jobs_by_their_names_on_every_node_and_no_others(lab: LabNodes, authority: Path) -> None:
    deployed(lab, "shop", shop(1))
    deployed(lab, "blog", blog(1))
    for host, name in ((SHOP, "shop"), (BLOG, "blog"), (f"www.{BLOG}", "blog")):
        lab.wait(lambda host=host: answers(lab, authority, host), f"{host} at all doors", deadline_s=300)
        with contextlib.closing(Visitor(lab, 1, host, authority)) as visitor:
            pages = {visitor.get() for _ in range(60)}
        assert pages == {f"{name}/{n} v1" for n in range(3)}
    address = lab.lab.address(2)
    curl = [
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{redirect_url}",
        "--cacert",
        str(authority / "ca.crt"),
    ]
    with_name = ["--resolve", f"{SHOP}:80:{address}", "--resolve", f"{SHOP}:443:{address}"]
    assert lab.run(3, *curl, *with_name, f"https://{SHOP}/") == "200 "
    assert lab.run(3, *curl, *with_name, f"http://{SHOP}/") == f"308 https://{SHOP}/"
    refused = subprocess.run(
        [*lab.enter(3), *curl, "--resolve", f"none.example.org:443:{address}", "https://none.example.org/"],
        check=False,
        capture_output=True,
    )
    assert refused.returncode != 0, "no certificate for a name that no job has"


@pytest.mark.parametrize(("name", "host", "body"), [("shop", SHOP, shop), ("blog", BLOG, blog)])
def test_a_rolling_update_under_load_loses_no_request(lab: LabNodes, authority: Path, name, host, body) -> None:
    lab.wait(lambda: answers(lab, authority, host), f"{host} at all doors", deadline_s=300)
    with Load(lab, HOSTS, host, authority) as load:
        deployed(lab, name, body(2))
        lab.wait(lambda: {f"{name}/{n} v2" for n in range(3)} <= set(load.pages), "pages of the new version")
    print(f"{name}: {sum(load.pages.values())} requests, {len(load.failures)} failed")
    assert load.failures == []
    assert {page.split()[1] for page in load.pages} == {"v1", "v2"}


def test_another_version_of_the_door_comes_one_after_the_other(lab: LabNodes, authority: Path) -> None:
    orion(lab, "restart", "front-door")
    lab.wait(lambda: answers(lab, authority, SHOP), "all doors to answer again", deadline_s=300)


def test_a_host_that_vanishes_is_left_out_by_the_other_doors(lab: LabNodes, authority: Path) -> None:
    doors = (1, 2)
    with Load(lab, doors, SHOP, authority) as load:
        lab.wait(lambda: sum(load.pages.values()) > 100, "load")
        lab.vanish(3)
        cut_s = time.monotonic()
        lab.wait(
            lambda: all(each["nodeId"] != "node3" for each in lab.ask(1, "GET", "/jobs/shop/endpoints")),
            "endpoints without it",
        )
        lab.wait(lambda: answers(lab, authority, SHOP, doors), "all requests to be answered", deadline_s=300)
    last = load.last_failure_s - cut_s if load.failures else 0.0
    print(f"{sum(load.pages.values())} requests, {len(load.failures)} failed, the last {last:.2f} s after the cut")
    assert len(load.failures) <= CLIENTS, load.failures
