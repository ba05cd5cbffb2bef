"""A DNS server for this node's containers: local names from memory, all others from the machine's resolvers."""

from orion.adapters.dns.resolvers import Resolvers
from orion.adapters.dns.server import DnsServer

__all__ = ["DnsServer", "Resolvers"]
