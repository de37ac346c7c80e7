"""A report's body: bounded in size and time, and counted while it is in memory. Never decompressed, never parsed."""

import asyncio
from contextlib import suppress
from typing import Final

from analytics.ingest.admission import Held
from analytics.ingest.arrivals import Arrival
from keys.validation.bodies import WITHIN_S, BodyTooLarge, ClientGone, Receive

# What is still sent of a body that is too large is read and dropped: not every client sees an answer that comes first.
DROPPED_AT_MOST_BYTES: Final = 32 * 1024 * 1024


async def read_body(arrival: Arrival, receive: Receive, held: Held, *, within_s: float = WITHIN_S) -> bytearray:
    """The whole body, chunked or not. Errors: BodyTooLarge, NoRoom, ClientGone, TimeoutError.

    Not validate's BodyReader: these are a thousand times larger, so that each byte is copied once, into what is held.
    """
    parts = _Parts(receive)
    try:
        async with asyncio.timeout(within_s):
            return await _whole(arrival, parts, held)
    except BodyTooLarge:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await parts.drop()
        raise


async def _whole(arrival: Arrival, parts: "_Parts", held: Held) -> bytearray:
    if arrival.declared_bytes > arrival.at_most_bytes:
        raise BodyTooLarge
    held.grow_to(arrival.declared_bytes)
    weight = 1 if arrival.declared_bytes else 2  # a body whose length is not told (chunked) is moved as it grows
    body, size = bytearray(arrival.declared_bytes), 0
    while not parts.are_read:
        part = await parts.next()
        end = size + len(part)
        if end > arrival.at_most_bytes:
            raise BodyTooLarge
        held.grow_to(weight * end)
        body[size:end] = part
        size = end
    del body[size:]
    return body


class _Parts:
    """A body as ASGI brings it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.are_read = False

    async def next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.are_read = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    async def drop(self) -> None:
        dropped = 0
        while not self.are_read and dropped < DROPPED_AT_MOST_BYTES:
            dropped += len(await self.next())
