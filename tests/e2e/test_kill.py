"""kill -9: the work of a dead node runs elsewhere, with real processes, a real engine and real HTTP."""

import http.client

import pytest

from support import images
from support.cleanup import containers
from support.nodes import Cluster, NodeProcess, cluster, free_ports

pytestmark = pytest.mark.engine


def fetch(port: int) -> str | None:
    """The page, or None while nobody serves it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.read().decode() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def web(cluster: Cluster, image: str, port: int) -> dict:
    task = cluster.run("web", image=image, memory=50_000_000, portBindings={"80/tcp": str(port)})
    cluster.wait(lambda: fetch(port), "the page")
    return task


def moved(cluster: Cluster, port: int, killed: str) -> dict:
    def elsewhere() -> dict | None:
        task = cluster.task("web/0")
        return task if task["state"] == "running" and task["nodeId"] != killed else None

    task = cluster.wait(elsewhere, "web/0 to run elsewhere")
    cluster.wait(lambda: fetch(port), "the page again")
    return task


def running(docker_host: str, cluster: Cluster, job: str = "web") -> list[str]:
    """The nodes whose containers of the job run, of this cluster."""
    found = containers(docker_host, f"dev.orion.cluster={cluster.id}")
    return sorted(
        c["Labels"]["dev.orion.node"]
        for c in found
        if c["State"] == "running" and c["Labels"]["dev.orion.job"] == job
    )


def runs_on(cluster: Cluster, node: str) -> bool:
    task = cluster.task("web/0")
    return task["nodeId"] == node and task["state"] == "running"


def test_a_worker_node_dies_and_its_static_port_comes_back(shared, docker_host, web_image):
    port = free_ports()[0]
    shared.grow_to(3)
    task = web(shared, web_image, port)
    if shared.wait(shared.leader, "a leader").name == task["nodeId"]:  # this is about a node that only works
        shared.lead(next(n.name for n in shared.nodes if n.name != task["nodeId"]))
    shared.node(task["nodeId"]).kill()
    after = moved(shared, port, task["nodeId"])
    assert running(docker_host, shared) == [after["nodeId"]]
    assert [a["state"] for a in after["allocations"]] == ["lost", "running"]


def test_a_task_on_a_leader_that_dies_moves(shared, docker_host, web_image):
    port = free_ports()[0]
    shared.grow_to(3)
    task = web(shared, web_image, port)
    shared.lead(task["nodeId"])
    shared.node(task["nodeId"]).kill()
    after = moved(shared, port, task["nodeId"])
    assert running(docker_host, shared) == [after["nodeId"]]


def figures(node: NodeProcess) -> dict[str, float]:
    """Sample -> value, as Prometheus reads them."""
    lines = node.ask("GET", "/metrics").splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def tells_of_the_cluster(node: NodeProcess) -> bool:
    """Elections, and doubts of gossip, may come at any moment on a busy machine."""
    shown, raft = figures(node), node.ask("GET", "/raft")
    of_raft = [shown[f"orion_raft_{name}"] for name in ("term", "is_leader", "has_leader")]
    members = shown['orion_gossip_members{state="alive"}']
    return (of_raft, members) == ([raft["term"], raft["leader"] == node.name, 1], 3)


def test_metrics_tell_of_the_leader_the_jobs_and_a_dead_node(shared, web_image):
    shared.grow_to(3)
    web(shared, web_image, free_ports()[0])
    shared.wait(lambda: {figures(n)["orion_jobs"] for n in shared.nodes} == {1}, "all to have applied the job")
    for node in shared.nodes:
        shared.wait(lambda node=node: tells_of_the_cluster(node), f"{node.name} to tell of all as it is")
        shown = figures(node)
        assert shown["orion_raft_applied_index"] >= shown["orion_raft_snapshot_index"] >= 0
        assert (shown["orion_nodes"], shown["orion_engine_up"]) == (3, 1)
        assert shown["orion_raft_disk_bytes"] > 0
        assert shown["orion_machine_memory_used_bytes"] > 0
    leader = shared.wait(shared.leader, "a leader")
    killed = next(n for n in shared.nodes if n is not leader)
    killed.kill()
    shared.wait(lambda: figures(leader).get('orion_gossip_members{state="dead"}') == 1, "its death in the figures")


def test_node_two_of_two_dies_and_node_one_goes_on(shared, docker_host, web_image):
    port = free_ports()[0]
    shared.grow_to(2)
    created = shared.any().ask(
        "POST",
        "/tasks",
        {"name": "web", "image": web_image, "portBindings": {"80/tcp": str(port)}, "nodeSelectors": {}},
    )
    task = shared.wait_task(created["id"], "running")
    if task["nodeId"] == "node1":  # drained, it hands the work to node 2
        shared.any().ask("POST", "/nodes/node1/drain")
        shared.wait(lambda: shared.task("web/0")["nodeId"] == "node2" and fetch(port), "web/0 on node2")
        shared.any().ask("POST", "/nodes/node1/ready")
    shared.node("node2").kill()
    after = moved(shared, port, "node2")
    assert after["nodeId"] == "node1"
    assert running(docker_host, shared) == ["node1"]
    shared.run("second", image=web_image)


def test_a_killed_node_returns_and_leaves_no_duplicate(shared, docker_host, web_image):
    port = free_ports()[0]
    shared.grow_to(3)
    task = web(shared, web_image, port)
    killed = shared.node(task["nodeId"])
    killed.kill()
    after = moved(shared, port, killed.name)
    killed.start(*shared.joining(killed))
    shared.wait_settled(3)
    shared.wait(lambda: running(docker_host, shared) == [after["nodeId"]], "one container only")
    assert shared.task("web/0")["nodeId"] == after["nodeId"], "coming back moves nothing"


def test_a_restarted_process_adopts_its_containers(shared, docker_host, web_image):
    """Killed and started again before anybody calls it dead, or after: the container is the same one."""
    shared.grow_to(1)
    task = web(shared, web_image, free_ports()[0])
    before = containers(docker_host, f"dev.orion.cluster={shared.id}")
    node = shared.nodes[0]
    node.kill()
    node.start()
    shared.wait(lambda: node.ask("GET", "/healthz") and node.ask("GET", "/tasks"), "the API")
    found = shared.wait_task(task["id"], "running")
    shared.wait(lambda: node.ask("GET", "/nodes/node1")["status"] == "alive", "node1 registered again")
    after = containers(docker_host, f"dev.orion.cluster={shared.id}")
    assert [(c["Id"], c["Created"], c["State"]) for c in after] == [
        (c["Id"], c["Created"], c["State"]) for c in before
    ]
    assert found["allocations"][-1]["restarts"] == 0
    assert found["startedAt"] == task["startedAt"]


def test_a_node_with_an_engine_of_its_own_returns_and_stops_what_moved(docker_host, own_engine, web_image):
    """Its containers ran on all the while: nobody else could stop them."""
    images.web(own_engine.host)
    with cluster([docker_host, own_engine.host]) as made:
        made.grow_to(2)
        task = made.run("web", image=web_image, nodeSelectors={})
        if task["nodeId"] == "node1":
            made.any().ask("POST", "/nodes/node1/drain")
            made.wait(
                lambda: (t := made.task("web/0"))["nodeId"] == "node2" and t["state"] == "running", "it on node2"
            )
            made.any().ask("POST", "/nodes/node1/ready")
        node2 = made.node("node2")
        node2.kill()
        made.wait(lambda: runs_on(made, "node1"), "web/0 to run on node1")
        assert running(own_engine.host, made) == ["node2"], "nobody could tell it"
        node2.start(*made.joining(node2))
        made.wait(
            lambda: not containers(own_engine.host, f"dev.orion.cluster={made.id}"), "the old container to go"
        )
        assert running(docker_host, made) == ["node1"]


def test_a_node_whose_engine_goes_down_stays_a_member_and_recovers(own_engine):
    """The node says so, keeps its membership, takes no new work, and recovers by itself."""
    image = images.web(own_engine.host)
    with cluster(own_engine.host) as made:
        made.grow_to(1)
        made.run("web", image=image)
        own_engine.kill()
        try:
            node = made.wait(
                lambda: (n := made.any().ask("GET", "/nodes/node1"))["reason"] and n, "the node to say so"
            )
            assert node["status"] == "alive"
            assert "is it running?" in node["reason"]
            made.any().ask("POST", "/tasks", {"name": "later", "image": image})
            made.wait(lambda: "engine" in made.task("later")["reason"], "later to say why it waits")
            assert made.task("later")["state"] == "pending"
        finally:
            own_engine.start()
        made.wait_task("later", "running")
        made.wait_task("web", "running")
