"""The adapters to this machine's part in the cluster's networks."""

from orion.node.network.node_network import NetworkPorts


def network_adapters() -> NetworkPorts:
    from orion.adapters.dns import DnsServer, Resolvers  # late: not loaded where there is no network
    from orion.adapters.firewall import KernelFirewall
    from orion.adapters.guard import KernelGuard
    from orion.adapters.ingress import KernelIngress
    from orion.adapters.netlink.overlay import NetlinkOverlay
    from orion.adapters.reach import SocketReach
    from orion.adapters.relay import SocketRelay
    from orion.reconcile.local_network import PORT

    resolvers = Resolvers()
    return NetworkPorts(
        kernel=NetlinkOverlay(),
        firewall=KernelFirewall(),
        names=lambda resolve: DnsServer(resolve, resolvers),
        reach=SocketReach(PORT),
        ingress=KernelIngress(),
        guard=KernelGuard(),
        relay=SocketRelay(),
    )
