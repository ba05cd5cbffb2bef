"""Messages about chains of nftables and their rules, as far as those are known by their comments. No I/O."""

import struct
from collections.abc import Iterable

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import Request
from orion.reconcile.ingress import TABLE
from orion.reconcile.nft import Shown

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_CHAIN, _GET_RULE = _SUBSYSTEM | 4, _SUBSYSTEM | 7
_INET = 2
_HEAD = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5  # NFTA_CHAIN_…
_HOOK_NUMBER = 1
_RULE_TABLE, _RULE_CHAIN, _RULE_USERDATA = 1, 2, 7  # NFTA_RULE_…
_COMMENT = 0  # of a rule's own data: kind, length, value
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_POLICIES = ("drop", "accept")


def get_chains() -> Request:
    """Asks for the chains of all tables."""
    return Request(_GET_CHAIN, codec.DUMP, _HEAD.pack(_INET, 0, 0))


def get_rules() -> Request:
    return Request(_GET_RULE, codec.DUMP, _HEAD.pack(_INET, 0, 0) + codec.text(_RULE_TABLE, TABLE))


def read(chains: Iterable[codec.Message], rules: Iterable[codec.Message]) -> dict[str, Shown]:
    """Returns the table's chains by name. Raises Malformed."""
    comments: dict[str, list[str]] = {}
    for message in rules:
        rule = codec.attributes(message.body[_HEAD.size :])
        if codec.as_text(rule.get(_RULE_TABLE)) == TABLE:
            comments.setdefault(codec.as_text(rule.get(_RULE_CHAIN)), []).append(_comment(rule.get(_RULE_USERDATA)))
    found = {}
    for message in chains:
        chain = codec.attributes(message.body[_HEAD.size :])
        if codec.as_text(chain.get(_CHAIN_TABLE)) == TABLE:
            name = codec.as_text(chain.get(_CHAIN_NAME))
            found[name] = Shown(_hook(chain), _policy(chain), tuple(comments.get(name, ())))
    return found


def _hook(chain: dict[int, memoryview]) -> str:
    if _CHAIN_HOOK not in chain:
        return ""
    number = _number(codec.attributes(chain[_CHAIN_HOOK]).get(_HOOK_NUMBER))
    return _HOOKS[number] if number < len(_HOOKS) else str(number)


def _policy(chain: dict[int, memoryview]) -> str:
    if _CHAIN_POLICY not in chain:
        return ""
    number = _number(chain[_CHAIN_POLICY])
    return _POLICIES[number] if number < len(_POLICIES) else str(number)


def _number(value: memoryview | None) -> int:
    return int.from_bytes(value or b"", "big")


def _comment(data: memoryview | None) -> str:
    """Returns "" for a rule without one."""
    at, data = 0, data or memoryview(b"")
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        if kind == _COMMENT:
            return codec.as_text(data[at + 2 : at + 2 + length])
        at += 2 + length
    return ""
