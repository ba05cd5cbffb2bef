"""Refusals of the kernel, in words that say what to do."""

import errno

from orion.adapters.netlink import link, tables
from orion.adapters.netlink.link import Link
from orion.adapters.netlink.socket import Netlink
from orion.model.overlay import Forwarding, FoundDevice, OverlayDevice, Route

_RIGHTS = (errno.EPERM, errno.EACCES)
_NEEDS_RIGHT = (
    "the kernel does not let this process change its network. The node needs the capability CAP_NET_ADMIN: run it "
    "as root, or give its unit or container that capability"
)


def in_words(doing: str, error: Exception) -> str:
    if isinstance(error, OSError):
        if error.errno in _RIGHTS:
            return f"{doing}: {_NEEDS_RIGHT}"
        return f"{doing}: the kernel says: {error.strerror or error}"
    return f"{doing}: {error}"


def of_create(netlink: Netlink, device: OverlayDevice, error: OSError) -> str:
    """Returns why a device can't be created."""
    doing = f"creating {device.name}"
    if error.errno == errno.EEXIST:
        links = [link.read(each.body) for each in netlink.dump(link.get_all())]
        return f"{doing}: {_in_its_place(device, links)}"
    if error.errno == errno.EOPNOTSUPP:
        return (
            f"{doing}: this kernel has no VXLAN ({error.strerror}). Load its module with `modprobe vxlan`, or "
            "install the package of the kernel's further modules"
        )
    return in_words(doing, error)


def _in_its_place(device: OverlayDevice, links: list[Link]) -> str:
    for each in links:
        if each.name == device.name:
            return f"a device of this name has been made meanwhile, of the kind {each.kind or 'real'}"
        if each.vxlan and _clashes(each.vxlan, device):
            alias = f" ({each.vxlan.alias})" if each.vxlan.alias else ""
            return (
                f"the device {each.name}{alias} has VNI {device.vni} at port {device.port} already. Remove it, or "
                "give the overlay another VNI or port"
            )
    return (
        f"a device outside of this network namespace has VNI {device.vni} at port {device.port} already, as those "
        "of Docker's overlay networks are. Give the overlay another VNI or port"
    )


def _clashes(found: FoundDevice, wanted: OverlayDevice) -> bool:
    return (found.vni, found.port) == (wanted.vni, wanted.port)


def of_forwarding(device: str, forwarding: Forwarding, error: OSError) -> str:
    doing = f"{device}: forwarding {forwarding.mac} to {forwarding.underlay}"
    if error.errno == errno.EAFNOSUPPORT:
        return (
            f"{doing}: the device's address is of the other family. All nodes of an overlay need addresses of one "
            "family, IPv4 or IPv6, to be reached at"
        )
    return in_words(doing, error)


def of_route(netlink: Netlink, index: int, route: Route, error: OSError) -> str:
    """Returns why a route can't be added; "" when it is there."""
    doing = f"routing {route.subnet}"
    if error.errno != errno.EEXIST:
        return in_words(doing, error)
    dump = netlink.dump(tables.get_routes_of_main())
    routes = [tables.read_route(each.body, by_kernel=True) for each in dump]
    if (index, route) in routes:
        return ""
    others = [found for found, each in filter(None, routes) if _same_place(each, route)]
    where = ", ".join(sorted({_name(netlink, other) for other in others})) or "another device"
    remedy = "Remove that route, or give the overlay another range"
    return f"{doing}: this host routes it by way of {where} already. {remedy}"


def _same_place(found: Route, wanted: Route) -> bool:
    return (found.subnet, found.metric) == (wanted.subnet, wanted.metric)


def _name(netlink: Netlink, index: int) -> str:
    try:
        return link.read(netlink.one(link.get_by_index(index)).body).name
    except OSError:
        return f"the interface {index}"
