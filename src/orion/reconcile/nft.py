"""Chains of rules as a script for nft, and how the kernel shows them after it.

Each rule carries a comment with a digest of all chains. The kernel is as the script says when each chain has
exactly the comments that it should have, in their order.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

FAMILY = "ip"


class Chain(msgspec.Struct, frozen=True):
    """Rules, each with its reason. `hook` is "" for a chain that others lead to."""

    name: str
    rules: tuple[tuple[str, str], ...]
    kind: str = "filter"
    hook: str = ""
    priority: str = ""


class Shown(msgspec.Struct, frozen=True):
    """A chain as the kernel shows it. `comments` are those of its rules, "" for one without."""

    hook: str
    policy: str
    comments: tuple[str, ...]


class Ruleset(msgspec.Struct, frozen=True):
    """A script, and each chain by its name as the kernel shows it after that script."""

    script: str
    shown: dict[str, Shown]


def removal(table: str) -> str:
    """Returns a script that leaves no such table, whether or not there is one."""
    return f"table {FAMILY} {table}\ndelete table {FAMILY} {table}\n"


def ruleset(table: str, chains: Sequence[Chain], before: str, sets: Sequence[str] = ()) -> Ruleset:
    """Chains that others lead to come before those. `before` is what makes place for them, `sets` are declared."""
    digest = hashlib.sha256(msgspec.json.encode((chains, sets))).hexdigest()[:12]
    lines = [before + f"table {FAMILY} {table} {{", *sets]
    for chain in chains:
        lines.append(f"chain {chain.name} {{")
        if chain.hook:
            lines.append(f"type {chain.kind} hook {chain.hook} priority {chain.priority}; policy accept;")
        lines += [f'{rule} comment "{_comment(table, digest, why)}"' for rule, why in chain.rules]
        lines.append("}")
    shown = {chain.name: _shown(table, chain, digest) for chain in chains}
    return Ruleset("\n".join([*lines, "}", ""]), shown)


def _shown(table: str, chain: Chain, digest: str) -> Shown:
    comments = tuple(_comment(table, digest, why) for _, why in chain.rules)
    return Shown(chain.hook, "accept" if chain.hook else "", comments)


def _comment(table: str, digest: str, why: str) -> str:
    return f"{table} {digest}: {why}"


def devices(names: Iterable[str]) -> str:
    return members(f'"{name}"' for name in names)


def members(texts: Iterable[str]) -> str:
    """Returns a set without a name: it can't be changed beside its rule."""
    return "{ " + ", ".join(texts) + " }"
