"""The rules in iptables' table `filter` that let the overlay's packets through.

An accept in a table of our own never overrides a drop in another. Docker sets the policy of FORWARD to DROP, and
leaves DOCKER-USER to others, before its own rules: what stays within a network is let through there. So is what
came by a published port, behind what an administrator has in that chain.

Out of a bridge, and back, Docker's own rules let them through. Ours for that are for when Docker's are gone. They
stand at the end of FORWARD, behind whatever an administrator drops.

Rules are known by their comment, which has a digest of their words: iptables shows words in an order of its own.
"""

import hashlib
import itertools
import shlex
from collections.abc import Iterator, Sequence

import msgspec

from orion.model.firewall import FirewallRules

MARK = "orion:"
USER_CHAIN = "DOCKER-USER"


class Accept(msgspec.Struct, frozen=True):
    """A rule that ends in ACCEPT. `first` puts it before all others of its chain, else it comes after them, but for
    the RETURN by which Docker ends its chain.
    """

    chain: str
    match: tuple[str, ...]
    first: bool

    @property
    def mark(self) -> str:
        return _mark(self.chain, *self.match)

    @property
    def words(self) -> str:
        how = "-I" if self.first else "-A"
        return shlex.join([how, self.chain, *self.match, "-m", "comment", "--comment", self.mark, "-j", "ACCEPT"])


def accepts(rules: FirewallRules) -> tuple[Accept, ...]:
    return tuple(dict.fromkeys(_accepts(rules)))  # networks may share a VXLAN device


def _accepts(rules: FirewallRules) -> Iterator[Accept]:
    for network in rules.networks:
        ways = ((network.vxlan, network.bridge), (network.bridge, network.vxlan), (network.bridge, network.bridge))
        for came, goes in ways:
            yield Accept(USER_CHAIN, ("-i", came, "-o", goes), first=True)
        for end in itertools.product(("-i", "-o"), (network.vxlan, network.bridge)):
            yield Accept(USER_CHAIN, (*end, "-m", "conntrack", "--ctstate", "DNAT"), first=False)
        yield Accept("FORWARD", ("-i", network.bridge), first=False)
        answers = ("-o", network.bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
        yield Accept("FORWARD", answers, first=False)


def missing(rules: FirewallRules, listing: str) -> list[str]:
    """Returns lines for iptables-restore that turn what `iptables -S` shows into what the rules want."""
    wanted, there = accepts(rules), _Listing(listing)
    if not wanted:
        return removal(listing)
    has = {(rule.chain, rule.mark): rule for rule in reversed(there.marked)}  # of copies, the first
    keep = {has[key] for key in ((each.chain, each.mark) for each in wanted) if key in has}
    lines = [rule.removal for rule in there.marked if rule not in keep and not rule.jumps]
    if not there.user_chain:
        lines.append(f"-N {USER_CHAIN}")
    if not there.jumps:
        lines.append(f"-I FORWARD -m comment --comment {_mark('FORWARD', USER_CHAIN)} -j {USER_CHAIN}")
    new = [each for each in wanted if (each.chain, each.mark) not in has]
    lines += [each.words for each in new]
    if there.returns and any(each.chain == USER_CHAIN and not each.first for each in new):
        lines += [f"-{how} {USER_CHAIN} -j RETURN" for how in "DA"]
    return lines


def removal(listing: str) -> list[str]:
    """Returns lines that take away what is Orion's. The chain goes too where only Orion's jump led there and nobody
    else has put a rule into it.
    """
    there = _Listing(listing)
    lines = [rule.removal for rule in there.marked]
    ours = any(rule.jumps for rule in there.marked)
    if ours and not there.foreign_jumps and not there.foreign_rules:
        lines.append(f"-X {USER_CHAIN}")
    return lines


class _Marked(msgspec.Struct, frozen=True):
    """A rule of Orion's, as `iptables -S` shows it. `number` is its line."""

    number: int
    chain: str
    mark: str
    line: str
    jumps: bool

    @property
    def removal(self) -> str:
        return self.line.replace("-A ", "-D ", 1)


class _Listing:
    """The parts of `iptables -S` that matter here."""

    def __init__(self, listing: str) -> None:
        lines = listing.splitlines()
        self.user_chain = f"-N {USER_CHAIN}" in lines
        self.marked: list[_Marked] = []
        self.foreign_jumps = False  # to the chain, from anywhere and under whatever condition
        self.foreign_rules = False  # in the chain
        self.returns = f"-A {USER_CHAIN} -j RETURN" in lines
        whole = False  # somebody else's jump that all packets take
        for number, line in enumerate(lines):
            if line.startswith("-A ") and (USER_CHAIN in line or MARK in line):
                whole |= self._take(number, line)
        self.jumps = whole or any(rule.jumps for rule in self.marked)

    def _take(self, number: int, line: str) -> bool:
        words = _words(line)
        chain, target, mark = words[1], _after(words, "-j") or _after(words, "-g"), _after(words, "--comment")
        if mark.startswith(MARK):
            self.marked.append(_Marked(number, chain, mark, line, target == USER_CHAIN))
            return False
        self.foreign_rules |= chain == USER_CHAIN
        self.foreign_jumps |= target == USER_CHAIN
        return words == ["-A", "FORWARD", "-j", USER_CHAIN]


def _words(line: str) -> list[str]:
    """At least two. A line that no shell would take apart is taken apart at its blanks."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    return [*words, "", ""][: max(2, len(words))]


def _after(words: Sequence[str], option: str) -> str:
    """Returns "" where the option is not there."""
    at = words.index(option) if option in words else len(words)
    return words[at + 1] if at + 1 < len(words) else ""


def _mark(*words: str) -> str:
    return MARK + hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]
