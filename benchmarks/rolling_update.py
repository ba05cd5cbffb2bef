"""Rolling updates of three tasks under 200 requests/s and the requests lost: Orion, and Docker Swarm beside it.

    script/bench rolling_update [--updates 20] [--monitor 1] [--only orion|swarm]

A client follows where ready tasks are and sends each request on a connection of its own to one of them, at random
and without a second try. In every other update the leader is killed (kill -9) in the middle. Then come a bad image,
a version whose health check never passes, and one whose check passes for 4 s: each has to be taken back by itself.

Docker Swarm, on the same engine, has the same image, the same check and the same updates but for the kills: tasks
with ports in host mode, start-first, and a client that looks every 50 ms which tasks run and are to. In `swarm+2s`
the program is held for 2 s after its stop signal, which is how Swarm's users leave a client time.
"""

import argparse
import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from support import api, images
from support.command import orion
from support.engine import engine
from support.nodes import Cluster, cluster
from support.traffic import SERVER, Traffic, following_endpoints, traffic

RATE = 200
TASKS = 3
LOOK_S = 0.05
BAD = {
    "no such image": ("--image", "orion-test/nothing:here"),
    "never healthy": ("-e", "BROKEN=never"),
    "healthy for 4 s": ("-e", "BROKEN=later"),
}
HELD = ["sh", "-c", 'trap "sleep 2; kill $child" TERM; "$@" & child=$!; wait; wait', "sh", *SERVER]


class Tally:
    """What became of one kind of change: how long each took, and the requests meanwhile."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.took_s: list[float] = []
        self.sent = 0
        self.failed = 0

    @contextmanager
    def one(self, load: Traffic) -> Iterator[None]:
        before, began = (load.sent, load.failed), time.monotonic()
        yield
        self.took_s.append(time.monotonic() - began)
        time.sleep(1)  # for requests that are under way, and for who learns late of the last step
        self.sent += load.sent - before[0]
        self.failed += load.failed - before[1]
        print(f"  {self.name}: {self.took_s[-1]:.2f} s, {load.failed - before[1]} requests failed", flush=True)

    def row(self) -> str:
        median, worst = statistics.median(self.took_s), max(self.took_s)
        return f"{self.name:28} {len(self.took_s):5} {median:9.1f} {worst:8.1f} {self.sent:9,} {self.failed:7,}"


# --- Orion -------------------------------------------------------------------------------------------------


def put(made: Cluster, image: str, release: int, monitor_s: float) -> dict[str, Any]:
    body = {
        "image": image,
        "command": SERVER,
        "count": TASKS,
        "env": {"RELEASE": str(release)},
        "memory": 30_000_000,
        "healthCheck": {"http": {"port": 80, "path": "/up"}, "intervalSeconds": 0.5, "retries": 2},
        "drainSeconds": 2,
        "update": {"monitorSeconds": monitor_s},
    }
    changed: dict[str, Any] = made.any().ask("PUT", "/jobs/web", body)
    return changed


def ended(made: Cluster, changed: dict[str, Any]) -> dict[str, Any]:
    path = f"/deployments/{changed['deployment']['id']}"

    def end() -> dict[str, Any] | None:
        found: dict[str, Any] = made.any().ask("GET", path)
        return found if found["state"] != "running" else None

    return made.wait(end, f"{path} to end", deadline_s=120)


def of_orion(docker_host: str, image: str, updates: int, monitor_s: float) -> list[Tally]:
    plain, killed = Tally("orion"), Tally("orion, leader killed")
    tallies = [plain, killed]
    with cluster(docker_host) as made:
        made.grow_to(3)
        ended(made, put(made, image, 0, monitor_s))
        with following_endpoints([f"127.0.0.1:{n.port}" for n in made.nodes], "web") as known:
            made.wait(lambda: len(known.addresses) == TASKS, "the endpoints")
            with traffic(lambda: known.addresses, RATE) as load:
                for number in range(updates):
                    if number % 2 == 0:
                        with plain.one(load):
                            done(ended(made, put(made, image, number + 1, monitor_s)))
                    else:
                        with killed.one(load):
                            update_and_kill(made, image, number + 1, monitor_s)
                        made.wait_settled(3)
                tallies += [break_it(made, load, name, words) for name, words in BAD.items()]
            told(load)
    return tallies


def update_and_kill(made: Cluster, image: str, release: int, monitor_s: float) -> None:
    changed = put(made, image, release, monitor_s)
    made.wait(lambda: made.any().ask("GET", "/jobs/web")["updated"] >= 1, "a first task of the new version")
    leader = made.wait(made.leader, "a leader")
    leader.kill()
    done(ended(made, changed))
    leader.start(*made.joining(leader))


def done(deployment: dict[str, Any]) -> None:
    if deployment["state"] != "done":
        raise SystemExit(f"the update has not become what it was to be: {deployment}")


def break_it(made: Cluster, load: Traffic, name: str, words: Sequence[str]) -> Tally:
    """`orion update` to a version that can't work. It has to say why, and to be back as it was."""
    tally = Tally(f"orion, {name}")
    with tally.one(load):
        code, output, errors = orion(made.any(), "update", "web", "--update-monitor", "5", *words, timeout_s=240)
    view = made.any().ask("GET", "/jobs/web")
    state = view["deployment"]["state"]
    print("\n".join(f"    {line}" for line in (output + errors).splitlines() if " 200 " not in line))
    if (code, state, view["ready"]) != (3, "rolled-back", TASKS):
        raise SystemExit(f"{name}: exit code {code}, {state}, {view['ready']} ready")
    return tally


