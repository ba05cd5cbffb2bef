"""The Firewall port on the Linux kernel, by the programs nft and iptables (docs/design/firewall.md)."""

from orion.adapters.firewall.adapter import KernelFirewall

__all__ = ["KernelFirewall"]
