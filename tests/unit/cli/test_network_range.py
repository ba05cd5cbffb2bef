"""process/network_range.py: a new cluster's addresses are nobody else's here."""

import pytest

from orion.process.network_range import free_range

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
TEN_200 = "eth0\t0000C80A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
TEN = "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"


@pytest.mark.parametrize(
    ("routes", "advertise", "chosen"),
    [
        (DEFAULT, "192.0.2.7", "10.200.0.0/16"),
        (DEFAULT, "10.200.3.4", "10.201.0.0/16"),
        (DEFAULT, "2001:db8::7", "10.200.0.0/16"),
        (TEN_200, "192.0.2.7", "10.201.0.0/16"),
        (TEN, "192.0.2.7", "172.28.0.0/16"),
        (DEFAULT, "node1.example.org", ""),
        ("what is this\n", "192.0.2.7", ""),
    ],
)
def test_the_first_range_is_chosen_that_nobody_here_uses(tmp_path, routes, advertise, chosen):
    table = tmp_path / "route"
    table.write_text(HEAD + routes)
    assert free_range(advertise, table) == chosen
    assert free_range(advertise, tmp_path / "none") == ""
