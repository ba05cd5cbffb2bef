"""Which nodes share a container engine: those of one running engine, not all machines cloned from one image."""

import pytest
from state_kit import WEB, World, texts


def world(*runs, engine="image"):
    """Nodes whose engines say one id, and each what it is told to of its run."""
    made = World()
    for number, run in enumerate(runs, 1):
        made.register(f"node{number}", engine=engine, engine_run=run)
    return made


def engines(made):
    return [made.state.nodes[node].engine for node in sorted(made.state.nodes)]


@pytest.mark.parametrize(
    ("runs", "shared"),
    [
        (["r1", "r1"], ["image", "image"]),
        (["r1", "r2"], ["image", "image 2"]),
        (["r1", "r2", "r3", "r2"], ["image", "image 2", "image 3", "image 2"]),
        (["", "r1"], ["image", "image"]),  # nothing is known that tells them apart
        (["r1", ""], ["image", "image"]),
        (["", ""], ["image", "image"]),
    ],
)
def test_engines_of_one_id_are_told_apart_by_their_runs(runs, shared):
    assert engines(world(*runs)) == shared


def test_a_host_port_is_free_on_a_clone():
    made = world("r1", "r2")
    made.create(count=2, ports=(WEB,))
    made.place("web", (0, "node1"), (1, "node2"), ports=[(8080,), (8080,)])
    assert [made.state_of(index=i) for i in (0, 1)] == ["scheduled", "scheduled"]


def test_a_restart_of_a_shared_engine_changes_nothing():
    """Its nodes tell of it one after the other."""
    made = world("r1", "r1", "r2")
    made.create(ports=(WEB,))
    made.place("web", (0, "node1"), ports=[(8080,)])
    for node in ("node1", "node2"):
        assert texts(made.register(node, engine="image", engine_run="r9")) == []
        assert engines(made) == ["image", "image", "image 2"]
    assert made.state_of() == "scheduled"
    assert texts(made.register("node1", engine="", engine_down="it restarts")) != []
    assert made.state.nodes["node1"].engine_run == "r9"


def test_nodes_whose_engine_turns_out_to_be_one_share_it():
    """The third came after the restart, and before the first ones had told of it."""
    made = world("r1", "r1")
    made.register("node3", engine="image", engine_run="r9")
    assert engines(made) == ["image", "image", "image 2"]
    made.create("a", ports=(WEB,))
    made.create("b", count=2)
    made.place("a", (0, "node1"), ports=[(8080,)])
    made.place("b", (0, "node1"), (1, "node2"))
    for node in ("node1", "node2"):
        assert texts(made.register(node, engine="image", engine_run="r9")) == []
    assert engines(made) == ["image 2"] * 3
    assert [made.state_of("a"), made.state_of("b", 0), made.state_of("b", 1)] == ["scheduled"] * 3
    assert list(made.state.engines) == ["image 2"]
    made.create("c", ports=(WEB,))
    made.place("c", (0, "node3"), ports=[(8080,)])
    assert made.state_of("c") == "pending", "the port came along"


def test_a_port_that_was_given_twice_meanwhile_is_one_task_s():
    made = world("r1", "r9")
    made.create(count=2, ports=(WEB,))
    made.place("web", (0, "node1"), (1, "node2"), ports=[(8080,), (8080,)])
    applied = made.register("node1", engine="image", engine_run="r9")
    assert texts(applied) == [
        "web/0 lost: a host port of it is held by another task on the container engine of node1"
    ]
    assert [made.state_of(index=i) for i in (0, 1)] == ["pending", "scheduled"]


def test_a_name_that_another_host_has_now_is_on_that_host_s_engine():
    made = world("r1", "r2")
    made.down("node2")
    made.register("node2", raft=77, engine="image", engine_run="r1", replaces=True)
    assert engines(made) == ["image", "image"]
    made.register("node2", raft=78, engine="image", engine_run="r5", replaces=True)
    assert engines(made) == ["image", "image 2"]


def test_another_engine_id_is_another_engine():
    made = world("r1", "r2")
    made.create()
    made.place("web", (0, "node2"))
    applied = made.register("node2", engine="other", engine_run="r2")
    assert "web/0 lost: node2 has another container engine now" in texts(applied)
    assert engines(made) == ["image", "other"]
    made.register("node2", engine="image", engine_run="r2")
    assert engines(made) == ["image", "image 2"]
