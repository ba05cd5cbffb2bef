"""The cluster as it is followed: over sockets, from nodes that come and go."""

import asyncio
import contextlib
import socket
import threading

import pytest

from orion.model.api.watch import Noun
from orion.model.errors import Refused, Unavailable
from orion.tui.feed import Feed
from orion.tui.reach import first_that_answers
from orion.tui.streams import MOST, Following, Handover
from unit.tui.rows import node, task
from unit.tui.scripted import piloted
from unit.tui.watched import WatchedNode, all_rows, current, rows

WAIT_S = 120


async def until(true):
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110 -- it is told by threads
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def following(*addresses, **more):
    feed = Feed(",".join(addresses), **more)
    feed.start()
    try:
        yield feed
    finally:
        feed.close()


@pytest.fixture
def nodes():
    made = []

    def make(*first, **more):
        made.append(WatchedNode(*first, **more))
        return made[-1]

    yield make
    for each in made:
        each.die()


def refused():
    """An address at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@piloted
async def test_what_a_node_tells_is_in_the_store(nodes):
    there = nodes(*all_rows(Noun.TASKS, task("web/0")))
    news = []
    async with following(there.address) as feed:
        feed.on_news = news.append
        await until(lambda: feed.store.tables[Noun.TASKS])
        assert feed.address == there.address
        assert feed.trouble == ""
        assert feed.age_s is not None
        there.tell(rows(Noun.TASKS, task("web/1"), gone=["web/0"]), current(2))
        await until(lambda: feed.store.index == 2)
        assert list(feed.store.tables[Noun.TASKS]) == ["web/1"]
        assert {Noun.TASKS} in news


@piloted
async def test_a_node_that_dies_is_followed_by_another_one_that_was_named(nodes):
    first, second = nodes(*all_rows(Noun.TASKS, task("a/0"))), nodes(*all_rows(Noun.TASKS, task("b/0")))
    async with following(first.address, second.address) as feed:
        await until(lambda: feed.store.index)
        first.die()
        await until(lambda: list(feed.store.tables[Noun.TASKS]) == ["b/0"])
        assert feed.address == second.address
        assert feed.moves == 1
        assert feed.trouble == ""


@piloted
async def test_nodes_that_were_seen_are_known_too(nodes):
    second = nodes(*all_rows(Noun.TASKS, task("b/0")))
    seen = node("node2", api_address=second.address), node("node3", api_address="192.0.2.1:1", status="dead")
    first = nodes(*all_rows(Noun.NODES, *seen))
    async with following(first.address) as feed:
        await until(lambda: feed.cluster)
        assert feed.addresses() == [first.address, second.address]
        first.die()
        await until(lambda: feed.address == second.address)


@piloted
async def test_a_node_of_another_cluster_is_not_followed_and_never_called(nodes):
    """What is its own address to a node may be that of somebody else here."""
    other = nodes(*all_rows(Noun.TASKS, task("other/0")), cluster="deadbeef")
    third = nodes(*all_rows(Noun.TASKS, task("c/0")))
    seen = [node("node2", api_address=other.address), node("node3", api_address=third.address)]
    first = nodes(*all_rows(Noun.NODES, *seen))
    async with following(first.address) as feed:
        await until(lambda: feed.cluster)
        first.die()
        assert other.address not in await feed.ask(lambda client: client.addresses)
        await until(lambda: list(feed.store.tables[Noun.TASKS]) == ["c/0"])
        assert other.address not in feed.addresses()
        assert feed.address == third.address
        assert not other.streams


@piloted
async def test_half_a_state_counts_for_nothing(nodes):
    first = nodes(*all_rows(Noun.TASKS, task("a/0")))
    second = nodes(rows(Noun.TASKS, begins=True), rows(Noun.TASKS, task("b/0")))
    third = nodes(*all_rows(Noun.TASKS, task("c/0")))
    async with following(first.address) as feed:
        await until(lambda: feed.store.index)
        feed._given += [second.address]
        first.die()
        await until(lambda: second.streams)
        assert list(feed.store.tables[Noun.TASKS]) == ["a/0"]
        feed._given += [third.address]
        second.die()
        await until(lambda: list(feed.store.tables[Noun.TASKS]) == ["c/0"])


@piloted
async def test_a_silent_node_is_left_for_another_and_what_it_says_late_counts_no_more(nodes):
    first, second = nodes(*all_rows(Noun.TASKS, task("a/0"))), nodes(*all_rows(Noun.TASKS, task("b/0")))
    now = [100.0]
    async with following(first.address, second.address, clock=lambda: now[0]) as feed:
        await until(lambda: feed.store.index)
        feed.look()
        assert feed.address == first.address
        now[0] += 5.0
        assert feed.age_s == 5.0
        feed.look()
        await until(lambda: list(feed.store.tables[Noun.TASKS]) == ["b/0"])
        assert feed.age_s == 0.0
        first.tell(current(77))
        second.tell(current(3))
        await until(lambda: feed.store.index == 3)
        assert feed.address == second.address


@piloted
async def test_nobody_there_is_said_and_whoever_comes_is_followed(nodes):
    async with following(refused()) as feed:
        await until(lambda: feed.trouble)
        assert "is it running?" in feed.trouble
        feed._given.append(refused())
        await until(lambda: "no node answers at any of" in feed.trouble)
        assert feed.age_s is None
        there = nodes(*all_rows(Noun.TASKS, task("a/0")))
        feed._given.append(there.address)
        await until(lambda: feed.store.index)
        assert feed.trouble == ""


@piloted
async def test_another_program_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock:
                        sock.recv(1000)
                        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")

        threading.Thread(target=answer, daemon=True).start()
        async with following(f"127.0.0.1:{listener.getsockname()[1]}") as feed:
            await until(lambda: "is not an Orion" in feed.trouble)
        listener.shutdown(socket.SHUT_RDWR)


@piloted
async def test_calls_have_clients_of_their_own_and_their_errors_are_raised(nodes):
    there = nodes(*all_rows(Noun.TASKS))
    async with following(there.address) as feed:
        assert await feed.ask(lambda client: client.address) == there.address
        clients = await asyncio.gather(*(feed.ask(id) for _ in range(3)))
        assert len(clients) == 3

        def fail(client):
            raise Refused("it is not to be")

        with pytest.raises(Refused, match="not to be"):
            await feed.ask(fail)


@piloted
async def test_whoever_leaves_does_not_wait_for_a_call_that_hangs(nodes):
    there, hung = nodes(*all_rows(Noun.TASKS)), threading.Event()
    async with following(there.address) as feed:
        waiting = asyncio.create_task(feed.ask(lambda client: hung.wait(WAIT_S)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    hung.set()


@piloted
async def test_items_of_a_stream_come_in_order_and_then_its_end():
    came, ends, loop = [], [], asyncio.get_running_loop()
    Following(loop, "127.0.0.1:1", lambda client: iter(range(MOST * 3)), came.append, ends.append)
    await until(lambda: ends)
    assert came == list(range(MOST * 3))
    assert ends == [""]


@piloted
async def test_a_stream_that_breaks_off_says_why():
    def begin(client):
        yield 1
        raise Unavailable("it broke off")

    came, ends = [], []
    Following(asyncio.get_running_loop(), "127.0.0.1:1", begin, came.append, ends.append)
    await until(lambda: ends)
    assert (came, ends) == ([1], ["it broke off"])


@piloted
async def test_of_a_closed_stream_nothing_more_is_told():
    came, ends, more = [], [], threading.Event()

    def begin(client):
        yield 1
        more.wait(WAIT_S)
        yield 2

    stream = Following(asyncio.get_running_loop(), "127.0.0.1:1", begin, came.append, ends.append)
    await until(lambda: came)
    stream.close()
    more.set()
    await until(lambda: not any(each.name == "stream" for each in threading.enumerate()))
    assert (came, ends) == ([1], [])


@piloted
async def test_a_thread_waits_for_a_loop_that_is_slow():
    taken = []
    handover = Handover(asyncio.get_running_loop(), taken.extend)
    given = threading.Event()

    def give():
        handover.give(list(range(MOST)))
        handover.give([MOST])
        given.set()

    threading.Thread(target=give, daemon=True).start()
    assert not given.wait(0.05), "it does not wait"
    await until(given.is_set)
    await until(lambda: len(taken) == MOST + 1)
    assert taken == list(range(MOST + 1))


def test_the_first_that_answers_is_found_beside_those_that_do_not(nodes):
    there = nodes()
    assert first_that_answers([refused(), there.address], 120.0) == there.address
    assert first_that_answers([refused()], 5.0) == ""
    assert first_that_answers(["not an address:x"], 5.0) == ""
    assert first_that_answers([], 5.0) == ""
    assert first_that_answers([refused(), there.address], 120.0, ahead_s=120.0) == there.address


def test_a_host_that_is_silent_holds_the_others_up_for_its_start_alone(nodes):
    with full_backlog() as silent:
        there = nodes()
        assert first_that_answers([silent, there.address], 120.0, ahead_s=0.05) == there.address
        assert first_that_answers([silent], 0.05) == ""


@contextlib.contextmanager
def full_backlog():
    """An address at which connections are neither taken nor refused."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"
