"""The Ingress port on the Linux kernel, by nft and netlink (docs/design/ingress.md)."""

from orion.adapters.ingress.adapter import KernelIngress

__all__ = ["KernelIngress"]
