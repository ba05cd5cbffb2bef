"""A host's network as a value, to compare it with what it was before."""

import re

from support.lab_nodes import LabNodes

# They change by themselves: a counter, and a key that the kernel draws.
_OTHERS = ("net.netfilter.nf_conntrack_count ", "net.ipv4.tcp_fastopen_key ")
_COUNTERS = re.compile(r" \[[0-9:]+\]| counter packets [0-9]+ bytes [0-9]+")


def network_of_host(lab: LabNodes, host: int) -> dict[str, list[str]]:
    """All that there is of links, routes, neighbours, forwarding, rules and switches, but for counters."""

    def lines(*words: str) -> list[str]:
        found = (_COUNTERS.sub("", line).rstrip() for line in lab.run(host, *words).splitlines())
        return [line for line in found if line and not line.startswith("#")]

    return {
        "links": sorted(re.findall(r"^[0-9]+: ([^:@]+)", lab.run(host, "ip", "-o", "link"), re.MULTILINE)),
        "addresses": [re.sub(r"^[0-9]+: ", "", line) for line in lines("ip", "-o", "address")],
        "routes": lines("ip", "route", "show", "table", "all") + lines("ip", "-6", "route", "show", "table", "all"),
        "policy": lines("ip", "rule") + lines("ip", "-6", "rule"),
        "neighbours": lines("ip", "neigh", "show", "nud", "permanent"),
        "fdb": sorted(line for line in lines("bridge", "fdb") if "dst" in line),
        "nft": sorted(set(lines("nft", "list", "tables")) - {"table ip filter"}),
        "iptables": lines("iptables-save") + lines("ip6tables-save"),
        "sysctls": [line for line in lines("sysctl", "-a", "--pattern", "^net\\.") if not line.startswith(_OTHERS)],
    }


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """Lines that came ("+") and went ("-"), each with what it is one of."""
    return [
        f"{sign} {kind}: {line}"
        for kind, lines in before.items()
        for sign, one, other in (("-", lines, after[kind]), ("+", after[kind], lines))
        for line in one
        if line not in other
    ]
