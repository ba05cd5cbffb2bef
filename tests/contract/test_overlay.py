"""What every `OverlayKernel` must do: on a real kernel in test_overlay_netlink.py, the simulator's in tests/sim."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec
import pytest

from orion.model.overlay import NOTHING, Forwarding, Neighbour, OverlayDevice, Peer, Route
from orion.ports.overlay import NoSuchUnderlay, OverlayFailed, OverlayKernel
from orion.reconcile.overlay import (
    AddAddress,
    AddRoute,
    CreateDevice,
    DeleteDevice,
    RemoveAddress,
    RemoveForwarding,
    RemoveNeighbour,
    RemoveRoute,
    SetDevice,
    SetForwarding,
    SetNeighbour,
    steps,
)

NAME = "orion.vx"
UNDERLAY, UNDERLAY_MTU = "10.77.0.1", 1500
DEVICE = OverlayDevice(NAME, 4200, 8472, UNDERLAY, "02:4f:52:00:00:01", 1450, "10.200.1.0", "orion node1")
WAIT_S = 20.0  # for what comes at once


class Bench(Protocol):
    """A host with the address UNDERLAY."""

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits."""

    def kernel(self) -> OverlayKernel:
        """That of the host; another client of it each time."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def run(self: object, bench: Bench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


def peer(number: int, underlay: str = "") -> Peer:
    mac = f"02:4f:52:00:{number >> 8:02x}:{number & 255:02x}"
    return Peer(f"10.200.{number}.0/24", f"10.200.{number}.0", mac, underlay or f"10.77.0.{number}")


PEERS = [peer(2), peer(3)]


async def make_so(kernel: OverlayKernel, device: OverlayDevice, peers: list[Peer]) -> None:
    """In one go, after which nothing is left to do."""
    await kernel.carry_out(steps(device, peers, await kernel.read(device.name)))
    assert steps(device, peers, await kernel.read(device.name)) == []


async def change(kernel: OverlayKernel, *by_somebody: object) -> None:
    """Carries steps out that nobody wants, and has the overlay mend it."""
    await kernel.carry_out(by_somebody)
    assert steps(DEVICE, PEERS, await kernel.read(NAME)), by_somebody
    await make_so(kernel, DEVICE, PEERS)


class OverlayContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_there_is_nothing_at_first(self, bench: Bench) -> None:
        assert await bench.kernel().read(NAME) == NOTHING

    @checked
    async def test_the_steps_lead_to_what_is_wanted_and_others_see_it(self, bench: Bench) -> None:
        await make_so(bench.kernel(), DEVICE, PEERS)
        state = await bench.kernel().read(NAME)
        assert state.device
        assert (state.device.vni, state.device.mac, state.device.up) == (4200, "02:4f:52:00:00:01", True)
        assert (state.device.alias, state.device.mtu, state.device.learning) == ("orion node1", 1450, False)
        assert state.addresses == {"10.200.1.0/32"}
        assert Neighbour("10.200.2.0", "02:4f:52:00:00:02") in state.neighbours
        assert Forwarding("02:4f:52:00:00:03", "10.77.0.3") in state.forwarding
        assert state.routes == {Route("10.200.2.0/24", "10.200.2.0"), Route("10.200.3.0/24", "10.200.3.0")}

    @checked
    async def test_devices_are_listed_with_whose_they_are(self, bench: Bench) -> None:
        assert NAME not in await bench.kernel().devices()
        await make_so(bench.kernel(), DEVICE, PEERS)
        assert (await bench.kernel().devices())[NAME] == DEVICE.alias
        await bench.kernel().remove(NAME)
        assert NAME not in await bench.kernel().devices()

    @checked
    async def test_peers_that_come_and_go_leave_nothing(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, [])
        alone = await kernel.read(NAME)
        await make_so(kernel, DEVICE, [peer(number) for number in range(2, 100)])
        await make_so(kernel, DEVICE, [])
        assert await kernel.read(NAME) == alone

    @checked
    async def test_a_peer_whose_underlay_moved_is_forwarded_to_the_new_one_alone(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, PEERS)
        await make_so(kernel, DEVICE, [peer(2), peer(3, "10.77.0.33")])
        found = {each for each in (await kernel.read(NAME)).forwarding if each.mac == peer(3).mac}
        assert found == {Forwarding(peer(3).mac, "10.77.0.33")}

    @checked
    async def test_of_two_peers_with_one_underlay_either_may_leave(self, bench: Bench) -> None:
        kernel, both = bench.kernel(), [peer(2, "10.77.0.9"), peer(3, "10.77.0.9")]
        await make_so(kernel, DEVICE, both)
        await make_so(kernel, DEVICE, both[1:])
        assert (await kernel.read(NAME)).forwarding == {Forwarding(peer(3).mac, "10.77.0.9")}

    @checked
    async def test_what_somebody_changed_is_mended(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, PEERS)
        stranger = "02:00:00:00:00:99"
        await change(kernel, DeleteDevice(NAME))
        await change(kernel, SetDevice(NAME, 1280, "somebody's"))
        await change(kernel, AddAddress(NAME, "10.200.7.0/32"), RemoveAddress(NAME, "10.200.1.0/32"))
        await change(kernel, SetNeighbour(NAME, Neighbour("10.200.2.0", stranger)))
        await change(kernel, RemoveNeighbour(NAME, Neighbour("10.200.2.0", peer(2).mac)))
        await change(kernel, SetForwarding(NAME, Forwarding(peer(2).mac, "10.77.0.99")))
        await change(kernel, SetForwarding(NAME, Forwarding(stranger, "10.77.0.99", port=4789, vni=7)))
        await change(kernel, RemoveForwarding(NAME, Forwarding(peer(2).mac, "10.77.0.2")))
        await change(kernel, RemoveRoute(NAME, Route("10.200.2.0/24", "10.200.2.0")))
        await change(kernel, AddRoute(NAME, Route("10.200.2.0/24", "10.200.3.0", metric=7)))
        await change(kernel, AddRoute(NAME, Route("10.9.0.0/16", "")))

    @checked
    async def test_a_device_that_differs_in_what_cannot_be_changed_is_made_anew(self, bench: Bench) -> None:
        kernel = bench.kernel()
        for other in ({"vni": 7}, {"port": 4789}, {"local": "10.77.0.9"}, {"mac": "02:00:00:00:00:07"}):
            await make_so(kernel, msgspec.structs.replace(DEVICE, **other), PEERS)
            await make_so(kernel, DEVICE, PEERS)

    @checked
    async def test_a_step_that_is_done_already_succeeds(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, PEERS)
        forward = Forwarding(peer(2).mac, "10.77.0.2")
        for step in (
            AddAddress(NAME, "10.200.1.0/32"),
            SetForwarding(NAME, forward),
            AddRoute(NAME, Route("10.200.2.0/24", "10.200.2.0")),
        ):
            await kernel.carry_out([step])
        assert steps(DEVICE, PEERS, await kernel.read(NAME)) == []
        gone = [
            RemoveRoute(NAME, Route("10.200.2.0/24", "10.200.2.0")),
            RemoveNeighbour(NAME, Neighbour("10.200.2.0", peer(2).mac)),
            RemoveForwarding(NAME, forward),
            RemoveAddress(NAME, "10.200.9.0/32"),
        ]
        await kernel.carry_out([*gone, *gone])
        assert steps(DEVICE, PEERS[1:], await kernel.read(NAME)) == []
        await kernel.carry_out([DeleteDevice(NAME)])
        await kernel.carry_out([DeleteDevice(NAME)])

    @checked
    async def test_after_a_step_that_fails_the_others_are_tried(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, [peer(2)])
        refused = AddRoute(NAME, Route("10.200.2.0/24", "10.200.3.0"))
        neighbour = Neighbour("10.200.3.0", peer(3).mac)
        with pytest.raises(OverlayFailed, match=r"10\.200\.2\.0/24: this host routes it"):
            await kernel.carry_out([refused, SetNeighbour(NAME, neighbour)])
        assert neighbour in (await kernel.read(NAME)).neighbours

    @checked
    async def test_a_peer_whose_underlay_is_of_the_other_family_fails_alone(self, bench: Bench) -> None:
        kernel = bench.kernel()
        with pytest.raises(OverlayFailed, match="to fd00::2: the device's address is of the other family"):
            await make_so(kernel, DEVICE, [peer(2, "fd00::2"), peer(3)])
        assert (await kernel.read(NAME)).forwarding == {Forwarding(peer(3).mac, "10.77.0.3")}

    @checked
    async def test_a_peer_whose_underlay_is_no_address_fails_alone(self, bench: Bench) -> None:
        kernel = bench.kernel()
        with pytest.raises(OverlayFailed, match=r"underlay='nowhere'.* has an address.* that is none"):
            await make_so(kernel, DEVICE, [peer(2, "nowhere"), peer(3)])
        assert (await kernel.read(NAME)).forwarding == {Forwarding(peer(3).mac, "10.77.0.3")}

    @checked
    async def test_a_step_about_a_device_that_has_gone_fails(self, bench: Bench) -> None:
        with pytest.raises(OverlayFailed, match=r"orion\.vx is not there any more"):
            await bench.kernel().carry_out([SetDevice(NAME, 1450, "")])

    @checked
    async def test_another_device_with_the_same_vni_and_port_is_named(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, msgspec.structs.replace(DEVICE, name="theirs"), [])
        with pytest.raises(OverlayFailed, match=r"the device theirs .*has VNI 4200 at port 8472 already"):
            await kernel.carry_out([CreateDevice(NAME, DEVICE)])
        with pytest.raises(OverlayFailed, match="of this name has been made meanwhile"):
            await kernel.carry_out([CreateDevice("theirs", msgspec.structs.replace(DEVICE, name="theirs", vni=8))])
        await kernel.remove("theirs")

    @checked
    async def test_the_underlays_mtu_is_that_of_the_interface_with_the_address(self, bench: Bench) -> None:
        assert await bench.kernel().underlay_mtu(UNDERLAY) == UNDERLAY_MTU
        with pytest.raises(NoSuchUnderlay, match=r"no interface of this host has the address 10\.77\.0\.250"):
            await bench.kernel().underlay_mtu("10.77.0.250")

    @checked
    async def test_changes_are_told_after_a_first_word_that_it_listens(self, bench: Bench) -> None:
        kernel, other = bench.kernel(), bench.kernel()
        await make_so(kernel, DEVICE, [])
        async with asyncio.timeout(WAIT_S), aclosing(kernel.changes()) as changes:
            await anext(changes)
            for step in (
                SetNeighbour(NAME, Neighbour("10.200.2.0", peer(2).mac)),
                SetForwarding(NAME, Forwarding(peer(2).mac, "10.77.0.2")),
                AddRoute(NAME, Route("10.200.2.0/24", "10.200.2.0")),
                AddAddress(NAME, "10.200.7.0/32"),
                SetDevice(NAME, 1280, "somebody's"),
                DeleteDevice(NAME),
            ):
                await other.carry_out([step])
                await anext(changes)

    @checked
    async def test_all_is_removed_with_the_device_and_removing_nothing_is_no_error(self, bench: Bench) -> None:
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, PEERS)
        await kernel.remove(NAME)
        await kernel.remove(NAME)
        assert await kernel.read(NAME) == NOTHING
