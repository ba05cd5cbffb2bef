"""The answers of GET /containers/{id}/stats as values."""

from datetime import datetime
from typing import Any

from orion.adapters.docker.decode import unix_ms
from orion.model.stats import ContainerStats


def stats_from(shown: dict[str, Any]) -> ContainerStats | None:
    """None for a container that does not run, of which the engine knows no memory."""
    memory = shown.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    networks = (shown.get("networks") or {}).values()
    blocks = (shown.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return ContainerStats(
        at_ms=unix_ms(shown["read"]),
        cpu_millis=_cpu_millis(shown),
        memory_bytes=_memory(memory),
        memory_limit_bytes=memory.get("limit") or 0,
        received_bytes=sum(each["rx_bytes"] for each in networks),
        sent_bytes=sum(each["tx_bytes"] for each in networks),
        read_bytes=sum(each["value"] for each in blocks if each["op"].lower() == "read"),
        written_bytes=sum(each["value"] for each in blocks if each["op"].lower() == "write"),
        pids=(shown.get("pids_stats") or {}).get("current") or 0,
    )


def _memory(memory: dict[str, Any]) -> int:
    """As docker stats counts: without files that the kernel can drop, in the words of either version of cgroups."""
    more = memory.get("stats") or {}
    inactive = more.get("total_inactive_file", more.get("inactive_file", 0))
    return int(memory["usage"] - inactive if inactive < memory["usage"] else memory["usage"])


def _cpu_millis(shown: dict[str, Any]) -> int:
    """0 at a container's first reading, which has none before it."""
    before, now = shown.get("preread") or "", shown["read"]
    if not before or before.startswith("0001-"):
        return 0
    elapsed_us = (datetime.fromisoformat(now) - datetime.fromisoformat(before)).total_seconds() * 1e6
    used_us = (_used_ns(shown["cpu_stats"]) - _used_ns(shown["precpu_stats"])) / 1_000
    return max(0, round(1_000 * used_us / elapsed_us)) if elapsed_us > 0 else 0


def _used_ns(cpu: dict[str, Any]) -> int:
    return int(cpu["cpu_usage"]["total_usage"])
