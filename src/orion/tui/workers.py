"""Calls of a client that wait, in threads of their own, so that the app's loop never does."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from orion.client import Client

T = TypeVar("T")

MOST = 6  # calls at once; others wait for their turn
KEPT = 3  # clients with a connection that nobody uses


class Workers:
    """`addresses` says which nodes to ask, the first one first, separated by commas.

    The threads are daemons: whoever leaves while a node is silent does not wait for it.
    """

    def __init__(self, addresses: Callable[[], str]) -> None:
        self._addresses = addresses
        self._turns = asyncio.Semaphore(MOST)
        self._lock = threading.Lock()
        self._kept: list[tuple[str, Client]] = []

    async def ask(self, call: Callable[[Client], T]) -> T:
        """Returns what the call gives. Raises OrionError."""
        async with self._turns:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()

            def settle(result: T | None, error: BaseException | None) -> None:
                if answer.done():  # who asked has left
                    return
                if error is not None:
                    answer.set_exception(error)
                else:
                    answer.set_result(result)  # type: ignore[arg-type]

            def work() -> None:
                result, error = None, None
                try:
                    result = self._call(call)
                except BaseException as caught:  # noqa: BLE001 -- raised in the task that asked
                    error = caught
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(settle, result, error)

            threading.Thread(target=work, name="ask", daemon=True).start()
            return await answer

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for _, client in kept:
            client.close()

    def _call(self, call: Callable[[Client], T]) -> T:
        addresses, client = self._client()
        try:
            result = call(client)
        except BaseException:
            client.close()
            raise
        with self._lock:
            if len(self._kept) < KEPT:
                self._kept.append((addresses, client))
                return result
        client.close()
        return result

    def _client(self) -> tuple[str, Client]:
        """A client that is kept and asks the right nodes, else a new one."""
        addresses = self._addresses()
        with self._lock:
            kept, self._kept = self._kept, []
            for at, (asked, client) in enumerate(kept):
                if asked == addresses:
                    self._kept = kept[:at] + kept[at + 1 :]
                    return addresses, client
        for _, client in kept:
            client.close()
        return addresses, Client(addresses)
