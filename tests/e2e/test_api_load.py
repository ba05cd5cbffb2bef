"""What one client asks of the API does not take the leader from the cluster."""

import contextlib
import http.client
import json

import pytest

from support.nodes import Cluster

pytestmark = pytest.mark.engine


def test_bodies_full_of_faults_depose_no_leader(shared: Cluster) -> None:
    """Each error in words would be 30 to 64 MB, and seconds in which the leader sends no heartbeat."""
    shared.grow_to(3)
    leader = shared.leader()
    assert leader is not None
    term = leader.ask("GET", "/raft")["term"]
    bodies = (
        {f"k{n:x}": 1 for n in range(90_000)},
        {"image": "nginx", "command": [1] * 500_000},
        {"image": "nginx", "env": {f"{n:x}": 1 for n in range(90_000)}},
    )
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", leader.port, timeout=60)) as connection:
        for body in bodies * 2:
            connection.request("POST", "/tasks", json.dumps(body, separators=(",", ":")))
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status == 422
            assert len(json.loads(told)["errors"]) <= 20
            assert len(told) < 16_384
    raft = leader.ask("GET", "/raft")
    assert (raft["state"], raft["term"]) == ("leader", term)