def told(load: Traffic) -> None:
    for when_s, address, words in list(load.failures)[:20]:
        print(f"    failed at {when_s} s: {address}: {words}")


# --- Docker Swarm ------------------------------------------------------------------------------------------


class Swarm:
    """One service of a swarm of one node. Its tasks are looked at every LOOK_S."""

    def __init__(self, docker_host: str) -> None:
        self._host = docker_host
        self._where: dict[str, str] = {}  # of each container its address
        self._over = threading.Event()
        self._looker = threading.Thread(target=self._follow)
        self.addresses: list[str] = []

    def docker(self, *words: str) -> str:
        done = subprocess.run(["docker", "-H", self._host, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"docker {words[0]} {words[1]}: {done.stderr}")
        return done.stdout

    def start(self, image: str, program: Sequence[str]) -> None:
        self._looker.start()
        self.docker(
            "service", "create", "--detach", "--name", "web", "--replicas", str(TASKS), "--no-resolve-image",
            "--publish", "mode=host,target=80", "--env", "RELEASE=0",
            "--health-cmd", "wget -q -O /dev/null http://127.0.0.1/up", "--health-interval", "500ms",
            "--health-retries", "2", "--update-order", "start-first", "--update-monitor", "5s",
            "--update-failure-action", "rollback", "--rollback-order", "start-first", "--rollback-monitor", "1s",
            image, *program,
        )  # fmt: skip
        self.until(lambda: len(self.addresses) == TASKS, "three tasks")

    def stop(self) -> None:
        self._over.set()
        if self._looker.ident is not None:
            self._looker.join()

    def update(self, *words: str) -> str:
        """Returns the state in which it ended."""
        before = self._service().get("UpdateStatus", {}).get("StartedAt")
        self.docker("service", "update", "--detach", "--no-resolve-image", *words, "web")
        ends = ("completed", "rollback_completed", "paused", "rollback_paused")

        def state() -> str:
            found: dict[str, Any] = self._service().get("UpdateStatus", {})
            return str(found["State"]) if found and found["StartedAt"] != before else ""

        self.until(lambda: state() in ends, "the update")
        return state()

    def until(self, look: Callable[[], bool], what: str, deadline_s: float = 120) -> None:
        deadline = time.monotonic() + deadline_s
        while not look():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {deadline_s:g} s for {what}: {self._service().get('UpdateStatus')}")
            time.sleep(0.02)

    def _service(self) -> dict[str, Any]:
        found: dict[str, Any] = api.ask_json(self._host, "GET", "/services/web")
        return found

    def _follow(self) -> None:
        chosen = quote(json.dumps({"desired-state": ["running"]}))
        while not self._over.wait(LOOK_S):
            tasks = api.ask_json(self._host, "GET", f"/tasks?filters={chosen}")
            running = [
                t["Status"]["ContainerStatus"]["ContainerID"] for t in tasks if t["Status"]["State"] == "running"
            ]
            self.addresses = [address for each in running if (address := self._address(each))]

    def _address(self, container: str) -> str:
        if container not in self._where:
            try:
                found = api.ask_json(self._host, "GET", f"/containers/{container}/json")
            except api.Refused:
                return ""
            own = [each["IPAddress"] for each in found["NetworkSettings"]["Networks"].values() if each["IPAddress"]]
            if not own:
                return ""
            self._where[container] = f"{own[0]}:80"
        return self._where[container]


@contextmanager
def swarm(docker_host: str) -> Iterator[Swarm]:
    """The engine as a swarm of its own, which is gone afterwards."""
    if api.ask_json(docker_host, "GET", "/info")["Swarm"]["LocalNodeState"] != "inactive":
        raise SystemExit("this engine is in a swarm already: it is left alone")
    made = Swarm(docker_host)
    before = {each["Id"] for each in api.ask_json(docker_host, "GET", "/networks")}
    try:
        made.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
        yield made
    finally:
        made.stop()
        subprocess.run(["docker", "-H", docker_host, "service", "rm", "web"], capture_output=True, check=False)
        made.docker("swarm", "leave", "--force")
        for each in api.ask_json(docker_host, "GET", "/containers/json?all=1"):
            if "com.docker.swarm.service.name" in each["Labels"]:
                api.ask(docker_host, "DELETE", f"/containers/{each['Id']}?force=1&v=1")
        for each in api.ask_json(docker_host, "GET", "/networks"):
            if each["Id"] not in before and each["Name"] in ("docker_gwbridge", "ingress"):
                made.docker("network", "rm", "--force", each["Name"])


def of_swarm(docker_host: str, image: str, updates: int, *, held: bool) -> list[Tally]:
    name = "swarm+2s" if held else "swarm"
    plain = Tally(name)
    tallies = [plain]
    with swarm(docker_host) as made:
        made.start(image, HELD if held else SERVER)
        with traffic(lambda: made.addresses, RATE) as load:
            for number in range(updates):
                with plain.one(load):
                    made.update("--env-add", f"RELEASE={number + 1}")
            for broken, (option, value) in BAD.items():
                tallies.append(Tally(f"{name}, {broken}"))
                with tallies[-1].one(load):
                    state = made.update("--env-add" if option == "-e" else option, value)
                print(f"    {state}")
        told(load)
    return tallies


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--updates", type=int, default=20)
    options.add_argument("--monitor", type=float, default=1.0, help="seconds that a new task is watched (1)")
    options.add_argument("--only", choices=["orion", "swarm"])
    given = options.parse_args()
    tallies: list[Tally] = []
    with engine() as docker_host:
        image = images.web(docker_host)
        if given.only != "swarm":
            tallies += of_orion(docker_host, image, given.updates, given.monitor)
        if given.only != "orion":
            tallies += of_swarm(docker_host, image, given.updates, held=False)
            tallies += of_swarm(docker_host, image, given.updates, held=True)
    print(f"\n{RATE} requests/s, {TASKS} tasks")
    print(f"{'':28} {'times':>5} {'median s':>9} {'worst s':>8} {'sent':>9} {'failed':>7}")
    for tally in tallies:
        if tally.took_s:
            print(tally.row())


if __name__ == "__main__":
    main()
