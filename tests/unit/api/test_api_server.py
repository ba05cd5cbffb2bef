"""Taking the port and giving it back."""

import asyncio
import contextlib
import errno
import http.client
import socket
import threading

import pytest

from orion.api import Server, create_app, listen
from orion.model.errors import Refused
from unit.api.fake_service import PATIENT_S, FakeService, running, task_view


def test_a_taken_port_names_the_flag():
    (listener,) = listen("127.0.0.1", 0)
    with contextlib.closing(listener) as first:
        port = first.getsockname()[1]
        with pytest.raises(Refused, match=rf"127.0.0.1:{port} is taken by another program: .*--port"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_names_the_flag():
    with pytest.raises(Refused, match="--bind"):
        listen("192.0.2.1", 0)
    with pytest.raises(Refused, match="--bind"):
        listen("no.such.host.invalid", 0)


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOBUFS])
def test_other_failures_are_told_in_words(monkeypatch, code):
    class Failing(socket.socket):
        def bind(self, address):
            raise OSError(code, "the kernel's words")

    monkeypatch.setattr(socket, "socket", Failing)
    with pytest.raises(Refused, match=r"root|the kernel's words"):
        listen("127.0.0.1", 80)


def test_ipv6():
    (listener,) = listen("::1", 0)
    with contextlib.closing(listener):
        assert listener.family == socket.AF_INET6


def test_localhost_is_listened_on_in_both_families():
    listeners = listen("localhost", 0)
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1", "::1"]
        assert len({listener.getsockname()[1] for listener in listeners}) == 1


def test_localhost_of_one_family_is_enough():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        (listener,) = listen("localhost", port)
        with contextlib.closing(listener):
            assert listener.getsockname() == ("127.0.0.1", port)


def test_stopping_frees_the_port_and_leaves_the_signals_alone():
    import signal

    before = signal.getsignal(signal.SIGTERM)

    async def serve_and_stop() -> int:
        server = Server(create_app(FakeService()), listen("127.0.0.1", 0))
        port = server.address[1]
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            assert signal.getsignal(signal.SIGTERM) is before
            server.stop()
            writer.close()
        return port

    port = asyncio.run(serve_and_stop())
    (listener,) = listen("127.0.0.1", port)
    listener.close()


def test_stopping_before_it_served_is_no_hang():
    async def stop_first() -> None:
        server = Server(create_app(FakeService()), listen("127.0.0.1", 0))
        server.stop()
        async with asyncio.timeout(60):
            await server.serve()

    asyncio.run(stop_first())


def test_cancelling_drops_what_is_under_way():
    service = FakeService()
    service.hang = True

    async def serve_and_cancel() -> None:
        server = Server(create_app(service), listen("127.0.0.1", 0))
        async with asyncio.timeout(60):
            serving = asyncio.create_task(server.serve())
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not service.reads:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert (await reader.read()).startswith(b"HTTP/1.1 503")
            writer.close()
            await writer.wait_closed()
        assert service.ended == ["hang"]

    asyncio.run(serve_and_cancel())


def test_stopping_ends_what_waits_and_what_streams():
    service = FakeService()
    service.tasks_by_id["web/0"] = task_view("web")
    service.logs_go_on = service.events_go_on = True
    with running(service) as api, contextlib.ExitStack() as stack:
        poll, logs, events = (stack.enter_context(contextlib.closing(api.connect())) for _ in range(3))
        poll.request("GET", "/tasks?index=7&wait=600")
        logs.request("GET", "/tasks/web/logs?follow=1")
        events.request("GET", "/events")
        following, happening = logs.getresponse(), events.getresponse()
        api.wait_until(lambda: len(service.reads) == 2)
        api.stop()
        answer = poll.getresponse()
        assert answer.status == 503
        assert b"this node is stopping" in answer.read()
        with pytest.raises(http.client.IncompleteRead):  # nobody takes a part of the log for the whole
            following.read()
        assert happening.read() is not None  # events end cleanly: a browser comes back
    assert sorted(service.ended) == ["events", "logs", "poll"]


def test_stopping_lets_short_work_finish_and_cuts_long_work(monkeypatch):
    monkeypatch.setattr("orion.api.http.server.WORK_GRACE_S", 0.05)
    service = FakeService()
    service.hang = True
    with running(service) as api, contextlib.closing(api.connect()) as connection:
        connection.request("POST", "/tasks", b'{"image": "nginx"}')
        entered = threading.Event()
        api.wait_until(lambda: len(api.server._app.limits._works) == 1)
        entered.set()
        api.stop()
        answer = connection.getresponse()
        assert answer.status == 503
        assert b"may or may not be made" in answer.read()
    assert service.ended == ["hang"]


def test_a_client_that_does_not_read_holds_nothing_up(monkeypatch):
    monkeypatch.setattr("orion.api.http.server.CLOSE_S", 1)
    service = FakeService()
    service.tasks_by_id["web/0"] = task_view("web")
    service.log_items = [b"x" * 1_000_000] * 64
    with running(service) as api:
        deaf = socket.create_connection((api.host, api.port), PATIENT_S)
        with contextlib.closing(deaf):
            deaf.sendall(b"GET /tasks/web/logs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            api.wait_until(lambda: bool(service.log_queries))
            api.stop()
            assert deaf.recv(15) == b"HTTP/1.1 200 OK"
            for thread in threading.enumerate():
                if thread is not threading.current_thread() and not thread.daemon:
                    thread.join(PATIENT_S)
    assert "logs" in service.ended
