"""A request's body, bounded in size and time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

WITHIN_S: Final = 10


class BodyTooLarge(Exception):
    """More bytes than the bound, declared or sent."""


class ClientGone(Exception):
    """The client left before its body was whole: nobody reads an answer."""


class BodyReader:
    """One per event loop. One timer watches all bodies under way: a timer for each costs more than parsing it."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._due: dict[asyncio.Task[Any], float] = {}  # oldest first
        self._late: set[asyncio.Task[Any]] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def read(self, headers: list[tuple[bytes, bytes]], receive: Receive, *, at_most: int) -> bytes:
        """A body of at most so many bytes, chunked or not. Errors: BodyTooLarge, ClientGone, TimeoutError."""
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value) > at_most:
                raise BodyTooLarge
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._due[task] = loop.time() + self._within_s
        if self._watch is None:
            self._watch = loop.call_later(self._within_s, self._cancel_late)
        try:
            return await _whole(receive, at_most)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._due[task]
            self._late.discard(task)

    def _cancel_late(self) -> None:
        loop, self._watch = asyncio.get_running_loop(), None
        for task, due in self._due.items():
            if due > loop.time():
                self._watch = loop.call_at(due, self._cancel_late)
                return
            if task not in self._late:
                self._late.add(task)
                task.cancel()


async def _whole(receive: Receive, at_most: int) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > at_most:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return body
