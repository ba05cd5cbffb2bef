"""Rules for published ports that could not be true are refused."""

import pytest

from orion.model.ingress import Backend, IngressNetwork, IngressPeer, IngressPort, IngressRules

WEB = Backend(0x0AC80102, 80)
PEER = IngressPeer("02:4f:52:00:00:02", "10.200.2.0")
OTHER = IngressPeer("02:4f:52:00:00:03", "10.200.3.0")


def network(bridge="orion0", vxlan="orion.vx", subnet="10.200.1.0/24", peers=(PEER, OTHER)):
    return IngressNetwork(bridge, vxlan, subnet, peers)


def rules(cluster_range="10.200.0.0/16", networks=None, ports=()):
    return IngressRules(cluster_range, (network(),) if networks is None else networks, ("192.0.2.2",), ports)


def test_a_backend_is_shown_as_people_write_it():
    assert str(WEB) == "10.200.1.2:80"


@pytest.mark.parametrize(
    "port",
    [
        {"port": 0},
        {"port": 65_536},
        {"protocol": "sctp"},
        {"backends": (WEB, WEB)},
        {"backends": (Backend(0, 80),)},
        {"backends": (Backend(1 << 32, 80),)},
        {"backends": (Backend(1, 0),)},
        {"backends": (Backend(1, 65_536),)},
        {"backends": tuple(Backend(ip, 1) for ip in range(1, 8_194))},
    ],
)
def test_a_port_that_can_not_be_is_refused(port):
    with pytest.raises(ValueError, match="port"):
        IngressPort(**{"port": 8080, "protocol": "tcp", **port})


@pytest.mark.parametrize(
    "wrong",
    [
        {"bridge": "no such name, for a device"},
        {"bridge": "lo"},
        {"vxlan": 'a"b'},
        {"subnet": "10.200.1.1/24"},
        {"subnet": "10.200.1.0"},
        {"peers": (IngressPeer("02:4F:52:00:00:02", "10.200.2.0"),)},
        {"peers": (IngressPeer("02:4f:52:00:00:02", "10.200.2.1"),)},
        {"peers": (IngressPeer("02:4f:52:00:00:02", "here"),)},
        {"peers": (PEER, IngressPeer(PEER.mac, "10.200.3.0"))},
    ],
)
def test_a_network_that_can_not_be_is_refused(wrong):
    with pytest.raises(ValueError):
        network(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cluster_range": "10.200.0.1/16"},
        {"cluster_range": "10.200.0.0/255.255.0.0"},
        {"cluster_range": "10.0.0.0/16"},
        {"networks": (network(), network(vxlan="b.vx", peers=()))},
        {"networks": (network(), network(bridge="orion.vx", vxlan="b.vx", peers=()))},
        {"networks": (network(), network(bridge="b", vxlan="b.vx"))},
        {"networks": (network(), network(bridge="b", vxlan="b.vx", subnet="10.201.1.0/24", peers=()))},
        {"ports": (IngressPort(80, "tcp"), IngressPort(80, "tcp"))},
        {"ports": tuple(IngressPort(port, "tcp") for port in range(1, 4_098))},
    ],
)
def test_rules_that_can_not_be_are_refused(wrong):
    with pytest.raises(ValueError):
        rules(**wrong)


def test_a_port_number_may_be_published_for_both_protocols():
    assert rules(ports=(IngressPort(53, "tcp"), IngressPort(53, "udp")))


def test_a_node_has_one_mac_in_all_networks():
    twins = (IngressPeer(PEER.mac, "10.200.9.0"),)
    assert rules(networks=(network(), network("b", "b.vx", "10.200.8.0/24", twins)))
