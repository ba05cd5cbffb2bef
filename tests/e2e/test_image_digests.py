"""What a job's image was at its deploy is what its tasks run, whatever its tag stands for later; and it is there
before a task ends for it.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from support import api, images
from support.deployments import done, ended
from support.dockerd import Dockerd
from support.nodes import Cluster, cluster
from support.registry import push, registry

pytestmark = pytest.mark.engine

SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


@pytest.fixture
def image(docker_host: str, busybox_image: str, tmp_path: Path) -> Iterator[str]:
    """In a registry of its own, and gone from the engine."""
    with registry(tmp_path, asks=False) as address:
        name = f"{address}/team/app:1"
        yield name
        for each in api.ask_json(docker_host, "GET", "/images/json?all=1"):
            if any(address in text for text in (each["RepoTags"] or []) + (each["RepoDigests"] or [])):
                api.ask(docker_host, "DELETE", f"/images/{each['Id']}?force=1")


def publish(docker_host: str, image: str, edition: int) -> str:
    """Pushes an image under the name, which says its edition. Returns its id; the engine keeps it."""
    repository, _, tag = image.rpartition(":")
    base = api.ask_json(docker_host, "POST", "/containers/create", {"Image": images.BUSYBOX})["Id"]
    query = f"container={base}&repo={repository}&tag={tag}&changes={quote(f'LABEL edition={edition}')}"
    made = api.ask_json(docker_host, "POST", f"/commit?{query}", {})
    api.ask(docker_host, "DELETE", f"/containers/{base}")
    push(docker_host, image)
    return str(made["Id"])


def run_by(docker_host: str, job: str) -> set[str]:
    """The ids of the images of the job's containers that run."""
    chosen = quote(json.dumps({"label": [f"dev.orion.job={job}"], "status": ["running"]}))
    return {each["ImageID"] for each in api.ask_json(docker_host, "GET", f"/containers/json?filters={chosen}")}


def deployed(cluster: Cluster, method: str, path: str, body: dict | None = None) -> dict:
    view = cluster.any().ask(method, path, body)
    done(cluster, view)
    return view


def test_a_replacement_runs_what_its_tag_stood_for(docker_host: str, image: str, shared: Cluster) -> None:
    first = publish(docker_host, image, 1)
    shared.grow_to(3)
    body = {"image": image, "command": SLEEP, "count": 3, "stopGraceSeconds": 1, "update": {"monitorSeconds": 0.5}}
    made = deployed(shared, "PUT", "/jobs/app", body)
    assert made["image"].startswith(f"{image}@sha256:")
    assert "notes" not in made
    second = publish(docker_host, image, 2)
    assert first != second
    victim = shared.node("node3")
    before = {t["allocations"][-1]["id"] for t in shared.any().ask("GET", "/tasks")}
    victim.kill()

    def replaced() -> bool:
        tasks = shared.node("node1").ask("GET", "/tasks")
        runs = [t["allocations"][-1] for t in tasks]
        fresh = [run for run in runs if run["id"] not in before]
        return bool(fresh) and all(r["state"] == "running" and r["nodeId"] != "node3" for r in runs)

    shared.wait(replaced, "a replacement", deadline_s=300)
    assert run_by(docker_host, "app") == {first}

    other = deployed(shared, "PUT", "/jobs/app", body)
    assert (other["version"], other["image"] != made["image"]) == (1, True)
    assert run_by(docker_host, "app") == {second}
    digests = {t["allocations"][-1]["imageDigest"] for t in shared.any().ask("GET", "/tasks")}
    assert digests == {other["image"].partition("@")[2]}
    assert deployed(shared, "PUT", "/jobs/app", body)["version"] == 1
    back = deployed(shared, "POST", "/jobs/app/rollback")
    assert back["image"] == made["image"]
    assert run_by(docker_host, "app") == {first}


def test_stop_first_with_a_bad_image_touches_nothing(docker_host: str, image: str, shared: Cluster) -> None:
    publish(docker_host, image, 1)
    shared.grow_to(1)
    policy = {"order": "stop-first", "monitorSeconds": 0.5}
    body = {"image": image, "command": SLEEP, "stopGraceSeconds": 1, "update": policy}
    deployed(shared, "PUT", "/jobs/app", body)
    (before,) = shared.any().ask("GET", "/tasks")
    view = shared.any().ask("PUT", "/jobs/app", body | {"image": image.replace("app:1", "app:2")})
    assert "is taken by its tag" in view["notes"][0]
    end = ended(shared, view)
    assert end["state"] == "rolled-back", end
    assert "app/0 on node1" in end["reason"]
    assert "can't be pulled" in end["reason"]
    (after,) = shared.any().ask("GET", "/tasks")
    assert [a["id"] for a in after["allocations"]] == [a["id"] for a in before["allocations"]]
    assert after["startedAt"] == before["startedAt"]
    assert after["state"] == "running"


def test_a_rollback_goes_where_its_image_still_is(
    docker_host: str, image: str, own_engine: Dockerd, tmp_path: Path
) -> None:
    address = image.partition("/")[0]
    publish(docker_host, image, 1)
    other = image.replace("app:1", "app:2")
    publish(docker_host, other, 2)
    copy = tmp_path / "other"
    shutil.copytree(tmp_path / "data", copy / "data")
    hosts = [docker_host, own_engine.host]
    body = {"command": SLEEP, "count": 2, "stopGraceSeconds": 1, "update": {"monitorSeconds": 0.5}}
    with registry(copy, asks=False, namespace=own_engine.namespace, address=address), cluster(hosts) as made:
        made.grow_to(2)
        first = deployed(made, "PUT", "/jobs/app", body | {"image": image})
        assert {t["nodeId"] for t in made.any().ask("GET", "/tasks")} == {"node1", "node2"}
        deployed(made, "PUT", "/jobs/app", body | {"image": other})
        for folder in (tmp_path, copy):
            shutil.rmtree(folder / "data")
        gone = next(
            each["Id"]
            for each in api.ask_json(own_engine.host, "GET", "/images/json?all=1")
            if first["image"].partition("@")[2] in str(each["RepoDigests"])
        )
        api.ask(own_engine.host, "DELETE", f"/images/{gone}?force=1")

        back = deployed(made, "POST", "/jobs/app/rollback")
        assert back["image"] == first["image"]
        tasks = made.any().ask("GET", "/tasks")
        assert [(t["nodeId"], t["state"]) for t in tasks] == [("node1", "running")] * 2
        told = made.any().ask("GET", "/events?after=0.0&follow=0")
        assert "does not start on node2 (" in told
