"""This host beside nftables, as published ports need it: rules and routes for answers, ports of bridges that send
back where a packet came from, and sysctls. Read and changed. Blocks, and is for a thread.
"""

import contextlib
import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from orion.adapters.ingress import routing
from orion.adapters.ingress.routing import FoundRule
from orion.adapters.netlink import bridge, link
from orion.adapters.netlink.link import Request
from orion.adapters.netlink.socket import Netlink
from orion.model.ingress import IngressNetwork, IngressRules
from orion.reconcile.ingress_routes import ReturnRoute, returns

_SYSCTLS = Path("/proc/sys/net")
_GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EEXIST})
_STRICT, _LOOSE = "1", "2"  # of rp_filter (RFC 3704)


class Step(NamedTuple):
    """A request, and words for what it does."""

    words: str
    request: Request


class HostFailed(Exception):
    """In words."""


class Wanted(msgspec.Struct, frozen=True):
    """The host as it is to be, whatever ports there are."""

    networks: tuple[IngressNetwork, ...]
    rules: frozenset[FoundRule]
    routes: frozenset[ReturnRoute]


NOTHING = Wanted((), frozenset(), frozenset())


def wanted_for(rules: IngressRules) -> Wanted:
    found = returns(rules)
    leads = frozenset(map(routing.wanted, found.rules))
    return Wanted(rules.networks, leads | {routing.SKIP, routing.END} if leads else leads, found.routes)


def is_as_wanted(wanted: Wanted) -> bool:
    with Netlink() as netlink:
        indices = _indices(netlink, wanted)
        if not {route.vxlan for route in wanted.routes} <= indices.keys():
            return False
        if next(_route_steps(netlink, wanted, indices), None):
            return False
        if next(_port_steps(netlink, wanted, indices), None):
            return False
    return not any(value != found for _, value, found in _sysctls(wanted))


def make_as_wanted(wanted: Wanted) -> None:
    """Raises HostFailed, OSError, Malformed."""
    _set_sysctls(wanted)
    with Netlink() as netlink:
        indices = _indices(netlink, wanted)
        _carry_out(netlink, [*_route_steps(netlink, wanted, indices), *_port_steps(netlink, wanted, indices)])


def take_away(devices: Iterable[str]) -> None:
    """Ports of bridges stay as they are: they go with their containers."""
    with Netlink() as netlink:
        _carry_out(netlink, list(_route_steps(netlink, NOTHING, {})))
    reset(devices)


def reset(devices: Iterable[str]) -> None:
    """Gives devices the sysctls that new ones have, in the place of those that are ours."""
    for device in devices:
        for name, ours in (("route_localnet", "1"), ("rp_filter", _LOOSE)):
            if _read(f"ipv4/conf/{device}/{name}") == ours:
                _write(f"ipv4/conf/{device}/{name}", _read(f"ipv4/conf/default/{name}"))


# --- rules and routes --------------------------------------------------------------------------------------


def _route_steps(netlink: Netlink, wanted: Wanted, indices: dict[str, int]) -> Iterator[Step]:
    """Routes before the rules that lead to them, and the other way round."""
    rules = [rule for each in netlink.dump(routing.get_rules()) if (rule := routing.read_rule(each.body))]
    routes = {route for each in netlink.dump(routing.get_routes()) if (route := routing.read_route(each.body))}
    want_routes = {(each.table, indices.get(each.vxlan, 0), each.gateway) for each in wanted.routes}
    for rule in _too_many(rules, wanted.rules):
        yield Step(f"removing {_shown(rule)}", routing.remove_rule(rule))
    for route in routes - want_routes:
        yield Step(f"removing the route by {route[2]} of table {route[0]}", routing.remove_route(*route))
    for route in want_routes - routes:
        if not route[1]:
            raise HostFailed(f"the device that leads to {route[2]} is not there")
        yield Step(f"adding the route by {route[2]} to table {route[0]}", routing.add_route(*route))
    for rule in wanted.rules - set(rules):
        yield Step(f"adding {_shown(rule)}", routing.add_rule(rule))


def _shown(rule: FoundRule) -> str:
    return f"the rule of routing with priority {rule.priority} and mark {rule.mark:#x}"


def _too_many(rules: Iterable[FoundRule], wanted: frozenset[FoundRule]) -> Iterator[FoundRule]:
    """Yields those that are not wanted, and copies of those that are."""
    left = set(wanted)
    for rule in rules:
        if rule in left:
            left.remove(rule)
        else:
            yield rule


# --- ports of bridges --------------------------------------------------------------------------------------


def _port_steps(netlink: Netlink, wanted: Wanted, indices: dict[str, int]) -> Iterator[Step]:
    """Where bridged packets are shown to rules, they are translated on the bridge, and leave it without coming back
    to the host: also by the port that they came from.
    """
    all_show = _read("bridge/bridge-nf-call-iptables") == "1"
    for network in wanted.networks:
        index = indices.get(network.bridge)
        if index and (all_show or _shows(netlink, network.bridge)):
            for each in netlink.dump(routing.get_ports(index)):
                port = routing.read_port(each.body, index)
                if port and not port[1]:
                    words = f"having port {port[0]} of {network.bridge} send back"
                    yield Step(words, routing.set_hairpin(port[0]))


def _shows(netlink: Netlink, name: str) -> bool:
    try:
        return bridge.shows_to_rules(netlink.one(link.get(name)).body)
    except OSError:
        return False  # it is gone


def _indices(netlink: Netlink, wanted: Wanted) -> dict[str, int]:
    """Returns those of the devices that are there."""
    found = {}
    for network in wanted.networks:
        for device in (network.bridge, network.vxlan):
            with contextlib.suppress(OSError):
                found[device] = link.read(netlink.one(link.get(device)).body).index
    return found


def _carry_out(netlink: Netlink, steps: list[Step]) -> None:
    failed = ""
    for step, error in zip(steps, netlink.do([step.request for step in steps]), strict=True):
        if error and error.errno not in _GONE:
            failed = failed or f"{step.words}: {error.strerror or error}"
    if failed:
        raise HostFailed(failed)


# --- sysctls -----------------------------------------------------------------------------------------------


def _sysctls(wanted: Wanted) -> Iterator[tuple[str, str, str]]:
    """Yields names below /proc/sys/net, values that they are to have and have; of devices that are there alone.

    Connections of this host to itself come to the bridge and to the overlay with addresses of localhost. Those from
    elsewhere that come over the overlay have addresses to which the kernel has a way, but another one.
    """
    everywhere = _read("ipv4/conf/all/rp_filter")
    for network in wanted.networks:
        for device in (network.bridge, network.vxlan):
            if found := _read(f"ipv4/conf/{device}/route_localnet"):
                yield f"ipv4/conf/{device}/route_localnet", "1", found
        own = _read(f"ipv4/conf/{network.vxlan}/rp_filter")
        if own and max(own, everywhere) == _STRICT:
            yield f"ipv4/conf/{network.vxlan}/rp_filter", _LOOSE, own


def _set_sysctls(wanted: Wanted) -> None:
    for name, value, found in _sysctls(wanted):
        if value != found:
            _write(name, value)


def _read(name: str) -> str:
    """Returns "" for one that is not there."""
    try:
        return (_SYSCTLS / name).read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _write(name: str, value: str) -> None:
    """Where the device is gone meanwhile, does nothing. Raises OSError where this process may not."""
    with contextlib.suppress(FileNotFoundError):
        (_SYSCTLS / name).write_text(value)
