"""The table `filter` of iptables, whichever of its two kinds this machine has."""

from collections.abc import Sequence

from orion.adapters.netfilter.programs import run

LOCK_S = "5"  # for which it waits where another program changes rules too


class Iptables:
    def __init__(self, program: str) -> None:
        self._program = program

    async def listing(self) -> str:
        """Returns the rules as `iptables -S` shows them."""
        return (await run(self._program, "-w", LOCK_S, "-S")).decode(errors="replace")

    async def change(self, lines: Sequence[str]) -> None:
        """Carries out all lines, or none where one of them fails."""
        given = "\n".join(["*filter", *lines, "COMMIT", ""])
        await run(f"{self._program}-restore", "-w", LOCK_S, "--noflush", given=given)
