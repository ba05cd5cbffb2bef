"""What every `Firewall` must do, on the kernel here and the simulator's in tests/sim; and what only the kernel has.
Packets are in test_firewall_packets.py.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import uvloop

from contract.kernel_part import DEADLINE_S, KernelPartContract, PartBench, changes_of, checked, told
from orion.adapters.firewall import KernelFirewall
from orion.adapters.firewall.events import QUIET_S
from orion.adapters.netfilter.programs import NetfilterFailed, run
from orion.model.firewall import FirewallRules, NetworkRules
from orion.ports.firewall import FirewallFailed
from support.namespaces import inside, namespaces, run_in
from support.overlay import RANGE, rules_of, whole_firewall

RULES, OTHERS, NONE = rules_of("h1"), rules_of("h2"), FirewallRules(RANGE)
ONE = FirewallRules(RANGE, RULES.networks[:1])


class FirewallContract(KernelPartContract):
    rules, others, none = RULES, (OTHERS, ONE), NONE

    @checked
    async def test_changes_that_nobody_took_are_told_as_one(self, bench: PartBench) -> None:
        firewall = bench.part()
        async with changes_of(firewall) as changes:
            for rules in (RULES, OTHERS) * 3:
                await firewall.apply(rules)
            await told(changes)
            waiting = asyncio.ensure_future(anext(changes))
            # Nothing more comes by itself: only what is done now ends the wait.
            assert not waiting.done()
            await firewall.apply(RULES)
            async with asyncio.timeout(DEADLINE_S):
                await waiting


# --- the kernel --------------------------------------------------------------------------------------------


# Each kind of iptables on another kind of loop.
LOOPS = {"iptables-nft": uvloop.new_event_loop, "iptables-legacy": asyncio.new_event_loop}


class KernelBench:
    def __init__(self, namespace: str, iptables: str) -> None:
        self.namespace, self.iptables = namespace, iptables

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(120):
                await check()

        with inside(self.namespace), asyncio.Runner(loop_factory=LOOPS[self.iptables]) as runner:
            runner.run(main())

    def part(self) -> KernelFirewall:
        return KernelFirewall(self.iptables)

    def flush(self) -> None:
        self.do("nft flush ruleset")

    def harms(self) -> tuple[Callable[[], None], ...]:
        return self.flush, self.delete_a_rule

    def delete_a_rule(self) -> None:
        self.delete_rule("forward")

    def delete_rule(self, chain: str, number: int = 0) -> None:
        handle = self.rules(chain)[number]["handle"]
        self.do(f"nft delete rule ip orion {chain} handle {handle}")

    def rules(self, chain: str) -> list[dict[str, object]]:
        shown = msgspec.json.decode(self.do(f"nft -j list chain ip orion {chain}"))
        return [item["rule"] for item in shown["nftables"] if "rule" in item]

    def do(self, words: str) -> str:
        return run_in(self.namespace, *words.split())

    def whole(self) -> list[str]:
        return whole_firewall(self.namespace)


@pytest.fixture(params=LOOPS)
def bench(request: pytest.FixtureRequest) -> Iterator[KernelBench]:
    with namespaces("firewall") as names:
        yield KernelBench(names["firewall"], request.param)


@pytest.mark.root
class TestKernel(FirewallContract):
    pass


# Each leaves the kernel other than it was applied. {iptables} is the program.
TAMPERING = {
    "a table taken away": "nft delete table ip orion",
    "a table emptied": "nft flush table ip orion",
    "a chain emptied": "nft flush chain ip orion sources",
    "a rule that lets all pass": "nft insert rule ip orion forward accept",
    "a rule at the end": "nft add rule ip orion inwards accept",
    "a chain of somebody's": "nft add chain ip orion theirs",
    "another policy": "nft add chain ip orion forward { policy drop ; }",
    "iptables emptied": "{iptables} -F",
    "one chain emptied": "{iptables} -F DOCKER-USER",
    "one rule": "{iptables} -D DOCKER-USER 1",
    "one rule of FORWARD": "{iptables} -D FORWARD 2",
    "no way to the chain": "{iptables} -D FORWARD 1",
}


@pytest.mark.root
@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_seen_and_put_right(bench: KernelBench, how: str) -> None:
    async def check() -> None:
        firewall = bench.part()
        await firewall.apply(RULES)
        before = bench.whole()
        bench.do(TAMPERING[how].replace("{iptables}", bench.iptables))
        assert not await firewall.matches(RULES)
        await firewall.apply(RULES)
        assert await firewall.matches(RULES)
        assert sorted(bench.whole()) == sorted(before)

    bench.run(check)


@pytest.mark.root
def test_every_single_rule_is_missed(bench: KernelBench) -> None:
    async def check() -> None:
        firewall = bench.part()
        await firewall.apply(RULES)
        chains = [line.split()[1] for line in bench.do("nft list table ip orion").splitlines() if "chain " in line]
        for chain in chains:
            for number in range(len(bench.rules(chain))):
                bench.delete_rule(chain, number)
                assert not await firewall.matches(RULES), f"rule {number} of {chain}"
                await firewall.apply(RULES)

    bench.run(check)


@pytest.mark.root
def test_names_as_odd_and_as_long_as_they_may_be(bench: KernelBench) -> None:
    async def check() -> None:
        firewall = bench.part()
        names = zip(("n" * 63, "9_a-b.c", "drop"), ("br-0123456789ab", "A.b_c-d", "accept"), strict=True)
        networks = [
            NetworkRules(
                name, bridge, "x" * 15, f"10.200.{number}.0/24", (f"10.200.{number}.0/24", f"10.200.9{number}.0/24")
            )
            for number, (name, bridge) in enumerate(names)
        ]
        rules = FirewallRules(RANGE, tuple(networks))
        await firewall.apply(rules)
        assert await firewall.matches(rules)

    bench.run(check)


@pytest.mark.root
def test_changes_of_other_tables_are_not_told(bench: KernelBench) -> None:
    async def check() -> None:
        firewall = bench.part()
        async with changes_of(firewall) as changes:
            waiting = asyncio.ensure_future(anext(changes))
            for table in ("theirs", "nat"):
                bench.do(f"nft add table ip {table}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(4 * QUIET_S):
                    await asyncio.shield(waiting)
            bench.do("nft add table ip orion")
            async with asyncio.timeout(DEADLINE_S):
                await waiting

    bench.run(check)


# As it may be before: nothing, a policy, Docker's chain with a rule of the administrator's.
BEFORE = {
    "a policy": ["-P FORWARD DROP"],
    "rules of others": ["-P FORWARD DROP", "-A FORWARD -s 192.0.2.1/32 -m comment --comment x -j DROP"],
    "Docker's chain": [
        "-P FORWARD DROP",
        "-N DOCKER-USER",
        "-A DOCKER-USER -s 192.0.2.0/24 -j DROP",
        "-A DOCKER-USER -j RETURN",
        "-I FORWARD -j DOCKER-USER",
    ],
    "Docker's chain, which nothing leads to": ["-P FORWARD DROP", "-N DOCKER-USER", "-A DOCKER-USER -j RETURN"],
}


@pytest.mark.root
@pytest.mark.parametrize("before", BEFORE)
def test_removed_nothing_is_left(bench: KernelBench, before: str) -> None:
    async def check() -> None:
        bench.do("nft add table ip somebodys")
        for line in BEFORE[before]:
            bench.do(f"{bench.iptables} {line}")
        found = bench.whole()
        firewall = bench.part()
        for rules in (RULES, ONE, OTHERS):
            await firewall.apply(rules)
        bench.do(f"{bench.iptables} -D DOCKER-USER 1")
        await firewall.apply(RULES)
        assert bench.whole() != found
        await firewall.remove()
        assert bench.whole() == found

    bench.run(check)


@pytest.mark.root
def test_what_an_administrator_has_in_docker_user_stays(bench: KernelBench) -> None:
    async def check() -> None:
        firewall = bench.part()
        await firewall.apply(RULES)
        rule = '-A DOCKER-USER -s 192.0.2.0/24 -m comment --comment "it\'s \\"ours\\": orion" -j DROP'
        run_in(bench.namespace, "sh", "-c", f"{bench.iptables} {rule}")
        for step in (firewall.apply(OTHERS), firewall.apply(NONE), firewall.remove()):
            await step
            assert "-s 192.0.2.0/24" in bench.do(f"{bench.iptables} -S DOCKER-USER")

    bench.run(check)


@pytest.mark.root
def test_a_program_that_is_not_there_is_named(bench: KernelBench) -> None:
    async def check() -> None:
        with pytest.raises(FirewallFailed, match=r"iptables-none is not installed.*install the package iptables"):
            await KernelFirewall("iptables-none").apply(RULES)
        with pytest.raises(NetfilterFailed, match=r"nft failed: .*syntax error"):
            await run("nft", "-f", "-", given="nonsense\n")

    bench.run(check)


@pytest.mark.root
@pytest.mark.parametrize("call", ["apply(rules)", "matches(rules)", "remove()"])
def test_without_the_right_to_it_says_what_to_do(bench: KernelBench, call: str) -> None:
    program = f"""
import asyncio
from orion.adapters.firewall import KernelFirewall
from orion.ports.firewall import FirewallFailed
from support.overlay import rules_of
rules = rules_of("h1")
try:
    asyncio.run(KernelFirewall({bench.iptables!r}).{call})
except FirewallFailed as failed:
    print(failed.detail)
"""
    here = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{here / 'src'}:{here / 'tests'}"}
    words = ["setpriv", "--bounding-set", "-net_admin", sys.executable, "-c", program]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=30, env=environment)
    assert "may not change this machine's firewall" in done.stdout
    assert "run orion as root, or with CAP_NET_ADMIN" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.root
def test_a_cancelled_call_leaves_no_process(bench: KernelBench, tmp_path: Path) -> None:
    async def check() -> None:
        os.mkfifo(tmp_path / "begun")
        runner = asyncio.ensure_future(run("sh", "-c", f"echo $$ > {tmp_path}/begun; exec sleep 600"))
        pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))
        assert runs(pid)
        runner.cancel()
        await asyncio.wait([runner])
        assert runner.cancelled()
        assert not runs(pid)

    def runs(pid: int) -> bool:
        return Path(f"/proc/{pid}").exists()

    bench.run(check)
