"""The scripts that are made of the overlay's rules. What they do to packets is in tests/contract."""

import msgspec

from orion.model.firewall import FirewallRules, NetworkRules
from orion.reconcile import nft
from orion.reconcile.firewall import TABLE, ruleset
from orion.reconcile.forwarding import accepts, missing, removal

RANGE = "10.200.0.0/16"
A = NetworkRules("a", "orion0", "orion.vx", "10.200.1.0/24", ("10.200.1.0/24", "10.200.2.0/24"))
B = NetworkRules("b", "br-b.1", "orion.vx", "10.200.3.0/24", ("10.200.3.0/24",))
BOTH, NONE = FirewallRules(RANGE, (A, B)), FirewallRules(RANGE)

EMPTY = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
DOCKER = f"""{EMPTY}-N DOCKER
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-USER -j RETURN
"""


def test_the_table_is_replaced_as_a_whole() -> None:
    for rules in (BOTH, NONE):
        assert ruleset(rules).script.startswith(nft.removal(TABLE))


def test_the_same_rules_make_the_same_script_and_others_another() -> None:
    assert ruleset(BOTH) == ruleset(FirewallRules(RANGE, (A, B)))
    former = set(ruleset(BOTH).shown["forward"].comments)
    for other in (
        FirewallRules(RANGE, (A,)),
        FirewallRules(RANGE, (msgspec.structs.replace(A, subnets=(*A.subnets, "10.200.9.0/24")), B)),
        FirewallRules("10.200.0.0/15", (A, B)),
    ):
        assert not former & set(ruleset(other).shown["forward"].comments)


def test_each_rule_has_a_comment_and_none_twice_in_a_chain() -> None:
    made = ruleset(BOTH)
    lines = [line for line in made.script.removeprefix(nft.removal(TABLE)).splitlines() if " comment " in line]
    assert len(lines) == sum(len(chain.comments) for chain in made.shown.values())
    for chain in made.shown.values():
        assert len(set(chain.comments)) == len(chain.comments)
        assert all(len(comment) < 128 for comment in chain.comments)  # as long as nft takes


def test_from_an_internal_network_only_answers_leave() -> None:
    inner = msgspec.structs.replace(B, internal=True)
    chains = ruleset(FirewallRules(RANGE, (A, inner))).script.split("chain ")
    (from_b,) = [chain for chain in chains if chain.startswith("from_br-b.1 {")]
    rules = [line.partition(" comment ")[0] for line in from_b.splitlines() if " comment " in line]
    assert rules[-2:] == ["ct direction reply accept", "counter drop"]
    assert rules[-3].startswith(f"ip daddr {RANGE} counter drop")


def kernel(listing: str, lines: list[str]) -> str:
    """The listing after iptables-restore, as far as these lines go."""
    rules = listing.splitlines()
    for line in lines:
        how, chain, *rest = line.split()
        shown = " ".join(["-A", chain, *rest])
        places = [i for i, rule in enumerate(rules) if rule.startswith(f"-A {chain} ")]
        if how == "-D":
            rules.remove(shown)
        elif how == "-X":
            assert not places
            assert not any(rule.endswith(f"-j {chain}") for rule in rules)
            rules.remove(f"-N {chain}")
        elif how == "-N":
            assert line not in rules
            rules.insert(3, line)
        elif how == "-I" and places:
            rules.insert(places[0], shown)
        else:
            rules.append(shown)
    return "\n".join(rules) + "\n"


def test_nothing_is_missing_once_it_was_added() -> None:
    for before in (EMPTY, DOCKER):
        lines = missing(BOTH, before)
        assert len(lines) == len(accepts(BOTH)) + 2  # a chain and a jump, or a RETURN that goes to the end
        after = kernel(before, lines)
        assert missing(BOTH, after) == []
        assert sorted(kernel(after, removal(after)).splitlines()) == sorted(before.splitlines())
        user = [line for line in after.splitlines() if line.startswith("-A DOCKER-USER ")]
        assert before == EMPTY or user[-1] == "-A DOCKER-USER -j RETURN"


def test_of_another_network_only_the_difference_is_changed() -> None:
    before = kernel(DOCKER, missing(BOTH, DOCKER))
    lines = missing(FirewallRules(RANGE, (A,)), before)
    assert all("-D " in line and B.bridge in line for line in lines)
    assert len(lines) == len(accepts(BOTH)) - len(accepts(FirewallRules(RANGE, (A,))))


def test_a_copy_goes_and_one_of_them_stays() -> None:
    before = kernel(DOCKER, missing(BOTH, DOCKER))
    twice = before + next(line for line in before.splitlines() if "orion:" in line) + "\n"
    (line,) = missing(BOTH, twice)
    assert line.startswith("-D ")


def test_ways_within_a_network_come_first_all_others_last() -> None:
    for each in accepts(BOTH):
        assert each.first == ({"-i", "-o"} <= set(each.match))
        assert (each.chain == "DOCKER-USER") == (each.first or "DNAT" in each.match)


def test_ways_to_published_ports_are_behind_what_an_administrator_drops() -> None:
    before = DOCKER.replace(
        "-A DOCKER-USER -j RETURN", "-A DOCKER-USER -s 192.0.2.0/24 -j DROP\n-A DOCKER-USER -j RETURN"
    )
    after = kernel(before, missing(BOTH, before)).splitlines()
    drop = after.index("-A DOCKER-USER -s 192.0.2.0/24 -j DROP")
    places = [at for at, line in enumerate(after) if "--ctstate DNAT" in line]
    assert places
    assert drop < min(places)
    assert max(places) < after.index("-A DOCKER-USER -j RETURN")


def test_a_jump_under_a_condition_is_none() -> None:
    listing = DOCKER.replace("-A FORWARD -j DOCKER-USER", "-A FORWARD -i eth0 -j DOCKER-USER")
    lines = missing(BOTH, listing)
    assert sum(line.startswith("-I FORWARD ") for line in lines) == 1
    after = kernel(listing, lines)
    assert missing(BOTH, after) == []
    assert not any(line.startswith("-X") for line in removal(after))


def test_a_jump_of_ours_beside_docker_s_leaves_the_chain() -> None:
    after = kernel(EMPTY, missing(BOTH, EMPTY))
    both = after.replace("-A FORWARD -m comment", "-A FORWARD -j DOCKER-USER\n-A FORWARD -m comment", 1)
    assert missing(BOTH, both) == []
    assert "-N DOCKER-USER" in kernel(both, removal(both))


def test_without_networks_nothing_is_wanted() -> None:
    assert missing(NONE, EMPTY) == missing(NONE, DOCKER) == []
    after = kernel(EMPTY, missing(BOTH, EMPTY))
    assert kernel(after, missing(NONE, after)) == EMPTY


def test_lines_that_no_shell_would_take_are_no_matter() -> None:
    odd = DOCKER + '-A DOCKER-USER -m comment --comment "it is orion:x -j DROP\n-A DOCKER-USER\n-A \n'
    assert len(missing(BOTH, odd)) == len(accepts(BOTH)) + 2
