"""A table of nft's: loaded as a whole, and shown as far as it can be told whether it is as it was loaded."""

import msgspec

from orion.adapters.netfilter.programs import Failed, NetfilterFailed, run
from orion.reconcile.nft import FAMILY, Shown, removal

_ABSENT = "No such file or directory"


class _Chain(msgspec.Struct):
    name: str
    hook: str = ""
    policy: str = ""


class _Rule(msgspec.Struct):
    chain: str
    comment: str = ""


class _Item(msgspec.Struct):
    """One line of the listing. Tables and what else there is are of no matter."""

    chain: _Chain | None = None
    rule: _Rule | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


_decoder = msgspec.json.Decoder(_Listing)


async def load(script: str) -> None:
    await run("nft", "-f", "-", given=script)


async def remove(table: str) -> None:
    await load(removal(table))


async def chains(table: str) -> dict[str, Shown]:
    """Returns the table's chains by name; none where there is no table."""
    try:
        out = await run("nft", "-j", "--terse", "list", "table", FAMILY, table)
    except Failed as error:
        if _ABSENT in error.said:
            return {}
        raise
    try:
        items = _decoder.decode(out).nftables
    except msgspec.MsgspecError as error:
        raise NetfilterFailed(f"nft shows the table {table} in words that are not understood: {error}") from error
    comments: dict[str, list[str]] = {}
    for item in items:
        if item.rule is not None:
            comments.setdefault(item.rule.chain, []).append(item.rule.comment)
    found = [item.chain for item in items if item.chain is not None]
    return {each.name: Shown(each.hook, each.policy, tuple(comments.get(each.name, ()))) for each in found}
