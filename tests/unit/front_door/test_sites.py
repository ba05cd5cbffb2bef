"""Which host name leads to which job, where its tasks answer, and what Caddy is told of both."""

import json

import msgspec
import pytest

from orion.client import EndpointView, JobView
from orion.front_door.caddy_config import Settings, Tls, config
from orion.front_door.names import Addresses, answer
from orion.front_door.sites import MAX_SITES, Backend, Site, backends, sites
from orion.model.dns import NO_SUCH_NAME, NOTHING, Question, Type
from orion.model.network import parse_range

RANGE = parse_range("10.200.0.0/16")
SIX = bytes.fromhex("fd00" + "0" * 27 + "1")
ONE, TWO = bytes([10, 0, 0, 1]), bytes([10, 200, 2, 7])


def job(name, created_index=1, *, removing=False, **labels) -> JobView:
    raw = {
        "name": name,
        "image": "nginx",
        "version": 0,
        "createdIndex": created_index,
        "createdAt": None,
        "stopped": False,
        "removing": removing,
        **dict.fromkeys(("active", "running", "ready", "waiting", "updated"), 0),
        "reason": "",
        "labels": {f"orion.{key}": value for key, value in labels.items()},
    }
    return msgspec.convert(raw, JobView)


def endpoint(address="172.17.0.2", ports=None, *, ready=True) -> EndpointView:
    return EndpointView("web/0", "node1", address, ports or {}, 0, ready=ready)


def test_labels_name_hosts_and_a_port():
    found, faults = sites([job("web", host="Shop.example.org, www.shop.example.org", port="8080"), job("db")])
    assert (found, faults) == ((Site("web", ("shop.example.org", "www.shop.example.org"), 8080),), ())


def test_a_host_name_is_the_oldest_jobs():
    found, faults = sites([job("new", 9, host="a.org b.org"), job("old", 3, host="a.org")])
    assert found == (Site("new", ("b.org",)), Site("old", ("a.org",)))
    assert faults == ("job new: a.org leads to job old already",)


@pytest.mark.parametrize("host", ["", "a b_c", "-a.org", "a..org", "http://a.org", "a.org:80", "x" * 64, "*"])
def test_what_is_no_host_name_is_said_and_nothing_else_is_lost(host):
    found, faults = sites([job("web", host=f"{host},good.org"), job("other", host="b.org")])
    assert [site.job for site in found] == ["other", "web"]
    assert next(site for site in found if site.job == "web").hosts[-1] == "good.org"
    assert len(faults) == (1 if host else 0)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_said(port):
    assert sites([job("web", host="a.org", port=port)]) == (
        (),
        (f"job web: {port!r} in the label orion.port is no port",),
    )


def test_a_job_that_is_being_removed_has_no_host_and_there_are_only_so_many():
    assert sites([job("web", host="a.org", removing=True)]) == ((), ())
    many, faults = sites([job(f"job{n}", n, host=f"h{n}.org") for n in range(MAX_SITES + 2)])
    assert (len(many), len(faults)) == (MAX_SITES, 2)


@pytest.mark.parametrize(
    ("site", "found", "wanted"),
    [
        (Site("web", (), 0), endpoint(ports={"80/tcp": "10.0.0.1:8080"}), Backend(ONE, 8080)),
        (Site("web", (), 81), endpoint(ports={"80/tcp": "10.0.0.1:1", "81/tcp": "10.0.0.1:2"}), Backend(ONE, 2)),
        (Site("web", (), 80), endpoint(ports={"80/tcp": "[fd00::1]:9"}), Backend(SIX, 9)),
        (Site("web", (), 0), endpoint("10.200.2.7"), Backend(TWO, 80)),
        (Site("web", (), 99), endpoint("10.200.2.7"), Backend(TWO, 99)),
        (Site("web", (), 80), endpoint(ports={"80/udp": "10.0.0.1:8080"}), None),
        (Site("web", (), 0), endpoint("172.17.0.2"), None),
        (Site("web", (), 0), endpoint("10.200.2.7", ready=False), None),
        (Site("web", (), 0), endpoint(ports={"80/tcp": "host:8080"}), None),
        (Site("web", (), 0), endpoint(""), None),
    ],
)  # fmt: skip
def test_a_task_answers_at_its_published_port_or_in_the_network(site, found, wanted):
    assert backends(site, [found], RANGE) == ((wanted,) if wanted else ())


def test_without_a_network_an_address_of_a_container_is_none():
    assert backends(Site("web", ()), [endpoint("10.200.2.7")], None) == ()


def test_names_give_ready_tasks_and_their_addresses():
    addresses = Addresses()
    assert addresses.put("web", (Backend(ONE, 8080), Backend(TWO, 80)))
    assert not addresses.put("web", (Backend(ONE, 8080), Backend(TWO, 80)))
    found = answer(Question("web.door", Type.SRV), addresses, 7)
    assert {(each.target, each.port) for each in found.services} == {
        ("x0a000001.door", 8080),
        ("x0ac80207.door", 80),
    }
    assert answer(Question("x0a000001.door", Type.A), addresses, 7).addresses == (ONE,)
    assert answer(Question("x0a000001.door", Type.AAAA), addresses, 7) == NOTHING
    assert answer(Question("web.door", Type.A), addresses, 7) == NOTHING
    for name in ("none.door", "web.other", "door", ""):
        assert answer(Question(name, Type.SRV), addresses, 7) == NO_SUCH_NAME
    addresses.put("web", ())
    assert answer(Question("web.door", Type.SRV), addresses, 7).services == ()
    addresses.drop("web")
    assert addresses.jobs == set()


def test_each_site_is_a_route_and_all_else_is_not_found():
    made = config(Settings("udp/127.0.0.1:5", "/run/admin.sock"), [Site("web", ("a.org",)), Site("b", ("b.org",))])
    server = made["apps"]["http"]["servers"]["door"]
    *routes, last = server["routes"]
    assert [(route["match"][0]["host"], route["handle"][0]["dynamic_upstreams"]["name"]) for route in routes] == [
        (["a.org"], "web.door"),
        (["b.org"], "b.door"),
    ]
    assert last["handle"][0]["status_code"] == 404
    assert server["listen"] == [":443"]
    assert made["admin"]["listen"] == "unix//run/admin.sock"
    json.dumps(made)


def test_who_signs():
    def apps(**changes):
        return config(Settings("r", "/a", **changes), [])["apps"]

    def issuer(**changes):
        return apps(**changes)["tls"]["automation"]["policies"][0]["issuers"]

    assert issuer() == [{"module": "internal", "ca": "local"}]
    assert issuer(tls=Tls.ACME, email="a@b.c") == [{"module": "acme", "email": "a@b.c"}]
    assert issuer(tls=Tls.ACME, directory="https://ca") == [{"module": "acme", "ca": "https://ca"}]
    root = apps(ca=("/c", "/k"))["pki"]["certificate_authorities"]["local"]["root"]
    assert (root["certificate"], root["private_key"]) == ("/c", "/k")
    plain = apps(tls=Tls.OFF)
    assert "tls" not in plain
    assert plain["http"]["servers"]["door"]["listen"] == [":80"]
