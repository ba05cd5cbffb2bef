"""`orion network` against a real API."""

import json


def test_a_check_prints_each_hop_that_fails_once_and_who_was_not_asked(orion, api):
    code, out, err = orion("network", "check", "node1")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "node1 -> node2  udp-blocked: UDP 8472 does not arrive (2 ways fail by it)",
        "node3  was not asked: is dead",
        "4 ways between 3 nodes, 2 fail. Round trip: median 0.21 ms, worst 1.40 ms (node1 to node3).",
    ]
    assert api.service.checked == ["node1"]


def test_a_check_as_json_has_all_ways_that_fail(orion):
    code, out, _ = orion("network", "check", "-o", "json")
    assert code == 1
    assert [each["nodeId"] for each in json.loads(out)["failures"]] == ["node1", "node2"]
