"""The GuardKernel port on the Linux kernel, by nft and netlink (docs/design/firewall.md)."""

from orion.adapters.guard.adapter import KernelGuard

__all__ = ["KernelGuard"]
