"""The overlay's adapter where the kernel keeps it waiting, and what it takes for a change."""

import asyncio
import errno
import functools
import os
import struct
import threading

import pytest

from orion.adapters import multicast
from orion.adapters.netlink import changes, codec, overlay, tables
from orion.adapters.netlink.overlay import NetlinkOverlay
from orion.model.overlay import NOTHING, Forwarding, Neighbour
from orion.ports.overlay import OverlayFailed

NEIGHBOUR = Neighbour("10.200.2.0", "02:4f:52:00:00:02")


class StuckSocket:
    """Stands in `send`, as the real one does while the kernel changes its network; then there is no device."""

    def __init__(self, free):
        self.free = free
        self.answer = b""

    def setsockopt(self, *_):
        pass

    def settimeout(self, _):
        pass

    def send(self, data):
        assert self.free.wait(180)
        (asked,) = codec.messages(data)
        self.answer = codec.message(codec.ERROR, 0, asked.sequence, struct.pack("=i", -errno.ENODEV) + bytes(16))

    def recvmsg(self, _):
        return self.answer, [], 0, (0, 0)

    def close(self):
        pass


def test_a_kernel_that_does_not_answer_keeps_one_thread_and_not_the_loop(monkeypatch):
    monkeypatch.setattr(overlay, "ANSWER_S", 0.05)
    free, opened = threading.Event(), []

    def open_socket():
        opened.append(StuckSocket(free))
        return opened[-1]

    async def main():
        kernel = NetlinkOverlay(open_socket)
        try:
            for _ in range(3):
                with pytest.raises(OverlayFailed, match=r"reading orion\.vx: the kernel has not answered within"):
                    await kernel.read("orion.vx")
            assert len(opened) == 1
        finally:
            free.set()
        monkeypatch.setattr(overlay, "ANSWER_S", 30.0)
        assert await kernel.read("orion.vx") == NOTHING
        assert len(opened) == 2

    asyncio.run(main())


def test_who_no_longer_wants_the_answer_is_let_go_at_once():
    free = threading.Event()

    async def main():
        kernel = NetlinkOverlay(lambda: StuckSocket(free))
        try:
            reading = asyncio.create_task(kernel.read("orion.vx"))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        finally:
            free.set()
        assert await kernel.read("orion.vx") == NOTHING

    asyncio.run(main())


def test_a_socket_that_can_not_be_opened_is_said_in_words():
    def none_left():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def main():
        kernel = NetlinkOverlay(none_left)
        with pytest.raises(OverlayFailed, match=r"reading orion\.vx: the kernel says: Too many open files"):
            await kernel.read("orion.vx")
        with pytest.raises(OverlayFailed, match="learning of changes of this host's network"):
            await anext(kernel.changes())

    asyncio.run(main())


OF_3 = functools.partial(changes._matters, links={3})


class Listener:
    """Says what `script` has, and then that there is no more."""

    def __init__(self, script):
        self.script = list(script)

    def recv(self, _):
        if not self.script:
            raise BlockingIOError
        said = self.script.pop(0)
        if isinstance(said, OSError):
            raise said
        return said


def test_word_that_some_was_left_out_is_a_change_and_other_trouble_is_raised():
    elsewhere = datagram(tables.set_neighbour(4, NEIGHBOUR))
    too_many = OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
    assert multicast.take(Listener([elsewhere, too_many, elsewhere]), OF_3)
    assert not multicast.take(Listener([elsewhere]), OF_3)
    with pytest.raises(OSError, match="Bad file descriptor"):
        multicast.take(Listener([OSError(errno.EBADF, os.strerror(errno.EBADF))]), OF_3)


def test_a_flood_of_changes_is_taken_in_turns():
    listener = Listener([datagram(tables.add_address(4, "10.0.0.1/8"))] * (multicast.MAX_AT_ONCE + 5))
    assert multicast.take(listener, OF_3)
    assert len(listener.script) == 5


def datagram(request):
    return codec.message(request.kind, 0, 0, request.body)


@pytest.mark.parametrize(
    ("data", "matters"),
    [
        (datagram(tables.set_neighbour(3, NEIGHBOUR)), True),
        (datagram(tables.set_neighbour(4, NEIGHBOUR)), False),
        (datagram(tables.remove_forwarding(3, Forwarding(NEIGHBOUR.mac, "10.77.0.2"))), True),
        (datagram(tables.remove_forwarding(4, Forwarding(NEIGHBOUR.mac, "10.77.0.2"))), False),
        (datagram(tables.add_address(4, "10.0.0.1/8")), True),
        (datagram(tables.set_neighbour(4, NEIGHBOUR)) + datagram(tables.add_address(4, "10.0.0.1/8")), True),
        (b"no netlink", True),
        (codec.message(tables.NEWNEIGH, 0, 0, b"short"), True),
    ],
)
def test_of_neighbours_only_those_of_a_device_that_was_read_are_a_change(data, matters):
    assert OF_3(data) is matters
